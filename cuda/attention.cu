/* cuda/attention.cu - softmax(scale q k^T) v per head: the plain kernel, the table, the operator.
 *
 * Algorithm  Online softmax (Milakov & Gimelshein 2018): keys go by in tiles; a row keeps its
 *            largest score so far, its sum and its output, and shrinks the two when the largest
 *            grows. The plain kernel gives a query to a warp and a key to a lane.
 * Layout     rows by strides, so that packed [s, 3, heads, d] needs no copy.
 * Roofline   The exponentials bind: 2x8 heads of 40, 6144x6144 scores, are 604 M of them, 155 us at
 *            3.9e12/s (H200); the products, 97 GFLOP with d as it is, 122 us at 790 TFLOP/s.
 * Variants   plain   any shape and dtype: the oracle
 *            filled  16 bits, d up to 128 filled up to 16, 32, 64 or 128
 *            mixed   d = 40 as mma, a quarter of the exponentials by polynomial (2.9e-6)
 *            mma     16 bits, d = 8, 40, 64, 80, 160, rows that 16-byte copies can fetch
 *            short   the same with at most 80 keys (96 at d = 160): one tile, no running maximum
 *            wide    the same with d = 512
 *            wgmma   sm_90a, 16 bits, d = 40, 64, 80, 160, rows that bulk copies can fetch
 */
#include <math.h>
#include <stdio.h>

#include "cuda/attention.cuh"
#include "cuda/device.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"

enum { WARPS = 4, THREADS = WARPS * 32, OWN = 16, SLICE = OWN * 32 };

struct plain_shared {
    float p[WARPS][32];
};

/* ---- the plain kernel ---------------------------------------------------------------------- */

/* A warp's query against key `key`; both are rows of d. */
template <class T> static __device__ float score(const T *q, const T *k, int d)
{
    float sum = 0.0f;
    for (int i = 0; i < d; i++)
        sum += to_f32(q[i]) * to_f32(k[i]);
    return sum;
}

/* grid (queries / WARPS, heads, images). A lane owns channels lane, lane + 32, ... of a slice of
 * 512; wider heads go through the keys once for each slice. */
template <class T>
static __global__ void __launch_bounds__(THREADS) attention_k1_plain(const attention_call p)
{
    float(&weight)[32] = shared_as<plain_shared>().p[threadIdx.x / 32];
    const attention_args &a = p.a;
    const int lane = threadIdx.x % 32, row = blockIdx.x * WARPS + threadIdx.x / 32;
    if (row >= a.s_q)
        return;
    const attention_head<T> h = attention_head_at<T>(p, blockIdx.z, blockIdx.y);
    const T *q = h.q + (size_t)row * a.q_stride;
    const int seen = attention_seen(a, h.keys, row);
    const float slope = attention_slope(a);

    for (int slice = 0; slice < a.d; slice += SLICE) {
        float top = -INFINITY, sum = 0.0f, out[OWN] = {};
        for (int first = 0; first < seen; first += 32) {
            const int key = first + lane, count = min(seen - first, 32);
            float s = key < seen ? score(q, h.k + (size_t)key * a.kv_stride, a.d) : -INFINITY;
            const float peak = fmaxf(top, warp_max(s));
            const float shrink = exp2f((top - peak) * slope); /* 2^-inf = 0 at the first keys */
            s = key < seen ? exp2f((s - peak) * slope) : 0.0f;
            top = peak;
            sum = sum * shrink + warp_sum(s);
            weight[lane] = s;
            __syncwarp();
            for (int i = 0; i < OWN; i++) {
                const int ch = slice + i * 32 + lane;
                out[i] *= shrink;
                if (ch < a.d)
#pragma unroll 1 /* sixteen copies of a loop in flight would spill */
                    for (int j = 0; j < count; j++)
                        out[i] += weight[j] * to_f32(h.v[(size_t)(first + j) * a.kv_stride + ch]);
            }
            __syncwarp(); /* all have read the weights */
        }
        T *y = attention_output_at<T>(a, blockIdx.z, blockIdx.y) + (size_t)row * a.heads * a.d;
        for (int i = 0; i < OWN; i++)
            if (slice + i * 32 + lane < a.d)
                y[slice + i * 32 + lane] = from_f32<T>(out[i] / sum);
    }
}

/* ---- launchers ---------------------------------------------------------------------------- */

