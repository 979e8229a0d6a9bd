/* tests/test_cuda_attention.cpp - every CUDA variant of attention against the definition: the
 * model's heads, packed and broadcast inputs, key lengths, contexts, masks. */
#include <math.h>
#include <string.h>

#include "cuda/device.cuh"
#include "cuda/power_of_2.cuh"
#include "tests/check.h"
#include "tests/gpu.h"
#include "tests/ref/ref.h"
#ifdef GPU_EMULATOR
#include "tests/emulator/emulator.h"
#endif

enum layout { APART, PACKED_KV, PACKED_QKV };

enum { RISING = 1 };

struct shape {
    int n, n_q, n_kv, heads, d, s_q, s_kv;
    enum layout layout;
    int causal, contexts; /* contexts: in the step table; the last is current */
    int lens;             /* 1: parts have keys s_kv, s_kv - 3, ... */
    float offset;         /* every score is about that much above what noise makes it; RISING: by
                             1 to 2 more from key to key, so that the last outweigh all others */
    const char *why;
};

static const struct shape shapes[] = {
    { 1, 1, 1, 2, 40, 150, 200, PACKED_QKV, 0, 1, 0, 0, "heads of 40, a tile cut short" },
    { 1, 1, 1, 1, 40, 130, 192, PACKED_QKV, 0, 1, 0, 0, "heads of 40, whole tiles of keys" },
    { 2, 1, 2, 1, 40, 40, 650, PACKED_KV, 0, 1, 0, 0, "heads of 40, every stage filled again" },
    { 1, 1, 1, 1, 80, 70, 150, APART, 0, 1, 0, 0, "heads of 80" },
    { 1, 1, 1, 2, 80, 150, 300, PACKED_QKV, 0, 1, 0, 0, "heads of 80, every stage filled again" },
    { 1, 1, 1, 1, 160, 50, 96, PACKED_QKV, 0, 1, 0, 0, "heads of 160" },
    { 1, 1, 1, 1, 160, 20, 100, PACKED_QKV, 0, 1, 0, 0, "heads of 160, more than 96 keys" },
    { 1, 1, 1, 1, 160, 130, 300, PACKED_QKV, 0, 1, 0, 0, "heads of 160, many tiles" },
    { 2, 2, 2, 1, 160, 130, 200, APART, 1, 1, 1, 0, "heads of 160, causal, lengths" },
    { 1, 1, 1, 1, 512, 70, 75, PACKED_QKV, 0, 1, 0, 0, "the decoder's one head of 512" },
    { 1, 1, 1, 2, 512, 20, 90, APART, 1, 1, 0, 0, "heads of 512, causal" },
    { 1, 1, 1, 1, 512, 20, 90, APART, 0, 1, 0, -3000, "heads of 512, scores far below zero" },
    { 2, 2, 2, 2, 40, 50, 77, PACKED_KV, 0, 1, 0, 0, "cross-attention" },
    { 1, 1, 1, 1, 80, 50, 77, PACKED_KV, 0, 1, 0, 0, "cross-attention, heads of 80" },
    { 1, 1, 1, 1, 160, 20, 77, PACKED_KV, 0, 1, 0, 0, "cross-attention, heads of 160" },
    { 1, 1, 1, 2, 64, 77, 77, PACKED_QKV, 1, 1, 0, 0, "text encoder: causal" },
    { 1, 1, 1, 2, 64, 150, 150, PACKED_QKV, 1, 1, 0, 0, "causal over many tiles" },
    { 4, 2, 2, 2, 40, 20, 154, PACKED_KV, 0, 1, 1, 0, "queries shared, parts of unequal length" },
    { 6, 6, 3, 1, 8, 10, 77, PACKED_KV, 0, 3, 1, 0, "contexts of the step table with lengths" },
    { 4, 4, 2, 1, 40, 10, 77, PACKED_KV, 0, 3, 1, 0, "the same, heads of 40" },
    { 2, 1, 2, 1, 80, 150, 190, PACKED_KV, 0, 2, 1, 0, "the same, heads of 80 and two tiles" },
    { 2, 2, 1, 1, 16, 9, 77, PACKED_KV, 0, 4, 0, 0, "contexts without lengths" },
    { 1, 1, 1, 2, 8, 96, 96, PACKED_QKV, 0, 1, 0, 0, "heads of 8" },
    { 1, 1, 1, 2, 4, 24, 24, PACKED_QKV, 0, 1, 0, 0, "heads of 4" },
    { 1, 1, 1, 3, 8, 1, 1, APART, 0, 1, 0, 0, "one of each" },
    { 1, 1, 1, 1, 7, 49, 131, APART, 1, 1, 0, 0, "odd everything, causal over a tile's edge" },
    { 1, 1, 1, 1, 1, 3, 129, APART, 0, 1, 0, 0, "heads of 1" },
    { 3, 1, 3, 2, 24, 53, 70, APART, 1, 1, 1, 0, "one query image, causal, lengths" },
    { 1, 1, 1, 1, 100, 10, 40, APART, 0, 1, 0, 0, "heads of 100" },
    { 1, 1, 1, 1, 520, 5, 40, APART, 0, 1, 0, 0, "heads of 520: beyond a slice" },
    { 1, 1, 1, 1, 40, 60, 200, PACKED_QKV, 0, 1, 0, -3000, "scores far below zero" },
    { 1, 1, 1, 1, 40, 60, 77, PACKED_KV, 0, 1, 0, -3000, "the same in one tile" },
    { 1, 1, 1, 1, 40, 60, 127, PACKED_QKV, 0, 1, 0, -3000, "the same, one key short of two tiles" },
    { 1, 1, 1, 1, 80, 20, 190, PACKED_QKV, 0, 1, 0, -3000, "the same, heads of 80" },
    { 1, 1, 1, 1, 160, 20, 95, PACKED_QKV, 0, 1, 0, -3000, "the same, heads of 160" },
    { 1, 1, 1, 1, 40, 20, 200, PACKED_QKV, 0, 1, 0, RISING, "rising scores" },
    { 1, 1, 1, 1, 80, 20, 200, PACKED_QKV, 0, 1, 0, RISING, "rising scores, heads of 80" },
    { 1, 1, 1, 1, 160, 20, 200, PACKED_QKV, 0, 1, 0, RISING, "rising scores, heads of 160" },
    { 1, 1, 1, 1, 24, 20, 100, PACKED_QKV, 0, 1, 0, RISING, "rising scores, heads of 24" },
    { 1, 1, 1, 1, 512, 20, 130, APART, 0, 1, 0, RISING, "rising scores, heads of 512" },
    { 1, 1, 1, 1, 40, 60, 200, PACKED_QKV, 1, 1, 0, 3000, "scores far above zero, causal" },
};

