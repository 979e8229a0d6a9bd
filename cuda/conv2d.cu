/* cuda/conv2d.cu - convolutions: checks, and the table of variants.
 *
 * Algorithm  A product of pixels by outputs (cuda/product.cuh) without the matrix of patches ever
 *            being made: each K step reads the pixels that one tap sees, zeros outside. Nearest-2x
 *            then 3x3 is four products with 2x2 kernels, one for each parity of the output pixel.
 *            Bias, time embedding, residual and statistics are applied to the sums in registers.
 * Layout     NHWC; weights as in cuda/weight.cuh.
 * Roofline   3x3, 96x64, 320 -> 320, n = 2: 22.6 GFLOP, 28.7 us at 790 TFLOP/s (H200), 137 us at
 *            165 (4090); operands once are 17.6 MB.
 * Variants   plain    any dtype, one thread per output; the oracle on the device
 *            tiled    f32, 64 x 64 tiles in shared memory: cuda/product_tiled.cu
 *            128x16, 64x64, 128x64, 128x128
 *                     f16 and bf16, tensor cores: cuda/gemm.cu, in tiles of pixels by outputs
 *            window 64x64, 128x64, 128x128
 *                     3x3 of stride 1: cuda/gemm_window.cu copies a pixel once for all its taps
 *            mma      the tile of cuda/gemm.cu that cuda/tiles.h picks; all tiles give the same bytes
 *            window   the tile of cuda/gemm_window.cu likewise, for images that 128 pixels fit
 *            wgmma    sm_90a: cuda/gemm_hopper.cu; sums in an order of its own
 *            vendor   cuDNN, or cuBLASLt for 1x1: cuda/vendor.cuh
 */
#include <limits.h>
#include <stdio.h>

#include "cuda/product_variants.cuh"

product product_of(const conv2d_args *a, const cuda_call *call)
{
    const struct weight *w = a->weight;
    product p = {};
    p.x = a->x;
    p.x2 = a->x2;
    p.matrix = w->matrix;
    p.bias = w->bias;
    p.add = a->add;
    p.step = call ? call->step : NULL;
    p.residual = a->residual;
    p.y = a->y;
    p.stats = a->stats;
    p.partial = call ? (float *)call->work : NULL;
    p.add_step_stride = a->add_step_stride;
    p.n = a->n;
    p.n_x = a->n_x;
    p.n_x2 = a->n_x2;
    p.n_add = a->n_add;
    p.n_residual = a->n_residual;
    p.h = a->h;
    p.w = a->w;
    p.c = a->c;
    p.c2 = a->c2;
    p.h_out = a->h_out;
    p.w_out = a->w_out;
    p.c_out = a->c_out;
    p.c_pad = w->c_pad;
    p.c2_pad = w->c2_pad;
    p.k = w->k;
    p.rows = w->rows;
    p.columns = w->out;
    p.taps = w->taps;
    p.stride = w->stride;
    p.pad = w->kernel == 3 && !a->pad_end ? 1 : 0;
    p.splits = 1;
    p.act = ACT_NONE;
    p.dtype = a->dtype;
    return p;
}

