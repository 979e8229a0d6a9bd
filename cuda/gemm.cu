/* cuda/gemm.cu - products by mma.sync, for conv2d.cu and linear.cu.
 *
 * Algorithm  A block owns a tile of pixels of one image by outputs; K goes in steps of 32 (one tap,
 *            32 channels, where channels are a multiple of 32), three steps of copies ahead by
 *            cp.async. Each warp holds a part of the tile as m16n8k16 fragments with f32 sums.
 *            Split K: each chunk's sums go to memory as f32 (k1), and a second kernel adds them in
 *            ascending order and finishes (k2). S and the order within a chunk do not depend on the
 *            tile, so all tiles give the same bytes.
 * Layout     A row of a shared tile is 32 elements = 4 chunks of 16 bytes; chunk j of row r lies at
 *            j ^ (r/2 & 3), so the 8 rows that an ldmatrix reads fall into 8 different bank groups.
 *            What lies outside the image, the channels or the weight arrives as zeros.
 * Roofline   Operand traffic from L2: a 128 x 128 tile makes 64 flop per byte copied, 128 x 64
 *            43. 3x3, 96x64, 320 -> 320, n = 2 in 128 x 64 tiles: 531 MB of copies for 22.6 GFLOP.
 * Variants   64x64, 128x64 (4 warps), 128x128 (8 warps): 32, 48 and 64 KB of shared memory; each
 *            for f16 and bf16. 128x16: at most 16 outputs, the last convolution of each network
 *            (40 KB). `narrow` (64x64): channel counts that are no multiple of 8, one
 *            element a load; the first convolution of each network.
 */
#include "cuda/gemm_tile.cuh"
#include "cuda/group_norm_stats.cuh"
#include "cuda/launch.cuh"

