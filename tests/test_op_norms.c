/* tests/test_op_norms.c - GroupNorm and LayerNorm against their definitions, on means of 64
 * sigma. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/check.h"
#include "tests/device.h"
#include "tests/ref/ref.h"

/* ---- GroupNorm ---------------------------------------------------------------------------- */

struct shape {
    int n, n_x, n_x2, hw, c, c2, groups, silu;
    float eps;
    int stats; /* 1: given for x, 2: for x2, 3: for both */
    int in_place;
    const char *why;
};

static const struct shape shapes[] = {
    { 2, 2, 0, 12 * 16, 320, 0, 32, 1, 1e-5f, 0, 0, "UNet, first level" },
    { 2, 2, 0, 12 * 16, 320, 0, 32, 1, 1e-5f, 1, 0, "the same with statistics" },
    { 2, 2, 0, 8 * 12, 1280, 0, 32, 0, 1e-6f, 1, 1, "transformer of the lowest level, in place" },
    { 2, 2, 2, 100, 640, 320, 32, 1, 1e-5f, 3, 0, "skip connection: groups across the seam" },
    { 2, 2, 2, 100, 1280, 640, 32, 1, 1e-5f, 1, 0, "skip connection, half the statistics" },
    { 1, 1, 1, 100, 640, 320, 32, 1, 1e-5f, 2, 0, "skip connection, the other half" },
    { 1, 1, 0, 40 * 40, 64, 0, 32, 1, 1e-6f, 0, 0, "decoder" },
    { 6, 2, 3, 65, 24, 8, 4, 0, 1e-6f, 3, 0, "an n each, a tile and one pixel" },
    { 3, 3, 0, 77, 96, 0, 32, 1, 1e-6f, 0, 0, "odd group width, odd pixel count" },
    { 1, 1, 0, 1, 32, 0, 32, 1, 1e-5f, 0, 0, "one value a group: variance is 0" },
    { 1, 1, 1, 3, 5, 4, 3, 1, 1e-5f, 3, 0, "odd everything" },
    { 1, 1, 0, 1, 1, 0, 1, 0, 1e-5f, 0, 0, "one of each" },
};

struct call {
    struct group_norm_args host;
    float *gamma, *beta, *stats, *stats2;
    size_t y_count;
    int in_place;
};

static float *stats_of(const void *x, enum dtype dtype, int n, int hw, int c)
{
    const size_t count = (size_t)n * (size_t)stats_tiles(hw) * (size_t)c * 2;
    double *exact = test_alloc(count * sizeof *exact);
    float *stats = test_alloc(count * sizeof *stats);
    ref_stats(x, dtype, n, hw, c, exact);
    for (size_t i = 0; i < count; i++)
        stats[i] = (float)exact[i];
    return stats;
}

static void make(struct call *call, enum dtype dtype, const struct shape *s, const int *id)
{
    const size_t hw = (size_t)s->hw;
    const int c = s->c + s->c2;
    /* |mean| = 64 sigma: a one-pass variance fails. bf16 holds 8 bits, so 64 sigma there leaves two
     * or three values; they are exact inputs all the same. */
    const void *x = test_images(dtype, s->n_x, hw * (size_t)s->c, id, 16, 0.25, 2);
    const void *x2 =
        s->c2 ? test_images(dtype, s->n_x2, hw * (size_t)s->c2, id, 16.5, 0.25, 3) : NULL;
    call->gamma = test_f32((size_t)c, 1, 0.2, 4);
    call->beta = test_f32((size_t)c, 0, 0.5, 5);
    call->stats = s->stats & 1 ? stats_of(x, dtype, s->n_x, s->hw, s->c) : NULL;
    call->stats2 = s->stats & 2 ? stats_of(x2, dtype, s->n_x2, s->hw, s->c2) : NULL;
    call->y_count = (size_t)s->n * hw * (size_t)c;
    call->in_place = s->in_place;
    call->host = (struct group_norm_args){
        .x = x,
        .x2 = x2,
        .y = test_alloc(call->y_count * dtype_size(dtype)),
        .dtype = dtype,
        .n = s->n,
        .n_x = s->n_x,
        .n_x2 = s->n_x2,
        .hw = s->hw,
        .c = s->c,
        .c2 = s->c2,
        .groups = s->groups,
        .silu = s->silu,
        .eps = s->eps,
    };
}

