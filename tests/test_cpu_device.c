/* tests/test_cpu_device.c - the CPU device's planning, weights and step table. Operators have
 * tests of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/cpu/cpu.h"
#include "host/cpu/engine.h"
#include "tests/check.h"
#include "tests/ref/ref.h"

enum { IN = 40, OUT = 24, H = 9, W = 7 };

static struct ops *opened(enum dtype dtype, int threads)
{
    struct ops *ops = NULL;
    if (!cpu_computes(dtype))
        skip();
    assert_int_equal(cpu_open(threads, dtype, &ops), STATUS_OK);
    return ops;
}

static struct weight_args conv_args(int upsample)
{
    struct weight_args args = { .kind = WEIGHT_CONV2D,
                                .parts = 1,
                                .in = IN,
                                .kernel = 3,
                                .stride = 1,
                                .upsample = upsample,
                                .scale = 1.0f,
                                .dtype = DTYPE_F32,
                                .name = "layer" };
    args.part[0] =
        (struct weight_part){ .data = test_values(DTYPE_F16, (size_t)OUT * IN * 9, 0, 0.1, 1),
                              .dtype = DTYPE_F16,
                              .out = OUT,
                              .bias = test_values(DTYPE_F32, OUT, 0, 1, 2),
                              .bias_dtype = DTYPE_F32 };
    return args;
}

/* A convolution's call, all device memory planned for. */
struct job {
    struct ops *ops;
    struct weight *weight;
    int h, w, upsample;
    float *y;
    const float *x;
    const float *add;
    size_t add_step_stride;
};

static status work(void *arg)
{
    struct job *j = arg;
    return j->ops->conv2d(j->ops, &(struct conv2d_args){ .weight = j->weight,
                                                         .x = j->x,
                                                         .y = j->y,
                                                         .add = j->add,
                                                         .add_step_stride = j->add_step_stride,
                                                         .dtype = DTYPE_F32,
                                                         .n = 1,
                                                         .n_x = 1,
                                                         .n_add = 1,
                                                         .h = j->h,
                                                         .w = j->w,
                                                         .c = IN,
                                                         .h_out = j->h * j->upsample,
                                                         .w_out = j->w * j->upsample,
                                                         .c_out = OUT });
}

static size_t job_count(const struct job *j)
{
    return (size_t)(j->h * j->upsample) * (size_t)(j->w * j->upsample) * OUT;
}

static struct job new_job(struct ops *ops, struct weight *weight, int h, int w, int upsample)
{
    struct job j = { .ops = ops, .weight = weight, .h = h, .w = w, .upsample = upsample };
    j.x = test_values(DTYPE_F32, (size_t)h * (size_t)w * IN, 0, 1, 3);
    j.y = test_alloc(job_count(&j) * sizeof *j.y);
    return j;
}

static void planned(struct job *j)
{
    assert_int_equal(j->ops->plan_begin(j->ops), STATUS_OK);
    assert_int_equal(work(j), STATUS_OK);
    assert_int_equal(j->ops->plan_end(j->ops, 0, NULL), STATUS_OK);
}

/* What the layer gives, kept. */
static float *result(struct job *j)
{
    for (size_t i = 0; i < job_count(j); i++)
        j->y[i] = NAN;
    assert_int_equal(work(j), STATUS_OK);
    float *copy = test_alloc(job_count(j) * sizeof *copy);
    return memcpy(copy, j->y, job_count(j) * sizeof *copy);
}

