/* tests/test_op_linear.c - linear layers against their definition: activations, GEGLU, merged
 * parts, two inputs, residuals, statistics. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/check.h"
#include "tests/device.h"
#include "tests/ref/ref.h"

struct shape {
    int n, n_x, n_x2, n_residual;
    int s, in, in2, out;
    int parts, geglu;
    enum activation act;
    int residual; /* 1: of its own, 2: y itself, 0: none */
    int stats;
    const char *why;
};

static const struct shape shapes[] = {
    { 2, 2, 0, 2, 96, 320, 0, 960, 3, 0, ACT_NONE, 0, 0, "merged q, k, v" },
    { 2, 2, 0, 2, 30, 320, 0, 320, 1, 0, ACT_NONE, 2, 0, "to_out, residual is y" },
    { 2, 2, 0, 2, 30, 320, 0, 1280, 1, 1, ACT_NONE, 0, 0, "feed-forward, GEGLU" },
    { 1, 1, 0, 1, 70, 1280, 0, 320, 1, 0, ACT_NONE, 1, 1, "feed-forward out, statistics" },
    { 1, 1, 0, 1, 77, 768, 0, 640, 2, 0, ACT_NONE, 0, 0, "context to k, v" },
    { 1, 1, 0, 1, 77, 768, 0, 3072, 1, 0, ACT_QUICK_GELU, 0, 0, "text encoder, first" },
    { 1, 1, 0, 1, 20, 64, 0, 128, 1, 0, ACT_GELU, 0, 0, "gelu" },
    { 1, 1, 0, 1, 20, 320, 0, 1280, 1, 0, ACT_SILU, 0, 0, "time path" },
    { 1, 1, 0, 1, 1, 1280, 0, 320, 1, 0, ACT_NONE, 0, 0, "one row" },
    { 6, 2, 3, 2, 5, 24, 8, 40, 1, 0, ACT_NONE, 1, 1, "everything with an n of its own" },
    { 4, 2, 0, 1, 65, 32, 0, 32, 1, 1, ACT_NONE, 1, 1, "GEGLU with a shared residual" },
    { 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, ACT_NONE, 0, 1, "one of each" },
    { 1, 1, 0, 1, 3, 5, 0, 7, 1, 1, ACT_NONE, 1, 0, "odd everything, GEGLU" },
    { 3, 3, 3, 3, 7, 5, 3, 9, 1, 0, ACT_SILU, 1, 0, "odd everything, two inputs" },
};

struct call {
    struct linear_args host;
    struct weight_args weight;
    size_t y_count;
    int residual_is_y;
};

static void make(struct call *call, enum dtype dtype, const struct shape *s, const int *id)
{
    const size_t rows = (size_t)s->s;
    const int out = s->geglu ? 2 * s->out : s->out, per_part = out / s->parts;
    call->weight = test_matrix(WEIGHT_LINEAR, dtype, per_part, s->in + s->in2, 1, 21);
    for (int p = 1; p < s->parts; p++)
        call->weight.part[p] =
            test_matrix(WEIGHT_LINEAR, dtype, per_part, s->in + s->in2, 1, 21 + 10 * (uint64_t)p)
                .part[0];
    call->weight.parts = s->parts;
    call->weight.in2 = s->in2;
    call->weight.geglu = s->geglu;
    call->y_count = (size_t)s->n * rows * (size_t)s->out;
    call->residual_is_y = s->residual == 2;
    call->host = (struct linear_args){
        .x = test_images(dtype, s->n_x, rows * (size_t)s->in, id, 0.25, 1, 2),
        .x2 = s->in2 ? test_images(dtype, s->n_x2, rows * (size_t)s->in2, id, 0, 2, 3) : NULL,
        .residual = s->residual
                        ? test_images(dtype, s->n_residual, rows * (size_t)s->out, id, 0, 2, 4)
                        : NULL,
        .y = test_alloc(call->y_count * dtype_size(dtype)),
        .stats = s->stats ? test_alloc((size_t)s->n * (size_t)stats_tiles(s->s) * 2 *
                                       (size_t)s->out * sizeof(float))
                          : NULL,
        .dtype = dtype,
        .act = s->act,
        .n = s->n,
        .n_x = s->n_x,
        .n_x2 = s->n_x2,
        .n_residual = s->n_residual,
        .s = s->s,
        .in = s->in,
        .in2 = s->in2,
        .out = s->out,
    };
}