struct attention_case {
    struct attention_args host;
    size_t q_count, kv_count, y_count; /* elements */
    int lens[16];
    int step; /* the current context */
};

static void round_eighths(void *x, enum dtype dtype, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float v = (float)(nearbyint(value(x, dtype, i) * 8) / 8);
        dtype_from_f32(&v, 1, dtype, (char *)x + i * dtype_size(dtype));
    }
}

/* Puts `v` into element 0 of every head of the rows, `step` more from row to row. */
static void set_first(void *x, enum dtype dtype, size_t rows, size_t stride, int heads, int d,
                      float v, float step)
{
    for (size_t row = 0; row < rows; row++)
        for (int head = 0; head < heads; head++) {
            const float first = v + (float)row * step;
            dtype_from_f32(&first, 1, dtype,
                           (char *)x +
                               (row * stride + (size_t)head * (size_t)d) * dtype_size(dtype));
        }
}

static void make(struct attention_case *k, enum dtype dtype, const struct shape *s, const int *id)
{
    const size_t width = (size_t)s->heads * (size_t)s->d, size = dtype_size(dtype);
    const size_t kv_rows = (size_t)s->n_kv * (size_t)s->s_kv;
    *k = {};
    struct attention_args &a = k->host;
    a.kv_stride = width * (s->layout == APART ? 1 : s->layout == PACKED_KV ? 2 : 3);
    a.q_stride = s->layout == PACKED_QKV ? a.kv_stride : width;
    const size_t context = kv_rows * a.kv_stride;
    char *kv = (char *)test_images(dtype, s->contexts * s->n_kv, (size_t)s->s_kv * a.kv_stride, id,
                                   0, 1, 7);
    char *q = (char *)test_images(dtype, s->n_q, (size_t)s->s_q * a.q_stride, id, 0, 1, 8);
    a.q = q;
    a.k = s->layout == PACKED_QKV ? kv + width * size : kv;
    a.v = s->layout == APART
              ? test_images(dtype, s->n_kv, (size_t)s->s_kv * a.kv_stride, id, 0.5, 1, 9)
              : kv + (size_t)(s->layout == PACKED_KV ? 1 : 2) * width * size;
    a.dtype = dtype;
    a.n = s->n;
    a.n_q = s->n_q;
    a.n_kv = s->n_kv;
    a.heads = s->heads;
    a.d = s->d;
    a.s_q = s->s_q;
    a.s_kv = s->s_kv;
    a.kv_context_stride = s->contexts > 1 ? context : 0;
    a.len_contexts = s->lens && s->contexts > 1 ? s->contexts : 0;
    a.causal = s->causal;
    a.scale = 1 / sqrtf((float)s->d);

    k->q_count = (size_t)s->n_q * (size_t)s->s_q * a.q_stride;
    k->kv_count = (size_t)s->contexts * context;
    k->y_count = (size_t)s->n * (size_t)s->s_q * width;
    k->step = s->contexts - 1;
    for (int i = 0; i < s->contexts * s->n_kv; i++)
        k->lens[i] = s->s_kv - 3 * i > 1 ? s->s_kv - 3 * i : 1;
    a.key_len = s->lens ? k->lens : nullptr;
    if (s->offset != 0) { /* in eighths every score is exact in f32, however large */
        round_eighths(q, dtype, k->q_count);
        round_eighths(kv, dtype, k->kv_count);
        const int rising = s->offset == RISING; /* 1 * (8 or 32) / sqrt d from key to key */
        set_first(q, dtype, (size_t)s->n_q * (size_t)s->s_q, a.q_stride, s->heads, s->d,
                  !rising      ? 128
                  : s->d > 160 ? 32
                               : 8,
                  0);
        set_first((void *)a.k, dtype, kv_rows, a.kv_stride, s->heads, s->d,
                  rising          ? 0
                  : s->offset < 0 ? -144
                                  : 144, /* 128 * 144 / sqrt 40 is 2914 */
                  rising ? 1 : 0);
    }
}

