/* tests/test_op_weight.c - weights with deltas against their definition, seen through a linear
 * layer and a convolution; taking deltas off gives the pristine bytes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/check.h"
#include "tests/device.h"
#include "tests/ref/ref.h"

enum { SIDE = 5, SQUARE = SIDE * SIDE, RANK = 4 };

/* A layer as seen from outside: what it makes of fixed inputs. */
struct call {
    struct weight_args args;
    const struct weight *weight;
    void *x, *y;
    int in, out; /* of the layer; a GEGLU layer gives half of its rows */
    enum dtype dtype;
};

static status run_linear(struct ops *ops, const struct call *call, const void *x, void *y)
{
    return ops->linear(ops, &(struct linear_args){ .weight = call->weight,
                                                   .x = x,
                                                   .y = y,
                                                   .dtype = call->dtype,
                                                   .n = 1,
                                                   .n_x = 1,
                                                   .n_x2 = 1,
                                                   .n_residual = 1,
                                                   .s = SQUARE,
                                                   .in = call->in,
                                                   .out = call->out });
}

static status run_conv2d(struct ops *ops, const struct call *call, const void *x, void *y)
{
    const int up = call->args.upsample;
    return ops->conv2d(ops, &(struct conv2d_args){ .weight = call->weight,
                                                   .x = x,
                                                   .y = y,
                                                   .dtype = call->dtype,
                                                   .n = 1,
                                                   .n_x = 1,
                                                   .n_x2 = 1,
                                                   .n_add = 1,
                                                   .n_residual = 1,
                                                   .h = SIDE,
                                                   .w = SIDE,
                                                   .c = call->in,
                                                   .h_out = SIDE * up,
                                                   .w_out = SIDE * up,
                                                   .c_out = call->out });
}

static size_t y_count(const struct call *call)
{
    const size_t up = (size_t)call->args.upsample;
    return SQUARE * up * up * (size_t)call->out;
}

static status work(struct ops *ops, void *arg)
{
    struct call *call = arg;
    const size_t size = dtype_size(call->dtype);
    const void *x = device_in(ops, call->x, SQUARE * (size_t)call->in * size);
    void *y = device_out(ops, y_count(call) * size);
    device_call_begin(ops);
    TRY(device_call_end(ops, call->args.kind == WEIGHT_LINEAR ? run_linear(ops, call, x, y)
                                                              : run_conv2d(ops, call, x, y)));
    device_back(ops, call->y, y, y_count(call) * size);
    return STATUS_OK;
}

/* What the layer should make of x, and the bound's room. */
static void define(const struct call *call, const struct weight_delta *deltas, int n, double *want,
                   double *room)
{
    const struct weight_args *w = &call->args;
    const size_t rows = (size_t)w->parts * (size_t)w->part[0].out;
    const size_t per = (size_t)w->in * (size_t)w->kernel * (size_t)w->kernel;
    double *matrix = test_alloc(rows * per * sizeof *matrix), *bias = test_alloc(rows * 8);
    const struct ref_layer layer = { w, matrix, bias };
    ref_weight(w, deltas, n, matrix, bias);
    if (w->kind == WEIGHT_LINEAR)
        ref_linear(&(struct linear_args){ .x = call->x,
                                          .dtype = call->dtype,
                                          .n = 1,
                                          .n_x = 1,
                                          .s = SQUARE,
                                          .in = call->in,
                                          .out = call->out },
                   &layer, want, room);
    else
        ref_conv2d(&(struct conv2d_args){ .x = call->x,
                                          .dtype = call->dtype,
                                          .n = 1,
                                          .n_x = 1,
                                          .h = SIDE,
                                          .w = SIDE,
                                          .c = call->in,
                                          .h_out = SIDE * w->upsample,
                                          .w_out = SIDE * w->upsample,
                                          .c_out = call->out },
                   &layer, 0, want, room);
}

static struct weight_delta low_rank(int part, int out, size_t per, uint64_t seed)
{
    return (struct weight_delta){ .part = part,
                                  .scale = 0.75f,
                                  .rank = RANK,
                                  .up = test_f32((size_t)out * RANK, 0, 0.3, seed),
                                  .down = test_f32(RANK * per, 0, 0.1, seed + 1) };
}

static struct weight_delta whole(int part, int out, size_t per, uint64_t seed)
{
    return (struct weight_delta){ .part = part,
                                  .scale = -1,
                                  .full = test_f32((size_t)out * per, 0, 0.1, seed) };
}

static void check_layer(struct ops *ops, struct call *call, const char *what)
{
    const int out = call->args.part[0].out;
    const size_t per =
        (size_t)call->args.in * (size_t)call->args.kernel * (size_t)call->args.kernel;
    const size_t count = y_count(call), bytes = count * dtype_size(call->dtype);
    const struct weight_delta deltas[] = { low_rank(0, out, per, 31), whole(0, out, per, 32),
                                           low_rank(call->args.parts - 1, out, per, 33) };
    double *want = test_alloc(count * 8), *room = test_alloc(count * 8);
    struct weight *weight = device_weight(ops, &call->args);
    void *pristine = test_alloc(bytes);
    call->weight = weight;
    call->x = test_values(call->dtype, SQUARE * (size_t)call->in, 0.25, 1, 34);
    call->y = test_alloc(bytes);
    assert_int_equal(device_run(ops, work, call), STATUS_OK);
    memcpy(pristine, call->y, bytes);

    assert_int_equal(ops->weight_fuse(ops, weight, &call->args, deltas, 3), STATUS_OK);
    assert_int_equal(device_run(ops, work, call), STATUS_OK);
    define(call, deltas, 3, want, room);
    /* Each fused element is rounded once to dtype: half an ulp of sum |x w|. */
    const double fold = call->args.upsample == 2 ? 2 : 1;
    const struct bound bound = { half_ulp(call->dtype) * 1.01, 0,
                                 0x1p-20 + half_ulp(call->dtype) * fold, room };
    assert_int_equal(check_close(call->y, call->dtype, want, count, bound, what), 0);
    assert_true(memcmp(call->y, pristine, bytes) != 0);

    assert_int_equal(ops->weight_fuse(ops, weight, &call->args, NULL, 0), STATUS_OK);
    assert_int_equal(device_run(ops, work, call), STATUS_OK);
    assert_int_equal(check_equal(call->y, pristine, bytes, what), 0);
}

