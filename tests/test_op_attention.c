/* tests/test_op_attention.c - attention against its definition: the model's heads, packed and
 * broadcast inputs, key lengths, contexts, masks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/check.h"
#include "tests/device.h"
#include "tests/ref/ref.h"

enum layout { APART, PACKED_KV, PACKED_QKV };

struct shape {
    int n, n_q, n_kv, heads, d, s_q, s_kv;
    enum layout layout;
    int causal, contexts; /* contexts: in the step table; the last is current */
    int lens;             /* 1: parts have keys s_kv, s_kv - 3, ... */
    float offset;         /* every score is that much above what noise makes it */
    const char *why;
};

static const struct shape shapes[] = {
    { 2, 2, 2, 2, 40, 96, 200, PACKED_QKV, 0, 1, 0, 0, "first level, s_q and s_kv told apart" },
    { 1, 1, 1, 2, 40, 192, 384, PACKED_QKV, 0, 1, 0, 0, "self-attention, heads of 40" },
    { 1, 1, 1, 2, 80, 50, 300, APART, 0, 1, 0, 0, "heads of 80, a tile cut short" },
    { 1, 1, 1, 2, 160, 96, 96, PACKED_QKV, 0, 1, 0, 0, "heads of 160" },
    { 1, 1, 1, 1, 512, 40, 130, PACKED_QKV, 0, 1, 0, 0, "the decoder's one head of 512" },
    { 2, 2, 2, 8, 40, 50, 77, PACKED_KV, 0, 1, 0, 0, "cross-attention" },
    { 1, 1, 1, 12, 64, 77, 77, PACKED_QKV, 1, 1, 0, 0, "text encoder: causal" },
    { 4, 2, 2, 2, 40, 20, 154, PACKED_KV, 0, 1, 1, 0, "queries shared, parts of unequal length" },
    { 6, 6, 3, 1, 8, 10, 77, PACKED_KV, 0, 3, 1, 0, "contexts of the step table with lengths" },
    { 2, 2, 1, 1, 16, 9, 77, PACKED_KV, 0, 4, 0, 0, "contexts without lengths" },
    { 1, 1, 1, 1, 4, 7, 5, APART, 0, 1, 0, 0, "heads of 4" },
    { 1, 1, 1, 3, 8, 1, 1, APART, 0, 1, 0, 0, "one of each" },
    { 1, 1, 1, 1, 7, 49, 131, APART, 1, 1, 0, 0, "odd everything, causal over a block's edge" },
    { 1, 1, 1, 1, 1, 3, 129, APART, 0, 1, 0, 0, "heads of 1, a block and one" },
    { 3, 1, 3, 2, 24, 53, 257, APART, 1, 1, 1, 0, "one query image, causal, lengths" },
    { 1, 1, 1, 2, 40, 60, 200, PACKED_QKV, 0, 1, 0, -3000, "scores far below zero" },
    { 1, 1, 1, 2, 40, 60, 200, PACKED_QKV, 1, 1, 0, 3000, "scores far above zero, causal" },
};

struct call {
    struct attention_args host;
    size_t q_count, kv_count, y_count;
    int lens[16];
    int step;
};

static void round_eighths(void *x, enum dtype dtype, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float v = (float)(nearbyint(value(x, dtype, i) * 8) / 8);
        dtype_from_f32(&v, 1, dtype, (char *)x + i * dtype_size(dtype));
    }
}

/* Adds `mean` to element 0 of every head of the rows. */
static void add_first(void *x, enum dtype dtype, size_t rows, size_t stride, int heads, int d,
                      float mean)
{
    for (size_t row = 0; row < rows; row++)
        for (int head = 0; head < heads; head++) {
            const size_t at = row * stride + (size_t)head * (size_t)d;
            const float v = (float)value(x, dtype, at) * 0 + mean;
            dtype_from_f32(&v, 1, dtype, (char *)x + at * dtype_size(dtype));
        }
}