static void assert_defined(const struct job *j, const struct weight_args *args,
                           const struct weight_delta *deltas, int n, const float *got)
{
    const size_t count = job_count(j), elements = (size_t)OUT * IN * 9;
    double *matrix = test_alloc(elements * sizeof *matrix), *bias = test_alloc(OUT * sizeof *bias);
    double *want = test_alloc(count * sizeof *want), *room = test_alloc(count * sizeof *room);
    const struct ref_layer layer = { args, matrix, bias };
    ref_weight(args, deltas, n, matrix, bias);
    ref_conv2d(&(struct conv2d_args){ .x = j->x,
                                      .dtype = DTYPE_F32,
                                      .n = 1,
                                      .n_x = 1,
                                      .h = j->h,
                                      .w = j->w,
                                      .c = IN,
                                      .h_out = j->h * j->upsample,
                                      .w_out = j->w * j->upsample,
                                      .c_out = OUT },
               &layer, 0, want, room);
    for (size_t i = 0; i < count; i++) /* the contract's bound */
        if (!(fabs((double)got[i] - want[i]) <= 0x1p-24 * fabs(want[i]) + 0x1p-20 * room[i]))
            fail_msg("element %zu is %.9g, wanted %.9g", i, (double)got[i], want[i]);
}

static void deltas_are_added_and_come_off_exactly(void **state)
{
    (void)state;
    for (int upsample = 1; upsample <= 2; upsample++) {
        struct ops *ops = opened(DTYPE_F32, 2);
        const struct weight_args args = conv_args(upsample);
        struct weight *weight = NULL;
        assert_int_equal(ops->weight_create(ops, &args, &weight), STATUS_OK);
        struct job j = new_job(ops, weight, H, W, upsample);
        planned(&j);
        const float *pristine = result(&j);
        assert_defined(&j, &args, NULL, 0, pristine);

        const struct weight_delta deltas[] = {
            { .scale = -0.7f,
              .rank = 5,
              .up = test_f32(OUT * 5, 0, 0.3, 4),
              .down = test_f32((size_t)5 * IN * 9, 0, 0.3, 5) },
            { .scale = 0.25f, .full = test_f32((size_t)OUT * IN * 9, 0, 0.2, 6) },
        };
        assert_int_equal(ops->weight_fuse(ops, weight, &args, deltas, 2), STATUS_OK);
        const float *fused = result(&j);
        assert_defined(&j, &args, deltas, 2, fused);
        assert_memory_not_equal(fused, pristine, job_count(&j) * sizeof *fused);

        assert_int_equal(ops->weight_fuse(ops, weight, &args, NULL, 0), STATUS_OK);
        assert_memory_equal(result(&j), pristine, job_count(&j) * sizeof *pristine);
        ops->destroy(ops);
        test_release();
    }
}

static void one_weight_serves_several_sizes_and_plans(void **state)
{
    (void)state;
    struct ops *ops = opened(DTYPE_F32, 2);
    const struct weight_args args = conv_args(1);
    struct weight *weight = NULL;
    assert_int_equal(ops->weight_create(ops, &args, &weight), STATUS_OK);
    struct job small = new_job(ops, weight, 3, 5, 1), large = new_job(ops, weight, 40, 64, 1);

    planned(&small);
    const float *first = result(&small);
    planned(&large);
    assert_defined(&large, &args, NULL, 0, result(&large));
    assert_int_equal(ops->plan_begin(ops), STATUS_OK); /* both in one plan */
    assert_int_equal(work(&large), STATUS_OK);
    assert_int_equal(work(&small), STATUS_OK);
    assert_int_equal(ops->plan_end(ops, 0, NULL), STATUS_OK);
    assert_defined(&small, &args, NULL, 0, result(&small));
    assert_defined(&large, &args, NULL, 0, result(&large));
    planned(&small);
    assert_memory_equal(result(&small), first, job_count(&small) * sizeof *first);
    ops->destroy(ops);
    test_release();
}

/* Large enough that a CPU without AVX-512 cuts it into bands (host/cpu/blocked.c). */
static void a_large_picture_has_no_seams(void **state)
{
    (void)state;
    for (int upsample = 1; upsample <= 2; upsample++) {
        struct ops *ops = opened(DTYPE_F32, 2);
        const struct weight_args args = conv_args(upsample);
        struct weight *weight = NULL;
        assert_int_equal(ops->weight_create(ops, &args, &weight), STATUS_OK);
        struct job j = new_job(ops, weight, 190, 90, upsample);
        planned(&j);
        assert_defined(&j, &args, NULL, 0, result(&j));
        ops->destroy(ops);
        test_release();
    }
}

