/* tests/test_text_encoder.c - the text encoder on the CPU device against PyTorch's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/cpu/cpu.h"
#include "host/model/text_encoder.h"
#include "tests/seeded.h"

enum { POSITIONS = 77 };

static const double BOUND = 1e-5;

struct job {
    struct text_encoder *encoder;
    struct text_run_args args;
    float *got;
    size_t count;
};

static status run_once(struct ops *ops, struct job *job)
{
    void *y;
    TRY(ops->alloc(ops, job->count * sizeof(float), &y));
    job->args.y = y;
    TRY(text_encoder_run(job->encoder, &job->args));
    return ops->download(ops, job->got, y, job->count * sizeof(float));
}

static void run(struct ops *ops, struct job *job, int width)
{
    size_t bytes;
    job->count = (size_t)job->args.n * POSITIONS * width;
    job->got = malloc(job->count * sizeof(float));
    assert_int_equal(ops->plan_begin(ops), STATUS_OK);
    assert_int_equal(run_once(ops, job), STATUS_OK);
    assert_int_equal(ops->plan_end(ops, 0, &bytes), STATUS_OK);
    const size_t mark = ops->mark(ops);
    assert_int_equal(run_once(ops, job), STATUS_OK);
    ops->release(ops, mark);
}

struct test {
    struct seeded seeded;
    struct ops *ops;
    struct text_encoder *encoder;
};

static void open_test(struct test *t, enum seeded_which which, const int32_t *positions)
{
    seeded_open(&t->seeded, which);
    assert_int_equal(cpu_open(1, DTYPE_F32, &t->ops), STATUS_OK);
    const struct text_encoder_args args = { positions, DTYPE_F32 };
    assert_int_equal(
        text_encoder_create(t->ops, t->seeded.modules, &t->seeded.source, &args, &t->encoder),
        STATUS_OK);
}

static void close_test(struct test *t)
{
    text_encoder_destroy(t->encoder);
    t->ops->destroy(t->ops);
    seeded_close(&t->seeded);
}

static void check(struct test *t, struct job *job, const char *name)
{
    const int width = t->seeded.modules->sizes.text_width;
    job->encoder = t->encoder;
    run(t->ops, job, width);
    float *want = vector_read(name, sizeof(float), job->count);
    check_relative(name, job->got, want, job->count, BOUND);
    free(want);
    free(job->got);
}

static void two_chunks_at_every_clip_skip(void **state)
{
    (void)state;
    struct test t;
    open_test(&t, SEEDED_SMALL, NULL);
    int32_t *ids = seeded_ids(11, 2, 512);
    for (int skip = 1; skip <= 3; skip++) {
        char name[64];
        snprintf(name, sizeof name, "text_small_%d.bin", skip);
        check(&t, &(struct job){ .args = { .ids = ids, .n = 2, .clip_skip = skip } }, name);
    }
    free(ids);
    close_test(&t);
}

static void inversions_replace_token_rows(void **state)
{
    (void)state;
    struct test t;
    open_test(&t, SEEDED_SMALL, NULL);
    int32_t *ids = seeded_ids(11, 2, 512);
    float *first = seeded_values(12, 0, 3 * 64), *second = seeded_values(12, 1, 6 * 64);
    const struct embed_patch patches[] = { { 0, 1, 3, first }, { 1, 70, 6, second } };
    check(&t,
          &(struct job){
              .args = { .ids = ids, .patch = patches, .patches = 2, .n = 2, .clip_skip = 2 } },
          "text_small_patched.bin");
    free(first);
    free(second);
    free(ids);
    close_test(&t);
}

static void merged_position_ids_are_honoured(void **state)
{
    (void)state;
    struct test t;
    int32_t order[POSITIONS];
    for (int i = 0; i < POSITIONS; i++)
        order[i] = i;
    order[41] = 40;
    order[76] = 75;
    open_test(&t, SEEDED_SMALL, order);
    int32_t *ids = seeded_ids(11, 1, 512);
    check(&t, &(struct job){ .args = { .ids = ids, .n = 1, .clip_skip = 1 } },
          "text_small_positions.bin");
    free(ids);
    close_test(&t);
}

static void another_width_with_two_heads(void **state)
{
    (void)state;
    struct test t;
    open_test(&t, SEEDED_WIDE, NULL);
    int32_t *ids = seeded_ids(13, 1, 300);
    check(&t, &(struct job){ .args = { .ids = ids, .n = 1, .clip_skip = 1 } }, "text_wide_1.bin");
    free(ids);
    close_test(&t);
}

static void a_chunk_does_not_depend_on_its_neighbours(void **state)
{
    (void)state;
    struct test t;
    open_test(&t, SEEDED_SMALL, NULL);
    int32_t *ids = seeded_ids(11, 2, 512);
    struct job both = { .encoder = t.encoder, .args = { .ids = ids, .n = 2, .clip_skip = 1 } };
    struct job alone = { .encoder = t.encoder,
                         .args = { .ids = ids + POSITIONS, .n = 1, .clip_skip = 1 } };
    run(t.ops, &both, 64);
    run(t.ops, &alone, 64);
    assert_memory_equal(both.got + alone.count, alone.got, alone.count * sizeof(float));
    free(both.got);
    free(alone.got);
    free(ids);
    close_test(&t);
}

static void more_clip_skip_than_layers_is_refused(void **state)
{
    (void)state;
    struct test t;
    open_test(&t, SEEDED_SMALL, NULL);
    int32_t *ids = seeded_ids(11, 1, 512);
    struct text_run_args args = { .ids = ids, .n = 1, .clip_skip = 4 };
    assert_int_equal(text_encoder_run(t.encoder, &args), STATUS_MISUSE);
    assert_string_equal(status_text(),
                        "clip skip is 4, but this model's text encoder takes 1 to 3");
    args.clip_skip = 0;
    assert_int_equal(text_encoder_run(t.encoder, &args), STATUS_MISUSE);
    free(ids);
    close_test(&t);
}

static void a_position_id_that_is_no_row_is_refused(void **state)
{
    (void)state;
    struct seeded seeded;
    struct ops *ops;
    struct text_encoder *encoder;
    int32_t order[POSITIONS] = { 0 };
    order[5] = POSITIONS;
    seeded_open(&seeded, SEEDED_SMALL);
    assert_int_equal(cpu_open(1, DTYPE_F32, &ops), STATUS_OK);
    const struct text_encoder_args args = { order, DTYPE_F32 };
    assert_int_equal(text_encoder_create(ops, seeded.modules, &seeded.source, &args, &encoder),
                     STATUS_BAD_FILE);
    assert_null(encoder);
    ops->destroy(ops);
    seeded_close(&seeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_chunks_at_every_clip_skip),
        cmocka_unit_test(inversions_replace_token_rows),
        cmocka_unit_test(merged_position_ids_are_honoured),
        cmocka_unit_test(another_width_with_two_heads),
        cmocka_unit_test(a_chunk_does_not_depend_on_its_neighbours),
        cmocka_unit_test(more_clip_skip_than_layers_is_refused),
        cmocka_unit_test(a_position_id_that_is_no_row_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