static status work(struct ops *ops, void *arg)
{
    struct call *call = arg;
    const struct linear_args *h = &call->host;
    const size_t size = dtype_size(h->dtype), rows = (size_t)h->s;
    const size_t stats =
        (size_t)h->n * (size_t)stats_tiles(h->s) * 2 * (size_t)h->out * sizeof(float);
    struct linear_args a = *h;
    a.x = device_in(ops, h->x, (size_t)h->n_x * rows * (size_t)h->in * size);
    a.x2 = device_in(ops, h->x2, (size_t)h->n_x2 * rows * (size_t)h->in2 * size);
    a.y = call->residual_is_y ? device_inout(ops, h->residual, call->y_count * size)
                              : device_out(ops, call->y_count * size);
    a.residual =
        call->residual_is_y
            ? a.y
            : device_in(ops, h->residual, (size_t)h->n_residual * rows * (size_t)h->out * size);
    a.stats = h->stats ? device_out(ops, stats) : NULL;
    device_call_begin(ops);
    TRY(device_call_end(ops, ops->linear(ops, &a)));
    device_back(ops, h->y, a.y, call->y_count * size);
    if (h->stats)
        device_back(ops, h->stats, a.stats, stats);
    return STATUS_OK;
}

static void check_shape(struct ops *ops, enum dtype dtype, const struct shape *s)
{
    struct call call;
    make(&call, dtype, s, NULL);
    const size_t out = (size_t)(s->geglu ? 2 * s->out : s->out);
    double *matrix = test_alloc(out * (size_t)call.weight.in * sizeof *matrix);
    double *bias = test_alloc(out * sizeof *bias);
    double *want = test_alloc(call.y_count * sizeof *want);
    double *room = test_alloc(call.y_count * sizeof *room);
    const struct ref_layer layer = { &call.weight, matrix, bias };
    ref_weight(&call.weight, NULL, 0, matrix, bias);
    ref_linear(&call.host, &layer, want, room);

    call.host.weight = device_weight(ops, &call.weight);
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);
    const struct bound bound = { half_ulp(dtype) * 1.01, 0, 0x1p-20, room };
    assert_int_equal(check_close(call.host.y, dtype, want, call.y_count, bound, s->why), 0);
    if (s->stats) {
        const size_t count = (size_t)s->n * (size_t)stats_tiles(s->s) * (size_t)s->out * 2;
        double *stats = test_alloc(count * sizeof *stats);
        ref_stats(call.host.y, dtype, s->n, s->s, s->out, stats);
        const struct bound close = { .rel = 0x1p-18, .abs = 4e-6 };
        assert_int_equal(check_close(call.host.stats, DTYPE_F32, stats, count, close, s->why), 0);
    }
}

static void equals_its_definition(enum dtype dtype)
{
    for (size_t i = 0; i < COUNT(shapes); i++) {
        const struct shape *s = &shapes[i];
        if ((double)s->n * s->s * (s->in + s->in2) * s->out * s->parts > device_products_most())
            continue;
        struct ops *ops = device_open(dtype, 2);
        check_shape(ops, dtype, &shapes[i]);
        test_release();
        ops->destroy(ops);
    }
}
EACH_DTYPE(equals_its_definition)

static void *images(struct ops *ops, enum dtype dtype, const void *shape, int n, const int *id,
                    size_t *bytes)
{
    struct shape s = *(const struct shape *)shape;
    struct call call;
    s.n = s.n_x = s.n_residual = n;
    make(&call, dtype, &s, id);
    call.host.weight = device_weight(ops, &call.weight);
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);
    *bytes = call.y_count / (size_t)n * dtype_size(dtype);
    return call.host.y;
}

static void an_image_does_not_depend_on_its_batch(enum dtype dtype)
{
    static const struct shape places[] = {
        { 1, 1, 0, 1, 77, 96, 0, 192, 3, 0, ACT_NONE, 0, 0, "merged" },
        { 1, 1, 0, 1, 35, 96, 0, 64, 1, 1, ACT_NONE, 1, 1, "GEGLU" },
        { 1, 1, 0, 1, 1, 96, 0, 64, 1, 0, ACT_SILU, 0, 0, "one row" },
    };
    for (size_t i = 0; i < COUNT(places); i++)
        check_places(dtype, images, &places[i], places[i].why);
    test_release();
}
EACH_DTYPE(an_image_does_not_depend_on_its_batch)

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    const struct shape s = { 1, 1, 0, 1, 4, 8, 0, 8, 1, 0, ACT_NONE, 1, 0, "" };
    struct ops *ops = device_open(DTYPE_F32, 1);
    struct call good;
    make(&good, DTYPE_F32, &s, NULL);
    good.host.weight = device_weight(ops, &good.weight);
    assert_int_equal(device_run(ops, work, &good), STATUS_OK);
    for (int i = 0; i < 6; i++) {
        struct call bad = good;
        int *field[] = { &bad.host.n,  &bad.host.n_x, &bad.host.n_residual,
                         &bad.host.in, &bad.host.out, &bad.host.s };
        *field[i] = 0;
        assert_int_equal(device_run(ops, work, &bad), STATUS_BAD_SHAPE);
    }
    struct call bad = good;
    bad.host.in = 9; /* not the weight's */
    assert_int_equal(device_run(ops, work, &bad), STATUS_BAD_SHAPE);
    test_release();
    ops->destroy(ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TESTS(equals_its_definition),
        UNIT_TESTS(an_image_does_not_depend_on_its_batch),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return device_tests("linear", tests, COUNT(tests));
}
