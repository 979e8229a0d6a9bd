/* cuda/attention_wide.cu - flash attention for the decoder's one head of 512.
 *
 * Algorithm  A row of 512 fits neither a thread's registers nor, 64 keys at a time, a block's
 *            shared memory. 64 queries stay there (64 KB); keys and values stream by in slices of
 *            8 KB. Eight warps share a tile of 64 x 64 scores (16 x 32 each, over 8 slices of 64
 *            channels), hand the weights on through shared memory, and share the output by
 *            channels: 64 queries x 64 channels a warp (over 8 slices of 16 keys x 256 channels).
 * Layout     All rows in shared memory are powers of 2 long, so their 16-byte runs are permuted:
 *            run r of row i lies at r ^ i % 8. Three slices are in flight. 98 KB a block.
 * Roofline   96x64: 77 GFLOP, 98 us at 790 TFLOP/s. 96 blocks are 0.73 of 132 multiprocessors,
 *            and each reads 1 KB of shared memory for 1.4 (scores) or 4 (output) products of
 *            16x8x16.
 */
#include <math.h>

#include "cuda/attention.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

enum {
    D = 512,
    QUERIES = 64,
    KEYS = 64,
    WARPS = 8,
    THREADS = WARPS * 32,
    STAGES = 3,
    SLICE = 4096,             /* elements */
    K_WIDTH = SLICE / KEYS,   /* channels of a slice of keys */
    V_KEYS = 16,              /* keys of a slice of values */
    V_WIDTH = SLICE / V_KEYS, /* its channels: a half of d */
    K_SLICES = D / K_WIDTH,
    V_SLICES = KEYS / V_KEYS * (D / V_WIDTH),
    SLICES = K_SLICES + V_SLICES /* a tile */
};

template <class T> struct wide_shared {
    T q[QUERIES * D];
    T slice[STAGES][SLICE];
    T p[QUERIES * KEYS];
    float peak[2][QUERIES]; /* of either half of a tile's keys; at the end: sums */
    float shrink[QUERIES];
};

/* Element of run `run` of row `row` in rows of `width`. */
static __device__ __forceinline__ int place(int row, int run, int width)
{
    return row * width + (run ^ row % 8) * 8;
}

/* A warp's share. Scores: queries 16 rows .. of warp % 4, keys 32 columns .. of warp / 4. Output:
 * all queries, channels 32 warp .. of both halves. */
struct wide_state {
    float out[2][4][4][4]; /* [half][16 queries][8 channels] */
    float top[2], sum[2];  /* of rows lane / 4 and + 8 of its scores */
};

/* ---- copies ------------------------------------------------------------------------------ */

template <class T>
static __device__ __forceinline__ void load_queries(wide_shared<T> &s, const attention_args &a,
                                                    const T *q, int first)
{
    for (int i = threadIdx.x; i < QUERIES * D / 8; i += THREADS) {
        const int row = i / (D / 8), run = i % (D / 8);
        const bool there = first + row < a.s_q;
        cp_async_16(&s.q[place(row, run, D)],
                    there ? q + (size_t)(first + row) * a.q_stride + run * 8 : q, there ? 16 : 0);
    }
}

/* Starts the copy of slice `number`, counted over all tiles: of keys, then of values. */
template <class T>
static __device__ __forceinline__ void load_slice(wide_shared<T> &s, const attention_args &a,
                                                  const attention_head<T> &h, int number)
{
    T *to = s.slice[number % STAGES];
    const int tile = number / SLICES * KEYS, part = number % SLICES;
    const bool is_k = part < K_SLICES;
    const int width = is_k ? K_WIDTH : V_WIDTH, v_part = part - K_SLICES;
    const int first = is_k ? tile : tile + v_part / 2 * V_KEYS;
    const T *from = is_k ? h.k + part * K_WIDTH : h.v + v_part % 2 * V_WIDTH;
    for (int i = threadIdx.x; i < SLICE / 8; i += THREADS) {
        const int row = i / (width / 8), run = i % (width / 8);
        const bool there = first + row < h.keys;
        cp_async_16(&to[place(row, run, width)],
                    there ? from + (size_t)(first + row) * a.kv_stride + run * 8 : from,
                    there ? 16 : 0);
    }
}