static void what_was_not_planned_for_is_refused(void **state)
{
    (void)state;
    struct ops *ops = opened(DTYPE_F32, 1);
    const struct weight_args args = conv_args(2);
    struct weight *weight = NULL;
    void *p = NULL;
    size_t bytes = 0;
    assert_int_equal(ops->weight_create(ops, &args, &weight), STATUS_OK);
    struct job j = new_job(ops, weight, H, W, 2);
    assert_int_equal(work(&j), STATUS_NO_MEMORY);
    assert_int_equal(ops->alloc(ops, 64, &p), STATUS_NO_MEMORY);
    assert_null(p);

    assert_int_equal(ops->plan_begin(ops), STATUS_OK);
    assert_int_equal(ops->plan_begin(ops), STATUS_MISUSE);
    assert_int_equal(ops->planning(ops), 1);
    assert_int_equal(ops->alloc(ops, 1000, &p), STATUS_OK);
    assert_int_equal(work(&j), STATUS_OK);
    assert_int_equal(ops->plan_end(ops, 1024, &bytes), STATUS_NO_MEMORY);
    assert_true(bytes >= 1024 + (size_t)H * W * OUT * sizeof(float));
    assert_int_equal(ops->planning(ops), 0);

    planned(&j);
    assert_int_equal(work(&j), STATUS_OK);
    struct job other = new_job(ops, weight, H + 20, W, 2);
    assert_int_equal(work(&other), STATUS_NO_MEMORY);
    assert_int_equal(ops->plan_end(ops, 0, NULL), STATUS_MISUSE);
    ops->destroy(ops);
    test_release();
}

static void running_takes_no_memory(void **state)
{
    (void)state;
    struct ops *ops = opened(DTYPE_F32, 2);
    const struct weight_args args = conv_args(1);
    struct weight *weight = NULL;
    assert_int_equal(ops->weight_create(ops, &args, &weight), STATUS_OK);
    struct job j = new_job(ops, weight, H, W, 1);
    planned(&j);
    const size_t before = ops->peak_bytes(ops);
    for (int i = 0; i < 3; i++)
        assert_int_equal(work(&j), STATUS_OK);
    assert_int_equal(ops->peak_bytes(ops), before);
    assert_true(before >= (size_t)OUT * IN * 9 * sizeof(float));
    ops->destroy(ops);
    test_release();
}

static void a_replay_reads_the_current_row_of_the_step_table(void **state)
{
    (void)state;
    enum { ROWS = 3 };
    struct ops *ops = opened(DTYPE_F32, 2);
    const struct weight_args args = conv_args(1);
    const struct step_row rows[ROWS] = { { .t = 1, .draw = -1, .h_slot = -1 },
                                         { .t = 2, .draw = -1, .h_slot = -1 },
                                         { .t = 3, .draw = -1, .h_slot = -1 } };
    struct weight *weight = NULL;
    struct graph *graph = NULL;
    assert_int_equal(ops->weight_create(ops, &args, &weight), STATUS_OK);
    struct job j = new_job(ops, weight, H, W, 1);
    const float *add = test_f32(ROWS * OUT, 0, 10, 7);
    planned(&j);
    const float *plain = result(&j);
    j.add = add;
    j.add_step_stride = OUT;
    planned(&j);
    float *x = test_f32(4, 0, 1, 8), *eps = test_f32(4, 0, 1, 9);
    float *history = test_alloc(4 * STEP_HISTORY * sizeof *history);
    assert_int_equal(ops->steps_begin(ops, rows, 0), STATUS_BAD_SHAPE);
    assert_int_equal(ops->steps_begin(ops, rows, ROWS), STATUS_OK);
    assert_int_equal(ops->capture(ops, work, &j, &graph), STATUS_OK);
    for (int r = 0; r < ROWS; r++) {
        assert_int_equal(ops->replay(ops, graph), STATUS_OK);
        for (size_t i = 0; i < job_count(&j); i++) {
            const float want = plain[i] + add[(size_t)r * OUT + i % OUT];
            assert_float_equal(j.y[i], want, 1e-4);
        }
        const struct sampler_step_args step = { .eps = eps,
                                                .x = x,
                                                .history = history,
                                                .parts = 1,
                                                .seed = (const uint64_t[]){ 1 },
                                                .dtype = DTYPE_F32,
                                                .n = 1,
                                                .hw = 1,
                                                .c = 4 };
        assert_int_equal(ops->sampler_step(ops, &step), STATUS_OK);
    }
    ops->graph_destroy(ops, graph);
    ops->destroy(ops);
    test_release();
}