static status work(struct ops *ops, void *arg)
{
    struct call *call = arg;
    const struct group_norm_args *h = &call->host;
    const size_t size = dtype_size(h->dtype), hw = (size_t)h->hw, c = (size_t)h->c;
    const size_t c2 = (size_t)h->c2, tiles = (size_t)stats_tiles(h->hw) * 2 * sizeof(float);
    struct group_norm_args a = *h;
    a.y = call->in_place ? device_inout(ops, h->x, call->y_count * size)
                         : device_out(ops, call->y_count * size);
    a.x = call->in_place ? a.y : device_in(ops, h->x, (size_t)h->n_x * hw * c * size);
    a.x2 = device_in(ops, h->x2, (size_t)h->n_x2 * hw * c2 * size);
    a.stats = device_in(ops, call->stats, (size_t)h->n_x * tiles * c);
    a.stats2 = device_in(ops, call->stats2, (size_t)h->n_x2 * tiles * c2);
    device_call_begin(ops);
    TRY(device_call_end(ops, ops->group_norm(ops, &a)));
    device_back(ops, h->y, a.y, call->y_count * size);
    return STATUS_OK;
}

static void weigh(struct ops *ops, struct call *call)
{
    const int c = call->host.c + call->host.c2;
    call->host.gamma = device_vector(ops, call->gamma, c);
    call->host.beta = device_vector(ops, call->beta, c);
}

static void group_norm_equals_its_definition(enum dtype dtype)
{
    struct ops *ops = device_open(dtype, 2);
    for (size_t i = 0; i < COUNT(shapes); i++) {
        struct call call;
        make(&call, dtype, &shapes[i], NULL);
        weigh(ops, &call);
        double *want = test_alloc(call.y_count * sizeof *want);
        ref_group_norm(&call.host, call.gamma, call.beta, want);
        assert_int_equal(device_run(ops, work, &call), STATUS_OK);
        const struct bound bound = { .rel = half_ulp(dtype) * 1.01, .abs = 1e-4 };
        assert_int_equal(check_close(call.host.y, dtype, want, call.y_count, bound, shapes[i].why),
                         0);
        test_release();
    }
    ops->destroy(ops);
}
EACH_DTYPE(group_norm_equals_its_definition)

static void *images(struct ops *ops, enum dtype dtype, const void *shape, int n, const int *id,
                    size_t *bytes)
{
    struct shape s = *(const struct shape *)shape;
    struct call call;
    s.n = s.n_x = n;
    s.n_x2 = s.c2 ? n : 0;
    make(&call, dtype, &s, id);
    weigh(ops, &call);
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);
    *bytes = call.y_count / (size_t)n * dtype_size(dtype);
    return call.host.y;
}

static void group_norm_does_not_depend_on_its_batch(enum dtype dtype)
{
    static const struct shape places[] = {
        { 1, 1, 0, 150, 96, 0, 32, 1, 1e-5f, 0, 0, "own statistics" },
        { 1, 1, 1, 150, 64, 32, 32, 1, 1e-5f, 3, 0, "given statistics, two inputs" },
    };
    for (size_t i = 0; i < COUNT(places); i++)
        check_places(dtype, images, &places[i], places[i].why);
    test_release();
}
EACH_DTYPE(group_norm_does_not_depend_on_its_batch)

static void group_norm_passes_a_nan_on(enum dtype dtype)
{
    struct ops *ops = device_open(dtype, 1);
    struct call call;
    const struct shape s = { 1, 1, 0, 70, 8, 0, 2, 1, 1e-5f, 0, 0, "" };
    make(&call, dtype, &s, NULL);
    weigh(ops, &call);
    const float nan = NAN;
    dtype_from_f32(&nan, 1, dtype, (char *)call.host.x + 8 * dtype_size(dtype));
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);
    for (size_t i = 0; i < call.y_count; i++) /* to its own group, and to no other */
        assert_true(!isnan(value(call.host.y, dtype, i)) == (i % 8 >= 4));
    test_release();
    ops->destroy(ops);
}
EACH_DTYPE(group_norm_passes_a_nan_on)

static void impossible_groups_are_refused(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 1);
    struct call good;
    const struct shape s = { 1, 1, 1, 4, 8, 8, 4, 0, 1e-5f, 0, 0, "" };
    make(&good, DTYPE_F32, &s, NULL);
    weigh(ops, &good);
    for (int i = 0; i < 7; i++) {
        struct call bad = good;
        int *field[] = { &bad.host.n, &bad.host.n_x,    &bad.host.n_x2, &bad.host.hw,
                         &bad.host.c, &bad.host.groups, &bad.host.c2 };
        *field[i] = 0;
        assert_int_equal(device_run(ops, work, &bad), STATUS_BAD_SHAPE);
    }
    struct call bad = good;
    bad.host.groups = 5;
    assert_int_equal(device_run(ops, work, &bad), STATUS_BAD_SHAPE);
    bad = good;
    bad.host.gamma = device_vector(ops, good.gamma, 15);
    assert_int_equal(device_run(ops, work, &bad), STATUS_BAD_SHAPE);
    test_release();
    ops->destroy(ops);
}

/* ---- LayerNorm ---------------------------------------------------------------------------- */

