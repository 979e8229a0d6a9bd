/* cuda/attention_hopper.cu - flash attention by wgmma (sm_90a) for the network's largest single
 * item: self-attention with heads of 40.
 *
 * Algorithm  One warp produces: it asks for boxes of 128 keys and values, three stages ahead. Three
 *            warpgroups consume, 64 queries each: while the exponentials of one tile are made, the
 *            values of the tile before it are multiplied. Weights stay in registers as the left
 *            operand of that product. Full and empty barriers lie between.
 * Layout     A row of 40 lies in one of 64 = 128 bytes in the 128-byte swizzle; bulk copies fill
 *            the rest with out-of-bounds zeros, at no cost in traffic. q k^T runs over 48 = 3 x 16
 *            of it, p v has n = 40.
 * Sums       A row's keys in tiles of 128 in ascending order.
 * Roofline   2x8 heads, 96x64: 604 M exponentials, 155 us at 3.9e12/s; q k^T over 48 and p v over
 *            40, 106 GFLOP, 134 us at 790 TFLOP/s, overlapped. 120 KB, one block a multiprocessor.
 */
#include <math.h>

#include "cuda/attention.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/ptx_hopper.cuh"

enum {
    D = 40,
    ROW = 64,  /* elements of a row in shared memory: the swizzle's width */
    STEPS = 3, /* of 16 channels that q k^T takes */
    RUN = 64,  /* queries of a warpgroup */
    GROUPS = 3,
    QUERIES = RUN * GROUPS,
    KEYS = 128,
    STAGES = 3,
    CONSUMERS = GROUPS * 128,
    THREADS = CONSUMERS + 128, /* one of the last warpgroup produces */
    SWIZZLE = 128,
    EIGHT_ROWS = 8 * SWIZZLE
};

template <class T> struct hopper_shared {
    T q[GROUPS][RUN][ROW];
    struct {
        T k[KEYS][ROW], v[KEYS][ROW];
    } stage[STAGES];
    uint64_t queries, full[STAGES], empty[STAGES];
};

/* [images, rows, heads, d], boxes of whole heads' rows. */
struct hopper_maps {
    tensor_map q, k, v;
};

/* A thread's rows of its warpgroup: lane / 4 and + 8 of its warp's sixteen. */
struct hopper_state {
    float out[D / 2];
    float top[2], sum[2];
};

/* Element e: row e / 2 % 2, key e / 4 * 8 + lane % 4 * 2 + e % 2. */
typedef float hopper_scores[KEYS / 2];
typedef uint32_t hopper_weights[KEYS / 16][4];

/* ---- the producer -----------------------------------------------------------------------------
 */

template <class T>
static __device__ void produce(hopper_shared<T> &s, const hopper_maps &m, const attention_args &a,
                               int tiles)
{
    const int head = blockIdx.y, img = blockIdx.z, part = img / (a.n / a.n_kv);
    mbarrier_arrive_expect(&s.queries, (int)sizeof s.q);
    for (int i = 0; i < GROUPS; i++)
        tma_load_4d(s.q[i], &m.q, 0, head, blockIdx.x * QUERIES + i * RUN, img % a.n_q, &s.queries);
    for (int t = 0; t < tiles; t++) {
        const int to = t % STAGES;
        if (t >= STAGES)
            mbarrier_wait(&s.empty[to], (t / STAGES - 1) % 2);
        mbarrier_arrive_expect(&s.full[to], (int)sizeof s.stage[to]);
        tma_load_4d(s.stage[to].k, &m.k, 0, head, t * KEYS, part, &s.full[to]);
        tma_load_4d(s.stage[to].v, &m.v, 0, head, t * KEYS, part, &s.full[to]);
    }
}

/* ---- the consumers -----------------------------------------------------------------------------
 */

