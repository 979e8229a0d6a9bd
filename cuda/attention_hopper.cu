/* cuda/attention_hopper.cu - flash attention by wgmma (sm_90a) for the network's heads.
 *
 * Algorithm  One warp produces: it asks for boxes of KEYS keys and values, STAGES tiles ahead.
 *            GROUPS warpgroups consume, 64 queries each: while the exponentials of one tile are
 *            made, the values of the tile before it are multiplied. Weights stay in registers as
 *            the left operand of that product. Full and empty barriers lie between. Where all
 *            keys fit one tile nobody produces: thread 0 asks for everything, all wait for it.
 * Layout     A row of d lies in ceil(d / 64) boxes' rows of 64 = 128 bytes in the 128-byte
 *            swizzle; bulk copies fill the rest with out-of-bounds zeros, at no cost in traffic.
 *            q k^T runs over d in steps of 16 (40: 48 of it), p v has n = d.
 * Masks      Keys behind the last arrive as zeros. Those that key_len hides may be NaN: their
 *            scores are replaced, and their values cleared before they are multiplied.
 * Sums       A row's keys in tiles of KEYS in ascending order, as d and s_kv alone determine.
 * Tilings    d     keys  stages  queries   shared memory
 *            40    128     3     192, 128    120, 112 KB
 *            64    128     3     192, 128    120, 112 KB
 *            80     96     3     192, 128    192, 176 KB
 *            160    96     2     128, 64     192, 168 KB
 *            up to 80 keys and d = 40, 64, 80: 80 keys, one stage, 128 queries, 36 to 72 KB
 * Roofline   2x8 heads of 40, 96x64: 604 M exponentials, 155 us at 3.9e12/s; q k^T over 48 and
 *            p v over 40, 106 GFLOP, 134 us at 790 TFLOP/s, overlapped. d = 80, 48x32: 38 M
 *            exponentials, 10 us; 12 GFLOP, 15 us.
 */
#include <assert.h>
#include <math.h>

#include "cuda/attention.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/ptx_hopper.cuh"
#include "cuda/tiles.h"

enum {
    RUN = HOPPER_QUERIES, /* queries of a warpgroup */
    ROW = 64,             /* elements of a row in a box: the swizzle's width */
    SWIZZLE = 128,
    EIGHT_ROWS = 8 * SWIZZLE,
    ALL_CONSUMERS = 1,   /* the named barrier that they alone meet at */
    MANY_PARTS = 1 << 20 /* of all contexts: the call does not say how many the step table names */
};

template <int D_, int KEYS_, int GROUPS_, int STAGES_> struct hopper_tiling {
    enum {
        D = D_,
        KEYS = KEYS_,
        GROUPS = GROUPS_,
        STAGES = STAGES_, /* 1: all keys are in the only tile */
        QUERIES = GROUPS * RUN,
        BOXES = (D + ROW - 1) / ROW,
        STEPS = (D + 15) / 16, /* that q k^T takes */
        CONSUMERS = GROUPS * 128,
        THREADS = CONSUMERS + (STAGES > 1 ? 128 : 0), /* one of the last warpgroup produces */
        MORE = GROUPS == 3 ? 160 : 240,               /* registers, of 128 or 168 at first */
        FEWER = GROUPS == 3 ? 32 : 24,
        BOX_BYTES = KEYS * SWIZZLE
    };
};

template <class T, class S> struct hopper_shared {
    T q[S::GROUPS][S::BOXES][RUN][ROW];
    struct {
        T k[S::BOXES][S::KEYS][ROW], v[S::BOXES][S::KEYS][ROW];
    } stage[S::STAGES];
    uint64_t queries, full[S::STAGES], empty[S::STAGES];
};

/* [images or contexts' parts, rows, heads, d], boxes of 64 channels of one head's rows. */
struct hopper_maps {
    tensor_map q, k, v;
};

/* What a block has to do. */
struct hopper_work {
    int part, keys, tiles;
    int context_part; /* of the maps: all parts of the contexts before, too */
};

template <class S> static __device__ __forceinline__ hopper_work work_of(const attention_call &p)
{
    const attention_args &a = p.a;
    const int context = attention_context(p), part = attention_part(a, blockIdx.z);
    const int keys = attention_keys(a, context, part);
    const int last = min((int)(blockIdx.x + 1) * S::QUERIES, a.s_q) - 1;
    const int parts = (int)(a.kv_context_stride / ((size_t)a.s_kv * a.kv_stride));
    return { part, keys, (attention_seen(a, keys, last) + S::KEYS - 1) / S::KEYS,
             context * parts + part };
}

/* A thread's rows of its warpgroup: lane / 4 and + 8 of its warp's sixteen. */
template <class S> struct hopper_state {
    float out[S::D / 2];
    float top[2], sum[2];
};

