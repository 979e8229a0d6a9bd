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
#include "tests/weights_fixture.h"
#include "weights/tensor_file.h"
#if TEST_ON_EMULATOR
#include "tests/emulator/emulator.h"
#endif

enum { SIDE = 64, STEPS = 2, LATENT = SIDE / 8 * SIDE / 8 * 4, PICTURES = 3, HASH = 65 };

static const char *folders[] = { TEST_SOURCE_DIR "/weights/mini", NULL };
static size_t folder_count = 1;
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
    int count, stop_after; /* pictures so far; cancel at the n-th question, 0: never */
    char notes[2048];
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
    snprintf(made->notes, sizeof made->notes, "%s", picture->notes);
    return STATUS_OK;
}

static int stops(void *user)
{
    struct made *made = user;
    return made->stop_after > 0 && --made->stop_after == 0;
}

static char said[512]; /* the last warning */

static void hear(void *user, enum miku_log level, const char *line)
{
    (void)user;
    if (level == MIKU_LOG_WARNING)
        snprintf(said, sizeof said, "%s", line);
}

static const char *engine; /* null: our own */

static struct miku *opened(const char *device, const char *precision, int no_graph)
{
    struct miku *miku = NULL;
    const struct miku_options options = { .device = device,
                                          .precision = precision,
                                          .weights = folders,
                                          .weights_count = folder_count,
                                          .no_graph = no_graph,
                                          .engine = strcmp(device, "cpu") == 0 ? NULL : engine,
                                          .log = hear };
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
    made->count = made->stop_after = 0;
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

/* Holds cases in one precision to the CPU's in fp32: all, or the first and the last. */
static void check_precision(const char *precision, int by, double latent_most, double psnr_least)
{
    static struct made got;
    struct miku *cuda = opened("cuda", precision, 0);
    for (int i = 0; i < CASES; i += by) {
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
    check_precision("fp32", 1, 1e-4, 60);
}

static void fp16_is_within_40_db(void **state)
{
    (void)state;
    check_precision("fp16", 1, 5e-2, 40);
}

/* Two steps of guidance 7 at a sigma of 14.6 make much of eight bits: the CPU's own bf16 is 26 dB
 * from its fp32. */
static void bf16_is_within_22_db(void **state)
{
    (void)state;
    check_precision("bf16", 3, 3e-1, 22);
}

/* ---- the vendor engine --------------------------------------------------------------------- */

/* Whole pictures on cuBLASLt and cuDNN: in fp32 the CPU's, in fp16 as near as our own kernels come.
 * Graph and plain launches give the same bytes. */
static void the_vendor_engine_makes_the_same_pictures(void **state)
{
    (void)state;
    static struct made replayed, plain;
    struct miku *cuda = NULL;
    const struct miku_options options = { .device = "cuda", .engine = "vendor" };
    const status found = miku_open(&options, &cuda);
    if (found == STATUS_NOT_FOUND || found == STATUS_UNSUPPORTED) {
        print_message("%s\n", status_text());
        skip();
    }
    assert_int_equal(found, STATUS_OK);
    miku_close(cuda);
    engine = "vendor";
    check_precision("fp32", 3, 1e-4, 60);
    check_precision("fp16", 3, 5e-2, 40);
    const struct miku_request one = request_of(&cases[3], 1);
    for (int no_graph = 0; no_graph < 2; no_graph++) {
        cuda = opened("cuda", "fp16", no_graph);
        assert_non_null(strstr(miku_device(cuda).engine, "vendor, cuBLASLt"));
        make(cuda, &one, no_graph ? &plain : &replayed);
        assert_null(miku_device(cuda).engine_left); /* they took all there is */
        miku_close(cuda);
    }
    assert_string_equal(plain.hash[0], replayed.hash[0]);
    engine = NULL;
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

/* ---- what goes wrong ------------------------------------------------------------------------ */

/* orangemix.vae with a first convolution 10^7 as strong: its stream passes what fp16 holds, and the
 * norms take the factor out again. */
static void write_strong_vae(const char *folder)
{
    struct fixture *fixture = fixture_create();
    struct tensor_file *file;
    assert_int_equal(tensor_file_open(TEST_SOURCE_DIR "/weights/mini/orangemix.vae.pt", &file),
                     STATUS_OK);
    for (size_t i = 0; i < tensor_file_count(file); i++) {
        const struct tensor *tensor = tensor_file_at(file, i);
        const char *slash = strrchr(tensor->name, '/');
        const size_t count = tensor_elements(tensor);
        float *values = calloc(count, sizeof *values);
        assert_non_null(values);
        tensor_to_f32(tensor, values);
        for (size_t k = 0; strstr(tensor->name, "decoder.conv_in.") != NULL && k < count; k++)
            values[k] *= 1e7f;
        fixture_add(fixture, slash == NULL ? tensor->name : slash + 1, DTYPE_F32, tensor->rank,
                    tensor->shape, values);
        free(values);
    }
    tensor_file_close(file);
    fixture_write(fixture, folder, "strong.vae.safetensors");
    fixture_destroy(fixture);
}

static void a_decoder_that_overflows_fp16_is_run_wider(void **state)
{
    (void)state;
    static struct made exact, wide;
    char *folder = fixture_folder();
    write_strong_vae(folder);
    folders[folder_count++] = folder;
    struct miku_request request = request_of(&cases[1], 1);
    request.vae = "strong.vae";
    struct miku *cpu = opened("cpu", "fp32", 0), *cuda = opened("cuda", "fp16", 0);
    make(cpu, &request, &exact);
    said[0] = 0;
    for (int k = 0; k < 2; k++) { /* the second is decoded so at once */
        make(cuda, &request, &wide);
        assert_non_null(strstr(wide.notes, "\"vae_precision\":\"bf16\""));
        const struct miku_difference d = miku_compare(wide.rgb[0], exact.rgb[0], SIDE, SIDE);
        print_message("decoded in bf16: %.1f dB\n", d.psnr);
        assert_true(d.psnr >= 25);
        assert_true((strstr(said, "overflowed in fp16") != NULL) == (k == 0));
        said[0] = 0;
    }
    request.vae = "orangemix.vae"; /* another VAE is fp16 again */
    make(cuda, &request, &wide);
    assert_null(strstr(wide.notes, "vae_precision"));
    miku_close(cuda);
    miku_close(cpu);
    folder_count--;
    fixture_folder_remove(folder);
}

/* As SIGINT does in the program: the callback says stop, between two replays. */
static void a_run_can_be_stopped_and_another_begun(void **state)
{
    (void)state;
    static struct made got;
    struct miku *cuda = opened("cuda", "fp16", 0);
    const struct miku_callbacks callbacks = { .picture = keep, .cancel = stops, .user = &got };
    struct miku_request request = request_of(&cases[0], 1);
    for (int at = 1; at <= 4; at++) { /* encode, two steps, their end */
        got = (struct made){ .stop_after = at };
        assert_int_equal(miku_generate(cuda, &request, &callbacks), STATUS_CANCELLED);
        assert_int_equal(got.count, 0);
    }
    make(cuda, &request, &got);
    assert_true(miku_compare(got.rgb[0], want[0].rgb[0], SIDE, SIDE).psnr >= 40);
    miku_close(cuda);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp32_is_the_cpus_picture),
        cmocka_unit_test(fp16_is_within_40_db),
        cmocka_unit_test(bf16_is_within_22_db),
        cmocka_unit_test(the_vendor_engine_makes_the_same_pictures),
        cmocka_unit_test(schedules_graphs_and_batches_change_nothing),
        cmocka_unit_test(a_decoder_that_overflows_fp16_is_run_wider),
        cmocka_unit_test(a_run_can_be_stopped_and_another_begun),
    };
    if (cuda_count() == 0) {
        fprintf(stderr, "skipped: %s\n", status_text());
        return 77;
    }
    if (mkdtemp(dump_folder) == NULL)
        return 1;
    return cmocka_run_group_tests(tests, make_wanted, NULL);
}
