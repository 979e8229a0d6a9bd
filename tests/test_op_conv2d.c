/* tests/test_op_conv2d.c - convolutions against their definition: both kernels, both strides, both
 * paddings, doubling, two inputs, what is added, crops, statistics. */
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
    int n, n_x, n_x2, n_add, n_residual;
    int h, w, c, c2, c_out;
    int kernel, stride, upsample, pad_end;
    int crop;     /* rows and columns of the natural size that are not wanted */
    int rows;     /* of the step table, each with its own `add`; 0: no add */
    int residual; /* 1: of its own, 2: y itself, 0: none */
    int stats;
    const char *why;
};

static const struct shape shapes[] = {
    { 1, 1, 0, 1, 1, 8, 12, 320, 0, 320, 3, 1, 1, 0, 0, 1, 0, 1, "ResBlock in: add, statistics" },
    { 2, 2, 0, 1, 2, 6, 4, 320, 0, 320, 3, 1, 1, 0, 0, 0, 1, 1, "ResBlock out: residual" },
    { 2, 2, 2, 1, 2, 4, 3, 640, 320, 320, 3, 1, 1, 0, 0, 1, 0, 0, "skip connection" },
    { 2, 2, 2, 1, 2, 4, 6, 320, 320, 320, 1, 1, 1, 0, 0, 0, 0, 0, "skip connection, 1x1" },
    { 1, 1, 0, 1, 1, 8, 8, 4, 0, 320, 3, 1, 1, 0, 0, 0, 0, 1, "first of the UNet" },
    { 1, 1, 0, 1, 1, 7, 9, 320, 0, 4, 3, 1, 1, 0, 0, 0, 0, 0, "last of the UNet" },
    { 2, 2, 0, 1, 2, 8, 6, 320, 0, 320, 3, 2, 1, 0, 0, 0, 0, 1, "Downsample" },
    { 1, 1, 0, 1, 1, 7, 9, 64, 0, 32, 3, 2, 1, 0, 0, 0, 0, 0, "Downsample of an odd size" },
    { 1, 1, 0, 1, 1, 8, 6, 128, 0, 128, 3, 2, 1, 1, 0, 0, 0, 0, "the VAE encoder's stride 2" },
    { 1, 1, 0, 1, 1, 4, 3, 320, 0, 320, 3, 1, 2, 0, 0, 0, 0, 1, "Upsample" },
    { 1, 1, 0, 1, 1, 5, 3, 48, 0, 32, 3, 1, 2, 0, 1, 0, 0, 0, "Upsample, cropped by one" },
    { 1, 1, 0, 1, 1, 9, 7, 32, 0, 16, 3, 1, 1, 0, 1, 0, 0, 0, "cropped by one" },
    { 1, 1, 0, 1, 1, 6, 6, 128, 0, 3, 3, 1, 1, 0, 0, 0, 0, 0, "last of the decoder" },
    { 6, 2, 3, 2, 3, 3, 5, 24, 8, 40, 3, 1, 1, 0, 0, 3, 1, 1, "everything with an n of its own" },
    { 4, 2, 0, 4, 4, 4, 4, 32, 0, 32, 1, 1, 1, 0, 0, 2, 2, 1, "residual is y, 1x1" },
    { 2, 2, 0, 1, 2, 4, 4, 32, 0, 32, 3, 1, 1, 0, 0, 0, 2, 1, "residual is y" },
    { 1, 1, 0, 1, 1, 1, 1, 8, 0, 8, 3, 1, 1, 0, 0, 0, 0, 1, "one pixel" },
    { 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, "one of each" },
    { 1, 1, 1, 1, 1, 13, 5, 7, 5, 9, 3, 1, 1, 0, 0, 1, 1, 1, "odd everything" },
    { 1, 1, 0, 1, 1, 1, 9, 7, 0, 5, 3, 1, 2, 0, 0, 0, 1, 1, "one row, doubled" },
};

struct call {
    struct conv2d_args host;
    struct weight_args weight;
    size_t y_count;
    int step, residual_is_y;
    void *start; /* y before the call, where it is the residual */
};

static int natural(int size, const struct shape *s)
{
    return (size * s->upsample - 1) / s->stride + 1;
}

