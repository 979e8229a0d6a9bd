/* cuda/attention_mma.cuh - flash attention on mma.sync, for any head width that fits a thread's
 * registers. Instances and their launchers are in attention_mma.cu.
 *
 * Algorithm  A block owns WARPS * M * 16 queries of one head; a warp M * 16 of them. Keys go by in
 *            tiles of KEYS, STAGES of them in flight. A warp keeps its queries as fragments, makes
 *            a tile of scores (16 x KEYS) in registers, turns them into powers of 2 with the scale
 *            folded in, and uses them as the left operand of the product with v as they are.
 *            A row of scores lies in four lanes, so its maximum takes two shuffles; its sum is
 *            added up across lanes once, at the end.
 * Sums       A row's keys are taken in tiles of KEYS in ascending order, whatever WARPS and M are.
 * Widths     q k^T runs over d in steps of 16 and one of 8 (40 = 16 + 16 + 8), p v over d in
 *            columns of 8: nothing is padded when 8 divides d. Otherwise rows are filled up with
 *            zeros as they are copied, an element at a time (EXACT 0).
 * Layout     Rows of shared memory are an odd number of 16-byte runs apart: eight rows at one
 *            column, as ldmatrix reads them, lie in eight different groups of banks. 5 runs of
 *            d = 40 are odd as they are.
 * Masks      Keys behind the last arrive as zeros, scores of those that a query may not see
 *            become -infinity; only tiles that reach beyond some query's last key are looked at.
 * Numerics   p is rounded to the storage type for the second product, its sum is taken before.
 */
#ifndef CUDA_ATTENTION_MMA_CUH
#define CUDA_ATTENTION_MMA_CUH

#include <math.h>

#include "cuda/attention.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/power_of_2.cuh"
#include "cuda/ptx.cuh"

/* Who makes the exponentials: their own unit, or for a quarter of them power_of_2(). */
enum attention_power { POWER_UNIT, POWER_MIXED };

template <int D_, int KEYS_, int WARPS_, int M_, int STAGES_, int EXACT_ = 1,
          attention_power POWER_ = POWER_UNIT>
struct attention_tiling {
    enum {
        D = D_,
        KEYS = KEYS_,
        WARPS = WARPS_,
        M = M_,
        STAGES = STAGES_, /* 1: all keys are in the only tile */
        EXACT = EXACT_,
        THREADS = WARPS * 32,
        BLOCKS = EXACT ? 0 : 2, /* a multiprocessor, at least; 0: as many as come of it */
        QUERIES = WARPS * M * 16,
        RUNS = D / 8,         /* of 16 bytes in a row */
        ROW = (RUNS | 1) * 8, /* elements between rows in shared memory */
        STEPS = D / 16,       /* of 16 channels ... */
        HALF = D % 16 / 8,    /* ... and one of 8 */
        SCORES = KEYS / 8,    /* fragments of a tile of scores */
        PARTS = RUNS % 2 == 0 && RUNS > 8 ? RUNS / (RUNS % 5 == 0 ? 5 : 8) : 1,
        PART = RUNS / PARTS,     /* fragments of v held at a time: out is [PARTS][M][PART] */
        LOADS = (KEYS + 31) / 32 /* of 32 keys by 8 channels: v's, and k's for the half step */
    };
    static constexpr attention_power POWER = POWER_;
    static_assert(D % 8 == 0 && KEYS % 16 == 0, "fragments");
};

template <class T, class S> struct attention_tile {
    T row[S::KEYS][S::ROW];
};
template <class T, class S> struct attention_tiles {
    attention_tile<T, S> k[S::STAGES], v[S::STAGES];
};

/* A warp's queries as left operands, its output so far, and the rows' running state: element
 * [m][r] is row 16 m + 8 r + lane / 4. `top` is the largest score in powers of 2. */
template <class S> struct attention_state {
    uint32_t q[S::STEPS + 1][S::M][4]; /* the last: the half step, two registers of it */
    float out[S::PARTS][S::M][S::PART][4];
    float top[S::M][2], sum[S::M][2];
};

/* ---- copies ------------------------------------------------------------------------------ */

/* Where a thread's first 16 bytes of the next tile come from. It goes down a column of them, so
 * that pointers only ever advance. */
template <class T> struct attention_source {
    const T *k, *v;
};