static void deltas_equal_their_definition(enum dtype dtype)
{
    static const struct {
        enum weight_kind kind;
        int out, in, kernel, parts, geglu, upsample;
        float scale;
        const char *why;
    } layers[] = {
        { WEIGHT_LINEAR, 96, 64, 1, 1, 0, 1, 1, "linear" },
        { WEIGHT_LINEAR, 40, 64, 1, 3, 0, 1, 1, "merged q, k, v: parts 0 and 2" },
        { WEIGHT_LINEAR, 128, 32, 1, 1, 1, 1, 1, "GEGLU" },
        { WEIGHT_LINEAR, 7, 5, 1, 1, 0, 1, 1, "odd sizes" },
        { WEIGHT_CONV2D, 64, 32, 3, 1, 0, 1, 1, "3x3" },
        { WEIGHT_CONV2D, 64, 32, 1, 1, 0, 1, 1, "1x1" },
        { WEIGHT_CONV2D, 32, 32, 3, 1, 0, 2, 1, "3x3 behind a doubling" },
        { WEIGHT_CONV2D, 32, 48, 3, 1, 0, 1, 0.125f, "scaled" },
    };
    for (size_t i = 0; i < COUNT(layers); i++) {
        struct ops *ops = device_open(dtype, 2);
        struct call call = { .in = layers[i].in, .dtype = dtype };
        call.args =
            test_matrix(layers[i].kind, dtype, layers[i].out, layers[i].in, layers[i].kernel, 5);
        for (int p = 1; p < layers[i].parts; p++)
            call.args.part[p] = test_matrix(layers[i].kind, dtype, layers[i].out, layers[i].in,
                                            layers[i].kernel, 5 + 2 * (uint64_t)p)
                                    .part[0];
        call.args.parts = layers[i].parts;
        call.args.geglu = layers[i].geglu;
        call.args.upsample = layers[i].upsample;
        call.args.scale = layers[i].scale;
        call.out = layers[i].out * layers[i].parts / (layers[i].geglu ? 2 : 1);
        check_layer(ops, &call, layers[i].why);
        test_release();
        ops->destroy(ops);
    }
}
EACH_DTYPE(deltas_equal_their_definition)

/* Files hold f16, bf16, f32 and f64 at any alignment; the layer is the same as from f32. */
static void every_stored_type_is_read(void **state)
{
    (void)state;
    static const enum dtype stored[] = { DTYPE_F16, DTYPE_BF16, DTYPE_F32, DTYPE_F64 };
    enum { OUT = 24, IN = 40 };
    for (size_t i = 0; i < COUNT(stored); i++) {
        struct ops *ops = device_open(DTYPE_F32, 1);
        struct call call = { .in = IN, .out = OUT, .dtype = DTYPE_F32 };
        call.args = test_matrix(WEIGHT_LINEAR, DTYPE_F32, OUT, IN, 1, 3);
        const size_t size = dtype_size(stored[i]);
        char *odd = (char *)test_alloc(OUT * IN * size + 1) + 1;
        for (size_t k = 0; k < OUT * IN; k++) {
            const double exact = (double)((int)(k * 37 % 65) - 32) / 64;
            const float rounded = (float)exact;
            if (stored[i] == DTYPE_F64) {
                memcpy(odd + k * size, &exact, size);
            } else {
                unsigned char element[4];
                dtype_from_f32(&rounded, 1, stored[i], element);
                memcpy(odd + k * size, element, size);
            }
        }
        call.args.part[0].data = odd;
        call.args.part[0].dtype = stored[i];
        check_layer(ops, &call, dtype_name(stored[i]));
        test_release();
        ops->destroy(ops);
    }
}

static void impossible_weights_are_refused(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 1);
    const struct weight_args good = test_matrix(WEIGHT_CONV2D, DTYPE_F32, 8, 8, 3, 1);
    for (int i = 0; i < 7; i++) {
        struct weight *weight;
        struct weight_args bad = good;
        i == 0 ? (bad.in = 0) : i == 1 ? (bad.part[0].out = 0) : i == 2 ? (bad.kernel = 2) : 0;
        i == 3 ? (bad.stride = 3) : i == 4 ? (bad.upsample = 3) : i == 5 ? (bad.parts = 0) : 0;
        i == 6 ? (bad.in2 = 9) : 0;
        assert_int_equal(ops->weight_create(ops, &bad, &weight), STATUS_BAD_SHAPE);
        assert_null(weight);
    }
    test_release();
    ops->destroy(ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TESTS(deltas_equal_their_definition),
        cmocka_unit_test(every_stored_type_is_read),
        cmocka_unit_test(impossible_weights_are_refused),
    };
    return device_tests("", tests, COUNT(tests));
}
