/* tests/weights_fixture.c - safetensors: a length, a header of JSON, data. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "tests/weights_fixture.h"

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct item {
    char *name;
    enum dtype dtype;
    int rank;
    size_t shape[8], count;
    float *values; /* null: from the seed */
};

struct fixture {
    struct item *items;
    size_t count;
    char notes[1024];
};

struct fixture *fixture_create(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    return fixture;
}

static void item_free(struct item *item)
{
    free(item->name);
    free(item->values);
}

void fixture_destroy(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->count; i++)
        item_free(&fixture->items[i]);
    free(fixture->items);
    free(fixture);
}

void fixture_drop(struct fixture *fixture, const char *name)
{
    for (size_t i = 0; i < fixture->count; i++)
        if (strcmp(fixture->items[i].name, name) == 0) {
            item_free(&fixture->items[i]);
            fixture->items[i] = fixture->items[--fixture->count];
            return;
        }
}

void fixture_add(struct fixture *fixture, const char *name, enum dtype dtype, int rank,
                 const size_t *shape, const float *values)
{
    fixture_drop(fixture, name);
    fixture->items = realloc(fixture->items, (fixture->count + 1) * sizeof *fixture->items);
    assert_non_null(fixture->items);
    struct item *item = &fixture->items[fixture->count++];
    *item = (struct item){ .name = strdup(name), .dtype = dtype, .rank = rank, .count = 1 };
    for (int i = 0; i < rank; i++)
        item->count *= item->shape[i] = shape[i];
    if (values != NULL) {
        item->values = malloc((item->count + 1) * sizeof *values);
        assert_non_null(item->values);
        memcpy(item->values, values, item->count * sizeof *values);
    }
}

void fixture_note(struct fixture *fixture, const char *key, const char *value)
{
    snprintf(fixture->notes, sizeof fixture->notes, "\"__metadata__\":{\"%s\":\"%s\"},", key,
             value);
}

float fixture_value(const char *name, size_t i)
{
    uint64_t h = i * UINT64_C(0x9e3779b97f4a7c15);
    for (; *name != 0; name++)
        h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return (float)(int)(h >> 40 & 1023) / 4096 - 0.125f; /* exact in f16 */
}

void fixture_rows(struct fixture *fixture, const char *prefix, const struct module_row *rows,
                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct module_row *row = &rows[i];
        const size_t k = (size_t)row->kernel;
        const size_t shape[4] = { (size_t)row->out, (size_t)row->in, k, k };
        const int rank = row->kind == MODULE_NORM ? 1 : row->kind == MODULE_CONV2D ? 4 : 2;
        char name[256];
        snprintf(name, sizeof name, "%s%s.weight", prefix, row->name);
        fixture_add(fixture, name, DTYPE_F16, rank, shape, NULL);
        snprintf(name, sizeof name, "%s%s.bias", prefix, row->name);
        if (row->has_bias)
            fixture_add(fixture, name, DTYPE_F16, 1, shape, NULL);
    }
}

/* ---- writing ----------------------------------------------------------------------------- */

static void write_item(FILE *out, const struct item *item)
{
    for (size_t i = 0; i < item->count; i++) {
        const float value = item->values != NULL ? item->values[i] : fixture_value(item->name, i);
        const int64_t whole = item->dtype == DTYPE_I64 ? (int64_t)value : 0;
        uint32_t bits = 0;
        if (item->dtype != DTYPE_I64)
            dtype_from_f32(&value, 1, item->dtype, &bits);
        fwrite(item->dtype == DTYPE_I64 ? (const void *)&whole : &bits, dtype_size(item->dtype), 1,
               out);
    }
}

static const char *spelling(enum dtype dtype)
{
    return dtype == DTYPE_F16    ? "F16"
           : dtype == DTYPE_BF16 ? "BF16"
           : dtype == DTYPE_I64  ? "I64"
                                 : "F32";
}

void fixture_write(const struct fixture *fixture, const char *folder, const char *name)
{
    char *header = NULL, *path = fixture_path(folder, name);
    size_t length = 0, offset = 0;
    FILE *text = open_memstream(&header, &length);
    assert_non_null(text);
    fprintf(text, "{%s", fixture->notes);
    for (size_t i = 0; i < fixture->count; i++) {
        const struct item *item = &fixture->items[i];
        fprintf(text, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i == 0 ? "" : ",", item->name,
                spelling(item->dtype));
        for (int k = 0; k < item->rank; k++)
            fprintf(text, "%s%zu", k == 0 ? "" : ",", item->shape[k]);
        const size_t bytes = item->count * dtype_size(item->dtype);
        fprintf(text, "],\"data_offsets\":[%zu,%zu]}", offset, offset + bytes);
        offset += bytes;
    }
    fputc('}', text);
    fclose(text);

    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    const uint64_t bytes = length;
    fwrite(&bytes, 8, 1, out);
    fwrite(header, 1, length, out);
    for (size_t i = 0; i < fixture->count; i++)
        write_item(out, &fixture->items[i]);
    assert_int_equal(fclose(out), 0);
    free(header);
    free(path);
}

/* ---- folders ----------------------------------------------------------------------------- */

char *fixture_folder(void)
{
    char *folder = strdup("/tmp/mikubench-test-XXXXXX");
    assert_non_null(folder);
    assert_non_null(mkdtemp(folder));
    return folder;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

void fixture_folder_remove(char *folder)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(folder);
}

char *fixture_path(const char *folder, const char *name)
{
    const size_t cap = strlen(folder) + strlen(name) + 2;
    char *path = malloc(cap);
    assert_non_null(path);
    snprintf(path, cap, "%s/%s", folder, name);
    return path;
}

void fixture_bytes(const char *folder, const char *name, const void *bytes, size_t count)
{
    char *path = fixture_path(folder, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, count, out), count);
    assert_int_equal(fclose(out), 0);
    free(path);
}

struct sd1_sizes fixture_sizes(void)
{
    return (struct sd1_sizes){
        .vocabulary = 49408,
        .positions = 77,
        .text_width = 8,
        .text_layers = 1,
        .text_heads = 1,
        .text_ff = 16,
        .unet_in = 4,
        .unet_out = 4,
        .unet_width = { 32, 64, 64, 32 },
        .unet_time = 48,
        .vae_z = 4,
        .decoder_width = { 32, 32, 64, 32 },
        .encoder_width = { 32, 32, 32, 32 },
    };
}