static void make(struct call *call, enum dtype dtype, const struct shape *s, const int *id)
{
    const size_t width = (size_t)s->heads * (size_t)s->d, size = dtype_size(dtype);
    const size_t q_rows = (size_t)s->n_q * (size_t)s->s_q;
    const size_t kv_stride = width * (s->layout == APART ? 1 : s->layout == PACKED_KV ? 2 : 3);
    const size_t q_stride = s->layout == PACKED_QKV ? kv_stride : width;
    const size_t context = (size_t)s->n_kv * (size_t)s->s_kv * kv_stride;
    char *kv = test_images(dtype, s->contexts * s->n_kv, (size_t)s->s_kv * kv_stride, id, 0, 1, 7);
    char *q = test_images(dtype, s->n_q, (size_t)s->s_q * q_stride, id, 0, 1, 8);
    char *v = s->layout == APART
                  ? test_images(dtype, s->n_kv, (size_t)s->s_kv * kv_stride, id, 0.5, 1, 9)
                  : kv + (size_t)(s->layout == PACKED_KV ? 1 : 2) * width * size;
    char *k = s->layout == PACKED_QKV ? kv + width * size : kv;
    const float scale = 1 / sqrtf((float)s->d);

    call->q_count = q_rows * q_stride;
    call->kv_count = (size_t)s->contexts * context;
    if (s->offset != 0) { /* in eighths every score is exact in f32, however large */
        round_eighths(q, dtype, call->q_count);
        round_eighths(kv, dtype, call->kv_count);
        const float mean = s->offset < 0 ? -144 : 144; /* 128 * 144 / sqrt 40 is 2914 */
        add_first(q, dtype, q_rows, q_stride, s->heads, s->d, 128);
        add_first(k, dtype, (size_t)s->n_kv * (size_t)s->s_kv, kv_stride, s->heads, s->d, mean);
    }
    for (int i = 0; i < s->contexts * s->n_kv; i++)
        call->lens[i] = s->s_kv - 3 * i > 1 ? s->s_kv - 3 * i : 1;

    call->step = s->contexts - 1;
    call->y_count = (size_t)s->n * (size_t)s->s_q * width;
    call->host = (struct attention_args){
        .q = q,
        .k = k,
        .v = v,
        .y = test_alloc(call->y_count * size),
        .key_len = s->lens ? call->lens : NULL,
        .dtype = dtype,
        .n = s->n,
        .n_q = s->n_q,
        .n_kv = s->n_kv,
        .heads = s->heads,
        .d = s->d,
        .s_q = s->s_q,
        .s_kv = s->s_kv,
        .q_stride = q_stride,
        .kv_stride = kv_stride,
        .kv_context_stride = s->contexts > 1 ? context : 0,
        .len_contexts = s->lens && s->contexts > 1 ? s->contexts : 0,
        .causal = s->causal,
        .scale = scale,
    };
}

/* Strided inputs are uploaded whole, from their first byte. */
static status work(struct ops *ops, void *arg)
{
    struct call *call = arg;
    const struct attention_args *h = &call->host;
    const size_t size = dtype_size(h->dtype), width = (size_t)h->heads * (size_t)h->d;
    struct attention_args a = *h;
    const struct step_row row = { .draw = -1, .h_slot = -1, .context = call->step };
    assert_int_equal(ops->steps_begin(ops, &row, 1), STATUS_OK);

    const size_t k_at = h->kv_stride == 3 * width ? width : 0;
    const char *kv = (const char *)h->k - k_at * size;
    char *device_kv = device_in(ops, kv, call->kv_count * size);
    a.q = device_in(ops, h->q, call->q_count * size);
    a.k = device_kv + k_at * size;
    a.v = h->kv_stride == width ? device_in(ops, h->v, call->kv_count * size)
                                : device_kv + ((const char *)h->v - kv);
    a.y = device_out(ops, call->y_count * size);
    device_call_begin(ops);
    TRY(device_call_end(ops, ops->attention(ops, &a)));
    device_back(ops, h->y, a.y, call->y_count * size);
    return STATUS_OK;
}

/* max |v| */
static double largest_value(const struct attention_args *a, int context)
{
    const size_t width = (size_t)a->heads * (size_t)a->d;
    const size_t start = (size_t)context * a->kv_context_stride;
    double largest = 0;
    for (size_t row = 0; row < (size_t)a->n_kv * (size_t)a->s_kv; row++)
        for (size_t i = 0; i < width; i++)
            largest = fmax(largest, fabs(value(a->v, a->dtype, start + row * a->kv_stride + i)));
    return largest;
}

static void equals_its_definition(enum dtype dtype)
{
    struct ops *ops = device_open(dtype, 2);
    for (size_t i = 0; i < COUNT(shapes); i++) {
        const struct shape *s = &shapes[i];
        struct call call;
        if (2.0 * s->n * s->heads * s->d * s->s_q * s->s_kv > device_products_most())
            continue;
        make(&call, dtype, &shapes[i], NULL);
        double *want = test_alloc(call.y_count * sizeof *want);
        ref_attention(&call.host, call.step, want);
        assert_int_equal(device_run(ops, work, &call), STATUS_OK);

        /* In bf16 the exponentials are rounded too; half an ulp is all they and the store get. */
        const struct bound bound = { .abs = (half_ulp(dtype) + 0x1p-18) *
                                            largest_value(&call.host, call.step) };
        assert_int_equal(check_close(call.host.y, dtype, want, call.y_count, bound, shapes[i].why),
                         0);
        test_release();
    }
    ops->destroy(ops);
}
EACH_DTYPE(equals_its_definition)

