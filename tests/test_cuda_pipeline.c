/* tests/test_cuda_pipeline.c - whole pictures on the CUDA device, from the embedded weights at a
 * small size, against the CPU device: what goes into the four cases, in each precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cuda/cuda.h"
#include "host/mikubench.h"
#if TEST_ON_EMULATOR
#include "tests/emulator/emulator.h"
#endif

enum { SIDE = 64, STEPS = 2, LATENT = SIDE / 8 * SIDE / 8 * 4, PICTURES = 3, HASH = 65 };

static const char *const folders[] = { TEST_SOURCE_DIR "/weights/mini" };
static char dump_folder[] = "/tmp/miku_cuda_pipeline_XXXXXX";

/* The cases by what goes into them; size, steps and seed are this test's. */
static const struct ingredients {
    const char *model, *vae, *prompt, *negative, *sampler;
} cases[] = {
    { "sd-v1-4", NULL, "hatsune miku", "", "Euler a" },
    { "AOM3", "orangemix.vae", "hatsune miku", "", "Euler a" },
    { "AOM3", "orangemix.vae", "hatsune miku", "EasyNegative", "DPM++ 2M Karras" },
    { "AOM3", "orangemix.vae", "<lora:flat2:-1>, hatsune miku", "EasyNegative, bad-hands-5",
      "DPM++ 2M Karras" },
};
enum { CASES = sizeof cases / sizeof cases[0] };

struct made {
    int count;
    uint8_t rgb[PICTURES][SIDE * SIDE * 3];
    char hash[PICTURES][HASH];
    float latent[LATENT];
};

static status keep(void *user, const struct miku_picture *picture)
{
    struct made *made = user;
    assert_true(made->count < PICTURES);
    memcpy(made->rgb[made->count], picture->rgb, sizeof made->rgb[0]);
    snprintf(made->hash[made->count++], HASH, "%s", picture->rgb_sha256);
    return STATUS_OK;
}

static struct miku *opened(const char *device, const char *precision, int no_graph)
{
    struct miku *miku = NULL;
    const struct miku_options options = { .device = device,
                                          .precision = precision,
                                          .weights = folders,
                                          .weights_count = 1,
                                          .no_graph = no_graph };
    const status result = miku_open(&options, &miku);
    if (result != STATUS_OK)
        print_error("%s\n", status_text());
    assert_int_equal(result, STATUS_OK);
    return miku;
}

/* The last step's latent, from the dump: floats behind a head of a multiple of 64 bytes. */
static void read_latent(float *latent)
{
    char path[256];
    snprintf(path, sizeof path, "%s/latent_%02d.npy", dump_folder, STEPS - 1);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, -(long)(LATENT * sizeof *latent), SEEK_END), 0);
    assert_int_equal(fread(latent, sizeof *latent, LATENT, file), LATENT);
    fclose(file);
}

static struct miku_request request_of(const struct ingredients *from, int count)
{
    struct miku_request request = miku_request_default();
    request.model = from->model;
    request.vae = from->vae;
    request.prompt = from->prompt;
    request.negative = from->negative;
    request.sampler = from->sampler;
    request.steps = STEPS;
    request.width = request.height = SIDE;
    request.clip_skip = 2;
    request.seed = 1;
    request.strict = 1;
    request.count = request.batch = count;
    return request;
}

static void make(struct miku *miku, const struct miku_request *request, struct made *made)
{
    const struct miku_callbacks callbacks = { .picture = keep, .user = made };
    made->count = 0;
    const status result = miku_generate(miku, request, &callbacks);
    if (result != STATUS_OK)
        print_error("%s\n", status_text());
    assert_int_equal(result, STATUS_OK);
}

static void make_case(struct miku *miku, int number, struct made *made)
{
    struct miku_request request = request_of(&cases[number], 1);
    request.dump_dir = dump_folder;
    make(miku, &request, made);
    read_latent(made->latent);
}

/* |a - b| over |b|, both as vectors. */
static double distance(const float *a, const float *b)
{
    double far = 0, long_ = 0;
    for (int i = 0; i < LATENT; i++) {
        far += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        long_ += (double)b[i] * (double)b[i];
    }
    return sqrt(far / long_);
}

static struct made want[CASES];

static int make_wanted(void **state)
{
    (void)state;
    struct miku *cpu = opened("cpu", "fp32", 0);
    for (int i = 0; i < CASES; i++)
        make_case(cpu, i, &want[i]);
    miku_close(cpu);
    return 0;
}

/* ---- agreement ---------------------------------------------------------------------------- */

/* Holds all cases in one precision to the CPU's in fp32. */
static void check_precision(const char *precision, double latent_most, double psnr_least)
{
    static struct made got;
    struct miku *cuda = opened("cuda", precision, 0);
    for (int i = 0; i < CASES; i++) {
        make_case(cuda, i, &got);
        const double far = distance(got.latent, want[i].latent);
        const struct miku_difference d = miku_compare(got.rgb[0], want[i].rgb[0], SIDE, SIDE);
        print_message("%s, case %d: latent %.2e, picture %.1f dB, at most %d levels\n", precision,
                      i + 1, far, d.psnr, d.largest);
        assert_true(far <= latent_most);
        assert_true(d.psnr >= psnr_least);
    }
    miku_close(cuda);
}

static void fp32_is_the_cpus_picture(void **state)
{
    (void)state;
    check_precision("fp32", 1e-4, 60);
}

static void fp16_is_within_40_db(void **state)
{
    (void)state;
    check_precision("fp16", 5e-2, 40);
}

/* Two steps of guidance 7 at a sigma of 14.6 make much of eight bits: the CPU's own bf16 is 26 dB
 * from its fp32. */
static void bf16_is_within_22_db(void **state)
{
    (void)state;
    check_precision("bf16", 3e-1, 22);
}

/* ---- the same bytes ----------------------------------------------------------------------- */

static void schedules_graphs_and_batches_change_nothing(void **state)
{
    (void)state;
    static struct made together, alone;
    const struct miku_request three = request_of(&cases[3], PICTURES);
    struct miku *cuda = opened("cuda", "fp16", 0);
    make(cuda, &three, &together);
    assert_string_not_equal(together.hash[0], together.hash[1]);
    for (int k = 0; k < PICTURES; k++) {
        struct miku_request one = request_of(&cases[3], 1);
        one.seed += (uint64_t)k;
#if TEST_ON_EMULATOR
        emu_set.order = EMU_RANDOM;
        emu_set.seed = (uint64_t)k + 1;
#endif
        make(cuda, &one, &alone);
        assert_string_equal(alone.hash[0], together.hash[k]);
    }
    miku_close(cuda);
    cuda = opened("cuda", "fp16", 1);
    struct miku_request one = request_of(&cases[3], 1);
    make(cuda, &one, &alone);
    assert_string_equal(alone.hash[0], together.hash[0]);
    miku_close(cuda);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp32_is_the_cpus_picture),
        cmocka_unit_test(fp16_is_within_40_db),
        cmocka_unit_test(bf16_is_within_22_db),
        cmocka_unit_test(schedules_graphs_and_batches_change_nothing),
    };
    if (cuda_count() == 0) {
        fprintf(stderr, "skipped: %s\n", status_text());
        return 77;
    }
    if (mkdtemp(dump_folder) == NULL)
        return 1;
    return cmocka_run_group_tests(tests, make_wanted, NULL);
}