/* Element e: row e / 2 % 2, key e / 4 * 8 + lane % 4 * 2 + e % 2. */
template <class S> struct hopper_scores {
    float v[S::KEYS / 2];
};
template <class S> struct hopper_weights {
    uint32_t v[S::KEYS / 16][4];
};

/* The block's query that this thread's row 0 is. */
static __device__ __forceinline__ int row_of_thread()
{
    return (int)threadIdx.x / 32 * 16 + (int)threadIdx.x % 32 / 4;
}

/* ---- the producer ------------------------------------------------------------------------- */

template <class T, class S>
static __device__ void produce(hopper_shared<T, S> &s, const hopper_maps &m,
                               const attention_args &a, const hopper_work &work)
{
    const int head = blockIdx.y, first = blockIdx.x * S::QUERIES;
    mbarrier_arrive_expect(&s.queries, (int)sizeof s.q);
    for (int i = 0; i < S::GROUPS; i++)
        for (int box = 0; box < S::BOXES; box++)
            tma_load_4d(s.q[i][box], &m.q, box * ROW, head, first + i * RUN, blockIdx.z % a.n_q,
                        &s.queries);
    for (int t = 0; t < work.tiles; t++) {
        const int to = t % S::STAGES;
        if (t >= S::STAGES)
            mbarrier_wait(&s.empty[to], (t / S::STAGES - 1) % 2);
        mbarrier_arrive_expect(&s.full[to], (int)sizeof s.stage[to]);
        for (int box = 0; box < S::BOXES; box++) {
            tma_load_4d(s.stage[to].k[box], &m.k, box * ROW, head, t * S::KEYS, work.context_part,
                        &s.full[to]);
            tma_load_4d(s.stage[to].v[box], &m.v, box * ROW, head, t * S::KEYS, work.context_part,
                        &s.full[to]);
        }
    }
}

/* ---- the consumers ------------------------------------------------------------------------ */

/* Starts score = q k^T for tile t. */
template <class T, class S>
static __device__ __forceinline__ void start_scores(hopper_shared<T, S> &s, int group, int t,
                                                    hopper_scores<S> &score)
{
    mbarrier_wait(&s.full[t % S::STAGES], t / S::STAGES % 2);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < S::STEPS; i++) {
        const int box = i * 16 / ROW, at = i * 16 % ROW;
        wgmma<T, S::KEYS>(score.v, wgmma_desc(&s.q[group][box][0][at], SWIZZLE, 0, EIGHT_ROWS),
                          wgmma_desc(&s.stage[t % S::STAGES].k[box][0][at], SWIZZLE, 0, EIGHT_ROWS),
                          i > 0);
    }
    wgmma_commit();
}

/* Starts out += p v for tile t. */
template <class T, class S>
static __device__ __forceinline__ void
start_values(hopper_shared<T, S> &s, int t, const hopper_weights<S> &p, float (&out)[S::D / 2])
{
#pragma unroll
    for (int i = 0; i < S::KEYS / 16; i++)
        wgmma<T, S::D, 1>(
            out, p.v[i],
            wgmma_desc(s.stage[t % S::STAGES].v[0][i * 16], SWIZZLE, S::BOX_BYTES, EIGHT_ROWS), 1);
    wgmma_commit();
}

/* Values of tile t that lie behind the last key become zeros: a weight of 0 does not make a NaN 0.
 * Every consumer takes part, and has waited for the tile. */
template <class T, class S>
static __device__ void clear_values(hopper_shared<T, S> &s, int t, int keys)
{
    enum { CHUNKS = ROW / 8 };
    const int first = keys - t * S::KEYS, count = S::KEYS - first;
    for (int i = threadIdx.x; i < S::BOXES * count * CHUNKS; i += S::CONSUMERS) {
        T *row = s.stage[t % S::STAGES].v[i / CHUNKS / count][first + i / CHUNKS % count];
        *(uint4 *)(row + i % CHUNKS * 8) = { 0, 0, 0, 0 };
    }
    fence_async();
    barrier_sync(ALL_CONSUMERS, S::CONSUMERS);
}

/* Scores of tile t become powers of 2, 0 where the query does not see the key. The output is to be
 * multiplied by `shrink`. */