/* Starts score = q k^T for tile t. */
template <class T>
static __device__ __forceinline__ void start_scores(hopper_shared<T> &s, int group, int t,
                                                    hopper_scores &score)
{
    mbarrier_wait(&s.full[t % STAGES], t / STAGES % 2);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < STEPS; i++)
        wgmma<T, KEYS>(score, wgmma_desc(&s.q[group][0][i * 16], SWIZZLE, 0, EIGHT_ROWS),
                       wgmma_desc(&s.stage[t % STAGES].k[0][i * 16], SWIZZLE, 0, EIGHT_ROWS),
                       i > 0);
    wgmma_commit();
}

/* Starts out += p v for tile t. */
template <class T>
static __device__ __forceinline__ void start_values(hopper_shared<T> &s, int t,
                                                    const hopper_weights &p, float (&out)[D / 2])
{
#pragma unroll
    for (int i = 0; i < KEYS / 16; i++)
        wgmma<T, D, 1>(out, p[i], wgmma_desc(s.stage[t % STAGES].v[i * 16], SWIZZLE, 0, EIGHT_ROWS),
                       1);
    wgmma_commit();
}

/* Scores of tile t become powers of 2, 0 behind the last key. The output is to be multiplied by
 * `shrink`. */
static __device__ __forceinline__ void weigh(hopper_scores &score, hopper_state &w, float slope,
                                             int t, int keys, float (&shrink)[2])
{
    const int first = t * KEYS + (int)threadIdx.x % 4 * 2;
    if ((t + 1) * KEYS > keys)
#pragma unroll
        for (int e = 0; e < KEYS / 2; e++)
            if (first + e / 4 * 8 + e % 2 >= keys)
                score[e] = -INFINITY;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float peak = -INFINITY;
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
            peak = fmaxf(peak, fmaxf(score[j * 4 + r * 2], score[j * 4 + r * 2 + 1]));
        peak = fmaxf(peak, __shfl_xor_sync(~0u, peak, 1));
        peak = fmaxf(w.top[r], fmaxf(peak, __shfl_xor_sync(~0u, peak, 2)) * slope);
        shrink[r] = ex2(w.top[r] - peak); /* 2^-inf = 0 in the first tile */
        w.top[r] = peak;
        w.sum[r] *= shrink[r];
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int e = j * 4 + r * 2; e < j * 4 + r * 2 + 2; e++) {
                score[e] = ex2(fmaf(score[e], slope, -peak));
                w.sum[r] += score[e];
            }
    }
}

/* Weights as left operands. */
template <class T>
static __device__ __forceinline__ void pack_weights(const hopper_scores &score, hopper_weights &p)
{
#pragma unroll
    for (int i = 0; i < KEYS / 16; i++)
#pragma unroll
        for (int e = 0; e < 4; e++)
            p[i][e] = pack<T>(score[i * 8 + e * 2], score[i * 8 + e * 2 + 1]);
}

/* While the exponentials of tile t + 1 are made, the values of tile t are multiplied. */
template <class T>
static __device__ __forceinline__ void consume(hopper_shared<T> &s, const attention_args &a,
                                               int group, int tiles)
{
    const float slope = attention_slope(a);
    const int lane = threadIdx.x % 32;
    hopper_state w = {};
    hopper_scores score;
    hopper_weights p;
    float shrink[2];
    w.top[0] = w.top[1] = -INFINITY;
    mbarrier_wait(&s.queries, 0);
    start_scores(s, group, 0, score);
    wgmma_wait<0>(score);
    weigh(score, w, slope, 0, a.s_kv, shrink);
    pack_weights<T>(score, p);
    for (int t = 0; t + 1 < tiles; t++) {
        start_scores(s, group, t + 1, score);
        start_values(s, t, p, w.out);
        wgmma_wait<1>(score);
        weigh(score, w, slope, t + 1, a.s_kv, shrink);
        wgmma_wait<0>(w.out);
        __syncwarp(); /* all lanes are done with the stage */
        if (lane == 0)
            mbarrier_arrive(&s.empty[t % STAGES]);
#pragma unroll
        for (int e = 0; e < D / 2; e++)
            w.out[e] *= shrink[e / 2 % 2];
        pack_weights<T>(score, p);
    }
    wgmma_fence();
    start_values(s, tiles - 1, p, w.out);
    wgmma_wait<0>(w.out);

    const int first = blockIdx.x * QUERIES + group * RUN + threadIdx.x % 128 / 32 * 16;
    T *y = attention_output_at<T>(a, blockIdx.z, blockIdx.y);
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float sum = w.sum[r];
        sum += __shfl_xor_sync(~0u, sum, 1);
        sum += __shfl_xor_sync(~0u, sum, 2);
        const float per = 1.0f / sum;
        const int row = first + r * 8 + lane / 4;
        if (row >= a.s_q)
            continue;
        T *to = y + (size_t)row * a.heads * D + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < D / 8; j++)
            *(uint32_t *)(to + j * 8) =
                pack<T>(w.out[j * 4 + r * 2] * per, w.out[j * 4 + r * 2 + 1] * per);
    }
}

