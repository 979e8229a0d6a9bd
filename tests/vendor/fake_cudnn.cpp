/* tests/vendor/fake_cudnn.cpp - a libcudnn for the emulator: convolutions in NHWC.
 *
 *   FAKE_CUDNN_VERSION     what it says it is: 91900
 *   FAKE_CUDNN_CREATE      the code that making a handle gives
 *   FAKE_CUDNN_REFUSES     a convolution over this many channels is not supported
 *   FAKE_CUDNN_NO_PRECOMP  1: it offers no IMPLICIT_PRECOMP_GEMM
 *   FAKE_CUDNN_FUSED       the code that a convolution with bias gives
 *   FAKE_CUDNN_FORWARD     the code that a plain convolution gives
 * Compiled with FAKE_LACKS, it has no cudnnConvolutionForward.
 *
 * source  cuDNN API, cudnn_ops and cudnn_cnn: the descriptors, cudnnConvolutionForward(),
 *         cudnnConvolutionBiasActivationForward(), cudnnGetConvolutionForwardAlgorithm_v7() */
#include <string.h>

#include "cuda/vendor_abi.h"
#include "tests/vendor/fake.h"

#ifdef FAKE_LACKS
#define cudnnConvolutionForward cudnnConvolutionForwardNot
#endif

enum { BAD_PARAM = 2000, IMPLICIT_GEMM = 0, GEMM = 2, WINOGRAD = 6 };

struct handle {
    uint64_t magic;
    void *stream;
    int has_stream;
};
struct tensor {
    uint64_t magic;
    int type, n, c, h, w; /* type -1: not set */
};
struct filter {
    uint64_t magic;
    int type, k, c, h, w;
};
struct conv {
    uint64_t magic;
    int pad_h, pad_w, stride_h, stride_w, set, math;
};
struct activation {
    uint64_t magic;
    int mode;
};

static const uint64_t HANDLE = 0x1a1, TENSOR = 0x2b2, FILTER = 0x3c3, CONV = 0x4d4, ACT = 0x5e5;
static long live, heuristics, fused_runs;

EXPORT long fake_cudnn_live(void) { return live; }
EXPORT long fake_cudnn_heuristics(void) { return heuristics; }
EXPORT long fake_cudnn_fused_runs(void) { return fused_runs; }

static int refuse(int code, const char *why)
{
    fprintf(stderr, "fake cuDNN: %s\n", why);
    return code;
}
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return refuse(BAD_PARAM, #condition);                                                  \
    } while (0)

template <class T> static T *as(void *p, uint64_t magic)
{
    return p && ((T *)p)->magic == magic ? (T *)p : NULL;
}

template <class T> static int create(void **out, const T &value)
{
    *out = new T(value);
    live++;
    return DNN_SUCCESS;
}

template <class T> static int destroy(void *p, uint64_t magic)
{
    T *object = as<T>(p, magic);
    REQUIRE(object);
    object->magic = 0;
    delete object;
    live--;
    return DNN_SUCCESS;
}

static enum dtype dtype_of(int type)
{
    return type == DNN_DATA_HALF ? DTYPE_F16 : type == DNN_DATA_BFLOAT16 ? DTYPE_BF16 : DTYPE_F32;
}

static int is_known(int type)
{
    return type == DNN_DATA_FLOAT || type == DNN_DATA_HALF || type == DNN_DATA_BFLOAT16;
}

/* ---- objects ---------------------------------------------------------------------------- */

EXPORT size_t cudnnGetVersion(void) { return (size_t)asked("FAKE_CUDNN_VERSION", 91900); }

EXPORT const char *cudnnGetErrorString(int code)
{
    return code == DNN_SUCCESS                            ? "CUDNN_STATUS_SUCCESS"
           : code / 1000 == 1                             ? "CUDNN_STATUS_NOT_INITIALIZED"
           : code / 1000 == 2                             ? "CUDNN_STATUS_BAD_PARAM"
           : code / 1000 * 1000 == (int)DNN_NOT_SUPPORTED ? "CUDNN_STATUS_NOT_SUPPORTED"
                                                          : "CUDNN_STATUS_EXECUTION_FAILED";
}

