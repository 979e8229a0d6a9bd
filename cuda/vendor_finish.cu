/* cuda/vendor_finish.cu - what the vendor engine needs done around the libraries' calls.
 *
 * Algorithm  k1 lays a convolution's inputs side by side, eight channels a thread. k2 finishes
 * sums: eight outputs a thread, in f32, in the order of finish_tile(), one rounding. Roofline Both
 * only move bytes: n = 2, 96x64, 320 channels of f16 are 7.9 MB read and 7.9 MB written, 3.7 us
 * at 4.3 TB/s (H200) beside 28.7 us of convolution.
 */
#include "cuda/finish.cuh"
#include "cuda/launch.cuh"
#include "cuda/vendor.cuh"

namespace
{

enum { THREADS = 256 };

struct gathering {
    void *to;
    int h, w; /* of an image of `to` */
};

/* ---- kernels ------------------------------------------------------------------------------ */

template <class T>
__global__ void __launch_bounds__(THREADS) vendor_k1_gather(const product p, const gathering g)
{
    const int c = p.c_pad + p.c2_pad;
    const size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x, pixel = i / (c / 8);
    const int row = (int)(pixel / g.w % g.h), column = (int)(pixel % g.w);
    const int img = (int)(pixel / g.w / g.h);
    if (img >= p.n)
        return;
    int channel = (int)(i % (c / 8)) * 8, of = p.c, images = p.n_x;
    const T *from = (const T *)p.x;
    if (channel >= p.c_pad) {
        channel -= p.c_pad;
        of = p.c2;
        images = p.n_x2;
        from = (const T *)p.x2;
    }
    float v[8] = {};
    if (row < p.h && column < p.w)
        load_8(from + (((size_t)(img % images) * p.h + row) * p.w + column) * of + channel,
               of - channel, of % 8 == 0, v);
    lanes<T, 8> out;
    for (int j = 0; j < 8; j++)
        out.v[j] = from_f32<T>(v[j]); /* it was one */
    store_lanes((T *)g.to + i * 8, out);
}

/* Element of the sums that an output pixel's begin at. */
__device__ __forceinline__ size_t sums_at(const product &p, const vendor_sums &s, int img, int row,
                                          int column)
{
    if (s.phases == 1)
        return (((size_t)img * s.h + row) * s.w + column) * s.pitch;
    const int y = row % 2, x = column % 2;
    const size_t image = (size_t)(y * 2 + x) * p.n + img;
    return ((image * s.h + row / 2 + y) * s.w + column / 2 + x) * s.pitch;
}

template <class S, class T>
__global__ void __launch_bounds__(THREADS) vendor_k2_finish(const product p, const vendor_sums s)
{
    const int chunks = (p.c_out + 7) / 8;
    const size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x, pixel = i / chunks;
    const size_t image = (size_t)p.h_out * p.w_out;
    if (pixel >= p.n * image)
        return;
    const int o = (int)(i % chunks) * 8, column = p.geglu ? 2 * o : o, left = p.c_out - o;
    const int img = (int)(pixel / image), at = (int)(pixel % image);
    const S *sums = (const S *)s.data + sums_at(p, s, img, at / p.w_out, at % p.w_out) + column;
    const bool whole = p.c_out % 8 == 0;

    float v[8] = {};
    load_8(sums, 8, true, v);
    add_8(p.bias + column, v);
    if (p.geglu) {
        float gate[8] = {};
        load_8(sums + 8, 8, true, gate);
        add_8(p.bias + column + 8, gate);
        for (int j = 0; j < 8; j++)
            v[j] *= gelu(gate[j]);
    }
    if (p.add)
        load_8(add_of<T>(p, img) + o, left, whole && p.add_step_stride % 8 == 0, v);
    if (p.act != ACT_NONE)
        for (int j = 0; j < 8; j++)
            v[j] = activated(v[j], p.act);
    if (p.residual)
        load_8((const T *)p.residual + ((size_t)(img % p.n_residual) * image + at) * p.c_out + o,
               left, whole, v);
    lanes<T, 8> out;
    for (int j = 0; j < 8; j++)
        out.v[j] = from_f32<T>(v[j]);
    store_8((T *)p.y + pixel * p.c_out + o, left, whole, out);
}

dim3 grid_of(size_t threads) { return dim3((unsigned)((threads + THREADS - 1) / THREADS)); }

} // namespace

/* ---- launchers ---------------------------------------------------------------------------- */

status vendor_gather(const product &p, void *to, int h, int w, cudaStream_t stream)
{
    const gathering g = { to, h, w };
    const size_t threads = (size_t)p.n * h * w * ((p.c_pad + p.c2_pad) / 8);
    return with_element_type(p.dtype, [&](auto element) {
        return gpu_launch("vendor gather", vendor_k1_gather<decltype(element)>, grid_of(threads),
                          dim3(THREADS), 0, stream, p, g);
    });
}

status vendor_finish(const product &p, const vendor_sums &sums, cudaStream_t stream)
{
    const size_t threads = (size_t)p.n * p.h_out * p.w_out * ((p.c_out + 7) / 8);
    TRY(with_element_type(p.dtype, [&](auto element) {
        typedef decltype(element) T;
        return gpu_launch("vendor finish",
                          sums.type == DTYPE_F32 ? vendor_k2_finish<float, T>
                                                 : vendor_k2_finish<T, T>,
                          grid_of(threads), dim3(THREADS), 0, stream, p, sums);
    }));
    return p.stats ? product_stats(p, stream) : STATUS_OK;
}
