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
 * makes
 *            43. 3x3, 96x64, 320 -> 320, n = 2 in 128 x 64 tiles: 531 MB of copies for 22.6 GFLOP.
 * Variants   64x64, 128x64 (4 warps), 128x128 (8 warps): 32, 48 and 64 KB of shared memory; each
 *            for f16 and bf16. 128x16: at most 16 outputs, the last convolution of each network
 *            (40 KB). `narrow` (64x64): channel counts that are no multiple of 8, one
 *            element a load; the first convolution of each network.
 */
#include "cuda/finish.cuh"
#include "cuda/gemm.cuh"
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

namespace
{

/* ---- sizes of an instance -------------------------------------------------------------- */

/* Block tile BM x BN, warp tile WM x WN. */
template <class ELEMENT, int BM_, int BN_, int WM_, int WN_> struct shape {
    typedef ELEMENT T;
    enum {
        BM = BM_,
        BN = BN_,
        WM = WM_,
        WN = WN_,
        BK = TILE_K,
        STAGES = 4,
        WARPS_N = BN / WN,
        THREADS = 32 * (BM / WM) * WARPS_N,
        MI = WM / 16, /* fragments of a warp */
        NI = WN / 8,
        PASS = THREADS / 4, /* rows that all threads copy at once, a chunk each */
        A_ROWS = BM / PASS, /* rows of a thread */
        B_ROWS = (BN + PASS - 1) / PASS
    };
    struct stages {
        T a[STAGES][BM][BK]; /* pixels by terms */
        T b[STAGES][BN][BK]; /* outputs by terms */
    };
    typedef sums<BN> results; /* in the place of the stages, when they are done with */

    static constexpr size_t shared_bytes()
    {
        return sizeof(stages) > sizeof(results) ? sizeof(stages) : sizeof(results);
    }
};

/* Where chunk `chunk` of a shared row lies. */
__device__ __forceinline__ int chunk_at(int row, int chunk) { return (chunk ^ (row >> 1 & 3)) * 8; }

/* ---- which tile a block owns -------------------------------------------------------------- */

__device__ __forceinline__ int ceil_div(int a, int b) { return (a + b - 1) / b; }

struct block_tile {
    tile_place at;
    int hw, wide; /* pixels that the phase computes of an image, and of one row */
    int empty;    /* a smaller phase has fewer tiles */
};

/* Neighbouring blocks share what is dearer to read twice: pixels if there are many. */
template <class G> __device__ __forceinline__ block_tile tile_of_block(const product &p)
{
    block_tile t;
    t.at.phases = p.taps == 4 ? 4 : 1;
    t.at.phase = blockIdx.y;
    t.wide = phase_size(p.w_out, t.at.phases, t.at.phase % 2);
    t.hw = phase_size(p.h_out, t.at.phases, t.at.phase / 2) * t.wide;
    const int per_image = ceil_div(t.hw, G::BM), m_tiles = p.n * per_image;
    const int n_tiles = ceil_div(p.columns, G::BN), block = blockIdx.x;
    t.empty = block >= m_tiles * n_tiles;
    const int m = m_tiles > n_tiles ? block / n_tiles : block % m_tiles;
    const int n = m_tiles > n_tiles ? block % n_tiles : block / m_tiles;
    t.at.img = m / per_image;
    t.at.pixel = m % per_image * G::BM;
    t.at.column = n * G::BN;
    return t;
}

/* ---- copies to shared memory ----------------------------------------------------------- */

/* What one thread copies: a chunk of each of A_ROWS pixels and B_ROWS outputs a step, rows PASS
 * apart, which therefore lie at the same place within their rows. */
template <class G, bool NARROW> struct copier {
    typedef typename G::T T;
    const product &p;
    const int phase, place; /* place: element of the thread's first chunk in a shared tile */
    const T *x, *x2;        /* of the block's image */
    int at[G::A_ROWS];      /* input pixel of tap shift (0, 0) */
    int seen[G::A_ROWS];    /* bit t: tap t lies inside the image */
    const T *source;        /* of the next step's chunk: x or x2 ... */
    int c, first;           /* ... of so many channels; element of it from `at` on */
    int tap, channel, end;  /* channels of the tap, counted from x's; end of the source's */
    const T *matrix;        /* of the phase */
    int term[G::B_ROWS];    /* element of the next step's chunk */
    int valid[G::B_ROWS];   /* bytes: a tile may reach past the last output */

    __device__ copier(const product &p, const block_tile &t, int step)
        : p(p), phase(t.at.phase),
          place((int)threadIdx.x / 4 * G::BK + chunk_at(threadIdx.x / 4, threadIdx.x % 4))
    {
        const size_t hw = (size_t)p.h * p.w;
        x = (const T *)p.x + (size_t)(t.at.img % p.n_x) * hw * p.c;
        x2 = p.c2 ? (const T *)p.x2 + (size_t)(t.at.img % p.n_x2) * hw * p.c2 : x;
        for (int i = 0; i < G::A_ROWS; i++)
            see(i, t);
        const int from = step * G::BK + threadIdx.x % 4 * 8;
        matrix = (const T *)p.matrix + (size_t)phase * p.rows * p.k;
        for (int i = 0; i < G::B_ROWS; i++) {
            const int row = t.at.column + threadIdx.x / 4 + i * G::PASS;
            valid[i] = row < p.rows ? 16 : 0;
            term[i] = row < p.rows ? row * p.k + from : 0;
        }
        tap = 0;
        channel = from;
        find_source();
    }

    __device__ void see(int i, const block_tile &t)
    {
        const int pixel = t.at.pixel + threadIdx.x / 4 + i * G::PASS;
        const int iy = pixel / t.wide * p.stride, ix = pixel % t.wide * p.stride;
        at[i] = iy * p.w + ix;
        seen[i] = 0;
        for (int k = 0; k < p.taps && pixel < t.hw; k++) {
            const tap_shift s = shift_of(p.taps, p.pad, phase, k);
            if (iy + s.dy >= 0 && iy + s.dy < p.h && ix + s.dx >= 0 && ix + s.dx < p.w)
                seen[i] |= 1 << k;
        }
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
    __device__ void copy(T (&a)[G::BM][G::BK], T (&b)[G::BN][G::BK])
    {
        for (int i = 0; i < G::A_ROWS; i++)
            copy_pixel(i, &a[0][0] + place + i * G::PASS * G::BK);
        for (int i = 0; i < G::B_ROWS; i++) {
            if (G::BN % G::PASS == 0 || (int)threadIdx.x / 4 + i * G::PASS < G::BN)
                cp_async_16(&b[0][0] + place + i * G::PASS * G::BK, matrix + term[i], valid[i]);
            term[i] += valid[i] ? G::BK : 0;
        }
        channel += G::BK;
        first += G::BK;
        if (channel >= end)
            find_source();
    }
};

/* ---- one step of products ----------------------------------------------------------------- */

/* Fragments 16 rows apart lie at the same place within their rows. */
template <class G>
__device__ __forceinline__ void multiply(const typename G::T (&a_tile)[G::BM][G::BK],
                                         const typename G::T (&b_tile)[G::BN][G::BK],
                                         float (&acc)[G::MI][G::NI][4])
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int a_first = warp / G::WARPS_N * G::WM + lane % 16;
    const int b_first = warp % G::WARPS_N * G::WN + lane / 16 * 8 + lane % 8;
#pragma unroll
    for (int k = 0; k < G::BK / 16; k++) {
        uint32_t a[G::MI][4], b[G::NI][2];
        const void *a_row[G::MI], *b_row[G::NI / 2];
        for (int i = 0; i < G::MI; i++)
            a_row[i] = &a_tile[a_first][chunk_at(a_first, k * 2 + lane / 16)] + i * 16 * G::BK;
        for (int j = 0; j < G::NI / 2; j++) /* 16 outputs: two 8-wide fragments */
            b_row[j] = &b_tile[b_first][chunk_at(b_first, k * 2 + lane / 8 % 2)] + j * 16 * G::BK;
        ldmatrix_x4(a, a_row);
        ldmatrix_x4(pairs(b), b_row);
        mma<typename G::T>(acc, a, b);
    }
}

/* ---- a tile's sums to where they go ------------------------------------------------------- */

/* This chunk of K's share of each output, for gemm_k2. */
template <class G>
__device__ __forceinline__ void store_partial(const product &p, const block_tile &t,
                                              const float (&acc)[G::MI][G::NI][4])
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const size_t hw = (size_t)p.h_out * p.w_out;
    float *to = p.partial + ((size_t)blockIdx.z * p.n + t.at.img) * hw * p.rows;
    for (int i = 0; i < G::MI; i++)
        for (int half = 0; half < 2; half++) {
            const int pixel = t.at.pixel + warp / G::WARPS_N * G::WM + i * 16 + half * 8 + lane / 4;
            if (pixel >= t.hw)
                continue;
            float *row = to + (size_t)output_pixel(p, t.at, pixel) * p.rows;
            for (int j = 0; j < G::NI; j++) {
                const int column = t.at.column + warp % G::WARPS_N * G::WN + j * 8 + lane % 4 * 2;
                if (column < p.rows)
                    store_lanes(row + column, lanes<float, 2>{ { acc[i][j][half * 2],
                                                                 acc[i][j][half * 2 + 1] } });
            }
        }
}

