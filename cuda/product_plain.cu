/* cuda/product_plain.cu - products the plain way, for conv2d.cu and linear.cu.
 *
 * Algorithm  k1: one thread per output sums K in ascending order (tap, then channel) by fused
 *            multiply-adds in f32. k2: one thread per channel and tile of 64 pixels.
 * Layout     Neighbouring threads make neighbouring channels of one pixel: they share what they
 *            read of x, and each walks a row of the matrix of its own.
 * Roofline   None worth the name: this is the oracle on the device, and the f32 path. 3x3, 64x96,
 *            320 -> 320, n = 2 is 22.6 GFLOP.
 */
#include "cuda/launch.cuh"
#include "cuda/product.cuh"
#include "cuda/stats.cuh"

namespace
{

enum { THREADS = 256 };

/* ---- kernels ------------------------------------------------------------------------- */

/* What one thread makes: an output of an image. */
struct place {
    int img, oy, ox, o;
};

/* x . row of the matrix, at one output pixel. */
template <class T> __device__ float dot(const product &p, const place &at, int row)
{
    const int phase = p.taps == 4 ? at.oy % 2 * 2 + at.ox % 2 : 0;
    const int scale = p.taps == 4 ? 2 : 1;
    const T *w = (const T *)p.matrix + ((size_t)phase * p.rows + row) * p.k;
    float sum = 0.0f;
    for (int t = 0; t < p.taps; t++, w += p.c_pad + p.c2_pad) {
        const tap_shift shift = shift_of(p.taps, p.pad, phase, t);
        const int iy = at.oy / scale * p.stride + shift.dy;
        const int ix = at.ox / scale * p.stride + shift.dx;
        if (iy < 0 || iy >= p.h || ix < 0 || ix >= p.w)
            continue;
        const size_t pixel = (size_t)iy * p.w + ix, hw = (size_t)p.h * p.w;
        const T *x = (const T *)p.x + ((size_t)(at.img % p.n_x) * hw + pixel) * p.c;
        for (int ch = 0; ch < p.c; ch++)
            sum = fmaf(to_f32(x[ch]), to_f32(w[ch]), sum);
        if (p.c2 == 0)
            continue;
        const T *x2 = (const T *)p.x2 + ((size_t)(at.img % p.n_x2) * hw + pixel) * p.c2;
        for (int ch = 0; ch < p.c2; ch++)
            sum = fmaf(to_f32(x2[ch]), to_f32(w[p.c_pad + ch]), sum);
    }
    return sum;
}

template <class T> __global__ void __launch_bounds__(THREADS) product_k1_plain(const product p)
{
    const size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    const size_t pixel = i / p.c_out, hw = (size_t)p.h_out * p.w_out;
    if (pixel >= p.n * hw)
        return;
    const int in_image = (int)(pixel % hw);
    const place at = { (int)(pixel / hw), in_image / p.w_out, in_image % p.w_out,
                       (int)(i % p.c_out) };

    const int row = p.geglu ? at.o / 8 * 16 + at.o % 8 : at.o;
    float v = dot<T>(p, at, row) + p.bias[row];
    if (p.geglu)
        v *= gelu(dot<T>(p, at, row + 8) + p.bias[row + 8]);
    if (p.add)
        v += to_f32(add_of<T>(p, at.img)[at.o]);
    v = activated(v, p.act);
    if (p.residual)
        v += to_f32(
            ((const T *)
                 p.residual)[((size_t)(at.img % p.n_residual) * hw + in_image) * p.c_out + at.o]);
    ((T *)p.y)[i] = from_f32<T>(v);
}

template <class T> __global__ void __launch_bounds__(THREADS) product_k2_stats(const product p)
{
    const size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    const int hw = p.h_out * p.w_out, tiles = tiles_of(hw), o = (int)(i % p.c_out);
    const size_t tile = i / p.c_out;
    if (tile >= (size_t)p.n * tiles)
        return;
    const int first = (int)(tile % tiles) * STATS_PIXELS;
    const int pixels = hw - first < STATS_PIXELS ? hw - first : STATS_PIXELS;
    const T *y = (const T *)p.y + ((size_t)(tile / tiles) * hw + first) * p.c_out + o;
    const tile_stats s = stats_of(y, (size_t)p.c_out, pixels);
    p.stats[2 * i] = s.mean;
    p.stats[2 * i + 1] = s.m2;
}

dim3 grid_of(size_t threads) { return dim3((unsigned)((threads + THREADS - 1) / THREADS)); }

} // namespace

/* ---- launchers ------------------------------------------------------------------------- */

status product_stats(const product &p, cudaStream_t stream)
{
    const size_t threads = (size_t)p.n * tiles_of(p.h_out * p.w_out) * p.c_out;
    return with_element_type(p.dtype, [&](auto element) {
        return gpu_launch("product stats", product_k2_stats<decltype(element)>, grid_of(threads),
                          dim3(THREADS), 0, stream, p);
    });
}

status product_plain(const product &p, cudaStream_t stream)
{
    const size_t threads = (size_t)p.n * p.h_out * p.w_out * p.c_out;
    TRY(with_element_type(p.dtype, [&](auto element) {
        return gpu_launch("product plain", product_k1_plain<decltype(element)>, grid_of(threads),
                          dim3(THREADS), 0, stream, p);
    }));
    return p.stats ? product_stats(p, stream) : STATUS_OK;
}