template <class T, class S>
static __device__ __forceinline__ attention_source<T>
attention_source_of(const attention_args &a, const attention_head<T> &h)
{
    const size_t at =
        S::EXACT ? (size_t)(threadIdx.x / S::RUNS) * a.kv_stride + threadIdx.x % S::RUNS * 8 : 0;
    return { h.k + at, h.v + at };
}

/* Starts the copy of keys and values first .. first + KEYS - 1, which are the source's next; those
 * from `keys` on become zeros. */
template <class T, class S>
static __device__ __forceinline__ void
attention_load(attention_tile<T, S> &k, attention_tile<T, S> &v, attention_source<T> &from,
               const attention_args &a, int first, int keys)
{
    if constexpr (S::EXACT) {
        enum { ROWS = S::THREADS / S::RUNS }; /* at a time; the last threads may have none */
        const int row = threadIdx.x / S::RUNS, ch = threadIdx.x % S::RUNS * 8;
        const T *k_from = from.k, *v_from = from.v;
#pragma unroll 8 /* all of them take more registers than there are at d = 160 */
        for (int i = 0; i < S::KEYS; i += ROWS) {
            if (row < ROWS && (S::KEYS % ROWS == 0 || i + row < S::KEYS)) {
                const bool there = first + i + row < keys;
                cp_async_16(&k.row[i + row][ch], there ? k_from : (const T *)a.k, there ? 16 : 0);
                cp_async_16(&v.row[i + row][ch], there ? v_from : (const T *)a.v, there ? 16 : 0);
            }
            k_from += ROWS * a.kv_stride;
            v_from += ROWS * a.kv_stride;
        }
    } else {
        for (int i = threadIdx.x; i < S::KEYS * S::D; i += S::THREADS) {
            const int row = i / S::D, ch = i % S::D;
            const bool there = first + row < keys && ch < a.d;
            const size_t at = (size_t)row * a.kv_stride + ch;
            k.row[row][ch] = there ? from.k[at] : from_f32<T>(0.0f);
            v.row[row][ch] = there ? from.v[at] : from_f32<T>(0.0f);
        }
    }
    from.k += S::KEYS * a.kv_stride;
    from.v += S::KEYS * a.kv_stride;
}

/* Channels ch and ch + 1 of a row, as a fragment holds them. */
template <class T, class S>
static __device__ __forceinline__ uint32_t attention_two(const T *row, int ch, int d)
{
    if constexpr (S::EXACT)
        return *(const uint32_t *)(row + ch);
    else
        return pack<T>(ch < d ? to_f32(row[ch]) : 0.0f, ch + 1 < d ? to_f32(row[ch + 1]) : 0.0f);
}

/* The warp's queries, straight from global memory: each is read once. Rows that are not there
 * repeat the last. */
template <class T, class S>
static __device__ __forceinline__ void
attention_queries(attention_state<S> &w, const attention_args &a, const T *q, int first)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int m = 0; m < S::M; m++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int row = min(first + m * 16 + r * 8 + lane / 4, a.s_q - 1);
            const T *from = q + (size_t)row * a.q_stride;
#pragma unroll
            for (int i = 0; i < S::STEPS + S::HALF; i++) {
                w.q[i][m][r] = attention_two<T, S>(from, i * 16 + lane % 4 * 2, a.d);
                if (i < S::STEPS)
                    w.q[i][m][r + 2] = attention_two<T, S>(from, i * 16 + 8 + lane % 4 * 2, a.d);
            }
        }
}

/* ---- one tile of keys ---------------------------------------------------------------------- */

/* score = q k^T, not scaled */
template <class T, class S>
static __device__ __forceinline__ void attention_scores(float (&score)[S::M][S::SCORES][4],
                                                        const attention_state<S> &w,
                                                        const attention_tile<T, S> &k)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < S::STEPS; i++) {
        uint32_t b[S::SCORES][2];
        const void *from[S::SCORES / 2];
#pragma unroll
        for (int j = 0; j < S::SCORES / 2; j++)
            from[j] = &k.row[j * 16 + lane / 16 * 8 + lane % 8][i * 16 + lane / 8 % 2 * 8];
        ldmatrix_x4(pairs(b), from);
        mma<T>(score, w.q[i], b);
    }
    if constexpr (S::HALF) {
        uint32_t b[S::LOADS][4], half[S::SCORES], q[S::M][2];
        const void *from[S::LOADS];
#pragma unroll
        for (int j = 0; j < S::LOADS; j++) /* behind the last key: any row */
            from[j] = &k.row[min(j * 32 + lane, S::KEYS - 1)][S::STEPS * 16];
        ldmatrix_x4(b, from);
#pragma unroll
        for (int j = 0; j < S::SCORES; j++)
            half[j] = b[j / 4][j % 4];
#pragma unroll
        for (int m = 0; m < S::M; m++)
#pragma unroll
            for (int r = 0; r < 2; r++)
                q[m][r] = w.q[S::STEPS][m][r];
        mma_k8<T>(score, q, half);
    }
}