EXPORT int cudnnCreate(void **out)
{
    const int code = (int)asked("FAKE_CUDNN_CREATE", 0);
    return code ? code : create(out, handle{ HANDLE, NULL, 0 });
}
EXPORT int cudnnDestroy(void *p)
{
    if (live != 1)
        return refuse(BAD_PARAM, "a handle is destroyed before its descriptors");
    return destroy<handle>(p, HANDLE);
}
EXPORT int cudnnSetStream(void *p, void *stream)
{
    handle *h = as<handle>(p, HANDLE);
    REQUIRE(h);
    h->stream = stream;
    h->has_stream = 1;
    return DNN_SUCCESS;
}

EXPORT int cudnnCreateTensorDescriptor(void **out)
{
    return create(out, tensor{ TENSOR, -1, 0, 0, 0, 0 });
}
EXPORT int cudnnDestroyTensorDescriptor(void *p) { return destroy<tensor>(p, TENSOR); }
EXPORT int cudnnSetTensor4dDescriptor(void *p, int format, int type, int n, int c, int h, int w)
{
    tensor *t = as<tensor>(p, TENSOR);
    REQUIRE(t && format == DNN_TENSOR_NHWC && is_known(type));
    REQUIRE(n > 0 && c > 0 && h > 0 && w > 0);
    REQUIRE((double)n * c * h * w <= 2147483647.0);
    *t = tensor{ TENSOR, type, n, c, h, w };
    return DNN_SUCCESS;
}

EXPORT int cudnnCreateFilterDescriptor(void **out)
{
    return create(out, filter{ FILTER, -1, 0, 0, 0, 0 });
}
EXPORT int cudnnDestroyFilterDescriptor(void *p) { return destroy<filter>(p, FILTER); }
EXPORT int cudnnSetFilter4dDescriptor(void *p, int type, int format, int k, int c, int h, int w)
{
    filter *f = as<filter>(p, FILTER);
    REQUIRE(f && format == DNN_TENSOR_NHWC && is_known(type));
    REQUIRE(k > 0 && c > 0 && h > 0 && w > 0);
    *f = filter{ FILTER, type, k, c, h, w };
    return DNN_SUCCESS;
}

EXPORT int cudnnCreateConvolutionDescriptor(void **out)
{
    return create(out, conv{ CONV, 0, 0, 0, 0, 0, DNN_DEFAULT_MATH });
}
EXPORT int cudnnDestroyConvolutionDescriptor(void *p) { return destroy<conv>(p, CONV); }
EXPORT int cudnnSetConvolution2dDescriptor(void *p, int pad_h, int pad_w, int stride_h,
                                           int stride_w, int dilation_h, int dilation_w, int mode,
                                           int compute)
{
    conv *c = as<conv>(p, CONV);
    REQUIRE(c && pad_h >= 0 && pad_w >= 0 && stride_h > 0 && stride_w > 0);
    REQUIRE(dilation_h == 1 && dilation_w == 1); /* all that is computed here */
    REQUIRE(mode == DNN_CROSS_CORRELATION && compute == DNN_DATA_FLOAT);
    *c = conv{ CONV, pad_h, pad_w, stride_h, stride_w, 1, c->math };
    return DNN_SUCCESS;
}
EXPORT int cudnnSetConvolutionMathType(void *p, int math)
{
    conv *c = as<conv>(p, CONV);
    REQUIRE(c && math >= DNN_DEFAULT_MATH && math <= DNN_FMA_MATH);
    c->math = math;
    return DNN_SUCCESS;
}