static void synthetic_weights_have_their_variance_and_repeat(void **state)
{
    (void)state;
    enum { WIDE = 4096 }; /* four slabs and a bit, in blocks of 48 and a bit */
    struct ops *ops = opened(DTYPE_F32, 2);
    struct weight_args args = { .kind = WEIGHT_LINEAR,
                                .parts = 1,
                                .in = WIDE,
                                .kernel = 1,
                                .scale = 1.0f,
                                .dtype = DTYPE_F32,
                                .name = "synthetic" };
    args.part[0].out = WIDE;
    float *x = test_alloc(WIDE * sizeof *x), *y[2];
    for (int i = 0; i < WIDE; i++)
        x[i] = 1.0f;
    for (int k = 0; k < 2; k++) {
        struct weight *weight = NULL;
        y[k] = test_alloc(WIDE * sizeof *y[k]);
        const struct linear_args call = {
            .x = x, .y = y[k], .dtype = DTYPE_F32, .n = 1, .n_x = 1, .s = 1, .in = WIDE, .out = WIDE
        };
        struct linear_args with = call;
        assert_int_equal(ops->weight_create(ops, &args, &weight), STATUS_OK);
        with.weight = weight;
        assert_int_equal(ops->plan_begin(ops), STATUS_OK);
        assert_int_equal(ops->linear(ops, &with), STATUS_OK);
        assert_int_equal(ops->plan_end(ops, 0, NULL), STATUS_OK);
        assert_int_equal(ops->linear(ops, &with), STATUS_OK);
    }
    assert_memory_equal(y[0], y[1], WIDE * sizeof *x);
    double mean = 0, square = 0; /* sums of WIDE values of variance 1 / WIDE */
    for (int i = 0; i < WIDE; i++) {
        mean += (double)y[0][i] / WIDE;
        square += (double)y[0][i] * (double)y[0][i] / WIDE;
    }
    assert_true(fabs(mean) < 5 / sqrt(WIDE));             /* five deviations of a mean */
    assert_true(fabs(square - 1) < 5 * sqrt(2.0 / WIDE)); /* and of a variance */
    ops->destroy(ops);
    test_release();
}

static void layers_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    struct ops *ops = opened(DTYPE_F32, 1);
    struct weight *weight = NULL;
    const struct weight_args good = conv_args(1);
    struct weight_args bad[8];
    for (int i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].parts = 2;
    bad[1].in = 0;
    bad[2].in2 = IN;
    bad[3].kernel = 5;
    bad[4].stride = 3;
    bad[5].upsample = 2;
    bad[5].stride = 2;
    bad[6].part[0].out = 0;
    bad[7].geglu = 1;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(ops->weight_create(ops, &bad[i], &weight), STATUS_BAD_SHAPE);
        assert_null(weight);
    }
    bad[0] = good;
    bad[0].dtype = DTYPE_F16;
    assert_int_equal(ops->weight_create(ops, &bad[0], &weight), STATUS_UNSUPPORTED);

    assert_int_equal(ops->weight_create(ops, &good, &weight), STATUS_OK);
    const struct weight_args other = conv_args(2);
    assert_int_equal(ops->weight_fuse(ops, weight, &other, NULL, 0), STATUS_BAD_SHAPE);
    const struct weight_delta lost = { .part = 1, .scale = 1, .full = test_f32(1, 0, 1, 1) };
    assert_int_equal(ops->weight_fuse(ops, weight, &good, &lost, 1), STATUS_BAD_SHAPE);
    ops->weight_destroy(ops, weight);
    ops->weight_destroy(ops, NULL);
    ops->destroy(ops);
    test_release();
}

