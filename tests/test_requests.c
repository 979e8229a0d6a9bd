/* tests/test_requests.c - whole requests, from infotext to picture, on a seeded checkpoint against
 * PyTorch's: emphasis, long prompts, AND, timelines, inversions, LoRAs, seeds, versions.
 * tools/vectors/pictures.py makes the same checkpoint, inversions and LoRA. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "host/mikubench.h"
#include "tests/seeded.h"
#include "tests/weights_fixture.h"

enum { WIDTH = 64, LATENT_C = 4, NPY_HEAD = 10 };

static const double BOUND = 1e-4;

/* ---- weights ----------------------------------------------------------------------------- */

static void add(struct fixture *fixture, const char *name, const char *part, int rank,
                const size_t *shape, const float *values)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s.%s", name, part);
    fixture_add(fixture, whole, DTYPE_F32, rank, shape, values);
}

/* A mean far from zero: the restoring of means divides by it. */
static void shift_mean(float *bias, int count)
{
    for (int i = 0; i < count; i++)
        bias[i] += 0.5f;
}

static void write_checkpoint(const char *folder)
{
    struct seeded seeded;
    struct fixture *fixture = fixture_create();
    seeded_open(&seeded, SEEDED_REQUESTS);
    for (size_t i = 0; i < seeded.modules->encoder_first; i++) {
        const struct module_row *row = &seeded.modules->rows[i];
        const size_t out = (size_t)row->out, k = (size_t)row->kernel;
        const size_t shape[] = { out, (size_t)row->in, k, k };
        const int rank = row->kind == MODULE_NORM ? 1 : row->kind == MODULE_CONV2D ? 4 : 2;
        struct weight_part part = { .data = NULL };
        assert_int_equal(seeded.source.get(seeded.source.context, row, &part), STATUS_OK);
        add(fixture, row->name, "weight", rank, shape, part.data);
        if (strstr(row->name, "final_layer_norm") != NULL)
            shift_mean(seeded.lent[1], row->out);
        if (row->has_bias)
            add(fixture, row->name, "bias", 1, shape, part.bias);
        seeded.source.done(seeded.source.context);
    }
    const size_t one[] = { 1 };
    fixture_add(fixture, "model.diffusion_model.unheard.of", DTYPE_F32, 1, one, NULL);
    fixture_write(fixture, folder, "requests.safetensors");
    fixture_destroy(fixture);
    seeded_close(&seeded);
}

/* `count` normals of (seed, draw), times `factor`. */
static float *scaled(uint64_t seed, uint64_t draw, size_t count, float factor)
{
    float *values = seeded_values(seed, draw, count);
    for (size_t i = 0; i < count; i++)
        values[i] *= factor;
    return values;
}

static void write_inversion(const char *folder, const char *name, uint64_t draw, size_t vectors)
{
    struct fixture *fixture = fixture_create();
    const size_t shape[] = { vectors, WIDTH };
    float *values = scaled(71, draw, vectors * WIDTH, 0.5f);
    fixture_add(fixture, "emb_params", DTYPE_F32, 2, shape, values);
    fixture_write(fixture, folder, name);
    fixture_destroy(fixture);
    free(values);
}

static void add_pair(struct fixture *fixture, const char *name, uint64_t draw, size_t width,
                     size_t rank, float alpha)
{
    const size_t up_shape[] = { width, rank }, down_shape[] = { rank, width };
    float *up = scaled(61, draw, width * rank, 0.2f),
          *down = scaled(61, draw + 1, rank * width, 0.2f);
    add(fixture, name, "lora_up.weight", 2, up_shape, up);
    add(fixture, name, "lora_down.weight", 2, down_shape, down);
    add(fixture, name, "alpha", 0, NULL, &alpha);
    free(up);
    free(down);
}

static void write_lora(const char *folder)
{
    struct fixture *fixture = fixture_create();
    add_pair(fixture, "lora_te_text_model_encoder_layers_0_self_attn_q_proj", 0, WIDTH, 4, 2);
    add_pair(fixture, "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", 2, 32,
             2, 1);
    fixture_write(fixture, folder, "pair.safetensors");
    fixture_destroy(fixture);
}

/* ---- one request ------------------------------------------------------------------------- */

struct made {
    int width, height;
    uint8_t *rgb;
};