EXPORT int cudnnCreateActivationDescriptor(void **out)
{
    return create(out, activation{ ACT, -1 });
}
EXPORT int cudnnDestroyActivationDescriptor(void *p) { return destroy<activation>(p, ACT); }
EXPORT int cudnnSetActivationDescriptor(void *p, int mode, int nan, double coefficient)
{
    activation *a = as<activation>(p, ACT);
    REQUIRE(a && (nan == 0 || nan == 1) && coefficient == 0);
    a->mode = mode;
    return DNN_SUCCESS;
}

/* ---- convolutions ----------------------------------------------------------------------- */

struct problem {
    tensor x, y;
    filter f;
    conv c;
};

static int out_size(int size, int pad, int kernel, int stride)
{
    return (size + 2 * pad - kernel) / stride + 1;
}

EXPORT int cudnnGetConvolution2dForwardOutputDim(void *conv_, void *x_, void *filter_, int *n,
                                                 int *c, int *h, int *w)
{
    const conv *v = as<conv>(conv_, CONV);
    const tensor *x = as<tensor>(x_, TENSOR);
    const filter *f = as<filter>(filter_, FILTER);
    REQUIRE(v && v->set && x && f && x->type >= 0 && f->type >= 0 && x->c == f->c);
    *n = x->n;
    *c = f->k;
    *h = out_size(x->h, v->pad_h, f->h, v->stride_h);
    *w = out_size(x->w, v->pad_w, f->w, v->stride_w);
    REQUIRE(*h > 0 && *w > 0);
    return DNN_SUCCESS;
}

static int read_problem(void *x, void *f, void *c, void *y, problem *out)
{
    int n, k, h, w;
    const int code = cudnnGetConvolution2dForwardOutputDim(c, x, f, &n, &k, &h, &w);
    if (code != DNN_SUCCESS)
        return code;
    REQUIRE((as<tensor>(y, TENSOR)));
    *out = problem{ *(tensor *)x, *(tensor *)y, *(filter *)f, *(conv *)c };
    const tensor &to = out->y;
    REQUIRE(to.n == n && to.c == k && to.h == h && to.w == w);
    REQUIRE(to.type == out->x.type && out->f.type == out->x.type);
    return DNN_SUCCESS;
}

/* Bytes that algorithm `algo` works in. */
static size_t work_of(const problem &p, int algo)
{
    return algo == DNN_ALGO_IMPLICIT_PRECOMP_GEMM ? 64 + (size_t)p.y.h * p.y.w * 4 : 0;
}

/* The arithmetic that it is offered with: tensor cores for whole vectors of 16-bit channels. */
static int math_of(const problem &p)
{
    return p.x.type == DNN_DATA_FLOAT         ? DNN_FMA_MATH
           : p.x.c % 8 == 0 && p.y.c % 8 == 0 ? DNN_TENSOR_OP_MATH
                                              : DNN_DEFAULT_MATH;
}

/* Fastest first: one whose workspace nobody has, one that cannot, one that is not f32; then those
 * that run. */
EXPORT int cudnnGetConvolutionForwardAlgorithm_v7(void *h, void *x, void *f, void *c, void *y,
                                                  int most, int *count, dnn_found *found)
{
    problem p;
    REQUIRE((as<handle>(h, HANDLE)) && most >= DNN_ALGO_COUNT && count && found);
    const int code = read_problem(x, f, c, y, &p);
    heuristics++;
    *count = 0;
    if (code != DNN_SUCCESS || p.x.c == asked("FAKE_CUDNN_REFUSES", 0))
        return code ? code : (int)DNN_NOT_SUPPORTED;
    const dnn_found offers[] = {
        { GEMM, 0, 1, (size_t)1 << 40, 1, DNN_TENSOR_OP_MATH, { 0 } },
        { WINOGRAD, DNN_NOT_SUPPORTED, -1, 0, 1, DNN_FMA_MATH, { 0 } },
        { GEMM, 0, 2, 0, 1, DNN_TENSOR_OP_MATH_CONVERSION, { 0 } },
        { DNN_ALGO_IMPLICIT_PRECOMP_GEMM, 0, 3, work_of(p, 1), 1, math_of(p), { 0 } },
        { IMPLICIT_GEMM, 0, 4, 0, 1, math_of(p), { 0 } },
    };
    for (const dnn_found &offer : offers)
        if ((offer.math != DNN_TENSOR_OP_MATH_CONVERSION || p.x.type == DNN_DATA_FLOAT) &&
            (offer.algo != DNN_ALGO_IMPLICIT_PRECOMP_GEMM || !asked("FAKE_CUDNN_NO_PRECOMP", 0)))
            found[(*count)++] = offer;
    return DNN_SUCCESS;
}

