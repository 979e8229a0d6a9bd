/* cuda/vendor_conv.cu - convolutions on cuDNN, by its calls for convolutions, which version 9 still
 * has: NHWC, f32 sums (PSEUDO_HALF, PSEUDO_BFLOAT16, FLOAT without TF32).
 *
 * Layout     The packed matrix is cuDNN's filter [k, h, w, c] where its rows have no gaps (channels
 * in multiples of 64), else w->filter is. Both inputs side by side, channels in multiples of 8, all
 * images, and a row and column of zeros for pad_end, are made by vendor_gather() where x itself is
 * not that. Doubled    Four 2x2 convolutions over the input, padded by one: output (i, j) of parity
 * (y, x) is their output (i + y, j + x). As our own kernels do it: four ninths of the products.
 * Direct     cudnnConvolutionBiasActivationForward adds bias and residual. Its identity activation
 *            is for IMPLICIT_PRECOMP_GEMM alone; where that is not to be had, where it refuses, or
 *            where there is a time embedding, the convolution goes to scratch in the call's type
 *            and vendor_finish() rounds a second time.
 */
#include <stdio.h>

#include "cuda/vendor.cuh"

namespace
{

const size_t WORKSPACE_MOST = 256 << 20;

int dnn_type(int dtype)
{
    return dtype == DTYPE_F16    ? DNN_DATA_HALF
           : dtype == DTYPE_BF16 ? DNN_DATA_BFLOAT16
                                 : DNN_DATA_FLOAT;
}

size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

/* Sizes of what cuDNN reads and writes. */
void set_sizes(vendor_conv *c, const vendor_key &k)
{
    const int end = k.taps == 9 && k.pad == 0; /* zeros at right and bottom, which cuDNN has not */
    c->phases = k.taps == 4 ? 4 : 1;
    c->h_in = k.h + end;
    c->w_in = k.w + end;
    c->c = k.c_pad + k.c2_pad;
    c->k = (k.c_out + 7) / 8 * 8;
    c->gathers = end || k.c2 || k.c != k.c_pad || k.n_x != k.n;
}

int kernel_of(const vendor_key &k) { return k.taps == 9 ? 3 : k.taps == 4 ? 2 : 1; }

int make_descriptors(const dnn_calls &dnn, vendor_conv *c, const vendor_key &k)
{
    const int type = dnn_type(k.dtype), kernel = kernel_of(k), pad = k.taps == 4 ? 1 : k.pad;
    int code = dnn.tensor_create(&c->x), n = 0, channels = 0;
    if (code == DNN_SUCCESS)
        code = dnn.tensor_set(c->x, DNN_TENSOR_NHWC, type, k.n, c->c, c->h_in, c->w_in);
    if (code == DNN_SUCCESS)
        code = dnn.filter_create(&c->filter);
    if (code == DNN_SUCCESS)
        code = dnn.filter_set(c->filter, type, DNN_TENSOR_NHWC, c->k, c->c, kernel, kernel);
    if (code == DNN_SUCCESS)
        code = dnn.conv_create(&c->conv);
    if (code == DNN_SUCCESS)
        code = dnn.conv_set(c->conv, pad, pad, k.stride, k.stride, 1, 1, DNN_CROSS_CORRELATION,
                            DNN_DATA_FLOAT);
    if (code == DNN_SUCCESS)
        code = dnn.conv_set_math(c->conv, k.dtype == DTYPE_F32 ? DNN_FMA_MATH : DNN_TENSOR_OP_MATH);
    if (code == DNN_SUCCESS)
        code = dnn.conv_output(c->conv, c->x, c->filter, &n, &channels, &c->h, &c->w);
    if (code == DNN_SUCCESS)
        code = dnn.tensor_create(&c->y);
    if (code == DNN_SUCCESS)
        code = dnn.tensor_set(c->y, DNN_TENSOR_NHWC, type, n, channels, c->h, c->w);
    return code;
}

/* For bias and residual in cuDNN. */
int make_epilogue(const dnn_calls &dnn, vendor_conv *c, const vendor_key &k)
{
    int code = dnn.tensor_create(&c->bias);
    if (code == DNN_SUCCESS)
        code = dnn.tensor_set(c->bias, DNN_TENSOR_NHWC, dnn_type(k.dtype), 1, c->k, 1, 1);
    if (code == DNN_SUCCESS)
        code = dnn.activation_create(&c->identity);
    if (code == DNN_SUCCESS)
        code = dnn.activation_set(c->identity, DNN_ACTIVATION_IDENTITY, DNN_NOT_PROPAGATE_NAN, 0);
    return code;
}

/* The first of cuDNN's list, fastest first, that can be used; -1: none. f32 is f32. */
int pick(const vendor_key &k, const dnn_found *found, int count)
{
    for (int i = 0; i < count; i++)
        if (found[i].status == DNN_SUCCESS && found[i].work_bytes <= WORKSPACE_MOST &&
            (!k.direct || found[i].algo == DNN_ALGO_IMPLICIT_PRECOMP_GEMM) &&
            (k.dtype != DTYPE_F32 || found[i].math == DNN_FMA_MATH ||
             found[i].math == DNN_DEFAULT_MATH))
            return i;
    return -1;
}

int choose(cuda_vendor *v, vendor_conv *c, const vendor_key &k)
{
    const dnn_calls &dnn = v->library.dnn;
    dnn_found found[DNN_ALGO_COUNT];
    int count = 0;
    const int code =
        dnn.algorithms(v->dnn, c->x, c->filter, c->conv, c->y, DNN_ALGO_COUNT, &count, found);
    if (code != DNN_SUCCESS)
        return code;
    int at = pick(k, found, count);
    c->fused = k.direct && at >= 0;
    if (k.direct && at < 0) {
        vendor_key apart = k;
        apart.direct = 0;
        at = pick(apart, found, count);
    }
    if (at < 0)
        return DNN_NOT_SUPPORTED;
    c->algo = found[at].algo;
    c->work_bytes = found[at].work_bytes;
    return k.dtype == DTYPE_F32 ? DNN_SUCCESS : dnn.conv_set_math(c->conv, found[at].math);
}

/* ---- scratch: [x as cuDNN wants it][what it gives][its workspace] -----------------------------
 */

size_t gathered_bytes(const vendor_key &k, const vendor_conv &c)
{
    const size_t count = c.gathers ? (size_t)k.n * c.h_in * c.w_in * c.c : 0;
    return aligned(count * dtype_size((enum dtype)k.dtype));
}

size_t phase_bytes(const vendor_key &k, const vendor_conv &c)
{
    return (size_t)k.n * c.h * c.w * c.k * dtype_size((enum dtype)k.dtype);
}

size_t sums_bytes(const vendor_key &k, const vendor_conv &c)
{
    return aligned(c.phases * phase_bytes(k, c));
}

status check(const dnn_calls &dnn, int code, const char *what)
{
    return code == DNN_SUCCESS
               ? STATUS_OK
               : status_fail(STATUS_DEVICE, "engine vendor: %s: %s", what, dnn.status_text(code));
}

/* cuDNN's code of a convolution with bias and residual. */
int run_fused(cuda_vendor *v, const vendor_conv &c, const product &p, const void *x,
              const void *filter, const void *bias, void *work)
{
    const float one = 1.0f, residual = p.residual ? 1.0f : 0.0f;
    return v->library.dnn.forward_bias(v->dnn, &one, c.x, x, c.filter, filter, c.conv, c.algo, work,
                                       c.work_bytes, &residual, c.y, p.residual ? p.residual : p.y,
                                       c.bias, bias, c.identity, c.y, p.y);
}

} // namespace

