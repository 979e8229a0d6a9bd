/* cuda/gemm_hopper.cu - products by wgmma from tiles that bulk tensor copies bring, for conv2d.cu
 * and linear.cu on sm_90a.
 *
 * Algorithm  A block owns three runs of 64 pixels (each within one image) by 160 or 128 outputs.
 * One warp produces: for each step of 64 terms (one tap, 64 channels) it asks for the boxes of
 * pixels that the tap sees, and for the weight's tile. Three warpgroups consume: each multiplies
 * its run, 64 x N x 64 a step, with f32 sums in registers. Full and empty barriers of four stages
 * lie between them. Two blocks of a cluster have the same outputs: each brings half of the weight's
 * tile to both. Split K and the finish are gemm.cu's. Layout     A stage's rows are 64 elements =
 * 128 bytes, in the 128-byte swizzle. A run of 64 pixels is one box of whole rows of pixels where
 * these divide 64, else boxes of the common factor. Pixels outside the image are the zeros of
 * out-of-bounds fill: so padding, and the moved taps, cost nothing. Roofline   3x3, 96x64, 320 ->
 * 320, n = 2: 22.6 GFLOP in 128 blocks, one a multiprocessor: 29 us at 790 TFLOP/s; 192 x 160 with
 * half of the weights from next door loads 209 MB, 38 us at 5.5 TB/s of L2. Variants   160 and 128
 * outputs wide, f16 and bf16: 182 and 164 KB of shared memory, one block a multiprocessor.
 */
#include "cuda/finish.cuh"
#include "cuda/gemm.cuh"
#include "cuda/gemm_hopper.cuh"
#include "cuda/launch.cuh"
#include "cuda/ptx_hopper.cuh"