namespace
{

/* ---- checks ---------------------------------------------------------------------------- */

int natural(const struct weight *w, int size, int pad_end)
{
    if (w->upsample == 2)
        return size <= INT_MAX / 2 ? 2 * size : 0;
    if (w->kernel == 1)
        return (size - 1) / w->stride + 1;
    return w->stride == 1 ? size : pad_end ? size / 2 : (size - 1) / 2 + 1;
}

int batches_fit(const conv2d_args *a)
{
    return a->n >= 1 && a->n_x >= 1 && (a->c2 == 0 || a->n_x2 >= 1) && (!a->add || a->n_add >= 1) &&
           (!a->residual || a->n_residual >= 1) && (a->residual != a->y || a->n_residual == a->n);
}

/* Pixels and values of an image are counted by ints in kernels, those of a batch by size_t. */
int countable(int h, int w, int c) { return h <= INT_MAX / w && (long)h * w <= INT_MAX / c; }

status check(const conv2d_args *a)
{
    const struct weight *w = a->weight;
    if (!w || w->kind != WEIGHT_CONV2D)
        return status_fail(STATUS_BAD_SHAPE, "conv2d: not a convolution's weight");
    if (!is_element_type(a->dtype) || a->dtype != w->dtype)
        return status_fail(STATUS_UNSUPPORTED, "conv2d: %s with a weight of %s",
                           dtype_name(a->dtype), dtype_name(w->dtype));
    if (!batches_fit(a) || a->h < 1 || a->w < 1 || a->c < 1 || a->c2 < 0 || a->c_out != w->out ||
        a->c2 != w->in2 || a->c != w->in - w->in2 || a->h_out < 1 || a->w_out < 1 ||
        (a->pad_end && w->stride != 2) || a->h_out > natural(w, a->h, a->pad_end) ||
        a->w_out > natural(w, a->w, a->pad_end) || !countable(a->h, a->w, a->c + a->c2) ||
        !countable(a->h_out, a->w_out, a->c_out))
        return status_fail(
            STATUS_BAD_SHAPE, "conv2d %s: n=%d h=%d w=%d c=%d+%d -> %dx%dx%d, weight %d -> %d",
            w->name, a->n, a->h, a->w, a->c, a->c2, a->h_out, a->w_out, a->c_out, w->in, w->out);
    return STATUS_OK;
}

/* ---- variants -------------------------------------------------------------------------- */

using common = product_variants<conv2d_args>;

int takes_window(const conv2d_args *a)
{
    return common::takes_16_bit(a) && window_takes(product_of(a, NULL));
}

int takes_window_well(const conv2d_args *a)
{
    return takes_window(a) && tile_windowed(1, a->c, a->c2, a->c_out);
}

template <enum tile_name TILE> status launch_window(const conv2d_args *a, const cuda_call *call)
{
    return window_launch(product_of(a, call), TILE, call->stream);
}

status launch_window_pick(const conv2d_args *a, const cuda_call *call)
{
    const product p = product_of(a, call);
    return window_launch(p, window_tile(p, call->sm_count), call->stream);
}

const cuda_variant<conv2d_args> variants[] = {
    { "plain", 80, common::takes_all, NULL, common::plain },
    { "tiled", 80, common::takes_f32, NULL, common::tiled },
    { "128x16", 80, common::takes_few, common::work_bytes, common::tile<TILE_128X16> },
    { "64x64", 80, common::takes_16_bit, common::work_bytes, common::tile<TILE_64X64> },
    { "128x64", 80, common::takes_16_bit, common::work_bytes, common::tile<TILE_128X64> },
    { "128x128", 80, common::takes_16_bit, common::work_bytes, common::tile<TILE_128X128> },
    { "window 64x64", 80, takes_window, common::work_bytes, launch_window<TILE_64X64> },
    { "window 128x64", 80, takes_window, common::work_bytes, launch_window<TILE_128X64> },
    { "window 128x128", 80, takes_window, common::work_bytes, launch_window<TILE_128X128> },
    { "mma", 80, common::takes_16_bit, common::work_bytes, common::mma },
    { "window", 80, takes_window_well, common::work_bytes, launch_window_pick },
    { "wgmma", 90, common::takes_wgmma, common::work_bytes, common::wgmma },
    { "vendor", CUDA_VENDOR, common::takes_vendor, common::vendor_bytes, common::vendor },
};

} // namespace

extern const cuda_table<conv2d_args> cuda_conv2d_table = {
    "conv2d", variants, (int)(sizeof variants / sizeof variants[0])
};

extern "C" status cuda_conv2d(struct ops *ops, const conv2d_args *args)
{
    struct cuda_device *dev = cuda_device(ops);
    TRY(check(args));
    const struct weight *w = args->weight;
    const char *kind = w->stride == 1  ? w->upsample == 2 ? " up" : ""
                       : args->pad_end ? " /2e"
                                       : " /2";
    char key[96];
    snprintf(key, sizeof key, "%dx%d%s %dx%d %d+%d->%d %s", w->kernel, w->kernel, kind, args->h_out,
             args->w_out, args->c, args->c2, args->c_out, dtype_name(args->dtype));

    const double out = (double)args->n * args->h_out * args->w_out * args->c_out;
    const double terms = (double)w->in * w->kernel * w->kernel;
    const double in =
        ((double)args->n_x * args->c + (double)args->n_x2 * args->c2) * args->h * args->w;
    struct cuda_span_text span;
    snprintf(span.shape, sizeof span.shape, "%dx%d%s n%d %dx%d %d->%d", w->kernel, w->kernel, kind,
             args->n, args->h_out, args->w_out, w->in, w->out);
    span.flops = 2 * out * terms;
    span.bytes =
        (in + out * (args->residual ? 2 : 1) + terms * w->out) * (double)dtype_size(args->dtype);
    return cuda_run(dev, cuda_conv2d_table, args, key, span);
}