/* What a convolution adds to its sums, and whose bytes it has. */
struct run {
    const void *x, *filter, *z, *bias;
    void *work, *y;
    float alpha, alpha_z;
    size_t work_bytes;
};

static size_t bytes_of(const tensor &t)
{
    return (size_t)t.n * t.c * t.h * t.w * dtype_size(dtype_of(t.type));
}

static int check_run(void *h, const problem &p, int algo, const run &r)
{
    enum { VECTOR = 16 };
    const filter &f = p.f;
    const size_t filter_bytes = (size_t)f.k * f.c * f.h * f.w * dtype_size(dtype_of(f.type)),
                 work = work_of(p, algo);
    REQUIRE((as<handle>(h, HANDLE)) && ((handle *)h)->has_stream);
    REQUIRE(algo == IMPLICIT_GEMM || algo == DNN_ALGO_IMPLICIT_PRECOMP_GEMM); /* those of NHWC */
    REQUIRE(p.c.math == math_of(p));
    REQUIRE(r.work_bytes >= work && (work == 0 || vendor_host_owns(r.work, work)));
    REQUIRE(vendor_host_owns(r.x, bytes_of(p.x)) && vendor_host_owns(r.filter, filter_bytes));
    REQUIRE(vendor_host_owns(r.y, bytes_of(p.y)));
    REQUIRE(is_aligned(r.x, VECTOR) && is_aligned(r.filter, VECTOR) && is_aligned(r.y, VECTOR));
    REQUIRE(!overlap(r.y, bytes_of(p.y), r.x, bytes_of(p.x)));
    REQUIRE(!overlap(r.y, bytes_of(p.y), r.filter, filter_bytes));
    REQUIRE(work == 0 || (!overlap(r.work, work, r.x, bytes_of(p.x)) &&
                          !overlap(r.work, work, r.y, bytes_of(p.y))));
    return DNN_SUCCESS;
}

static double sum_of(const problem &p, const float *x_data, const float *filter, int n, int oy,
                     int ox, int k)
{
    double sum = 0;
    for (int ky = 0; ky < p.f.h; ky++)
        for (int kx = 0; kx < p.f.w; kx++) {
            const int y = oy * p.c.stride_h - p.c.pad_h + ky;
            const int x = ox * p.c.stride_w - p.c.pad_w + kx;
            if (y >= 0 && y < p.x.h && x >= 0 && x < p.x.w)
                sum += dot_product(x_data + (((size_t)n * p.x.h + y) * p.x.w + x) * p.x.c,
                                   filter + (((size_t)k * p.f.h + ky) * p.f.w + kx) * p.f.c,
                                   (size_t)p.f.c);
        }
    return sum;
}

