/* cuda/gemm_window.cu - 3x3 convolutions by mma.sync on a window of pixels that all taps share.
 *
 * Algorithm  As gemm.cu, but K goes by 32 channels, and for each of these by tap. The pixels
 *            that the 9 taps of a tile see are copied once for 32 channels (two windows: the next
 *            one arrives while this one is read), and a tap reads them shifted: ldmatrix takes a
 *            row address from each lane, so a shift is free, and lanes whose pixel lies left or
 *            right of the image read zeros, of the bank group that their pixel would have had.
 * Layout     The 128 pixels of a tile follow one another. With w the width, their neighbours
 *            above and below are those w before and behind, so a window is 3 runs of 130 pixels,
 *            the runs `pitch` rows apart in shared memory: 130, or w in narrower images, where
 *            they overlap. Pixel m + (dy w) + dx is row (dy + 1) pitch + m + dx + 1. A row is 32
 *            channels, chunks swizzled as in gemm.cu: any 8 rows in sequence fall into 8
 *            different bank groups.
 * Roofline   Copies from L2 for 32 channels of 9 taps, 128 x 64: 258 rows of pixels (w = 64) and
 *            576 of weights, 53 KB, for 4.7 MFLOP: 88 flop per byte, where gemm.cu has 43.
 *            3x3, 96x64, 320 -> 320, n = 2: 258 MB for 22.6 GFLOP.
 * Variants   128x64 (4 warps), 128x128 (8 warps), each for images up to 64 wide (258 rows of
 *            window, 45 and 58 KB of shared memory) and for all (390 rows, 62 and 75 KB).
 */
#include "cuda/gemm_tile.cuh"
#include "cuda/launch.cuh"