template <class S>
static __device__ __forceinline__ void weigh(hopper_scores<S> &score, hopper_state<S> &w,
                                             const attention_args &a, int t, int keys,
                                             float (&shrink)[2])
{
    const int first_row = blockIdx.x * S::QUERIES, end = (t + 1) * S::KEYS;
    if (end > attention_seen(a, keys, first_row)) {
        const int first = t * S::KEYS + (int)threadIdx.x % 4 * 2, row = first_row + row_of_thread();
        const int seen[2] = { attention_seen(a, keys, row), attention_seen(a, keys, row + 8) };
#pragma unroll
        for (int e = 0; e < S::KEYS / 2; e++)
            if (first + e / 4 * 8 + e % 2 >= seen[e / 2 % 2])
                score.v[e] = -INFINITY;
    }
    const float slope = attention_slope(a);
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float peak = -INFINITY;
#pragma unroll
        for (int j = 0; j < S::KEYS / 8; j++)
            peak = fmaxf(peak, fmaxf(score.v[j * 4 + r * 2], score.v[j * 4 + r * 2 + 1]));
        peak = fmaxf(peak, __shfl_xor_sync(~0u, peak, 1));
        peak = fmaxf(w.top[r], fmaxf(peak, __shfl_xor_sync(~0u, peak, 2)) * slope);
        shrink[r] = ex2(w.top[r] - peak); /* 2^-inf = 0 in the first tile */
        w.top[r] = peak;
        w.sum[r] *= shrink[r];
#pragma unroll
        for (int j = 0; j < S::KEYS / 8; j++)
#pragma unroll
            for (int e = j * 4 + r * 2; e < j * 4 + r * 2 + 2; e++) {
                score.v[e] = ex2(fmaf(score.v[e], slope, -peak));
                w.sum[r] += score.v[e];
            }
    }
}

/* Weights as left operands. */
template <class T, class S>
static __device__ __forceinline__ void pack_weights(const hopper_scores<S> &score,
                                                    hopper_weights<S> &p)
{
#pragma unroll
    for (int i = 0; i < S::KEYS / 16; i++)
#pragma unroll
        for (int e = 0; e < 4; e++)
            p.v[i][e] = pack<T>(score.v[i * 8 + e * 2], score.v[i * 8 + e * 2 + 1]);
}

/* out / sum to where it goes. */
template <class T, class S>
static __device__ __forceinline__ void store(const attention_args &a, const hopper_state<S> &w)
{
    const int first = blockIdx.x * S::QUERIES + row_of_thread();
    T *y = attention_output_at<T>(a, blockIdx.z, blockIdx.y) + threadIdx.x % 4 * 2;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float sum = w.sum[r];
        sum += __shfl_xor_sync(~0u, sum, 1);
        sum += __shfl_xor_sync(~0u, sum, 2);
        const float per = 1.0f / sum;
        const int row = first + r * 8;
        if (row >= a.s_q)
            continue;
        T *to = y + (size_t)row * a.heads * S::D;
#pragma unroll
        for (int j = 0; j < S::D / 8; j++)
            *(uint32_t *)(to + j * 8) =
                pack<T>(w.out[j * 4 + r * 2] * per, w.out[j * 4 + r * 2 + 1] * per);
    }
}

/* While the exponentials of tile t + 1 are made, the values of tile t are multiplied. */
template <class T, class S>
static __device__ __forceinline__ void consume(hopper_shared<T, S> &s, const attention_args &a,
                                               const hopper_work &work, int group)
{
    hopper_state<S> w = {};
    hopper_scores<S> score;
    hopper_weights<S> p;
    float shrink[2];
    w.top[0] = w.top[1] = -INFINITY;
    mbarrier_wait(&s.queries, 0);
    start_scores(s, group, 0, score);
    wgmma_wait<0>(score.v);
    weigh(score, w, a, 0, work.keys, shrink);
    pack_weights<T>(score, p);
    for (int t = 0; t + 1 < work.tiles; t++) {
        start_scores(s, group, t + 1, score);
        start_values(s, t, p, w.out);
        wgmma_wait<1>(score.v);
        weigh(score, w, a, t + 1, work.keys, shrink);
        wgmma_wait<0>(w.out);
        __syncwarp(); /* all lanes are done with the stage */
        if (threadIdx.x % 32 == 0)
            mbarrier_arrive(&s.empty[t % S::STAGES]);
#pragma unroll
        for (int e = 0; e < S::D / 2; e++)
            w.out[e] *= shrink[e / 2 % 2];
        pack_weights<T>(score, p);
    }
    if (work.keys < min(work.tiles * S::KEYS, a.s_kv))
        clear_values(s, work.tiles - 1, work.keys);
    wgmma_fence();
    start_values(s, work.tiles - 1, p, w.out);
    wgmma_wait<0>(w.out);
    store<T>(a, w);
}