static void what_the_cpu_cannot_do_is_said(void **state)
{
    (void)state;
    struct ops *ops = NULL;
    assert_int_equal(cpu_open(1, DTYPE_F16, &ops), STATUS_UNSUPPORTED);
    assert_null(ops);
    assert_non_null(strstr(status_text(), "f16"));
    assert_int_equal(cpu_open(-1, DTYPE_F32, &ops), STATUS_MISUSE);
    assert_int_equal(cpu_open(1000000, DTYPE_F32, &ops), STATUS_MISUSE);
    if (!cpu_computes(DTYPE_BF16))
        assert_int_equal(cpu_open(1, DTYPE_BF16, &ops), STATUS_UNSUPPORTED);
    assert_int_equal(cpu_computes(DTYPE_F32), 1);
    assert_in_range(cpu_cores(), 1, 4096);
    assert_int_equal(cpu_open(0, DTYPE_F32, &ops), STATUS_OK);
    assert_non_null(strstr(ops->summary, "oneDNN"));
    ops->destroy(ops);
}

/* Rows that blocks do not divide: what is left over must not fall to oneDNN's reference code, as it
 * did at 1536 rows on one thread, where weights lay as the first block wanted them. */
static void blocks_of_rows_have_quick_kernels(void **state)
{
    enum { ROWS = 1536, NARROW = 640, WIDE = 2560 };
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        struct ops *ops = opened(DTYPE_F32, threads);
        struct weight_args args = { .kind = WEIGHT_LINEAR,
                                    .parts = 1,
                                    .in = NARROW,
                                    .kernel = 1,
                                    .stride = 1,
                                    .upsample = 1,
                                    .geglu = 1,
                                    .scale = 1.0f,
                                    .dtype = DTYPE_F32,
                                    .name = "layer" };
        const size_t count = (size_t)2 * WIDE * NARROW;
        args.part[0] = (struct weight_part){ .data = test_values(DTYPE_F16, count, 0, 0.1, 1),
                                             .dtype = DTYPE_F16,
                                             .out = 2 * WIDE,
                                             .bias = test_values(DTYPE_F32, 2 * WIDE, 0, 1, 2),
                                             .bias_dtype = DTYPE_F32 };
        struct weight *weight;
        void *x, *y;
        size_t bytes;
        assert_int_equal(ops->weight_create(ops, &args, &weight), STATUS_OK);
        assert_int_equal(ops->plan_begin(ops), STATUS_OK);
        assert_int_equal(ops->alloc(ops, sizeof(float) * ROWS * NARROW, &x), STATUS_OK);
        assert_int_equal(ops->alloc(ops, sizeof(float) * ROWS * WIDE, &y), STATUS_OK);
        assert_int_equal(ops->linear(ops, &(struct linear_args){ .x = x,
                                                                 .y = y,
                                                                 .weight = weight,
                                                                 .dtype = DTYPE_F32,
                                                                 .n = 1,
                                                                 .n_x = 1,
                                                                 .s = ROWS,
                                                                 .in = NARROW,
                                                                 .out = WIDE }),
                         STATUS_OK);
        assert_int_equal(ops->plan_end(ops, 0, &bytes), STATUS_OK);
        assert_int_equal(cpu_engine_reference_count((struct cpu_device *)ops), 0);
        ops->weight_destroy(ops, weight);
        ops->destroy(ops);
        test_release();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_rows_have_quick_kernels),
        cmocka_unit_test(deltas_are_added_and_come_off_exactly),
        cmocka_unit_test(one_weight_serves_several_sizes_and_plans),
        cmocka_unit_test(a_large_picture_has_no_seams),
        cmocka_unit_test(what_was_not_planned_for_is_refused),
        cmocka_unit_test(running_takes_no_memory),
        cmocka_unit_test(a_replay_reads_the_current_row_of_the_step_table),
        cmocka_unit_test(synthetic_weights_have_their_variance_and_repeat),
        cmocka_unit_test(layers_that_contradict_themselves_are_refused),
        cmocka_unit_test(what_the_cpu_cannot_do_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
