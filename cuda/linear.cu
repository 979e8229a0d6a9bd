/* cuda/linear.cu - linear layers: checks, and the table of variants.
 *
 * Algorithm  conv2d's core (cuda/product.cuh) on an image of one row of s pixels. Merged q, k, v is
 *            one product. A GEGLU weight has values and gates interleaved by eights, so that both
 *            halves of an output are sums of one thread and the gate costs no traffic.
 * Layout     [n, s, in]; weights as in cuda/weight.cuh.
 * Roofline   GEGLU, s = 6144, 320 -> 2 x 1280, n = 2: 20.1 GFLOP, 25.5 us at 790 TFLOP/s (H200);
 *            39.3 MB in and out, 9.1 us at 4.3 TB/s.
 * Variants   plain    any dtype, one thread per output; the oracle on the device
 *            tiled    f32, 64 x 64 tiles in shared memory: cuda/product_tiled.cu
 *            128x16, 64x64, 128x64, 128x128
 *                     f16 and bf16, tensor cores: cuda/gemm.cu, in tiles of pixels by outputs
 *            mma      the same with the tile that cuda/tiles.h picks; all tiles give the same bytes
 *            wgmma    sm_90a: cuda/gemm_hopper.cu; sums in an order of its own
 *            vendor   cuBLASLt: cuda/vendor.cuh
 */
#include <limits.h>
#include <stdio.h>

#include "cuda/product_variants.cuh"

product product_of(const linear_args *a, const cuda_call *call)
{
    const struct weight *w = a->weight;
    product p = {};
    p.x = a->x;
    p.x2 = a->x2;
    p.matrix = w->matrix;
    p.bias = w->bias;
    p.step = call ? call->step : NULL;
    p.residual = a->residual;
    p.y = a->y;
    p.stats = a->stats;
    p.partial = call ? (float *)call->work : NULL;
    p.n = a->n;
    p.n_x = a->n_x;
    p.n_x2 = a->n_x2;
    p.n_add = 1;
    p.n_residual = a->n_residual;
    p.h = p.h_out = 1;
    p.w = p.w_out = a->s;
    p.c = a->in;
    p.c2 = a->in2;
    p.c_out = a->out;
    p.c_pad = w->c_pad;
    p.c2_pad = w->c2_pad;
    p.k = w->k;
    p.rows = w->rows;
    p.columns = w->geglu ? (a->out + 7) / 8 * 16 : w->out;
    p.taps = 1;
    p.stride = 1;
    p.geglu = w->geglu;
    p.splits = 1;
    p.act = a->act;
    p.dtype = a->dtype;
    return p;
}

namespace
{

/* ---- checks ---------------------------------------------------------------------------- */

status check(const linear_args *a)
{
    const struct weight *w = a->weight;
    if (!w || w->kind != WEIGHT_LINEAR)
        return status_fail(STATUS_BAD_SHAPE, "linear: not a linear layer's weight");
    if (!is_element_type(a->dtype) || a->dtype != w->dtype)
        return status_fail(STATUS_UNSUPPORTED, "linear: %s with a weight of %s",
                           dtype_name(a->dtype), dtype_name(w->dtype));
    if (a->n < 1 || a->n_x < 1 || a->s < 1 || a->in2 < 0 || (a->in2 > 0 && a->n_x2 < 1) ||
        (a->residual && a->n_residual < 1) || (a->residual == a->y && a->n_residual != a->n) ||
        a->in2 != w->in2 || a->in != w->in - w->in2 || a->out != (w->geglu ? w->out / 2 : w->out) ||
        (int)a->act < 0 || a->act > ACT_QUICK_GELU || (w->geglu && a->act != ACT_NONE) ||
        a->s > INT_MAX / w->in || a->s > INT_MAX / w->out)
        return status_fail(STATUS_BAD_SHAPE, "linear %s: n=%d s=%d %d+%d -> %d, weight %d -> %d",
                           w->name, a->n, a->s, a->in, a->in2, a->out, w->in, w->out);
    return STATUS_OK;
}

/* ---- variants -------------------------------------------------------------------------- */

using common = product_variants<linear_args>;

const cuda_variant<linear_args> variants[] = {
    { "plain", 80, common::takes_all, NULL, common::plain },
    { "tiled", 80, common::takes_f32, NULL, common::tiled },
    { "128x16", 80, common::takes_few, common::work_bytes, common::tile<TILE_128X16> },
    { "64x64", 80, common::takes_16_bit, common::work_bytes, common::tile<TILE_64X64> },
    { "128x64", 80, common::takes_16_bit, common::work_bytes, common::tile<TILE_128X64> },
    { "128x128", 80, common::takes_16_bit, common::work_bytes, common::tile<TILE_128X128> },
    { "mma", 80, common::takes_16_bit, common::work_bytes, common::mma },
    { "wgmma", 90, common::takes_wgmma, common::work_bytes, common::wgmma },
    { "vendor", CUDA_VENDOR, common::takes_vendor, common::vendor_bytes, common::vendor },
};

} // namespace

extern const cuda_table<linear_args> cuda_linear_table = {
    "linear", variants, (int)(sizeof variants / sizeof variants[0])
};

extern "C" status cuda_linear(struct ops *ops, const linear_args *args)
{
    struct cuda_device *dev = cuda_device(ops);
    TRY(check(args));
    const struct weight *w = args->weight;
    char key[96];
    snprintf(key, sizeof key, "%s%d %d+%d->%d %s", w->geglu ? "geglu " : "", args->s, args->in,
             args->in2, w->out, dtype_name(args->dtype));

    const double rows = (double)args->n * args->s;
    const double read = ((double)args->n_x * args->in + (double)args->n_x2 * args->in2) * args->s;
    struct cuda_span_text span;
    snprintf(span.shape, sizeof span.shape, "%sn%d s%d %d->%d", w->geglu ? "geglu " : "", args->n,
             args->s, w->in, w->out);
    span.flops = 2 * rows * w->in * w->out;
    span.bytes = (read + rows * args->out * (args->residual ? 2 : 1) + (double)w->in * w->out) *
                 (double)dtype_size(args->dtype);
    return cuda_run(dev, cuda_linear_table, args, key, span);
}