namespace
{

/* ---- shared memory ------------------------------------------------------------------------ */

template <class G, int ROWS> struct window {
    typename G::T b[G::STAGES][G::BN][G::BK]; /* outputs by terms */
    typename G::T a[2][ROWS][G::BK];          /* pixels by channels: now, next */
    typename G::T zero[64];                   /* right behind `a`: a chunk for each bank group */
};

/* Rows of window between a pixel and its neighbour below. */
__host__ __device__ __forceinline__ int pitch_of(int w, int bm) { return w < bm + 2 ? w : bm + 2; }

/* ---- copies of pixels --------------------------------------------------------------------- */

template <class G, int ROWS> struct window_copier {
    typedef typename G::T T;
    enum { TURNS = (ROWS + G::PASS - 1) / G::PASS }; /* of all threads, a chunk each */
    const product &p;
    const T *x, *x2; /* of the block's image */
    int first;       /* input pixel of window row 0 */
    int pitch, rows;

    __device__ window_copier(const product &p, const block_tile &t)
        : p(p), first(t.at.pixel - p.w - 1), pitch(pitch_of(p.w, G::BM)),
          rows(2 * pitch + G::BM + 2)
    {
        const size_t hw = (size_t)p.h * p.w;
        x = (const T *)p.x + (size_t)(t.at.img % p.n_x) * hw * p.c;
        x2 = p.c2 ? (const T *)p.x2 + (size_t)(t.at.img % p.n_x2) * hw * p.c2 : x;
    }

    /* Starts turns `turn` .. `end` - 1 of the copies of 32 channels, the block's `channels`-th. */
    __device__ void copy(int channels, int turn, int end, T (&to)[ROWS][G::BK]) const
    {
        const bool second = channels * G::BK >= p.c;
        const int c = second ? p.c2 : p.c, chunk = threadIdx.x % 4;
        const T *from = (second ? x2 : x) + channels * G::BK - (second ? p.c : 0) + chunk * 8;
        for (; turn < end; turn++) {
            const int row = (int)threadIdx.x / 4 + turn * G::PASS;
            if (row >= rows)
                return;
            const int below = (row >= pitch) + (row >= 2 * pitch); /* which run */
            const int pixel = first + row + below * (p.w - pitch);
            const bool inside = pixel >= 0 && pixel < p.h * p.w;
            cp_async_16(&to[row][chunk_at(row, chunk)], inside ? from + pixel * c : from,
                        inside ? 16 : 0);
        }
    }
};

/* ---- kernel ------------------------------------------------------------------------------- */

/* Which of this lane's rows of fragments lie at the left and right edge of the image, a bit each.
 */
template <class G> __device__ __forceinline__ int edges_of(const product &p, int pixel, int column)
{
    int edges = 0;
    for (int i = 0; i < G::MI; i++)
        if ((pixel + i * 16) % p.w == column)
            edges |= 1 << i;
    return edges;
}

template <class G, int ROWS>
__global__ void __launch_bounds__(G::THREADS, 1) gemm_k3_window(const product p)
{
    take_turn();
    typedef typename G::T T;
    window<G, ROWS> &s = shared_as<window<G, ROWS>>();
    const block_tile t = tile_of_block<G>(p);
    if (t.empty)
        return;
    const int blocks = (p.c + p.c2) / G::BK, per_tap = p.c_pad + p.c2_pad;
    const int begin = blocks * (int)blockIdx.z / p.splits;
    const int end = blocks * (int)(blockIdx.z + 1) / p.splits;
    const int next_tap = per_tap, next_block = G::BK - (p.taps - 1) * per_tap; /* in the matrix */
    const int steps = (end - begin) * p.taps;

    typedef window_copier<G, ROWS> copier;
    const copier pixels(p, t);
    output_copier<G> outputs(p, t.at, begin * G::BK);
    int ahead = 0; /* tap of the next copies of outputs */
    if (threadIdx.x < 64)
        s.zero[threadIdx.x] = from_f32<T>(0.0f);
    pixels.copy(begin, 0, copier::TURNS, s.a[0]);
    for (int i = 0; i < G::STAGES - 1; i++) {
        if (i < steps) {
            outputs.copy(s.b[i], ahead + 1 < p.taps ? next_tap : next_block);
            ahead = ahead + 1 < p.taps ? ahead + 1 : 0;
        }
        cp_async_commit(); /* an empty one where there is no step, so that counts stay right */
    }

    const int lane = threadIdx.x % 32;
    const int row = (int)threadIdx.x / 32 / G::WARPS_N * G::WM + lane % 16;
    const int left = edges_of<G>(p, t.at.pixel + row, 0);
    const int right = edges_of<G>(p, t.at.pixel + row, p.w - 1);
    /* A window is complete when its first tap is multiplied; its last rows could come later, since
     * only the lowest taps read them. */
    const int slots = p.taps - G::STAGES + 2;
    const int turns = (copier::TURNS + slots - 1) / slots;
    float acc[G::MI][G::NI][4] = {};
    int now = 0, to = G::STAGES - 1, tap = 0, block = begin;
    for (int step = 0; step < steps; step++) {
        cp_async_wait<G::STAGES - 2>();
        __syncthreads(); /* this step has landed, and all have done with the one before */
        if (step + G::STAGES - 1 < steps) {
            outputs.copy(s.b[to], ahead + 1 < p.taps ? next_tap : next_block);
            ahead = ahead + 1 < p.taps ? ahead + 1 : 0;
        }
        if (block + 1 < end && tap < slots) {
            const int last = (tap + 1) * turns;
            pixels.copy(block + 1, tap * turns, last < copier::TURNS ? last : copier::TURNS,
                        s.a[(block + 1 - begin) % 2]);
        }
        cp_async_commit();

        const tap_shift shift = shift_of(p.taps, p.pad, t.at.phase, tap);
        const int at = row + (shift.dy + 1) * pixels.pitch + shift.dx + 1;
        const int outside = shift.dx < 0 ? left : shift.dx > 0 ? right : 0;
        const T *const first = &s.a[0][0][0];
        const int inside = ((block - begin) % 2 * ROWS + at) * G::BK + chunk_at(at, lane / 16);
        int place[G::MI]; /* elements from `first`; 16 terms on, the other chunk pair */
        for (int i = 0; i < G::MI; i++)
            place[i] = outside >> i & 1 ? 2 * ROWS * G::BK + inside % 64 : inside + i * 16 * G::BK;
        multiply<G>([&](int i, int k) { return first + (place[i] ^ k * 16); }, s.b[now], acc);
        now = now + 1 == G::STAGES ? 0 : now + 1;
        to = to + 1 == G::STAGES ? 0 : to + 1;
        if (++tap == p.taps) {
            tap = 0;
            block++;
        }
    }
    deliver<G>(p, t, acc);
}

/* ---- launchers -------------------------------------------------------------------------- */

template <class G, int ROWS>
status launch_window(const char *name, const product &p, cudaStream_t stream)
{
    return gpu_launch_after(name, gemm_k3_window<G, ROWS>, grid_of<G>(p), dim3(G::THREADS),
                            sizeof(window<G, ROWS>), stream, p);
}

template <class T> status launch_as(const product &p, enum tile_name tile, cudaStream_t stream)
{
    enum { BM = 128, ALL = 3 * (BM + 2), NARROW = BM + 2 + 2 * 64 };
    typedef shape<T, 64, 64, 32, 32, 3> small;
    typedef shape<T, BM, 64, 64, 32, 3> low;
    typedef shape<T, BM, 128, 64, 32, 3> wide;
    const bool narrow = p.w <= 64;
    if (tile == TILE_64X64)
        return launch_window<small, 3 * (64 + 2)>("window 64x64", p, stream);
    if (tile == TILE_128X128)
        return narrow ? launch_window<wide, NARROW>("window 128x128", p, stream)
                      : launch_window<wide, ALL>("window 128x128, wide image", p, stream);
    return narrow ? launch_window<low, NARROW>("window 128x64", p, stream)
                  : launch_window<low, ALL>("window 128x64, wide image", p, stream);
}

} // namespace

int window_takes(const product &p)
{
    const int folded = p.taps == 4;
    return p.dtype != DTYPE_F32 && p.stride == 1 && (folded || (p.taps == 9 && p.pad == 1)) &&
           p.w_out == p.w * (folded ? 2 : 1) && p.c % 32 == 0 && p.c2 % 32 == 0;
}

enum tile_name window_tile(const product &p, int sm_count)
{
    const int phases = phases_of(p);
    const int pixels = phase_size(p.h_out, phases, 0) * p.w;
    return tile_pick_window(p.n, phases, pixels, p.columns, gemm_splits(p), sm_count);
}

status window_launch(product p, enum tile_name tile, cudaStream_t stream)
{
    p.splits = gemm_splits(p);
    TRY(p.dtype == DTYPE_F16 ? launch_as<__half>(p, tile, stream)
                             : launch_as<__nv_bfloat16>(p, tile, stream));
    return gemm_complete(p, stream);
}