/* The fake device, opened for dtype, with a step table of one row. */
static struct ops *device_for(enum dtype dtype, int context)
{
    struct cuda_device *dev = cuda_device(gpu_device());
    struct step_row row = {};
    const int step = 0;
    row.context = context;
    dev->dtype = dtype;
    dev->steps = (struct step_row *)gpu_copy(&row, sizeof row);
    dev->step = (int *)gpu_copy(&step, sizeof step);
    return &dev->ops;
}

/* Can this device run the row at all? */
static int is_here(int row)
{
    const int arch = cuda_attention_table.row[row].arch;
    return arch <= 80 || arch == cuda_device(gpu_device())->arch;
}

/* Runs row `row`; the result, or null if the row does not take the call. Packed inputs go to the
 * device whole, from their first byte. */
static void *run(const struct attention_case *k, int row)
{
    const struct attention_args &h = k->host;
    const size_t size = dtype_size(h.dtype), width = (size_t)h.heads * (size_t)h.d;
    struct attention_args a = h;
    struct ops *ops = device_for(h.dtype, k->step);
    const size_t k_at = h.kv_stride == 3 * width ? width * size : 0;
    const char *kv = (const char *)h.k - k_at;
    const char *device_kv = (const char *)gpu_copy(kv, k->kv_count * size);
    a.q = gpu_copy(h.q, k->q_count * size);
    a.k = device_kv + k_at;
    a.v = h.kv_stride == width ? gpu_copy(h.v, k->kv_count * size)
                               : device_kv + ((const char *)h.v - kv);
    a.y = gpu_poison(k->y_count * size);
    if (!is_here(row) || !cuda_attention_table.row[row].takes(&a))
        return nullptr;
    gpu_force(row);
    CHECK_OK(cuda_attention(ops, &a));
    void *y = test_alloc(k->y_count * size);
    gpu_download(y, a.y, k->y_count * size);
    return y;
}

