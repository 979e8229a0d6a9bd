/* cuda/finish.cuh - from a tile of sums to stored outputs: bias, gate, time, activation, residual,
 * statistics. One copy for every kernel that makes products. */
#ifndef CUDA_FINISH_CUH
#define CUDA_FINISH_CUH

#include "cuda/product.cuh"
#include "cuda/stats.cuh"

/* Sums of 64 pixels by N columns of the matrix, in shared memory. Eight floats between rows put
 * the eight rows that a warp's fragments write at once in different banks. */
template <int N> struct sums {
    enum { ROWS = STATS_PIXELS, COLUMNS = N };
    float v[ROWS][N + 8];
};

/* Where a tile lies. */
struct tile_place {
    int img, phase, phases;
    int pixel;  /* its first, of those that the phase computes */
    int column; /* its first, of the matrix */
};

/* Pixel of y that pixel `i` of a phase is. */
static __device__ __forceinline__ int output_pixel(const product &p, const tile_place &at, int i)
{
    if (at.phases == 1)
        return i;
    const int wide = phase_size(p.w_out, 2, at.phase % 2);
    return (i / wide * 2 + at.phase / 2) * p.w_out + i % wide * 2 + at.phase % 2;
}

/* Eight neighbouring outputs: loaded and stored as 16 bytes where every pixel's row of them is
 * aligned, one by one up to the last where not. */
template <class T>
static __device__ __forceinline__ void load_8(const T *from, int left, bool whole, float (&v)[8])
{
    if (whole) {
        const lanes<T, 8> all = load_lanes<8>(from);
        for (int j = 0; j < 8; j++)
            v[j] += to_f32(all.v[j]);
        return;
    }
    for (int j = 0; j < 8 && j < left; j++)
        v[j] += to_f32(from[j]);
}

template <class T>
static __device__ __forceinline__ void store_8(T *to, int left, bool whole, const lanes<T, 8> &v)
{
    if (whole) {
        store_lanes(to, v);
        return;
    }
    for (int j = 0; j < 8 && j < left; j++)
        to[j] = v.v[j];
}

/* v += eight floats, 16-byte aligned. */
static __device__ __forceinline__ void add_8(const float *from, float (&v)[8])
{
    for (int j = 0; j < 8; j += 4) {
        const lanes<float, 4> four = load_lanes<4>(from + j);
        for (int i = 0; i < 4; i++)
            v[j + i] += four.v[i];
    }
}

/* Finishes a tile of sums; all threads of a block of THREADS take part. For the statistics,
 * what was stored takes the sums' place. */
template <class T, int N, int THREADS>
static __device__ void finish_tile(const product &p, sums<N> &s, const tile_place &at)
{
    const int hw =
        phase_size(p.h_out, at.phases, at.phase / 2) * phase_size(p.w_out, at.phases, at.phase % 2);
    const int pixels = hw - at.pixel < STATS_PIXELS ? hw - at.pixel : STATS_PIXELS;
    const int wide = p.geglu ? 16 : 8; /* columns that make 8 outputs */
    const int chunks = N / wide, first = at.column / wide * 8;
    const size_t image = (size_t)p.h_out * p.w_out;
    const bool whole = p.c_out % 8 == 0;
    const bool with_stats = p.stats && at.phases == 1; /* of interleaved ones: product_stats() */

    for (int i = threadIdx.x; i < pixels * chunks; i += THREADS) {
        const int row = i / chunks, column = i % chunks * wide, o = first + i % chunks * 8;
        if (o >= p.c_out)
            continue;
        const int left = p.c_out - o;
        const size_t pixel = output_pixel(p, at, at.pixel + row);
        const float *bias = p.bias + at.column + column;
        float v[8] = {};
        add_8(&s.v[row][column], v);
        add_8(bias, v);
        if (p.geglu) {
            float gate[8] = {};
            add_8(&s.v[row][column + 8], gate);
            add_8(bias + 8, gate);
            for (int j = 0; j < 8; j++)
                v[j] *= gelu(gate[j]);
        }
        if (p.add)
            load_8(add_of<T>(p, at.img) + o, left, whole && p.add_step_stride % 8 == 0, v);
        if (p.act != ACT_NONE)
            for (int j = 0; j < 8; j++)
                v[j] = activated(v[j], p.act);
        if (p.residual)
            load_8((const T *)p.residual +
                       ((size_t)(at.img % p.n_residual) * image + pixel) * p.c_out + o,
                   left, whole, v);
        lanes<T, 8> out;
        for (int j = 0; j < 8; j++)
            out.v[j] = from_f32<T>(v[j]);
        store_8((T *)p.y + ((size_t)at.img * image + pixel) * p.c_out + o, left, whole, out);
        if (with_stats)
            for (int j = 0; j < 8; j += 4)
                store_lanes(&s.v[row][column + j],
                            lanes<float, 4>{ { to_f32(out.v[j]), to_f32(out.v[j + 1]),
                                               to_f32(out.v[j + 2]), to_f32(out.v[j + 3]) } });
    }
    if (!with_stats)
        return;
    __syncthreads();
    const size_t tile = (size_t)at.img * tiles_of(hw) + at.pixel / STATS_PIXELS;
    for (int i = threadIdx.x; i < chunks * 8 && first + i < p.c_out; i += THREADS) {
        const tile_stats stats = stats_of(&s.v[0][i / 8 * wide + i % 8], N + 8, pixels);
        float *to = p.stats + (tile * p.c_out + first + i) * 2;
        to[0] = stats.mean;
        to[1] = stats.m2;
    }
}

#endif