struct row_call {
    struct layer_norm_args host;
    float *gamma, *beta;
    int in_place;
};

static void make_rows(struct row_call *call, enum dtype dtype, int n, int s, int c, double mean,
                      const int *id)
{
    const size_t count = (size_t)n * (size_t)s * (size_t)c;
    call->gamma = test_f32((size_t)c, 1, 0.2, 4);
    call->beta = test_f32((size_t)c, 0, 0.5, 5);
    call->in_place = 0;
    call->host = (struct layer_norm_args){
        .x = test_images(dtype, n, (size_t)s * (size_t)c, id, mean, 0.25, 2),
        .y = test_alloc(count * dtype_size(dtype)),
        .dtype = dtype,
        .rows = n * s,
        .c = c,
        .eps = 1e-5f,
    };
}

static status row_work(struct ops *ops, void *arg)
{
    struct row_call *call = arg;
    const size_t bytes =
        (size_t)call->host.rows * (size_t)call->host.c * dtype_size(call->host.dtype);
    struct layer_norm_args a = call->host;
    a.y = call->in_place ? device_inout(ops, a.x, bytes) : device_out(ops, bytes);
    a.x = call->in_place ? a.y : device_in(ops, a.x, bytes);
    device_call_begin(ops);
    TRY(device_call_end(ops, ops->layer_norm(ops, &a)));
    device_back(ops, call->host.y, a.y, bytes);
    return STATUS_OK;
}

static void weigh_rows(struct ops *ops, struct row_call *call)
{
    call->host.gamma = device_vector(ops, call->gamma, call->host.c);
    call->host.beta = device_vector(ops, call->beta, call->host.c);
}

static void layer_norm_equals_its_definition(enum dtype dtype)
{
    static const struct {
        int rows, c;
        double mean;
        int in_place;
    } rows[] = { { 96, 320, 0, 0 }, { 30, 640, 16, 0 }, { 7, 1280, 16, 1 }, { 77, 768, -4, 0 },
                 { 33, 50, 16, 1 }, { 5, 17, 16, 0 },   { 3, 1, 2, 0 },     { 1, 3, 0, 0 } };
    struct ops *ops = device_open(dtype, 2);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct row_call call;
        make_rows(&call, dtype, 1, rows[i].rows, rows[i].c, rows[i].mean, NULL);
        weigh_rows(ops, &call);
        call.in_place = rows[i].in_place;
        const size_t count = (size_t)rows[i].rows * (size_t)rows[i].c;
        double *want = test_alloc(count * sizeof *want), *room = test_alloc(count * sizeof *room);
        ref_layer_norm(&call.host, call.gamma, call.beta, want, room);
        assert_int_equal(device_run(ops, row_work, &call), STATUS_OK);
        const struct bound bound = { half_ulp(dtype) * 1.01, 1e-7, 1e-5, room };
        assert_int_equal(check_close(call.host.y, dtype, want, count, bound, "layer_norm"), 0);
        test_release();
    }
    ops->destroy(ops);
}
EACH_DTYPE(layer_norm_equals_its_definition)

static void *row_images(struct ops *ops, enum dtype dtype, const void *shape, int n, const int *id,
                        size_t *bytes)
{
    struct row_call call;
    (void)shape;
    make_rows(&call, dtype, n, 13, 72, 1, id);
    weigh_rows(ops, &call);
    assert_int_equal(device_run(ops, row_work, &call), STATUS_OK);
    *bytes = 13 * 72 * dtype_size(dtype);
    return call.host.y;
}

static void layer_norm_does_not_depend_on_its_batch(enum dtype dtype)
{
    check_places(dtype, row_images, NULL, "layer_norm");
    test_release();
}
EACH_DTYPE(layer_norm_does_not_depend_on_its_batch)

static void impossible_rows_are_refused(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 1);
    struct row_call good;
    make_rows(&good, DTYPE_F32, 1, 3, 8, 0, NULL);
    weigh_rows(ops, &good);
    struct row_call bad = good;
    bad.host.rows = 0;
    assert_int_equal(device_run(ops, row_work, &bad), STATUS_BAD_SHAPE);
    bad = good;
    bad.host.c = 7;
    assert_int_equal(device_run(ops, row_work, &bad), STATUS_BAD_SHAPE);
    test_release();
    ops->destroy(ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TESTS(group_norm_equals_its_definition),
        UNIT_TESTS(group_norm_does_not_depend_on_its_batch),
        UNIT_TESTS(group_norm_passes_a_nan_on),
        cmocka_unit_test(impossible_groups_are_refused),
        UNIT_TESTS(layer_norm_equals_its_definition),
        UNIT_TESTS(layer_norm_does_not_depend_on_its_batch),
        cmocka_unit_test(impossible_rows_are_refused),
    };
    return device_tests("group_norm layer_norm", tests, COUNT(tests));
}