static int takes_any(const attention_args *) { return 1; }

static status launch_plain(const attention_args *a, const cuda_call *call)
{
    const dim3 grid((a->s_q + WARPS - 1) / WARPS, a->heads, a->n);
    const attention_call p = { *a, call->steps, call->step };
    return with_element_type(a->dtype, [&](auto element) {
        return gpu_launch("attention plain", attention_k1_plain<decltype(element)>, grid, THREADS,
                          sizeof(plain_shared), call->stream, p);
    });
}

static const cuda_variant<attention_args> rows[] = {
    { "plain", 80, takes_any, nullptr, launch_plain },
    { "filled", 80, attention_filled_takes, nullptr, attention_filled_launch },
    { "mixed", 80, attention_mixed_takes, nullptr, attention_mixed_launch },
    { "mma", 80, attention_mma_takes, nullptr, attention_mma_launch },
    { "short", 80, attention_short_takes, nullptr, attention_short_launch },
    { "wide", 80, attention_wide_takes, nullptr, attention_wide_launch },
    { "wgmma", 90, attention_wgmma_takes, nullptr, attention_wgmma_launch },
};
const cuda_table<attention_args> cuda_attention_table = { "attention", rows,
                                                          sizeof rows / sizeof rows[0] };

/* ---- the operator ------------------------------------------------------------------------- */

static status check(const attention_args *a)
{
    if (a->n < 1 || a->n_q < 1 || a->n_kv < 1 || a->n % a->n_kv != 0 || a->heads < 1 || a->d < 1 ||
        a->s_q < 1 || a->s_kv < 1)
        return status_fail(STATUS_BAD_SHAPE, "attention: n=%d,%d,%d heads=%d d=%d s_q=%d s_kv=%d",
                           a->n, a->n_q, a->n_kv, a->heads, a->d, a->s_q, a->s_kv);
    const size_t width = (size_t)a->heads * (size_t)a->d;
    if (a->q_stride < width || a->kv_stride < width)
        return status_fail(STATUS_BAD_SHAPE, "attention: rows of %zu and %zu hold %d heads of %d",
                           a->q_stride, a->kv_stride, a->heads, a->d);
    if (!(a->scale > 0) || isinf(a->scale))
        return status_fail(STATUS_BAD_SHAPE, "attention: scale %g", (double)a->scale);
    if (!is_element_type(a->dtype))
        return status_fail(STATUS_UNSUPPORTED, "attention: no variant for %s",
                           dtype_name(a->dtype));
    return STATUS_OK;
}

/* The key lengths, checked and as device memory. */
static status place_lengths(struct cuda_device *dev, attention_args *a)
{
    if (!a->key_len)
        return STATUS_OK;
    const int count = (a->len_contexts > 0 ? a->len_contexts : 1) * a->n_kv;
    for (int i = 0; i < count && !dev->planning; i++)
        if (a->key_len[i] < 1 || a->key_len[i] > a->s_kv)
            return status_fail(STATUS_BAD_SHAPE, "attention: part %d has %d keys of %d", i,
                               a->key_len[i], a->s_kv);
    const void *lengths = nullptr;
    TRY(cuda_constant(dev, a->key_len, (size_t)count * sizeof *a->key_len, &lengths));
    a->key_len = (const int *)lengths;
    return STATUS_OK;
}

extern "C" status cuda_attention(struct ops *ops, const struct attention_args *args)
{
    struct cuda_device *dev = cuda_device(ops);
    attention_args a = *args;
    TRY(check(&a));
    TRY(place_lengths(dev, &a));

    const double rows = (double)a.n * a.s_q, width = (double)a.heads * a.d;
    cuda_span_text span = {};
    char key[64];
    snprintf(key, sizeof key, "%dx%d %dx%d%s %s", a.s_q, a.s_kv, a.heads, a.d,
             a.causal ? " causal" : "", dtype_name(a.dtype));
    snprintf(span.shape, sizeof span.shape, "%dx%dx%d d=%d x%d%s", a.n, a.s_q, a.s_kv, a.d, a.heads,
             a.causal ? " causal" : "");
    span.flops = 4 * rows * a.s_kv * width;
    span.bytes = (2 * rows + 2.0 * a.n_kv * a.s_kv) * width * (double)dtype_size(a.dtype);
    return cuda_run(dev, cuda_attention_table, &a, key, span);
}