static void make(struct call *call, enum dtype dtype, const struct shape *s, const int *id)
{
    const size_t hw = (size_t)s->h * (size_t)s->w;
    /* With a 3x3 kernel and pad_end the last column needs its right neighbour's pixel. */
    const int h_out = (s->pad_end ? (s->h - 2) / 2 + 1 : natural(s->h, s)) - s->crop;
    const int w_out = (s->pad_end ? (s->w - 2) / 2 + 1 : natural(s->w, s)) - s->crop;
    const size_t per = (size_t)h_out * (size_t)w_out * (size_t)s->c_out;
    const size_t add = (size_t)s->n_add * (size_t)s->c_out;

    call->weight = test_matrix(WEIGHT_CONV2D, dtype, s->c_out, s->c + s->c2, s->kernel, 11);
    call->weight.in2 = s->c2;
    call->weight.stride = s->stride;
    call->weight.upsample = s->upsample;
    call->y_count = (size_t)s->n * per;
    call->step = s->rows > 0 ? s->rows - 1 : 0;
    call->residual_is_y = s->residual == 2;
    void *residual = s->residual ? test_images(dtype, s->n_residual, per, id, 0, 2, 5) : NULL;
    call->start = residual;
    call->host = (struct conv2d_args){
        .x = test_images(dtype, s->n_x, hw * (size_t)s->c, id, 0.5, 1, 2),
        .x2 = s->c2 ? test_images(dtype, s->n_x2, hw * (size_t)s->c2, id, -0.5, 2, 3) : NULL,
        .add = s->rows ? test_images(dtype, s->rows, add, NULL, 0, 1, 4) : NULL,
        .residual = residual,
        .y = test_alloc(call->y_count * dtype_size(dtype)),
        .stats = s->stats ? test_alloc((size_t)s->n * (size_t)stats_tiles(h_out * w_out) * 2 *
                                       (size_t)s->c_out * sizeof(float))
                          : NULL,
        .dtype = dtype,
        .n = s->n,
        .n_x = s->n_x,
        .n_x2 = s->n_x2,
        .n_add = s->n_add,
        .n_residual = s->n_residual,
        .h = s->h,
        .w = s->w,
        .c = s->c,
        .c2 = s->c2,
        .h_out = h_out,
        .w_out = w_out,
        .c_out = s->c_out,
        .pad_end = s->pad_end,
        .add_step_stride = s->rows > 1 ? add : 0,
    };
}

/* The step table's current row becomes `step`. */
static void go_to_step(struct ops *ops, int step)
{
    struct step_row rows[4] = { { .draw = -1, .h_slot = -1 } };
    for (int i = 1; i < 4; i++)
        rows[i] = rows[0];
    assert_int_equal(ops->steps_begin(ops, rows, 4), STATUS_OK);
    const float weight = 0;
    const uint64_t seed = 0;
    void *x = device_in(ops, &weight, sizeof weight), *eps = device_in(ops, &weight, sizeof weight);
    const struct sampler_step_args a = { .eps = eps,
                                         .x = x,
                                         .weight = &weight,
                                         .parts = 1,
                                         .seed = &seed,
                                         .dtype = DTYPE_F32,
                                         .n = 1,
                                         .hw = 1,
                                         .c = 1 };
    for (int i = 0; i < step; i++)
        assert_int_equal(ops->sampler_step(ops, &a), STATUS_OK);
}

static status work(struct ops *ops, void *arg)
{
    struct call *call = arg;
    const struct conv2d_args *h = &call->host;
    const size_t size = dtype_size(h->dtype), hw = (size_t)h->h * (size_t)h->w;
    const size_t stats = (size_t)h->n * (size_t)stats_tiles(h->h_out * h->w_out) * 2 *
                         (size_t)h->c_out * sizeof(float);
    const size_t images_out = (size_t)h->h_out * (size_t)h->w_out * (size_t)h->c_out;
    struct conv2d_args a = *h;

    go_to_step(ops, call->step);
    a.x = device_in(ops, h->x, (size_t)h->n_x * hw * (size_t)h->c * size);
    a.x2 = device_in(ops, h->x2, (size_t)h->n_x2 * hw * (size_t)h->c2 * size);
    a.add = device_in(ops, h->add,
                      (size_t)(call->step + 1) * (size_t)h->n_add * (size_t)h->c_out * size);
    a.y = call->residual_is_y ? device_inout(ops, call->start, call->y_count * size)
                              : device_out(ops, call->y_count * size);
    a.residual = call->residual_is_y
                     ? a.y
                     : device_in(ops, h->residual, (size_t)h->n_residual * images_out * size);
    a.stats = h->stats ? device_out(ops, stats) : NULL;
    device_call_begin(ops);
    TRY(device_call_end(ops, ops->conv2d(ops, &a)));
    device_back(ops, h->y, a.y, call->y_count * size);
    if (h->stats)
        device_back(ops, h->stats, a.stats, stats);
    return STATUS_OK;
}