/* 64 pixels at a time, through shared memory: fragments are no good for wide stores. */
template <class G>
__device__ __forceinline__ void finish(const product &p, const block_tile &t,
                                       const float (&acc)[G::MI][G::NI][4])
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int row0 = warp / G::WARPS_N * G::WM, column0 = warp % G::WARPS_N * G::WN;
    typename G::results &s = shared_as<typename G::results>();
    for (int first = 0; first < G::BM; first += STATS_PIXELS) {
        if (t.at.pixel + first >= t.hw)
            return;
        __syncthreads(); /* all are done with what lies there */
        if (row0 / STATS_PIXELS * STATS_PIXELS == first)
            for (int i = 0; i < G::MI; i++)
                for (int j = 0; j < G::NI; j++)
                    for (int half = 0; half < 2; half++)
                        store_lanes(
                            &s.v[row0 - first + i * 16 + half * 8 + lane / 4]
                                [column0 + j * 8 + lane % 4 * 2],
                            lanes<float, 2>{ { acc[i][j][half * 2], acc[i][j][half * 2 + 1] } });
        __syncthreads();
        tile_place at = t.at;
        at.pixel += first;
        finish_tile<typename G::T, G::BN, G::THREADS>(p, s, at);
    }
}

/* ---- kernels ---------------------------------------------------------------------------- */