int vendor_conv_prepare(cuda_vendor *v, vendor_prepared *p)
{
    const dnn_calls &dnn = v->library.dnn;
    vendor_conv *c = &p->conv;
    set_sizes(c, p->key);
    int code = make_descriptors(dnn, c, p->key);
    if (code == DNN_SUCCESS && p->key.direct)
        code = make_epilogue(dnn, c, p->key);
    if (code == DNN_SUCCESS)
        code = choose(v, c, p->key);
    if (code != DNN_SUCCESS)
        snprintf(p->why, sizeof p->why, "cuDNN: %s", dnn.status_text(code));
    return code == DNN_SUCCESS;
}

void vendor_conv_drop(cuda_vendor *v, vendor_prepared *p)
{
    const dnn_calls &dnn = v->library.dnn;
    const vendor_conv &c = p->conv;
    void *const tensors[] = { c.x, c.y, c.bias };
    for (int i = 0; i < 3; i++)
        if (tensors[i])
            (void)dnn.tensor_destroy(tensors[i]);
    if (c.filter)
        (void)dnn.filter_destroy(c.filter);
    if (c.conv)
        (void)dnn.conv_destroy(c.conv);
    if (c.identity)
        (void)dnn.activation_destroy(c.identity);
}

size_t vendor_conv_work(const vendor_prepared *p)
{
    return gathered_bytes(p->key, p->conv) + sums_bytes(p->key, p->conv) +
           aligned(p->conv.work_bytes);
}

status vendor_conv_launch(cuda_vendor *v, vendor_prepared *prepared, const struct weight *w,
                          const product &p, const cuda_call *call)
{
    const dnn_calls &dnn = v->library.dnn;
    const vendor_key &k = prepared->key;
    vendor_conv &c = prepared->conv;
    char *const gathered = (char *)call->work, *const sums = gathered + gathered_bytes(k, c);
    void *const work = sums + sums_bytes(k, c);
    const char *filter = (const char *)(w->filter ? w->filter : w->matrix);
    const void *x = c.gathers ? gathered : p.x;
    const float one = 1.0f, zero = 0.0f;
    if (c.gathers)
        TRY(vendor_gather(p, gathered, c.h_in, c.w_in, call->stream));
    if (c.fused) {
        const int code = run_fused(v, c, p, x, filter, w->bias_as_y, work);
        if (code / 1000 * 1000 != DNN_NOT_SUPPORTED) {
            TRY(check(dnn, code, "cudnnConvolutionBiasActivationForward"));
            return p.stats ? product_stats(p, call->stream) : STATUS_OK;
        }
        c.fused = 0; /* scratch for the other way is there */
    }
    const size_t step =
        (size_t)w->rows * k.taps * c.c * dtype_size(p.dtype); /* to the next phase */
    for (int phase = 0; phase < c.phases; phase++)
        TRY(check(dnn,
                  dnn.forward(v->dnn, &one, c.x, x, c.filter, filter + phase * step, c.conv, c.algo,
                              work, c.work_bytes, &zero, c.y, sums + phase * phase_bytes(k, c)),
                  "cudnnConvolutionForward"));
    const vendor_sums made = { sums, p.dtype, c.h, c.w, c.k, c.phases };
    return vendor_finish(p, made, call->stream);
}