namespace
{

/* ---- copies of pixels ------------------------------------------------------------------ */

/* What one thread copies of the input: a chunk of each of A_ROWS pixels a step. */
template <class G, bool NARROW> struct pixel_copier {
    typedef typename G::T T;
    const product &p;
    const int phase, place; /* place: element of the thread's first chunk in a shared tile */
    const T *x, *x2;        /* of the block's image */
    int at[G::A_ROWS];      /* input pixel of tap shift (0, 0) */
    int seen[G::A_ROWS];    /* bit t: tap t lies inside the image */
    const T *source;        /* of the next step's chunk: x or x2 ... */
    int c, first;           /* ... of so many channels; element of it from `at` on */
    int tap, channel, end;  /* channels of the tap, counted from x's; end of the source's */

    __device__ pixel_copier(const product &p, const block_tile &t, int step)
        : p(p), phase(t.at.phase),
          place((int)threadIdx.x / 4 * G::BK + chunk_at(threadIdx.x / 4, threadIdx.x % 4))
    {
        const size_t hw = (size_t)p.h * p.w;
        x = (const T *)p.x + (size_t)(t.at.img % p.n_x) * hw * p.c;
        x2 = p.c2 ? (const T *)p.x2 + (size_t)(t.at.img % p.n_x2) * hw * p.c2 : x;
        for (int i = 0; i < G::A_ROWS; i++)
            see(i, t);
        tap = 0;
        channel = step * G::BK + threadIdx.x % 4 * 8;
        find_source();
    }

    __device__ void see(int i, const block_tile &t)
    {
        const int pixel = t.at.pixel + threadIdx.x / 4 + i * G::PASS;
        const int iy = pixel / t.wide * p.stride, ix = pixel % t.wide * p.stride;
        at[i] = iy * p.w + ix;
        seen[i] = taps_seen(p, phase, iy, ix); /* a pixel past the last is not finished */
    }

    /* From tap and channel, which may lie past the tap. */
    __device__ void find_source()
    {
        const int per_tap = p.c_pad + p.c2_pad;
        tap += channel / per_tap;
        channel %= per_tap;
        const bool second = channel >= p.c_pad;
        source = second ? x2 : x;
        c = second ? p.c2 : p.c;
        end = second ? per_tap : p.c_pad;
        const tap_shift s = shift_of(p.taps, p.pad, phase, tap);
        first = (s.dy * p.w + s.dx) * c + channel - (second ? p.c_pad : 0);
    }

    __device__ void copy_pixel(int i, T *chunk)
    {
        const bool inside = seen[i] >> tap & 1;
        const T *from = source + (inside ? at[i] * c + first : 0);
        if (!NARROW) {
            cp_async_16(chunk, from, inside ? 16 : 0);
            return;
        }
        const int left = c - (channel - (end == p.c_pad ? 0 : p.c_pad));
        lanes<T, 8> v;
        for (int j = 0; j < 8; j++)
            v.v[j] = inside && j < left ? from[j] : from_f32<T>(0.0f);
        store_lanes(chunk, v);
    }

    /* Starts the next step's copies. */
    __device__ void copy(T (&to)[G::BM][G::BK])
    {
        for (int i = 0; i < G::A_ROWS; i++)
            copy_pixel(i, &to[0][0] + place + i * G::PASS * G::BK);
        channel += G::BK;
        first += G::BK;
        if (channel >= end)
            find_source();
    }
};

/* ---- kernels ---------------------------------------------------------------------------- */

template <class G> struct stages {
    typename G::T a[G::STAGES][G::BM][G::BK]; /* pixels by terms */
    typename G::T b[G::STAGES][G::BN][G::BK]; /* outputs by terms */
};

template <class G, bool NARROW>
__global__ void __launch_bounds__(G::THREADS, 2) gemm_k1_gather(const product p)
{
    take_turn();
    stages<G> &s = shared_as<stages<G>>();
    const block_tile t = tile_of_block<G>(p);
    if (t.empty)
        return;
    const int steps = ceil_div(p.taps * (p.c_pad + p.c2_pad), G::BK);
    const int begin = (int)((long long)steps * blockIdx.z / p.splits);
    const int end = (int)((long long)steps * (blockIdx.z + 1) / p.splits);

    float acc[G::MI][G::NI][4] = {};
    pixel_copier<G, NARROW> pixels(p, t, begin);
    output_copier<G> outputs(p, t.at, begin * G::BK);
    for (int i = 0; i < G::STAGES - 1; i++) {
        if (begin + i < end) {
            pixels.copy(s.a[i]);
            outputs.copy(s.b[i], G::BK);
        }
        cp_async_commit(); /* an empty one where there is no step, so that counts stay right */
    }
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 / G::WARPS_N * G::WM + lane % 16;
    int now = 0, to = G::STAGES - 1; /* stages */
    for (int step = begin; step < end; step++) {
        cp_async_wait<G::STAGES - 2>();
        __syncthreads(); /* this step has landed, and all have done with the one before */
        if (step + G::STAGES - 1 < end) {
            pixels.copy(s.a[to]);
            outputs.copy(s.b[to], G::BK);
        }
        cp_async_commit();
        multiply<G>(
            [&](int i, int k) {
                return &s.a[now][row][chunk_at(row, k * 2 + lane / 16)] + i * 16 * G::BK;
            },
            s.b[now], acc);
        now = now + 1 == G::STAGES ? 0 : now + 1;
        to = to + 1 == G::STAGES ? 0 : to + 1;
    }
    deliver<G>(p, t, acc);
}

enum { REDUCE_N = 64, REDUCE_THREADS = 256 };

/* Adds the chunks of 64 pixels by 64 columns in ascending order, and finishes them. */
template <class T>
__global__ void __launch_bounds__(REDUCE_THREADS, 4) gemm_k2_reduce(const product p)
{
    take_turn();
    sums<REDUCE_N> &s = shared_as<sums<REDUCE_N>>();
    const int hw = p.h_out * p.w_out, per_image = tiles_of(hw),
              column_tiles = ceil_div(p.columns, REDUCE_N);
    const int tile = blockIdx.x / column_tiles;
    const tile_place at = { tile / per_image, 0, 1, tile % per_image * STATS_PIXELS,
                            (int)(blockIdx.x % column_tiles) * REDUCE_N };
    const size_t chunk = (size_t)p.n * hw * p.rows; /* elements between chunks */
    const float *from = p.partial + ((size_t)at.img * hw + at.pixel) * p.rows + at.column;
    for (int i = threadIdx.x; i < STATS_PIXELS * REDUCE_N / 4; i += REDUCE_THREADS) {
        const int row = i / (REDUCE_N / 4), column = i % (REDUCE_N / 4) * 4;
        if (at.pixel + row >= hw)
            break;
        const float *part = from + (size_t)row * p.rows + column;
        const int splits = at.column + column < p.columns ? p.splits : 0; /* else not written */
        lanes<float, 4> sum = {};
        for (int split = 0; split < splits; split++) {
            const lanes<float, 4> v = load_lanes<4>(part + split * chunk);
            for (int j = 0; j < 4; j++)
                sum.v[j] += v.v[j];
        }
        store_lanes(&s.v[row][column], sum);
    }
    __syncthreads();
    finish_tile<T, REDUCE_N, REDUCE_THREADS>(p, s, at);
}

/* ---- launchers -------------------------------------------------------------------------- */

template <class G, bool NARROW>
status launch_tiles(const char *name, const product &p, cudaStream_t stream)
{
    const size_t bytes = sizeof(stages<G>) > sizeof(typename G::results)
                             ? sizeof(stages<G>)
                             : sizeof(typename G::results);
    return gpu_launch_after(name, gemm_k1_gather<G, NARROW>, grid_of<G>(p), dim3(G::THREADS), bytes,
                            stream, p);
}

template <class T> status launch_as(const product &p, enum tile_name tile, cudaStream_t stream)
{
    if (p.c % 8 != 0 || p.c2 % 8 != 0)
        return launch_tiles<shape<T, 64, 64, 32, 32>, true>("gemm narrow", p, stream);
    switch (tile) {
    case TILE_128X16:
        return launch_tiles<shape<T, 128, 16, 32, 16>, false>("gemm 128x16", p, stream);
    case TILE_128X128:
        return launch_tiles<shape<T, 128, 128, 64, 32>, false>("gemm 128x128", p, stream);
    case TILE_128X64:
        return launch_tiles<shape<T, 128, 64, 64, 32>, false>("gemm 128x64", p, stream);
    default:
        return launch_tiles<shape<T, 64, 64, 32, 32>, false>("gemm 64x64", p, stream);
    }
}

} // namespace