static void *images(struct ops *ops, enum dtype dtype, const void *shape, int n, const int *id,
                    size_t *bytes)
{
    struct shape s = *(const struct shape *)shape;
    struct call call;
    s.n = s.n_q = s.n_kv = n;
    make(&call, dtype, &s, id);
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);
    *bytes = call.y_count / (size_t)n * dtype_size(dtype);
    return call.host.y;
}

static void an_image_does_not_depend_on_its_batch(enum dtype dtype)
{
    static const struct shape places[] = {
        { 1, 1, 1, 2, 40, 70, 150, PACKED_QKV, 0, 1, 0, 0, "self-attention" },
        { 1, 1, 1, 2, 64, 77, 77, PACKED_QKV, 1, 1, 0, 0, "causal" },
        { 1, 1, 1, 3, 8, 20, 77, PACKED_KV, 0, 1, 0, 0, "cross-attention" },
    };
    for (size_t i = 0; i < COUNT(places); i++)
        check_places(dtype, images, &places[i], places[i].why);
    test_release();
}
EACH_DTYPE(an_image_does_not_depend_on_its_batch)

static void nothing_beyond_the_keys_is_seen(enum dtype dtype)
{
    /* The keys behind key_len are NaN; those in front are one value, so any leak shows. */
    struct ops *ops = device_open(dtype, 2);
    const struct shape s = { 1, 1, 1, 1, 8, 5, 140, APART, 0, 1, 1, 0, "" };
    struct call call;
    make(&call, dtype, &s, NULL);
    char *k = (char *)call.host.k, *v = (char *)call.host.v;
    const float nan = NAN, one = 1;
    call.lens[0] = 131;
    for (size_t i = 0; i < call.kv_count; i++) {
        if (i >= 131 * 8)
            dtype_from_f32(&nan, 1, dtype, k + i * dtype_size(dtype));
        dtype_from_f32(i >= 131 * 8 ? &nan : &one, 1, dtype, v + i * dtype_size(dtype));
    }
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);
    for (size_t i = 0; i < call.y_count; i++)
        assert_true(fabs(value(call.host.y, dtype, i) - 1) <= 2 * half_ulp(dtype) + 0x1p-18);

    dtype_from_f32(&nan, 1, dtype, k); /* and one that is seen reaches every query */
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);
    for (size_t i = 0; i < call.y_count; i++)
        assert_true(isnan(value(call.host.y, dtype, i)));
    test_release();
    ops->destroy(ops);
}
EACH_DTYPE(nothing_beyond_the_keys_is_seen)

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 1);
    const struct shape s = { 2, 2, 2, 2, 8, 5, 9, APART, 0, 1, 1, 0, "" };
    struct call good;
    make(&good, DTYPE_F32, &s, NULL);
    for (int i = 0; i < 9; i++) {
        struct call bad = good;
        bad.host.key_len = bad.lens;
        *(i == 0   ? &bad.host.n
          : i == 1 ? &bad.host.n_q
          : i == 2 ? &bad.host.n_kv
          : i == 3 ? &bad.host.heads
          : i == 4 ? &bad.host.d
          : i == 5 ? &bad.host.s_q
          : i == 6 ? &bad.host.s_kv
                   : &bad.step) = 0;
        if (i == 7)
            bad.host.q_stride = 15;
        if (i == 8)
            bad.host.scale = 0;
        assert_int_equal(device_run(ops, work, &bad), STATUS_BAD_SHAPE);
    }
    good.lens[1] = 0;
    good.host.key_len = good.lens;
    assert_int_equal(device_run(ops, work, &good), STATUS_BAD_SHAPE);
    good.lens[1] = 10;
    assert_int_equal(device_run(ops, work, &good), STATUS_BAD_SHAPE);
    good.lens[1] = 9;
    good.host.n = 3;
    assert_int_equal(device_run(ops, work, &good), STATUS_BAD_SHAPE);
    test_release();
    ops->destroy(ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TESTS(equals_its_definition),
        UNIT_TESTS(an_image_does_not_depend_on_its_batch),
        UNIT_TESTS(nothing_beyond_the_keys_is_seen),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return device_tests("attention", tests, COUNT(tests));
}