/* grid (tiles of queries, heads, images) */
template <class T, class S>
static __global__ void __launch_bounds__(S::THREADS, S::STAGES > 1 ? 1 : 2)
    attention_k4_wgmma(const attention_call p, const __grid_constant__ hopper_maps m)
{
    hopper_shared<T, S> &s = shared_as<hopper_shared<T, S>>();
    if (threadIdx.x == 0) {
        mbarrier_init(&s.queries, 1);
        for (int i = 0; i < S::STAGES; i++) {
            mbarrier_init(&s.full[i], 1);
            mbarrier_init(&s.empty[i], S::CONSUMERS / 32);
        }
        mbarrier_init_done();
    }
    __syncthreads();
    take_turn();
    const hopper_work work = work_of<S>(p);
    const int group = __shfl_sync(~0u, threadIdx.x / 128, 0); /* so that whole warps are seen */
    if constexpr (S::STAGES == 1) {
        if (threadIdx.x == 0)
            produce(s, m, p.a, work);
        __syncwarp();
        consume(s, p.a, work, group);
    } else if (group < S::GROUPS) {
        if constexpr (S::GROUPS > 1) /* one alone has 255 from the beginning */
            registers_more<S::MORE>();
        consume(s, p.a, work, group);
    } else {
        if constexpr (S::GROUPS > 1)
            registers_fewer<S::FEWER>();
        if (threadIdx.x == S::CONSUMERS)
            produce(s, m, p.a, work);
    }
}

/* ---- launcher ----------------------------------------------------------------------------- */

int attention_wgmma_takes(const attention_args *a)
{
    return attention_rows_aligned(a) && (a->d == 40 || a->d == 64 || a->d == 80 || a->d == 160) &&
           a->kv_context_stride % ((size_t)a->s_kv * a->kv_stride) == 0;
}

/* Rows of a part of a packed tensor, boxes of `rows` of them. */
static status map_rows(const attention_args *a, const void *base, size_t stride, int rows, int n,
                       int box_rows, tensor_map *out)
{
    const size_t d = (size_t)a->d;
    const tensor_map_args args = { base,
                                   a->dtype,
                                   4,
                                   { d, (size_t)a->heads, (size_t)rows, (size_t)n },
                                   { 1, d, stride, stride * (size_t)rows },
                                   { ROW, 1, box_rows, 1 },
                                   SWIZZLE };
    return tensor_map_encode(&args, out);
}

template <class T, class S> static status launch(const attention_args *a, const cuda_call *call)
{
    assert(S::KEYS == hopper_keys(S::D, a->s_kv)); /* which bench/roofline goes by */
    const attention_call p = { *a, call->steps, call->step };
    const int parts = a->kv_context_stride > 0 ? MANY_PARTS : a->n_kv;
    hopper_maps m;
    TRY(map_rows(a, a->q, a->q_stride, a->s_q, a->n_q, RUN, &m.q));
    TRY(map_rows(a, a->k, a->kv_stride, a->s_kv, parts, S::KEYS, &m.k));
    TRY(map_rows(a, a->v, a->kv_stride, a->s_kv, parts, S::KEYS, &m.v));
    return gpu_launch_after("attention wgmma", attention_k4_wgmma<T, S>,
                            dim3((a->s_q + S::QUERIES - 1) / S::QUERIES, a->heads, a->n),
                            S::THREADS, sizeof(hopper_shared<T, S>), call->stream, p, m);
}

/* The tiling of heads of D: the larger or the smaller block, or all keys at once. */
template <class T, int D, int KEYS, int STAGES>
static status launch_width(const attention_args *a, const cuda_call *call)
{
    enum { MOST = D > 128 ? 2 : 3, FEW = HOPPER_FEW_KEYS };
    const int groups = hopper_groups(D, a->s_q, a->s_kv, a->heads * a->n, call->sm_count);
    if constexpr (D <= 128) /* wider heads take few keys in one tile anyway */
        if (hopper_keys(D, a->s_kv) == FEW)
            return launch<T, hopper_tiling<D, FEW, 2, 1>>(a, call);
    return groups == MOST ? launch<T, hopper_tiling<D, KEYS, MOST, STAGES>>(a, call)
                          : launch<T, hopper_tiling<D, KEYS, MOST - 1, STAGES>>(a, call);
}

template <class T> static status launch_any(const attention_args *a, const cuda_call *call)
{
    switch (a->d) {
    case 40:
        return launch_width<T, 40, 128, 3>(a, call);
    case 64:
        return launch_width<T, 64, 128, 3>(a, call);
    case 80:
        return launch_width<T, 80, 96, 3>(a, call);
    default:
        return launch_width<T, 160, 96, 2>(a, call);
    }
}

status attention_wgmma_launch(const attention_args *a, const cuda_call *call)
{
    return a->dtype == DTYPE_F16 ? launch_any<__half>(a, call) : launch_any<__nv_bfloat16>(a, call);
}