namespace
{

enum {
    RUN = HOPPER_RUN, /* pixels of a warpgroup: a tile of statistics */
    RUNS = HOPPER_M / RUN,
    BK = HOPPER_K,
    STAGES = 4,
    CONSUMERS = 128 * RUNS,
    THREADS = CONSUMERS + 128, /* one of the last warpgroup produces */
    SWIZZLE = 128,             /* bytes of a row of a stage */
    EIGHT_ROWS = 8 * SWIZZLE   /* its period */
};

template <class T, int N> struct stage {
    T a[RUNS][RUN][BK]; /* pixels by terms */
    T b[N][BK];         /* outputs by terms */
};

template <class T, int N> struct tiles {
    stage<T, N> s[STAGES];
    uint64_t full[STAGES], empty[STAGES];
};

/* How bulk copies see a product: tensor maps, and the boxes that a run is made of. */
struct maps {
    tensor_map x, x2;  /* [n, h, w, c] */
    tensor_map matrix; /* [phases * rows, k] */
    int w, h;          /* of the pixels as the maps have them */
    int box_w, box_h;  /* of one box; 64 / (box_w * box_h) boxes are a run */
};

/* ---- which tile a block owns ---------------------------------------------------------------- */

struct block_place {
    int phases, phase, split;
    int hw; /* pixels that the phase computes of an image */
    int column;
};

template <int N> __device__ __forceinline__ block_place place_of_block(const product &p)
{
    block_place b;
    b.phases = p.taps == 4 ? 4 : 1;
    b.phase = blockIdx.z % b.phases;
    b.split = blockIdx.z / b.phases;
    b.hw = phase_size(p.h_out, b.phases, b.phase / 2) * phase_size(p.w_out, b.phases, b.phase % 2);
    b.column = blockIdx.y * N;
    return b;
}

/* Run `i` of the block; img is n where there is none: bulk copies bring zeros for it. */
struct run_place {
    int img, pixel;
};

__device__ __forceinline__ run_place place_of_run(const product &p, const block_place &b, int i)
{
    const int per_image = (b.hw + RUN - 1) / RUN, run = blockIdx.x * RUNS + i;
    return { run / per_image < p.n ? run / per_image : p.n, run % per_image * RUN };
}

/* ---- the producer -----------------------------------------------------------------------------
 */

/* Asks for the pixels that tap `tap` sees of one run, 64 channels from `channel` on. */
template <class T>
__device__ __forceinline__ void load_run(const product &p, const maps &m, const block_place &b,
                                         const run_place &run, int tap, int channel,
                                         T (&to)[RUN][BK], uint64_t *full)
{
    const tap_shift shift = shift_of(p.taps, p.pad, b.phase, tap);
    const bool second = channel >= p.c_pad;
    const tensor_map *map = second ? &m.x2 : &m.x;
    const int n = second ? p.n_x2 : p.n_x, img = run.img < p.n ? run.img % n : n;
    const int c = second ? channel - p.c_pad : channel, box = m.box_w * m.box_h;
    for (int first = 0; first < RUN; first += box) {
        const int pixel = run.pixel + first;
        tma_load_4d(to[first], map, c, pixel % m.w + shift.dx, pixel / m.w + shift.dy, img, full);
    }
}

template <class T, int N>
__device__ void produce(const product &p, const maps &m, const block_place &b, int begin, int end)
{
    tiles<T, N> &s = shared_as<tiles<T, N>>();
    enum { SHARE = N / HOPPER_CLUSTER };
    const int per_tap = p.c_pad + p.c2_pad, rank = cluster_rank();
    const int bytes = (RUNS * RUN + N) * BK * (int)sizeof(T);

    for (int step = begin; step < end; step++) {
        const int i = step - begin, to = i % STAGES, term = step * BK;
        if (i >= STAGES)
            mbarrier_wait(&s.empty[to], (i / STAGES - 1) % 2);
        mbarrier_arrive_expect(&s.full[to], bytes);
        for (int r = 0; r < RUNS; r++)
            load_run(p, m, b, place_of_run(p, b, r), term / per_tap, term % per_tap, s.s[to].a[r],
                     &s.full[to]);
        tma_load_2d_multicast(s.s[to].b[rank * SHARE], &m.matrix, term,
                              b.phase * p.rows + b.column + rank * SHARE, &s.full[to],
                              (1 << HOPPER_CLUSTER) - 1);
    }
}

/* ---- the consumers ----------------------------------------------------------------------------
 */

/* This warp is done with a stage: every block that fills it has to know. */
__device__ __forceinline__ void release(uint64_t *empty)
{
    if (threadIdx.x % 32 == 0)
        for (int rank = 0; rank < HOPPER_CLUSTER; rank++)
            mbarrier_arrive_at(empty, rank);
}

template <class T, int N>
__device__ __forceinline__ void consume(int group, int begin, int end, float (&acc)[N / 2])
{
    tiles<T, N> &s = shared_as<tiles<T, N>>();
    for (int step = begin; step < end; step++) {
        const int i = step - begin, now = i % STAGES;
        mbarrier_wait(&s.full[now], i / STAGES % 2);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < BK; k += 16)
            wgmma<T, N>(acc, wgmma_desc(&s.s[now].a[group][0][k], SWIZZLE, 0, EIGHT_ROWS),
                        wgmma_desc(&s.s[now].b[0][k], SWIZZLE, 0, EIGHT_ROWS), 1);
        wgmma_commit();
        wgmma_wait<1>(acc); /* the step before is done with */
        if (i > 0)
            release(&s.empty[(i - 1) % STAGES]);
    }
    wgmma_wait<0>(acc);
}

/* ---- a tile's sums to where they go --------------------------------------------------------- */

/* Element (j, half, e) of a warpgroup's sums: row and column within its run. */
__device__ __forceinline__ int sum_row(int half)
{
    return threadIdx.x % 128 / 32 * 16 + half * 8 + threadIdx.x % 32 / 4;
}
__device__ __forceinline__ int sum_column(int j) { return j * 8 + threadIdx.x % 4 * 2; }

