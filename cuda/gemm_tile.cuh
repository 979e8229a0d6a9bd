/* cuda/gemm_tile.cuh - what the mma.sync kernels share: tiles, copies of weights, products of
 * fragments, and the way from fragments to outputs. */
#ifndef CUDA_GEMM_TILE_CUH
#define CUDA_GEMM_TILE_CUH

#include "cuda/finish.cuh"
#include "cuda/gemm.cuh"
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

/* ---- sizes of an instance -------------------------------------------------------------- */

/* Block tile BM x BN, warp tile WM x WN, STAGES steps of copies in flight or being read. */
template <class ELEMENT, int BM_, int BN_, int WM_, int WN_, int STAGES_ = 4> struct shape {
    typedef ELEMENT T;
    enum {
        BM = BM_,
        BN = BN_,
        WM = WM_,
        WN = WN_,
        BK = TILE_K,
        STAGES = STAGES_,
        WARPS_N = BN / WN,
        THREADS = 32 * (BM / WM) * WARPS_N,
        MI = WM / 16, /* fragments of a warp */
        NI = WN / 8,
        PASS = THREADS / 4, /* rows that all threads copy at once, a chunk each */
        A_ROWS = BM / PASS, /* rows of a thread */
        B_ROWS = (BN + PASS - 1) / PASS
    };
    typedef sums<BN> results; /* in the place of the stages, when they are done with */
};

/* Where chunk `chunk` of a shared row lies. */
static __device__ __forceinline__ int chunk_at(int row, int chunk)
{
    return (chunk ^ (row >> 1 & 3)) * 8;
}

/* ---- which tile a block owns -------------------------------------------------------------- */

static __device__ __forceinline__ int ceil_div(int a, int b) { return (a + b - 1) / b; }

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

/* ---- copies of the weight --------------------------------------------------------------- */

/* What one thread copies of the weight: a chunk of each of B_ROWS outputs a step. Its rows are PASS
 * apart, and so lie at the same place within their rows. */
template <class G> struct output_copier {
    typedef typename G::T T;
    const T *matrix;      /* of the phase */
    int place;            /* element of the thread's first chunk in a shared tile */
    int term[G::B_ROWS];  /* element of the next step's chunk */
    int valid[G::B_ROWS]; /* bytes: a tile may reach past the last output */

    __device__ output_copier(const product &p, const tile_place &at, int first_term)
        : matrix((const T *)p.matrix + (size_t)at.phase * p.rows * p.k),
          place((int)threadIdx.x / 4 * G::BK + chunk_at(threadIdx.x / 4, threadIdx.x % 4))
    {
        for (int i = 0; i < G::B_ROWS; i++) {
            const int row = at.column + threadIdx.x / 4 + i * G::PASS;
            valid[i] = row < p.rows ? 16 : 0;
            term[i] = row < p.rows ? row * p.k + first_term + (int)threadIdx.x % 4 * 8 : 0;
        }
    }

    /* Starts the copies of a step; the next one's terms lie `ahead` elements on. */
    __device__ void copy(T (&to)[G::BN][G::BK], int ahead)
    {
        for (int i = 0; i < G::B_ROWS; i++) {
            if (G::BN % G::PASS == 0 || (int)threadIdx.x / 4 + i * G::PASS < G::BN)
                cp_async_16(&to[0][0] + place + i * G::PASS * G::BK, matrix + term[i], valid[i]);
            term[i] += valid[i] ? ahead : 0;
        }
    }
};

/* ---- one step of products ----------------------------------------------------------------- */

/* acc += pixels by outputs over BK terms. pixel_row(i, k) is where this lane's row of fragment i
 * and 16 terms k begins; outputs 16 rows apart lie at the same place within their rows. */
template <class G, class ROW>
__device__ __forceinline__ void multiply(ROW pixel_row, const typename G::T (&b_tile)[G::BN][G::BK],
                                         float (&acc)[G::MI][G::NI][4])
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int b_first = warp % G::WARPS_N * G::WN + lane / 16 * 8 + lane % 8;
#pragma unroll
    for (int k = 0; k < G::BK / 16; k++) {
        uint32_t a[G::MI][4], b[G::NI][2];
        const void *a_row[G::MI], *b_row[G::NI / 2];
        for (int i = 0; i < G::MI; i++)
            a_row[i] = pixel_row(i, k);
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

/* Sums of one chunk of K, or of all, to where they belong. */
template <class G>
__device__ __forceinline__ void deliver(const product &p, const block_tile &t,
                                        const float (&acc)[G::MI][G::NI][4])
{
    cp_async_wait<0>();
    if (p.splits > 1)
        store_partial<G>(p, t, acc);
    else
        finish<G>(p, t, acc);
}

/* ---- for launchers --------------------------------------------------------------------- */

inline int phases_of(const product &p) { return p.taps == 4 ? 4 : 1; }

/* Blocks in x, y and z; none in x if they are too many. */
template <class G> dim3 grid_of(const product &p)
{
    const int phases = phases_of(p);
    const int hw = phase_size(p.h_out, phases, 0) * phase_size(p.w_out, phases, 0);
    const long long blocks =
        (long long)p.n * ((hw + G::BM - 1) / G::BM) * ((p.columns + G::BN - 1) / G::BN);
    return dim3(blocks > INT32_MAX ? 0 : (unsigned)blocks, (unsigned)phases, (unsigned)p.splits);
}

#endif