/* Every ldmatrix since the last call read eight rows from eight groups of banks. */
static void check_banks(const char *row)
{
#ifdef GPU_EMULATOR
    const struct emu_stats stats = emu_take_stats();
    if (stats.wavefronts != stats.ldmatrix)
        check_failed(__FILE__, __LINE__, row);
#else
    (void)row;
#endif
}

static double largest_value(const struct attention_case *k)
{
    const struct attention_args &a = k->host;
    const size_t start = (size_t)k->step * a.kv_context_stride;
    double largest = 0;
    for (size_t row = 0; row < (size_t)a.n_kv * (size_t)a.s_kv; row++)
        for (size_t i = 0; i < (size_t)a.heads * (size_t)a.d; i++)
            largest = fmax(largest, fabs(value(a.v, a.dtype, start + row * a.kv_stride + i)));
    return largest;
}

static void equals_its_definition(enum dtype dtype)
{
    int checked[16] = {};
    for (const struct shape &s : shapes) {
        struct attention_case k;
        make(&k, dtype, &s, nullptr);
        double *want = (double *)test_alloc(k.y_count * sizeof *want);
        ref_attention(&k.host, k.step, want);
        /* The weights are rounded to the type too; half an ulp is all they and the store get. */
        struct bound bound = {};
        bound.abs = (half_ulp(dtype) + 0x1p-18) * largest_value(&k);
        for (int row = 0; row < cuda_attention_table.count; row++) {
            const void *y = run(&k, row);
            if (!y)
                continue;
            checked[row]++;
            check_banks(cuda_attention_table.row[row].name);
            if (check_close(y, dtype, want, k.y_count, bound, s.why) != 0)
                check_failed(__FILE__, __LINE__, cuda_attention_table.row[row].name);
        }
        gpu_release();
        test_release();
    }
    for (int row = 0; row < cuda_attention_table.count; row++) /* f32 has the plain row alone */
        CHECK(checked[row] > 0 || (dtype == DTYPE_F32 && row > 0) || !is_here(row));
}

/* An image alone, and at each place of a batch of 3: the same bytes. */
static void an_image_does_not_depend_on_its_batch(enum dtype dtype)
{
    static const struct shape places[] = {
        { 1, 1, 1, 1, 40, 100, 140, PACKED_QKV, 0, 1, 0, 0, "self-attention" },
        { 1, 1, 1, 1, 80, 100, 140, PACKED_QKV, 0, 1, 0, 0, "self-attention, heads of 80" },
        { 1, 1, 1, 1, 160, 70, 100, PACKED_QKV, 0, 1, 0, 0, "self-attention, heads of 160" },
        { 1, 1, 1, 2, 64, 77, 77, PACKED_QKV, 1, 1, 0, 0, "causal" },
        { 1, 1, 1, 1, 8, 20, 77, PACKED_KV, 0, 1, 0, 0, "cross-attention" },
        { 1, 1, 1, 1, 40, 20, 77, PACKED_KV, 0, 1, 0, 0, "cross-attention, heads of 40" },
        { 1, 1, 1, 1, 512, 20, 40, PACKED_QKV, 0, 1, 0, 0, "decoder" },
    };
    static const int batch[2][3] = { { 0, 1, 2 }, { 2, 0, 1 } };
    for (const struct shape &place : places)
        for (int row = 0; row < cuda_attention_table.count; row++) {
            struct shape s = place;
            struct attention_case k;
            const void *alone[3];
            for (int i = 0; i < 3; i++) {
                make(&k, dtype, &s, &i);
                alone[i] = run(&k, row);
            }
            const size_t bytes = k.y_count * dtype_size(dtype);
            s.n = s.n_q = s.n_kv = 3;
            for (int b = 0; b < 2 && alone[0]; b++) {
                make(&k, dtype, &s, batch[b]);
                const char *all = (const char *)run(&k, row);
                for (int i = 0; i < 3; i++)
                    CHECK(check_equal(all + (size_t)i * bytes, alone[batch[b][i]], bytes, s.why) ==
                          0);
            }
            gpu_release();
            test_release();
        }
}

/* The keys behind key_len are NaN; those in front are one value, so any leak shows. A NaN that is
 * seen reaches every query. */