template <class G, bool NARROW>
__global__ void __launch_bounds__(G::THREADS, 2) gemm_k1_gather(const product p)
{
    typename G::stages &s = shared_as<typename G::stages>();
    const block_tile t = tile_of_block<G>(p);
    if (t.empty)
        return;
    const int steps = ceil_div(p.taps * (p.c_pad + p.c2_pad), G::BK);
    const int begin = (int)((long long)steps * blockIdx.z / p.splits);
    const int end = (int)((long long)steps * (blockIdx.z + 1) / p.splits);

    float acc[G::MI][G::NI][4] = {};
    copier<G, NARROW> copies(p, t, begin);
    for (int i = 0; i < G::STAGES - 1; i++) {
        if (begin + i < end)
            copies.copy(s.a[i], s.b[i]);
        cp_async_commit(); /* an empty one where there is no step, so that counts stay right */
    }
    int now = 0, to = G::STAGES - 1; /* stages */
    for (int step = begin; step < end; step++) {
        cp_async_wait<G::STAGES - 2>();
        __syncthreads(); /* this step has landed, and all have done with the one before */
        if (step + G::STAGES - 1 < end)
            copies.copy(s.a[to], s.b[to]);
        cp_async_commit();
        multiply<G>(s.a[now], s.b[now], acc);
        now = now + 1 == G::STAGES ? 0 : now + 1;
        to = to + 1 == G::STAGES ? 0 : to + 1;
    }
    cp_async_wait<0>();
    if (p.splits > 1)
        store_partial<G>(p, t, acc);
    else
        finish<G>(p, t, acc);
}

enum { REDUCE_N = 64, REDUCE_THREADS = 256 };

/* Adds the chunks of 64 pixels by 64 columns in ascending order, and finishes them. */
template <class T>
__global__ void __launch_bounds__(REDUCE_THREADS, 4) gemm_k2_reduce(const product p)
{
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

int phases_of(const product &p) { return p.taps == 4 ? 4 : 1; }

template <class G, bool NARROW>
status launch_tiles(const char *name, const product &p, cudaStream_t stream)
{
    const int phases = phases_of(p);
    const int hw = phase_size(p.h_out, phases, 0) * phase_size(p.w_out, phases, 0);
    const long long blocks =
        (long long)p.n * ((hw + G::BM - 1) / G::BM) * ((p.columns + G::BN - 1) / G::BN);
    if (blocks > INT32_MAX)
        return status_fail(STATUS_BAD_SHAPE, "%s: %lld blocks", name, blocks);
    return gpu_launch(name, gemm_k1_gather<G, NARROW>,
                      dim3((unsigned)blocks, (unsigned)phases, (unsigned)p.splits),
                      dim3(G::THREADS), G::shared_bytes(), stream, p);
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

template <class T> status launch_reduce(const product &p, cudaStream_t stream)
{
    const size_t blocks =
        (size_t)p.n * tiles_of(p.h_out * p.w_out) * (size_t)((p.columns + REDUCE_N - 1) / REDUCE_N);
    return gpu_launch("gemm reduce", gemm_k2_reduce<T>, dim3((unsigned)blocks),
                      dim3(REDUCE_THREADS), sizeof(sums<REDUCE_N>), stream, p);
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

status gemm_launch(product p, enum tile_name tile, cudaStream_t stream)
{
    p.splits = gemm_splits(p);
    const bool f16 = p.dtype == DTYPE_F16;
    TRY(f16 ? launch_as<__half>(p, tile, stream) : launch_as<__nv_bfloat16>(p, tile, stream));
    if (p.splits > 1)
        return f16 ? launch_reduce<__half>(p, stream) : launch_reduce<__nv_bfloat16>(p, stream);
    return p.stats && p.taps == 4 ? product_stats(p, stream) : STATUS_OK;
}