/* Slice `number` of `count` has landed, for every thread; the copy of one further on has begun. */
template <class T>
static __device__ __forceinline__ const T *next_slice(wide_shared<T> &s, const attention_args &a,
                                                      const attention_head<T> &h, int number,
                                                      int count)
{
    cp_async_wait<STAGES - 2>();
    __syncthreads(); /* and the slice before this one has been read */
    if (number + STAGES - 1 < count)
        load_slice(s, a, h, number + STAGES - 1);
    cp_async_commit();
    return s.slice[number % STAGES];
}

/* ---- one tile ------------------------------------------------------------------------------ */

/* score += q k^T over the channels of one slice of keys */
template <class T>
static __device__ __forceinline__ void add_scores(float (&score)[1][4][4], const T *q, const T *k,
                                                  int slice)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int i = 0; i < K_WIDTH / 16; i++) {
        const int run = slice * (K_WIDTH / 8) + i * 2, key = warp / 4 * 32;
        uint32_t a[1][4], b[4][2];
        ldmatrix_x4(a, { &q[place(warp % 4 * 16 + lane % 16, run + lane / 16, D)] });
        ldmatrix_x4(
            pairs(b),
            { &k[place(key + lane / 16 * 8 + lane % 8, i * 2 + lane / 8 % 2, K_WIDTH)],
              &k[place(key + 16 + lane / 16 * 8 + lane % 8, i * 2 + lane / 8 % 2, K_WIDTH)] });
        mma<T>(score, a, b);
    }
}

/* Scores of keys that a query does not see become -infinity. */
static __device__ __forceinline__ void mask(float (&score)[4][4], const attention_args &a, int keys,
                                            int first, int tile)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int e = 0; e < 4; e++) {
        const int row = first + warp % 4 * 16 + e / 2 * 8 + lane / 4;
        const int seen = attention_seen(a, keys, row);
#pragma unroll
        for (int j = 0; j < 4; j++)
            if (tile * KEYS + warp / 4 * 32 + j * 8 + lane % 4 * 2 + e % 2 >= seen)
                score[j][e] = -INFINITY;
    }
}

/* Scores become weights in s.p; s.shrink is what the output is to be multiplied by. */
template <class T>
static __device__ __forceinline__ void weigh(wide_shared<T> &s, wide_state &w, float (&score)[4][4],
                                             float slope)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, half = warp / 4;
    const int row = warp % 4 * 16 + lane / 4;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float peak = -INFINITY;
#pragma unroll
        for (int j = 0; j < 4; j++)
            peak = fmaxf(peak, fmaxf(score[j][r * 2], score[j][r * 2 + 1]));
        peak = fmaxf(peak, __shfl_xor_sync(~0u, peak, 1));
        peak = fmaxf(peak, __shfl_xor_sync(~0u, peak, 2));
        if (lane % 4 == 0)
            s.peak[half][row + r * 8] = peak * slope;
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const float peak = fmaxf(w.top[r], fmaxf(s.peak[0][row + r * 8], s.peak[1][row + r * 8]));
        const float shrink = ex2(w.top[r] - peak);
        w.top[r] = peak;
        w.sum[r] *= shrink;
        if (half == 0 && lane % 4 == 0)
            s.shrink[row + r * 8] = shrink;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const float low = ex2(fmaf(score[j][r * 2], slope, -peak));
            const float high = ex2(fmaf(score[j][r * 2 + 1], slope, -peak));
            w.sum[r] += low + high;
            *(uint32_t *)&s.p[place(row + r * 8, half * 4 + j, KEYS) + lane % 4 * 2] =
                pack<T>(low, high);
        }
    }
}

/* The output's rows as their largest scores have grown. The next slice's barrier is behind this. */
template <class T>
static __device__ __forceinline__ void shrink_output(const wide_shared<T> &s, wide_state &w)
{
#pragma unroll
    for (int m = 0; m < 4; m++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const float shrink = s.shrink[m * 16 + r * 8 + threadIdx.x % 32 / 4];
#pragma unroll
            for (int i = 0; i < 8; i++) {
                w.out[i / 4][m][i % 4][r * 2] *= shrink;
                w.out[i / 4][m][i % 4][r * 2 + 1] *= shrink;
            }
        }
}