static void nothing_beyond_the_keys_is_seen(enum dtype dtype)
{
    static const struct shape cases[] = {
        { 1, 1, 1, 1, 8, 5, 140, APART, 0, 1, 1, 0, "" },
        { 1, 1, 1, 1, 40, 5, 140, APART, 0, 1, 1, 0, "" },
        { 1, 1, 1, 1, 40, 5, 77, APART, 0, 1, 1, 0, "" },
        { 1, 1, 1, 1, 80, 5, 140, APART, 0, 1, 1, 0, "" },
        { 1, 1, 1, 1, 160, 5, 140, APART, 0, 1, 1, 0, "" },
        { 1, 1, 1, 1, 20, 5, 77, APART, 0, 1, 1, 0, "" },
        { 1, 1, 1, 1, 512, 5, 77, APART, 0, 1, 1, 0, "" },
    };
    const float nan = NAN, one = 1;
    for (const struct shape &s : cases)
        for (int row = 0; row < cuda_attention_table.count; row++)
            for (int seen = -1; seen < s.s_kv - 9; seen += 13) { /* which NaN key, -1: none */
                struct attention_case k;
                make(&k, dtype, &s, nullptr);
                k.lens[0] = s.s_kv - 9;
                for (size_t i = 0; i < k.kv_count; i++) {
                    const int key = (int)(i / (size_t)s.d), gone = key >= k.lens[0];
                    if (gone || key == seen)
                        dtype_from_f32(&nan, 1, dtype, (char *)k.host.k + i * dtype_size(dtype));
                    dtype_from_f32(gone ? &nan : &one, 1, dtype,
                                   (char *)k.host.v + i * dtype_size(dtype));
                }
                const void *y = run(&k, row);
                for (size_t i = 0; y && i < k.y_count; i++) {
                    const double got = value(y, dtype, i);
                    CHECK(seen < 0 ? fabs(got - 1) <= 2 * half_ulp(dtype) + 0x1p-18 : isnan(got));
                }
                gpu_release();
                test_release();
            }
}

static void powers_of_2_are_within_their_bound(void)
{
    double worst = 0;
    for (int i = 0; i <= 1 << 20; i++) {
        const float x = -126 * (float)i / (1 << 20);
        worst = fmax(worst, fabs((double)power_of_2(x) / exp2((double)x) - 1));
    }
    CHECK(worst <= 2.9e-6);
    CHECK(power_of_2(0) == 1);
    CHECK(power_of_2(-INFINITY) == 0);
    CHECK(isnan(power_of_2(NAN)));
}

static void impossible_sizes_are_refused(void)
{
    const struct shape s = { 2, 2, 2, 2, 8, 5, 9, APART, 0, 1, 1, 0, "" };
    struct attention_case good;
    make(&good, DTYPE_F32, &s, nullptr);
    struct ops *ops = device_for(DTYPE_F32, 0);
    gpu_force(-1);
    for (int i = 0; i < 14; i++) {
        struct attention_args a = good.host;
        int lens[2] = { 9, 9 };
        int *zero[] = { &a.n, &a.n_q, &a.n_kv, &a.heads, &a.d, &a.s_q, &a.s_kv };
        a.key_len = lens;
        if (i < 7)
            *zero[i] = 0;
        if (i == 7)
            a.q_stride = 15;
        if (i == 8)
            a.kv_stride = 15;
        if (i == 9)
            a.scale = 0;
        if (i == 10)
            a.scale = INFINITY;
        if (i == 11)
            a.n = 3;
        if (i == 12)
            lens[1] = 0;
        if (i == 13)
            lens[1] = 10;
        CHECK(cuda_attention(ops, &a) == STATUS_BAD_SHAPE);
    }
    struct attention_args other = good.host;
    other.dtype = DTYPE_I8;
    CHECK(cuda_attention(ops, &other) == STATUS_UNSUPPORTED);
    gpu_release();
    test_release();
}

int main(void)
{
    if (!gpu_present())
        return TEST_SKIP;
    CHECK(check_selftest() == 0);
    for (int dtype = DTYPE_F32; dtype <= DTYPE_BF16; dtype++) {
        equals_its_definition((enum dtype)dtype);
        an_image_does_not_depend_on_its_batch((enum dtype)dtype);
        nothing_beyond_the_keys_is_seen((enum dtype)dtype);
    }
    powers_of_2_are_within_their_bound();
    impossible_sizes_are_refused();
    return check_failures != 0;
}