static void check_shape(struct ops *ops, enum dtype dtype, const struct shape *s)
{
    struct call call;
    make(&call, dtype, s, NULL);
    const size_t terms = (size_t)call.weight.in * (size_t)s->kernel * (size_t)s->kernel;
    double *matrix = test_alloc((size_t)s->c_out * terms * sizeof *matrix);
    double *bias = test_alloc((size_t)s->c_out * sizeof *bias);
    double *want = test_alloc(call.y_count * sizeof *want);
    double *room = test_alloc(call.y_count * sizeof *room);
    const struct ref_layer layer = { &call.weight, matrix, bias };
    ref_weight(&call.weight, NULL, 0, matrix, bias);
    ref_conv2d(&call.host, &layer, call.step, want, room);

    call.host.weight = device_weight(ops, &call.weight);
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);
    /* Folded into four 2x2 kernels, 16 bits round sums of weights: the contract's 2^-9 and 2^-11.
     */
    const double rounded = dtype == DTYPE_BF16 ? 0x1p-9 : 0x1p-11;
    const int folded = s->upsample == 2 && dtype != DTYPE_F32;
    const struct bound bound = { half_ulp(dtype) * 1.01, half_least(dtype),
                                 folded ? rounded : 0x1p-20, room };
    assert_int_equal(check_close(call.host.y, dtype, want, call.y_count, bound, s->why), 0);

    if (s->stats) { /* of y as stored: mean within 2^-22 of the largest, M2 within 2^-18 */
        const int hw = call.host.h_out * call.host.w_out;
        const size_t count = (size_t)s->n * (size_t)stats_tiles(hw) * (size_t)s->c_out * 2;
        double *stats = test_alloc(count * sizeof *stats);
        ref_stats(call.host.y, dtype, s->n, hw, s->c_out, stats);
        const struct bound close = { .rel = 0x1p-18, .abs = 4e-6 };
        assert_int_equal(check_close(call.host.stats, DTYPE_F32, stats, count, close, s->why), 0);
    }
}

static void equals_its_definition(enum dtype dtype)
{
    for (size_t i = 0; i < COUNT(shapes); i++) {
        const struct shape *s = &shapes[i];
        if ((double)s->n * s->h * s->w * s->upsample * s->upsample * s->kernel * s->kernel *
                (s->c + s->c2) * s->c_out >
            device_products_most())
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
    s.n_x2 = s.c2 ? n : 0;
    make(&call, dtype, &s, id);
    call.host.weight = device_weight(ops, &call.weight);
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);
    *bytes = call.y_count / (size_t)n * dtype_size(dtype);
    return call.host.y;
}

static void an_image_does_not_depend_on_its_batch(enum dtype dtype)
{
    static const struct shape places[] = {
        { 1, 1, 0, 1, 1, 12, 8, 64, 0, 96, 3, 1, 1, 0, 0, 1, 1, 1, "3x3" },
        { 1, 1, 1, 1, 1, 8, 6, 64, 32, 64, 1, 1, 1, 0, 0, 0, 0, 1, "1x1, two inputs" },
        { 1, 1, 0, 1, 1, 8, 6, 64, 0, 64, 3, 2, 1, 0, 0, 0, 0, 1, "stride 2" },
        { 1, 1, 0, 1, 1, 6, 4, 64, 0, 64, 3, 1, 2, 0, 0, 0, 0, 1, "doubled" },
    };
    for (size_t i = 0; i < COUNT(places); i++)
        check_places(dtype, images, &places[i], places[i].why);
    test_release();
}
EACH_DTYPE(an_image_does_not_depend_on_its_batch)

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    const struct shape s = { 1, 1, 1, 1, 1, 4, 4, 8, 8, 8, 3, 1, 1, 0, 0, 1, 1, 0, "" };
    struct ops *ops = device_open(DTYPE_F32, 1);
    struct call good;
    make(&good, DTYPE_F32, &s, NULL);
    good.host.weight = device_weight(ops, &good.weight);
    assert_int_equal(device_run(ops, work, &good), STATUS_OK);
    for (int i = 0; i < 12; i++) {
        struct call bad = good;
        int *field[] = { &bad.host.n,     &bad.host.n_x,   &bad.host.n_x2,  &bad.host.h,
                         &bad.host.w,     &bad.host.c,     &bad.host.c2,    &bad.host.h_out,
                         &bad.host.w_out, &bad.host.c_out, &bad.host.n_add, &bad.host.n_residual };
        *field[i] = 0;
        assert_int_equal(device_run(ops, work, &bad), STATUS_BAD_SHAPE);
    }
    struct call bad = good;
    bad.host.h_out = 5; /* more than there is */
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
    return device_tests("conv2d", tests, COUNT(tests));
}
