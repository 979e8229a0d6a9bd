/* tests/seeded.c - see seeded.h. */
#include "tests/seeded.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/base/philox.h"

static const char *const names[] = { "small", "wide", "requests" };

static const struct sd1_sizes sizes[] = {
    { .vocabulary = 512,
      .positions = 77,
      .text_width = 64,
      .text_layers = 3,
      .text_heads = 1,
      .text_ff = 256,
      .unet_in = 4,
      .unet_out = 4,
      .unet_width = { 32, 64, 96, 128 },
      .unet_time = 128,
      .vae_z = 4,
      .decoder_width = { 32, 64, 96, 96 } },
    { .vocabulary = 300,
      .positions = 77,
      .text_width = 128,
      .text_layers = 2,
      .text_heads = 2,
      .text_ff = 320,
      .unet_in = 4,
      .unet_out = 4,
      .unet_width = { 64, 64, 96, 160 },
      .unet_time = 96,
      .vae_z = 4,
      .decoder_width = { 64, 32, 64, 128 } },
    { .vocabulary = 49408,
      .positions = 77,
      .text_width = 64,
      .text_layers = 3,
      .text_heads = 1,
      .text_ff = 256,
      .unet_in = 4,
      .unet_out = 4,
      .unet_width = { 32, 64, 96, 128 },
      .unet_time = 128,
      .vae_z = 4,
      .decoder_width = { 32, 64, 96, 96 } },
};

static uint64_t fnv1a(const char *text, uint64_t h)
{
    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
    return h;
}

static uint64_t row_seed(const struct seeded *seeded, const char *name)
{
    const uint64_t start = UINT64_C(0xCBF29CE484222325);
    return fnv1a(name, fnv1a(":", fnv1a(names[seeded->which], start)));
}

/* mean + factor * normal, in f32 as NumPy does it */
static float *lend(struct seeded *seeded, const char *name, int draw, size_t count, float mean,
                   float factor)
{
    float *values = seeded_values(row_seed(seeded, name), (uint64_t)draw, count);
    for (size_t i = 0; i < count; i++)
        values[i] = mean == 0.0f ? values[i] * factor : mean + values[i] * factor;
    seeded->lent[seeded->lent_count++] = values;
    return values;
}

static void bake(const struct seeded *seeded, const struct module_row *row, size_t each,
                 float *data)
{
    float *up = seeded_values(1, 0, (size_t)row->out), *down = seeded_values(2, 0, each);
    for (int o = 0; o < row->out; o++)
        for (size_t i = 0; i < each; i++)
            data[o * each + i] += seeded->scale * up[o] * down[i];
    free(up);
    free(down);
}

static status get(void *context, const struct module_row *row, struct weight_part *part)
{
    struct seeded *seeded = context;
    const size_t each = (size_t)row->in * row->kernel * row->kernel;
    const int norm = row->kind == MODULE_NORM;
    const float factor = norm                            ? 0.1f
                         : row->kind == MODULE_EMBEDDING ? 0.5f
                                                         : (float)(1.0 / sqrt((double)each));
    float *data = lend(seeded, row->name, 0, row->out * each, norm ? 1.0f : 0.0f, factor);
    if (seeded->baked && strcmp(row->name, seeded->delta_row) == 0)
        bake(seeded, row, each, data);
    part->data = data;
    part->dtype = part->bias_dtype = DTYPE_F32;
    part->bias = row->has_bias ? lend(seeded, row->name, 1, (size_t)row->out, 0.0f, 0.1f) : NULL;
    return STATUS_OK;
}

static status deltas(void *context, const struct module_row *row, const struct weight_delta **out,
                     int *count)
{
    struct seeded *seeded = context;
    *count = 0;
    if (seeded->delta_row == NULL || seeded->baked || strcmp(row->name, seeded->delta_row) != 0)
        return STATUS_OK;
    free(seeded->up);
    free(seeded->down);
    seeded->up = seeded_values(1, 0, (size_t)row->out);
    seeded->down = seeded_values(2, 0, (size_t)row->in * row->kernel * row->kernel);
    seeded->delta = (struct weight_delta){
        .scale = seeded->scale, .rank = 1, .up = seeded->up, .down = seeded->down
    };
    *out = &seeded->delta;
    *count = 1;
    return STATUS_OK;
}

static void done(void *context)
{
    struct seeded *seeded = context;
    while (seeded->lent_count > 0)
        free(seeded->lent[--seeded->lent_count]);
}

void seeded_open(struct seeded *seeded, enum seeded_which which)
{
    *seeded = (struct seeded){ .which = which };
    seeded->source = (struct model_source){ seeded, get, deltas, done };
    assert_int_equal(modules_create(&sizes[which], &seeded->modules), STATUS_OK);
}

void seeded_close(struct seeded *seeded)
{
    modules_destroy(seeded->modules);
    free(seeded->up);
    free(seeded->down);
}

float *seeded_values(uint64_t seed, uint64_t draw, size_t count)
{
    float *values = malloc(count * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = philox_normal(seed, draw, i);
    return values;
}

int32_t *seeded_ids(uint64_t seed, int chunks, int vocabulary)
{
    const size_t count = (size_t)chunks * 77;
    int32_t *ids = malloc(count * sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < count; i++) {
        uint32_t words[4];
        philox4x32(seed, 0, i, words);
        ids[i] = (int32_t)(words[0] % (uint32_t)vocabulary);
    }
    return ids;
}

void *vector_read(const char *name, size_t size, size_t count)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/vectors/model/%s", TEST_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    void *data = malloc(size * count + 1);
    assert_non_null(data);
    const size_t got = fread(data, 1, size * count + 1, file);
    fclose(file);
    if (got != size * count)
        fail_msg("%s has not %zu values of %zu bytes", path, count, size);
    return data;
}

double relative_error(const float *got, const float *want, size_t count)
{
    double difference = 0.0, whole = 0.0;
    for (size_t i = 0; i < count; i++) {
        difference += pow((double)got[i] - want[i], 2);
        whole += pow(want[i], 2);
    }
    return sqrt(difference / whole);
}

void check_relative(const char *what, const float *got, const float *want, size_t count,
                    double bound)
{
    const double error = relative_error(got, want, count);
    if (!(error <= bound))
        fail_msg("%s: relative error %.3g, wanted at most %.3g", what, error, bound);
    print_message("%s: relative error %.2g\n", what, error);
}