static status keep(void *user, const struct miku_picture *picture)
{
    struct made *made = user;
    const size_t bytes = (size_t)picture->width * (size_t)picture->height * 3;
    *made = (struct made){ picture->width, picture->height, malloc(bytes) };
    memcpy(made->rgb, picture->rgb, bytes);
    return STATUS_OK;
}

static int is_there(const char *folder, const char *name)
{
    char *path = fixture_path(folder, name);
    const int found = access(path, F_OK) == 0;
    free(path);
    return found;
}

/* The values of a NumPy file of version 1.0. */
static void read_npy(const char *folder, const char *name, float *out, size_t count)
{
    char *path = fixture_path(folder, name);
    unsigned char head[NPY_HEAD];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s is not there", path);
    assert_int_equal(fread(head, 1, sizeof head, file), sizeof head);
    assert_int_equal(fseek(file, NPY_HEAD + head[8] + 256 * head[9], SEEK_SET), 0);
    assert_int_equal(fread(out, sizeof *out, count, file), count);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    free(path);
}

static void check_latent(const char *dump, const char *name, const struct miku_request *request)
{
    const size_t count =
        (size_t)LATENT_C * (size_t)(request->width / 8) * (size_t)(request->height / 8);
    float *got = malloc(count * sizeof *got), *want;
    char file[64];
    /* DDIM, which takes every (1000 / n)th timestep, may come to one more. */
    snprintf(file, sizeof file, "latent_%02d.npy", request->steps);
    if (!is_there(dump, file))
        snprintf(file, sizeof file, "latent_%02d.npy", request->steps - 1);
    read_npy(dump, file, got, count);
    snprintf(file, sizeof file, "../requests/%s.bin", name);
    want = vector_read(file, sizeof *want, count);
    check_relative(name, got, want, count, BOUND);
    free(got);
    free(want);
}

static void check_request(struct miku *miku, const char *folder, const char *name)
{
    char path[512], *text, *dump = fixture_path(folder, name);
    struct miku_request request;
    struct miku_text *owner;
    struct made made = { 0 };
    uint8_t *want;
    int width, height;
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/tests/vectors/requests/%s.png", name);
    assert_int_equal(miku_png_read(path, &want, &width, &height, &text, NULL), STATUS_OK);
    assert_int_equal(miku_request_parse(text, strlen(text), &request, &owner), STATUS_OK);
    request.strict = 1;
    request.dump_dir = dump;
    const struct miku_callbacks callbacks = { .picture = keep, .user = &made };
    if (miku_generate(miku, &request, &callbacks) != STATUS_OK)
        fail_msg("%s: %s", name, status_text());
    assert_int_equal(made.width, width);
    assert_int_equal(made.height, height);
    check_latent(dump, name, &request);
    const struct miku_difference difference = miku_compare(made.rgb, want, width, height);
    if (!(difference.within_one >= 0.9999))
        fail_msg("%s: within one grey level %.6f", name, difference.within_one);
    miku_text_free(owner);
    free(made.rgb);
    free(want);
    free(text);
    free(dump);
}

static void note(void *user, enum miku_log level, const char *line)
{
    if (level == MIKU_LOG_WARNING)
        snprintf(user, 1024, "%s", line);
}

static void pytorch_makes_the_same_of_every_request(void **state)
{
    static const char *const names[] = { "emphasis",      "long",      "and",        "timed",
                                         "timed_doubled", "timed_1_6", "inversions", "lora",
                                         "lora_era",      "seeds",     "ddim_short", "ddim_long",
                                         "cpu_noise" };
    (void)state;
    char *folder = fixture_folder();
    const char *const folders[] = { folder };
    struct miku *miku;
    write_checkpoint(folder);
    write_inversion(folder, "EasyNegative.safetensors", 0, 8);
    write_inversion(folder, "bad-hands-5.safetensors", 1, 2);
    write_lora(folder);
    char said[1024] = "";
    const struct miku_options options = {
        .weights = folders, .weights_count = 1, .log = note, .user = said
    };
    assert_int_equal(miku_open(&options, &miku), STATUS_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        check_request(miku, folder, names[i]);
    assert_non_null(strstr(said, "1 of its tensors are of no use, the first: "
                                 "model.diffusion_model.unheard.of"));
    miku_close(miku);
    fixture_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pytorch_makes_the_same_of_every_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