/* grid (tiles of queries, heads, images) */
template <class T>
static __global__ void __launch_bounds__(THREADS, 1)
    attention_k4_wgmma(const attention_args a, const __grid_constant__ hopper_maps m)
{
    hopper_shared<T> &s = shared_as<hopper_shared<T>>();
    const int tiles = (a.s_kv + KEYS - 1) / KEYS;
    if (threadIdx.x == 0) {
        mbarrier_init(&s.queries, 1);
        for (int i = 0; i < STAGES; i++) {
            mbarrier_init(&s.full[i], 1);
            mbarrier_init(&s.empty[i], CONSUMERS / 32);
        }
        mbarrier_init_done();
    }
    __syncthreads();
    const int group = __shfl_sync(~0u, threadIdx.x / 128, 0); /* so that whole warps are seen */
    if (group < GROUPS) {
        registers_more<160>(); /* of 128 that all began with */
        consume(s, a, group, tiles);
    } else {
        registers_fewer<32>();
        if (threadIdx.x == CONSUMERS)
            produce(s, m, a, tiles);
    }
}

/* ---- launcher ---------------------------------------------------------------------------------
 */

/* No lengths: what lies behind the keys may be NaN, and is copied all the same. */
int attention_wgmma_takes(const attention_args *a)
{
    return attention_rows_aligned(a) && a->d == D && !a->causal && !a->key_len &&
           a->kv_context_stride == 0;
}

/* Rows of a part of a packed tensor, boxes of `rows` of them. */
static status map_rows(const attention_args *a, const void *base, size_t stride, int rows, int n,
                       int box_rows, tensor_map *out)
{
    const tensor_map_args args = { base,
                                   a->dtype,
                                   4,
                                   { D, (size_t)a->heads, (size_t)rows, (size_t)n },
                                   { 1, D, stride, stride * (size_t)rows },
                                   { ROW, 1, box_rows, 1 },
                                   SWIZZLE };
    return tensor_map_encode(&args, out);
}

template <class T> static status launch(const attention_args *a, const cuda_call *call)
{
    hopper_maps m;
    TRY(map_rows(a, a->q, a->q_stride, a->s_q, a->n_q, RUN, &m.q));
    TRY(map_rows(a, a->k, a->kv_stride, a->s_kv, a->n_kv, KEYS, &m.k));
    TRY(map_rows(a, a->v, a->kv_stride, a->s_kv, a->n_kv, KEYS, &m.v));
    return gpu_launch("attention wgmma", attention_k4_wgmma<T>,
                      dim3((a->s_q + QUERIES - 1) / QUERIES, a->heads, a->n), THREADS,
                      sizeof(hopper_shared<T>), call->stream, *a, m);
}

status attention_wgmma_launch(const attention_args *a, const cuda_call *call)
{
    return a->dtype == DTYPE_F16 ? launch<__half>(a, call) : launch<__nv_bfloat16>(a, call);
}
