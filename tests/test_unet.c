/* tests/test_unet.c - the UNet on the CPU device against PyTorch's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/cpu/cpu.h"
#include "host/model/unet.h"
#include "tests/seeded.h"

static const double BOUND = 1e-5;

struct test {
    struct seeded seeded;
    struct ops *ops;
    struct unet *unet;
};

/* One job: every row of the step table is evaluated on the same x. */
struct job {
    struct unet *unet;
    struct unet_job args;
    const struct step_row *rows;
    const float *x;       /* host, [n, h, w, 4] */
    const float *context; /* host */
    size_t context_count;
    float *eps;       /* out, host: [rows, parts * n, h, w, 4] */
    size_t eps_count; /* of one row */
};

static status run_once(struct ops *ops, struct job *job)
{
    const struct unet_job *a = &job->args;
    const size_t x_bytes = (size_t)a->n * a->h * a->w * 4 * sizeof(float);
    void *x, *eps, *context, *latent, *history;
    TRY(ops->alloc(ops, x_bytes, &x));
    TRY(ops->alloc(ops, x_bytes, &latent));
    TRY(ops->alloc(ops, x_bytes * STEP_HISTORY, &history));
    TRY(ops->alloc(ops, x_bytes * a->parts, &eps));
    TRY(ops->alloc(ops, job->context_count * sizeof(float), &context));
    TRY(ops->upload(ops, x, job->x, x_bytes));
    TRY(ops->upload(ops, latent, job->x, x_bytes));
    TRY(ops->upload(ops, context, job->context, job->context_count * sizeof(float)));
    TRY(ops->steps_begin(ops, job->rows, a->rows));
    job->args.context = context;
    TRY(unet_prepare(job->unet, a));
    const float weight[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    const uint64_t seed[8] = { 0 };
    for (int row = 0; row < a->rows; row++) {
        TRY(unet_evaluate(job->unet, x, eps));
        TRY(ops->download(ops, job->eps + row * job->eps_count, eps, x_bytes * a->parts));
        /* only to advance the table */
        TRY(ops->sampler_step(ops, &(struct sampler_step_args){ .eps = eps,
                                                                .x = latent,
                                                                .history = history,
                                                                .weight = weight,
                                                                .parts = a->parts,
                                                                .seed = seed,
                                                                .dtype = DTYPE_F32,
                                                                .n = a->n,
                                                                .hw = a->h * a->w,
                                                                .c = 4 }));
    }
    return STATUS_OK;
}

static void run(struct test *t, struct job *job)
{
    struct ops *ops = t->ops;
    size_t bytes;
    job->unet = t->unet;
    job->eps_count = (size_t)job->args.parts * job->args.n * job->args.h * job->args.w * 4;
    job->eps = malloc(job->args.rows * job->eps_count * sizeof(float));
    assert_int_equal(ops->plan_begin(ops), STATUS_OK);
    assert_int_equal(run_once(ops, job), STATUS_OK);
    assert_int_equal(ops->plan_end(ops, 0, &bytes), STATUS_OK);
    if (run_once(ops, job) != STATUS_OK)
        fail_msg("%s", status_text());
}

static void open_threads(struct test *t, enum seeded_which which, int threads)
{
    seeded_open(&t->seeded, which);
    assert_int_equal(cpu_open(threads, DTYPE_F32, &t->ops), STATUS_OK);
    if (unet_create(t->ops, t->seeded.modules, &t->seeded.source, DTYPE_F32, &t->unet) != STATUS_OK)
        fail_msg("%s", status_text());
}

static void open_test(struct test *t, enum seeded_which which) { open_threads(t, which, 1); }

static void close_test(struct test *t)
{
    unet_destroy(t->unet);
    t->ops->destroy(t->ops);
    seeded_close(&t->seeded);
}

/* The job of unet_small_*.bin for pictures first .. first + n - 1: three rows, contexts 0, 1, 0,
 * the positive of two chunks, the negative of one. */
enum { H = 9, W = 13, PICTURE = H * W * 4, TOKENS = 154, WIDTH = 64, ROWS = 3 };

static const struct step_row small_rows[ROWS] = { { .context = 0, .h_slot = -1, .draw = -1 },
                                                  { .context = 1, .h_slot = -1, .draw = -1 },
                                                  { .context = 0, .h_slot = -1, .draw = -1 } };
static const float small_t[ROWS] = { 946.421f, 0.0f, 317.25f };
static const int small_len[4] = { TOKENS, 77, TOKENS, 77 };

static void run_small(struct test *t, int first, int n, struct job *job)
{
    float *x = seeded_values(21, 0, 2 * PICTURE);
    float *context = malloc((size_t)4 * TOKENS * WIDTH * sizeof *context);
    for (int i = 0; i < 4; i++) {
        float *one = seeded_values(22, (uint64_t)i, TOKENS * WIDTH);
        memcpy(context + (size_t)i * TOKENS * WIDTH, one, TOKENS * WIDTH * sizeof *one);
        free(one);
    }
    *job = (struct job){ .args = { .n = n,
                                   .parts = 2,
                                   .h = H,
                                   .w = W,
                                   .t = small_t,
                                   .rows = ROWS,
                                   .context_len = small_len,
                                   .contexts = 2,
                                   .tokens = TOKENS },
                         .rows = small_rows,
                         .x = x + first * PICTURE,
                         .context = context,
                         .context_count = (size_t)4 * TOKENS * WIDTH };
    run(t, job);
    free(x);
    free(context);
}

static void odd_sizes_unequal_prompts_and_a_timeline(void **state)
{
    (void)state;
    struct test t;
    struct job job;
    open_test(&t, SEEDED_SMALL);
    run_small(&t, 0, 2, &job);
    for (int row = 0; row < ROWS; row++) {
        char name[64];
        snprintf(name, sizeof name, "unet_small_%d.bin", row);
        float *want = vector_read(name, sizeof(float), job.eps_count);
        check_relative(name, job.eps + row * job.eps_count, want, job.eps_count, BOUND);
        free(want);
    }
    free(job.eps);
    close_test(&t);
}

static void a_picture_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    struct test t;
    struct job both, alone;
    open_test(&t, SEEDED_SMALL);
    run_small(&t, 0, 2, &both);
    run_small(&t, 1, 1, &alone);
    for (int row = 0; row < ROWS; row++)
        for (int part = 0; part < 2; part++)
            assert_memory_equal(both.eps + row * both.eps_count + (2 * part + 1) * PICTURE,
                                alone.eps + row * alone.eps_count + part * PICTURE,
                                PICTURE * sizeof(float));
    free(both.eps);
    free(alone.eps);
    close_test(&t);
}