int gemm_splits(const product &p)
{
    return tile_splits(p.h_out * p.w_out, p.columns, p.taps * (p.c_pad + p.c2_pad));
}

size_t gemm_work_bytes(const product &p)
{
    const int splits = gemm_splits(p);
    return splits == 1 ? 0
                       : (size_t)splits * p.n * p.h_out * p.w_out * (size_t)p.rows * sizeof(float);
}

enum tile_name gemm_tile(const product &p, int sm_count)
{
    const int phases = phases_of(p);
    return tile_pick(p.n, phases, phase_size(p.h_out, phases, 0) * phase_size(p.w_out, phases, 0),
                     p.rows, gemm_splits(p), sm_count);
}

status gemm_complete(const product &p, cudaStream_t stream)
{
    if (p.splits == 1)
        return p.stats && p.taps == 4 ? group_norm_stats(p.y, p.dtype, p.n, p.h_out * p.w_out,
                                                         p.c_out, p.stats, stream)
                                      : STATUS_OK;
    const size_t blocks =
        (size_t)p.n * tiles_of(p.h_out * p.w_out) * (size_t)((p.columns + REDUCE_N - 1) / REDUCE_N);
    return gpu_launch_after(
        "gemm reduce",
        p.dtype == DTYPE_F16 ? gemm_k2_reduce<__half> : gemm_k2_reduce<__nv_bfloat16>,
        dim3((unsigned)blocks), dim3(REDUCE_THREADS), sizeof(sums<REDUCE_N>), stream, p);
}

status gemm_launch(product p, enum tile_name tile, cudaStream_t stream)
{
    p.splits = gemm_splits(p);
    const bool f16 = p.dtype == DTYPE_F16;
    TRY(f16 ? launch_as<__half>(p, tile, stream) : launch_as<__nv_bfloat16>(p, tile, stream));
    return gemm_complete(p, stream);
}