/* Tile `tile` for the warp's queries from `row` on, of which there are `keys` keys. */
template <class S>
static __device__ __forceinline__ void attention_mask(float (&score)[S::M][S::SCORES][4],
                                                      const attention_args &a, int keys, int row,
                                                      int tile)
{
    const int lane = threadIdx.x % 32, first = tile * S::KEYS + lane % 4 * 2;
#pragma unroll
    for (int m = 0; m < S::M; m++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int seen = attention_seen(a, keys, row + m * 16 + r * 8 + lane / 4);
#pragma unroll
            for (int j = 0; j < S::SCORES; j++)
#pragma unroll
                for (int e = 0; e < 2; e++)
                    if (first + j * 8 + e >= seen)
                        score[m][j][r * 2 + e] = -INFINITY;
        }
}

/* Scores become powers of 2; sum and output shrink when a row's largest has grown. */
template <class S>
static __device__ __forceinline__ void attention_weigh(float (&score)[S::M][S::SCORES][4],
                                                       attention_state<S> &w, float slope)
{
#pragma unroll
    for (int m = 0; m < S::M; m++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float peak = score[m][0][r * 2];
#pragma unroll
            for (int j = 0; j < S::SCORES; j++)
                peak = fmaxf(peak, fmaxf(score[m][j][r * 2], score[m][j][r * 2 + 1]));
            peak = fmaxf(peak, __shfl_xor_sync(~0u, peak, 1));
            peak = fmaxf(peak, __shfl_xor_sync(~0u, peak, 2)) * slope;
            if constexpr (S::STAGES > 1) {
                peak = fmaxf(peak, w.top[m][r]);
                const float shrink = ex2(w.top[m][r] - peak); /* 2^-inf = 0 in the first tile */
                w.sum[m][r] *= shrink;
#pragma unroll
                for (int j = 0; j < S::RUNS; j++) {
                    float *out = w.out[j / S::PART][m][j % S::PART] + r * 2;
                    out[0] *= shrink;
                    out[1] *= shrink;
                }
            }
            w.top[m][r] = peak;
#pragma unroll
            for (int j = 0; j < S::SCORES; j++)
#pragma unroll
                for (int e = r * 2; e < r * 2 + 2; e++) {
                    const float x = fmaf(score[m][j][e], slope, -peak);
                    const bool unit = S::POWER == POWER_UNIT || j % 4 != 3;
                    score[m][j][e] = unit ? ex2(x) : power_of_2(x);
                    w.sum[m][r] += score[m][j][e];
                }
        }
}

/* out += p v */
template <class T, class S>
static __device__ __forceinline__ void attention_mix(const float (&p)[S::M][S::SCORES][4],
                                                     attention_state<S> &w,
                                                     const attention_tile<T, S> &v)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < S::LOADS; i++) {
        uint32_t a[2][S::M][4]; /* two steps of 16 keys */
#pragma unroll
        for (int h = 0; h < 2 && i * 32 + h * 16 < S::KEYS; h++)
#pragma unroll
            for (int m = 0; m < S::M; m++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const float *from = p[m][i * 4 + h * 2 + e / 2] + e % 2 * 2;
                    a[h][m][e] = pack<T>(from[0], from[1]);
                }
#pragma unroll
        for (int part = 0; part < S::PARTS; part++) {
            uint32_t two[S::PART][4], b[S::PART][2];
            const void *from[S::PART];
#pragma unroll
            for (int j = 0; j < S::PART; j++) /* behind the last key: any row */
                from[j] = &v.row[min(i * 32 + lane, S::KEYS - 1)][(part * S::PART + j) * 8];
            ldmatrix_x4_trans(two, from);
#pragma unroll
            for (int h = 0; h < 2 && i * 32 + h * 16 < S::KEYS; h++) {
#pragma unroll
                for (int j = 0; j < S::PART; j++) {
                    b[j][0] = two[j][h * 2];
                    b[j][1] = two[j][h * 2 + 1];
                }
                mma<T>(w.out[part], a[h], b);
            }
        }
    }
}