static void threads_do_not_change_the_bytes(void **state)
{
    (void)state;
    struct test t;
    struct job one, two;
    open_threads(&t, SEEDED_SMALL, 1);
    run_small(&t, 0, 1, &one);
    close_test(&t);
    open_threads(&t, SEEDED_SMALL, 2);
    run_small(&t, 0, 1, &two);
    close_test(&t);
    assert_memory_equal(one.eps, two.eps, ROWS * one.eps_count * sizeof(float));
    free(one.eps);
    free(two.eps);
}

static void three_parts_and_other_widths(void **state)
{
    (void)state;
    struct test t;
    open_test(&t, SEEDED_WIDE);
    float *x = seeded_values(23, 0, 8 * 8 * 4), *context = malloc(3 * 77 * 128 * sizeof *context);
    for (int i = 0; i < 3; i++) {
        float *one = seeded_values(24, (uint64_t)i, 77 * 128);
        memcpy(context + i * 77 * 128, one, 77 * 128 * sizeof *one);
        free(one);
    }
    const float time = 999.0f, half = 500.5f;
    struct job job = { .args = { .n = 1,
                                 .parts = 3,
                                 .h = 8,
                                 .w = 8,
                                 .t = &time,
                                 .rows = 1,
                                 .contexts = 1,
                                 .tokens = 77 },
                       .rows = small_rows,
                       .x = x,
                       .context = context,
                       .context_count = 3 * 77 * 128 };
    run(&t, &job);
    float *want = vector_read("unet_wide.bin", sizeof(float), job.eps_count);
    check_relative("unet_wide.bin", job.eps, want, job.eps_count, BOUND);
    free(want);
    free(x);
    free(job.eps);

    /* A latent of one row, and no guidance. */
    x = seeded_values(25, 0, 5 * 4);
    job.args.parts = job.args.h = 1;
    job.args.w = 5;
    job.args.t = &half;
    job.x = x;
    job.context_count = 77 * 128;
    run(&t, &job);
    want = vector_read("unet_wide_tiny.bin", sizeof(float), job.eps_count);
    check_relative("unet_wide_tiny.bin", job.eps, want, job.eps_count, BOUND);
    free(want);
    free(x);
    free(context);
    free(job.eps);
    close_test(&t);
}