/* This chunk of K's share of each output, for gemm_complete(). */
template <int N>
__device__ __forceinline__ void store_partial(const product &p, const block_place &b,
                                              const float (&acc)[N / 2])
{
    const run_place run = place_of_run(p, b, threadIdx.x / 128);
    if (run.img >= p.n)
        return;
    const tile_place at = { run.img, b.phase, b.phases, run.pixel, b.column };
    const size_t hw = (size_t)p.h_out * p.w_out;
    float *to = p.partial + ((size_t)b.split * p.n + run.img) * hw * p.rows;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int pixel = run.pixel + sum_row(half);
        if (pixel >= b.hw)
            continue;
        float *row = to + (size_t)output_pixel(p, at, pixel) * p.rows;
#pragma unroll
        for (int j = 0; j < N / 8; j++)
            if (b.column + sum_column(j) < p.rows)
                store_lanes(
                    row + b.column + sum_column(j),
                    lanes<float, 2>{ { acc[j * 4 + half * 2], acc[j * 4 + half * 2 + 1] } });
    }
}

/* The sums of every run, in the place of the stages. */
template <int N> struct results {
    sums<N> run[RUNS];
};

/* Through shared memory, by all threads: fragments are no good for wide stores. */
template <class T, int N>
__device__ __forceinline__ void finish(const product &p, const block_place &b,
                                       const float (&acc)[N / 2])
{
    static_assert(sizeof(results<N>) <= sizeof(stage<T, N>[STAGES]), "barriers stay");
    results<N> &s = shared_as<results<N>>();
    if (threadIdx.x < CONSUMERS)
#pragma unroll
        for (int j = 0; j < N / 8; j++)
            for (int half = 0; half < 2; half++)
                store_lanes(
                    &s.run[threadIdx.x / 128].v[sum_row(half)][sum_column(j)],
                    lanes<float, 2>{ { acc[j * 4 + half * 2], acc[j * 4 + half * 2 + 1] } });
    __syncthreads();
    for (int i = 0; i < RUNS; i++) {
        const run_place run = place_of_run(p, b, i);
        if (run.img < p.n)
            finish_tile<T, N, THREADS>(p, s.run[i],
                                       { run.img, b.phase, b.phases, run.pixel, b.column });
    }
}

/* ---- kernel --------------------------------------------------------------------------------- */

template <class T, int N>
__global__ void __launch_bounds__(THREADS, 1)
    gemm_k3_wgmma(const product p, const __grid_constant__ maps m)
{
    tiles<T, N> &s = shared_as<tiles<T, N>>();
    const block_place b = place_of_block<N>(p);
    const int steps = (p.taps * (p.c_pad + p.c2_pad) + BK - 1) / BK;
    const int begin = (int)((long long)steps * b.split / p.splits);
    const int end = (int)((long long)steps * (b.split + 1) / p.splits);

    if (threadIdx.x == 0) {
        for (int i = 0; i < STAGES; i++) {
            mbarrier_init(&s.full[i], 1);
            mbarrier_init(&s.empty[i], CONSUMERS / 32 * HOPPER_CLUSTER);
        }
        mbarrier_init_done();
    }
    cluster_sync(); /* no block's barrier is used before it is made */
    take_turn();

    float acc[N / 2] = {};
    const int role =
        __shfl_sync(~0u, threadIdx.x / 128, 0); /* so that the compiler sees whole warps */
    if (role < RUNS)
        consume<T, N>(role, begin, end, acc);
    else if (threadIdx.x == CONSUMERS)
        produce<T, N>(p, m, b, begin, end);
    __syncthreads(); /* the stages' memory is free: every copy was waited for */
    if (p.splits > 1) {
        if (threadIdx.x < CONSUMERS)
            store_partial<N>(p, b, acc);
    } else {
        finish<T, N>(p, b, acc);
    }
    cluster_sync(); /* the neighbour may still arrive at this block's barriers */
}

/* ---- launchers ------------------------------------------------------------------------------ */

int phases_of(const product &p) { return p.taps == 4 ? 4 : 1; }

