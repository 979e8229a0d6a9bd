/* cuda/product.cuh - a matrix product as kernels see it: conv2d's and linear's common core.
 *
 * A linear layer is a 1x1 convolution of an image of one row of s pixels. Pixels of an image are
 * the product's rows (M), outputs its columns (N), taps times channels what is summed (K). */
#ifndef CUDA_PRODUCT_CUH
#define CUDA_PRODUCT_CUH

#include "cuda/element.cuh"
#include "cuda/variant.cuh"
#include "cuda/weight.cuh"

struct product {
    const void *x, *x2;   /* [n_x, h, w, c], [n_x2, h, w, c2] */
    const void *matrix;   /* cuda/weight.cuh */
    const float *bias;    /* [rows] */
    const void *add;      /* [.., n_add, c_out] or null */
    const int *step;      /* number of the current row of `add` */
    const void *residual; /* [n_residual, h_out, w_out, c_out] or null; may be y */
    void *y;              /* [n, h_out, w_out, c_out] */
    float *stats;         /* [n, tiles, c_out, 2] or null */
    float *partial;       /* split K: f32 [splits][n][h_out * w_out][rows] */
    size_t add_step_stride;
    int n, n_x, n_x2, n_add, n_residual;
    int h, w, c, c2;
    int h_out, w_out, c_out; /* c_out as stored: half of the matrix's outputs with geglu */
    int c_pad, c2_pad, k, rows;
    int columns;           /* outputs of the matrix, without the rows that pad it at the end */
    int taps, stride, pad; /* pad: rows and columns of zeros at the top and left */
    int geglu, splits;
    enum activation act;
    enum dtype dtype;
};

/* What kernels need of a call. Args are checked; `call` may be null where only sizes matter. */
product product_of(const conv2d_args *a, const cuda_call *call);
product product_of(const linear_args *a, const cuda_call *call);

/* Rows of the output computed by one of `phases` interleaved products, `parity` being its place. */
static __host__ __device__ __forceinline__ int phase_size(int size, int phases, int parity)
{
    return phases == 1 ? size : (size - parity + 1) / 2;
}

/* ---- product_plain.cu ------------------------------------------------------------------- */

/* One thread per output, K in ascending order. Takes every product. */
status product_plain(const product &p, cudaStream_t stream);

/* Statistics of y as stored, in a pass of their own. */
status product_stats(const product &p, cudaStream_t stream);

/* ---- product_tiled.cu ------------------------------------------------------------------- */

/* Takes every product of f32. */
status product_tiled(const product &p, cudaStream_t stream);

/* ---- device helpers ---------------------------------------------------------------------- */

/* From the input pixel at (0, 0) of an output's window to the one that tap `t` reads. */
struct tap_shift {
    int dy, dx;
};
static __device__ __forceinline__ tap_shift shift_of(int taps, int pad, int phase, int t)
{
    if (taps == 9)
        return { t / 3 - pad, t % 3 - pad };
    if (taps == 4) /* folded: the 2x2 input pixels that the output pixels of this parity see */
        return { t / 2 - 1 + phase / 2, t % 2 - 1 + phase % 2 };
    return { 0, 0 };
}

/* Which taps see a pixel of the image, from the input pixel of shift (0, 0): a bit each. */
static __device__ __forceinline__ int taps_seen(const product &p, int phase, int iy, int ix)
{
    int seen = 0;
    for (int t = 0; t < p.taps; t++) {
        const tap_shift s = shift_of(p.taps, p.pad, phase, t);
        if (iy + s.dy >= 0 && iy + s.dy < p.h && ix + s.dx >= 0 && ix + s.dx < p.w)
            seen |= 1 << t;
    }
    return seen;
}

static __device__ __forceinline__ float gelu(float v)
{
    return v * 0.5f * erfcf(v * -0.70710678118654752f); /* the exact form, good in the far tail */
}

static __device__ __forceinline__ float activated(float v, enum activation act)
{
    switch (act) {
    case ACT_SILU:
        return v / (1.0f + expf(-v));
    case ACT_GELU:
        return gelu(v);
    case ACT_QUICK_GELU:
        return v / (1.0f + expf(-1.702f * v));
    default:
        return v;
    }
}

/* Element `o` of image `img`'s row of `add`, that of the current step. */
template <class T> static __device__ __forceinline__ const T *add_of(const product &p, int img)
{
    const size_t row = p.add_step_stride ? (size_t)*p.step * p.add_step_stride : 0;
    return (const T *)p.add + row + (size_t)(img % p.n_add) * p.c_out;
}

#endif