static void compute(const problem &p, const run &r)
{
    const enum dtype type = dtype_of(p.x.type);
    const std::vector<float> x_data = floats(r.x, type, (size_t)p.x.n * p.x.c * p.x.h * p.x.w);
    const std::vector<float> filter = floats(r.filter, type, (size_t)p.f.k * p.f.c * p.f.h * p.f.w);
    size_t i = 0;
    for (int n = 0; n < p.y.n; n++)
        for (int y = 0; y < p.y.h; y++)
            for (int x = 0; x < p.y.w; x++)
                for (int k = 0; k < p.y.c; k++, i++) {
                    double v = r.alpha * sum_of(p, x_data.data(), filter.data(), n, y, x, k);
                    if (r.bias)
                        v += dtype_value(r.bias, type, k);
                    if (r.alpha_z != 0)
                        v += r.alpha_z * dtype_value(r.z, type, i);
                    store(r.y, type, i, v);
                }
    vendor_host_wrote(r.y, bytes_of(p.y));
}

static int run_on(void *h, const problem &p, int algo, const run &r)
{
    const size_t work = work_of(p, algo);
    return enqueue(((handle *)h)->stream, [=] {
        memset(r.work, 0xff, work); /* it is the library's to write on */
        compute(p, r);
    });
}

EXPORT int cudnnConvolutionForward(void *h, const void *alpha, void *x, const void *x_data, void *f,
                                   const void *f_data, void *c, int algo, void *work,
                                   size_t work_bytes, const void *beta, void *y, void *y_data)
{
    problem p;
    int code = (int)asked("FAKE_CUDNN_FORWARD", 0);
    if (code == DNN_SUCCESS)
        code = read_problem(x, f, c, y, &p);
    if (code != DNN_SUCCESS)
        return code;
    REQUIRE(alpha && beta && *(const float *)beta == 0);
    const run r = {
        x_data, f_data, NULL, NULL, work, y_data, *(const float *)alpha, 0, work_bytes
    };
    code = check_run(h, p, algo, r);
    return code == DNN_SUCCESS ? run_on(h, p, algo, r) : code;
}

EXPORT int cudnnConvolutionBiasActivationForward(void *h, const void *alpha, void *x,
                                                 const void *x_data, void *f, const void *f_data,
                                                 void *c, int algo, void *work, size_t work_bytes,
                                                 const void *alpha_z, void *z_, const void *z_data,
                                                 void *bias_, const void *bias_data, void *act,
                                                 void *y, void *y_data)
{
    const tensor *z = as<tensor>(z_, TENSOR), *bias = as<tensor>(bias_, TENSOR);
    const activation *a = as<activation>(act, ACT);
    problem p;
    int code = (int)asked("FAKE_CUDNN_FUSED", 0);
    if (code == DNN_SUCCESS)
        code = read_problem(x, f, c, y, &p);
    if (code != DNN_SUCCESS)
        return code;
    REQUIRE(alpha && alpha_z && z && bias && a && z_data && bias_data);
    if (a->mode == DNN_ACTIVATION_IDENTITY && algo != DNN_ALGO_IMPLICIT_PRECOMP_GEMM)
        return refuse(DNN_NOT_SUPPORTED, "identity is for IMPLICIT_PRECOMP_GEMM");
    REQUIRE(a->mode == DNN_ACTIVATION_IDENTITY); /* all that is computed here */
    REQUIRE(z->type == p.y.type && z->n == p.y.n && z->c == p.y.c && z->h == p.y.h &&
            z->w == p.y.w);
    REQUIRE(bias->type == p.y.type && bias->n == 1 && bias->c == p.y.c && bias->h == 1 &&
            bias->w == 1);
    const run r = { x_data,
                    f_data,
                    z_data,
                    bias_data,
                    work,
                    y_data,
                    *(const float *)alpha,
                    *(const float *)alpha_z,
                    work_bytes };
    REQUIRE(vendor_host_owns(bias_data, bytes_of(*bias)) && vendor_host_owns(z_data, bytes_of(*z)));
    REQUIRE(r.alpha_z == 0 || !overlap(z_data, bytes_of(*z), y_data, bytes_of(p.y)));
    code = check_run(h, p, algo, r);
    if (code != DNN_SUCCESS)
        return code;
    fused_runs++;
    return run_on(h, p, algo, r);
}