/* A delta goes on, changes the output, and comes off to the byte; on a merged weight's middle part.
 */
static void a_delta_goes_on_and_comes_off_exactly(void **state)
{
    (void)state;
    struct test t;
    struct job before, with, baked, after;
    open_test(&t, SEEDED_SMALL);
    run_small(&t, 0, 1, &before);

    const struct modules *modules = t.seeded.modules;
    t.seeded.delta_row = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_k";
    t.seeded.scale = -1.0f;
    unsigned char *touched = calloc(modules->count, 1);
    touched[modules_find(modules, t.seeded.delta_row) - modules->rows] = 1;
    assert_int_equal(unet_fuse(t.unet, &t.seeded.source, touched), STATUS_OK);
    run_small(&t, 0, 1, &with);
    t.seeded.baked = 1;
    assert_int_equal(unet_fuse(t.unet, &t.seeded.source, touched), STATUS_OK);
    run_small(&t, 0, 1, &baked);
    t.seeded.baked = 0;
    t.seeded.delta_row = NULL;
    assert_int_equal(unet_fuse(t.unet, &t.seeded.source, touched), STATUS_OK);
    run_small(&t, 0, 1, &after);

    const size_t count = ROWS * before.eps_count;
    const double moved = relative_error(with.eps, before.eps, count);
    assert_true(moved > 1e-3 && moved < 1.0);
    check_relative("fused and baked", with.eps, baked.eps, count, 1e-6);
    assert_memory_equal(before.eps, after.eps, count * sizeof(float));
    free(touched);
    free(before.eps);
    free(with.eps);
    free(baked.eps);
    free(after.eps);
    close_test(&t);
}

static void impossible_jobs_are_refused(void **state)
{
    (void)state;
    struct test t;
    open_test(&t, SEEDED_SMALL);
    assert_int_equal(unet_evaluate(t.unet, &t, &t), STATUS_MISUSE);
    const struct unet_job good = {
        .n = 1, .parts = 1, .h = 8, .w = 8, .t = small_t, .rows = 1, .contexts = 1, .tokens = 77
    };
    const int long_context = 78;
    struct unet_job bad[] = { good, good, good, good, good, good };
    bad[0].n = 0;
    bad[1].h = 0;
    bad[2].rows = 0;
    bad[3].h = bad[3].w = 100000;
    bad[4].context_len = &long_context;
    bad[5].contexts = -1;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(unet_prepare(t.unet, &bad[i]), STATUS_BAD_SHAPE);
    close_test(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_sizes_unequal_prompts_and_a_timeline),
        cmocka_unit_test(a_picture_does_not_depend_on_its_batch),
        cmocka_unit_test(threads_do_not_change_the_bytes),
        cmocka_unit_test(three_parts_and_other_widths),
        cmocka_unit_test(a_delta_goes_on_and_comes_off_exactly),
        cmocka_unit_test(impossible_jobs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