/* ---- the kernel ------------------------------------------------------------------------------ */

template <class T, class S>
static __device__ __forceinline__ void attention_store(attention_state<S> &w,
                                                       const attention_args &a, T *y, int first)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int m = 0; m < S::M; m++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float sum = w.sum[m][r];
            sum += __shfl_xor_sync(~0u, sum, 1);
            sum += __shfl_xor_sync(~0u, sum, 2);
            const float per = 1.0f / sum;
            const int row = first + m * 16 + r * 8 + lane / 4;
            T *to = y + (size_t)row * a.heads * a.d;
            if (row >= a.s_q)
                continue;
#pragma unroll
            for (int j = 0; j < S::RUNS; j++) {
                const int ch = j * 8 + lane % 4 * 2;
                const float *out = w.out[j / S::PART][m][j % S::PART] + r * 2;
                const float low = out[0] * per, high = out[1] * per;
                if constexpr (S::EXACT) {
                    *(uint32_t *)(to + ch) = pack<T>(low, high);
                } else {
                    if (ch < a.d)
                        to[ch] = from_f32<T>(low);
                    if (ch + 1 < a.d)
                        to[ch + 1] = from_f32<T>(high);
                }
            }
        }
}

/* grid (tiles of queries, heads, images) */
template <class T, class S>
static __global__ void __launch_bounds__(S::THREADS, S::BLOCKS)
    attention_k2_mma(const attention_call p)
{
    take_turn();
    attention_tiles<T, S> &s = shared_as<attention_tiles<T, S>>();
    const attention_args &a = p.a;
    const attention_head<T> h = attention_head_at<T>(p, blockIdx.z, blockIdx.y);
    const int block_first = blockIdx.x * S::QUERIES;
    const int first = block_first + threadIdx.x / 32 * (S::M * 16);
    /* Keys that the block's last query sees, and those that its first sees: masks between. */
    const int most = attention_seen(a, h.keys, block_first + S::QUERIES - 1);
    const int least = attention_seen(a, h.keys, block_first);
    const int tiles = (most + S::KEYS - 1) / S::KEYS;
    const float slope = attention_slope(a);

    attention_source<T> from = attention_source_of<T, S>(a, h);
    constexpr int AHEAD = S::STAGES > 1 ? S::STAGES - 1 : 1;
#pragma unroll
    for (int t = 0; t < AHEAD; t++) {
        if (t < tiles)
            attention_load<T, S>(s.k[t], s.v[t], from, a, t * S::KEYS, h.keys);
        cp_async_commit();
    }

    attention_state<S> w = {};
    attention_queries<T, S>(w, a, h.q, first);
#pragma unroll
    for (int i = 0; i < S::M * 2; i++)
        w.top[i / 2][i % 2] = -INFINITY;

    for (int t = 0; t < (S::STAGES > 1 ? tiles : 1); t++) {
        cp_async_wait<AHEAD - 1>();
        __syncthreads(); /* tile t has landed for every thread, and tile t - 1 has been read */
        if constexpr (S::STAGES > 1) {
            const int next = t + AHEAD;
            if (next < tiles)
                attention_load<T, S>(s.k[next % S::STAGES], s.v[next % S::STAGES], from, a,
                                     next * S::KEYS, h.keys);
            cp_async_commit();
        }

        float score[S::M][S::SCORES][4] = {};
        attention_scores<T, S>(score, w, s.k[t % S::STAGES]);
        if ((t + 1) * S::KEYS > least)
            attention_mask<S>(score, a, h.keys, first, t);
        attention_weigh<S>(score, w, slope);
        attention_mix<T, S>(score, w, s.v[t % S::STAGES]);
    }
    attention_store<T, S>(w, a, attention_output_at<T>(a, blockIdx.z, blockIdx.y), first);
}

template <class T, class S>
static status attention_launch(const char *name, const attention_args *a, const cuda_call *call)
{
    return gpu_launch_after(name, attention_k2_mma<T, S>,
                            dim3((a->s_q + S::QUERIES - 1) / S::QUERIES, a->heads, a->n),
                            S::THREADS, sizeof(attention_tiles<T, S>), call->stream,
                            attention_call{ *a, call->steps, call->step });
}

#endif