/* out += p v over the keys of one slice of values: HALF of the channels */
template <class T, int HALF>
static __device__ __forceinline__ void add_values(wide_state &w, const T *p, const T *v, int step)
{
    const int lane = threadIdx.x % 32, run = threadIdx.x / 32 * 4 + lane / 16;
    uint32_t a[4][4], b[4][2];
    const void *from[4];
#pragma unroll
    for (int m = 0; m < 4; m++)
        from[m] = &p[place(m * 16 + lane % 16, step * 2 + lane / 16, KEYS)];
    ldmatrix_x4(a, from);
    ldmatrix_x4_trans(
        pairs(b), { &v[place(lane % 16, run, V_WIDTH)], &v[place(lane % 16, run + 2, V_WIDTH)] });
    mma<T>(w.out[HALF], a, b);
}

/* ---- the kernel ------------------------------------------------------------------------------ */

template <class T>
static __device__ __forceinline__ void store(wide_shared<T> &s, wide_state &w,
                                             const attention_args &a, T *y, int first)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float sum = w.sum[r];
        sum += __shfl_xor_sync(~0u, sum, 1);
        sum += __shfl_xor_sync(~0u, sum, 2);
        if (lane % 4 == 0)
            s.peak[warp / 4][warp % 4 * 16 + lane / 4 + r * 8] = sum;
    }
    __syncthreads();
#pragma unroll
    for (int m = 0; m < 4; m++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int row = m * 16 + r * 8 + lane / 4;
            const float per = 1.0f / (s.peak[0][row] + s.peak[1][row]);
            if (first + row >= a.s_q)
                continue;
            T *to = y + (size_t)(first + row) * a.heads * D + warp * 32 + lane % 4 * 2;
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const float *out = w.out[i / 4][m][i % 4] + r * 2;
                *(uint32_t *)(to + i / 4 * V_WIDTH + i % 4 * 8) =
                    pack<T>(out[0] * per, out[1] * per);
            }
        }
}

/* grid (tiles of queries, heads, images) */
template <class T>
static __global__ void __launch_bounds__(THREADS) attention_k3_wide(const attention_call p)
{
    take_turn();
    wide_shared<T> &s = shared_as<wide_shared<T>>();
    const attention_args &a = p.a;
    const attention_head<T> h = attention_head_at<T>(p, blockIdx.z, blockIdx.y);
    const int first = blockIdx.x * QUERIES;
    const int least = attention_seen(a, h.keys, first);
    const int most = attention_seen(a, h.keys, first + QUERIES - 1);
    const int tiles = (most + KEYS - 1) / KEYS, count = tiles * SLICES;
    const float slope = attention_slope(a);

    load_queries(s, a, h.q, first);
    for (int i = 0; i < STAGES - 1; i++) { /* the queries are in the first group */
        load_slice(s, a, h, i);
        cp_async_commit();
    }
    wide_state w = {};
    w.top[0] = w.top[1] = -INFINITY;

    for (int t = 0, number = 0; t < tiles; t++) {
        float score[1][4][4] = {};
        for (int i = 0; i < K_SLICES; i++, number++)
            add_scores(score, s.q, next_slice(s, a, h, number, count), i);
        if ((t + 1) * KEYS > least)
            mask(score[0], a, h.keys, first, t);
        weigh(s, w, score[0], slope);
        for (int i = 0; i < V_SLICES / 2; i++) {
            const T *v = next_slice(s, a, h, number++, count);
            if (i == 0)
                shrink_output(s, w);
            add_values<T, 0>(w, s.p, v, i);
            add_values<T, 1>(w, s.p, next_slice(s, a, h, number++, count), i);
        }
    }
    store(s, w, a, attention_output_at<T>(a, blockIdx.z, blockIdx.y), first);
}

int attention_wide_takes(const attention_args *a) { return a->d == D && attention_rows_aligned(a); }

template <class T> static status launch(const attention_args *a, const cuda_call *call)
{
    return gpu_launch_after("attention wide", attention_k3_wide<T>,
                            dim3((a->s_q + QUERIES - 1) / QUERIES, a->heads, a->n), THREADS,
                            sizeof(wide_shared<T>), call->stream,
                            attention_call{ *a, call->steps, call->step });
}

status attention_wide_launch(const attention_args *a, const cuda_call *call)
{
    return a->dtype == DTYPE_F16 ? launch<__half>(a, call) : launch<__nv_bfloat16>(a, call);
}