/* Pixels as the maps have them: a 1x1 product may be seen as one row. */
bool is_flat(const product &p) { return p.taps == 1; }
int map_w(const product &p) { return is_flat(p) ? p.h * p.w : p.w; }
int map_h(const product &p) { return is_flat(p) ? 1 : p.h; }

/* [n, h, w, c] in boxes of 64 channels. */
status map_pixels(const product &p, const maps &m, const void *x, int n, int c, tensor_map *out)
{
    const size_t w = (size_t)m.w, h = (size_t)m.h;
    const tensor_map_args args = { x,
                                   p.dtype,
                                   4,
                                   { (size_t)c, w, h, (size_t)n },
                                   { 1, (size_t)c, c * w, c * w * h },
                                   { BK, m.box_w, m.box_h, 1 },
                                   SWIZZLE };
    return tensor_map_encode(&args, out);
}

status map_matrix(const product &p, int rows_of_box, tensor_map *out)
{
    const tensor_map_args args = { p.matrix,
                                   p.dtype,
                                   2,
                                   { (size_t)p.k, (size_t)phases_of(p) * p.rows },
                                   { 1, (size_t)p.k },
                                   { BK, rows_of_box },
                                   SWIZZLE };
    return tensor_map_encode(&args, out);
}

static_assert((int)RUN == (int)STATS_PIXELS, "a warpgroup's pixels are a tile of statistics");

template <class T, int N> status launch(const product &p, cudaStream_t stream)
{
    const int phases = phases_of(p);
    maps m = {};
    m.w = map_w(p);
    m.h = map_h(p);
    m.box_w = is_flat(p) ? (int)RUN : hopper_box_width(p.w);
    m.box_h = is_flat(p) || RUN % p.w != 0 ? 1 : RUN / p.w;
    TRY(map_pixels(p, m, p.x, p.n_x, p.c, &m.x));
    TRY(map_pixels(p, m, p.c2 ? p.x2 : p.x, p.c2 ? p.n_x2 : p.n_x, p.c2 ? p.c2 : p.c, &m.x2));
    TRY(map_matrix(p, N / HOPPER_CLUSTER, &m.matrix));

    const int columns = (p.columns + N - 1) / N, others = columns * phases * p.splits;
    const long blocks =
        hopper_blocks(p.n, phases, p.h_out * p.w_out / phases, p.columns, p.splits) / others;
    if (blocks > INT32_MAX)
        return status_fail(STATUS_BAD_SHAPE, "gemm wgmma: %ld blocks", blocks);
    const gpu_launch_how how = { dim3(HOPPER_CLUSTER, 1, 1), 1 };
    return gpu_launch_with(how, "gemm wgmma", gemm_k3_wgmma<T, N>,
                           dim3((unsigned)blocks, (unsigned)columns, (unsigned)(phases * p.splits)),
                           dim3(THREADS), sizeof(tiles<T, N>), stream, p, m);
}

template <class T> status launch_as(const product &p, cudaStream_t stream)
{
    return hopper_n(p.columns) == 160 ? launch<T, 160>(p, stream) : launch<T, 128>(p, stream);
}

} // namespace

int gemm_hopper_takes(const product &p)
{
    if ((p.dtype != DTYPE_F16 && p.dtype != DTYPE_BF16) || p.stride != 1)
        return 0;
    if (p.c2 == 0 && is_flat(p))
        return p.c % 8 == 0;
    const int up = p.taps == 4 ? 2 : 1;
    return p.c % BK == 0 && p.c2 % BK == 0 && p.h_out == p.h * up && p.w_out == p.w * up &&
           (is_flat(p) || hopper_width_fits(p.w));
}

status gemm_hopper_launch(product p, cudaStream_t stream)
{
    p.splits = gemm_splits(p);
    TRY(p.dtype == DTYPE_F16 ? launch_as<__half>(p, stream) : launch_as<__nv_bfloat16>(p, stream));
    return gemm_complete(p, stream);
}
