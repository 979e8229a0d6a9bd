/* tests/vendor/test_vendor.cpp - the vendor engine on the emulated CUDA device, with stand-ins for
 * its libraries: which calls it takes and how, what it prepares and when, and everything that the
 * libraries can refuse. Results are held to those of our own kernels. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/cuda.h"
#include "cuda/vendor.cuh"
#include "tests/check.h"
#include "tests/emulator/emulator.h"
#include "tests/gpu.h"

int check_failures;

void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    check_failures++;
}

static void expect_text(int line, const char *part)
{
    if (!strstr(status_text(), part) || strchr(status_text(), '\n')) {
        fprintf(stderr, "%s:%d: \"%s\" lacks \"%s\"\n", __FILE__, line, status_text(), part);
        check_failures++;
    }
}
#define SAYS(part) expect_text(__LINE__, part)

/* ---- the libraries ------------------------------------------------------------------------ */

static const char *const lt_here[] = { FAKE_VENDOR "/libcublasLt.so.13", NULL };
static const char *const dnn_here[] = { FAKE_VENDOR "/libcudnn.so.9", NULL };
static const char *const lt_lacks[] = { FAKE_VENDOR "_lacks/libcublasLt.so.13", NULL };
static const char *const dnn_lacks[] = { FAKE_VENDOR "_lacks/libcudnn.so.9", NULL };
static const char *const nowhere[] = { "libnowhere.so.2", "libnowhere.so", NULL };

static long counted(const char *const *library, const char *name)
{
    void *const file = dlopen(library[0], RTLD_NOW | RTLD_LOCAL);
    long (*count)(void) = file ? (long (*)(void))dlsym(file, name) : NULL;
    const long value = count ? count() : -1;
    if (file)
        dlclose(file);
    return value;
}

static status probe(const char *const *lt, const char *const *dnn)
{
    const vendor_names names = { lt, dnn };
    vendor_libraries libraries;
    const status result = vendor_libraries_open(&names, &libraries);
    CHECK(result == STATUS_OK || (!libraries.lt_file && !libraries.dnn_file));
    if (result == STATUS_OK)
        vendor_libraries_close(&libraries);
    return result;
}

static void libraries_are_looked_at(void)
{
    CHECK(probe(lt_here, dnn_here) == STATUS_OK);
    CHECK(probe(nowhere, dnn_here) == STATUS_NOT_FOUND);
    SAYS("cuBLASLt is not to be had here (tried libnowhere.so.2, libnowhere.so,");
    SAYS("--engine own");
    CHECK(probe(lt_here, nowhere) == STATUS_NOT_FOUND);
    SAYS("cuDNN is not to be had here");
    CHECK(probe(lt_lacks, dnn_here) == STATUS_UNSUPPORTED);
    SAYS("cuBLASLt 13.1 has no cublasLtMatmul");
    CHECK(probe(lt_here, dnn_lacks) == STATUS_UNSUPPORTED);
    SAYS("cuDNN 9.19 has no cudnnConvolutionForward");
    setenv("FAKE_CUBLASLT_VERSION", "11402", 1);
    CHECK(probe(lt_here, dnn_here) == STATUS_UNSUPPORTED);
    SAYS("this cuBLASLt is of version 11402; 12.0 or newer is needed");
    unsetenv("FAKE_CUBLASLT_VERSION");
    setenv("FAKE_CUDNN_VERSION", "8907", 1);
    CHECK(probe(lt_here, dnn_here) == STATUS_UNSUPPORTED);
    SAYS("this cuDNN is of version 8907; 9.0 or newer is needed");
    unsetenv("FAKE_CUDNN_VERSION");
}

/* ---- a device ----------------------------------------------------------------------------- */

static struct ops *opened(enum dtype dtype)
{
    static const vendor_names here = { lt_here, dnn_here };
    struct ops *ops = NULL;
    CHECK_OK(cuda_open(0, dtype, &ops));
    CHECK_OK(vendor_open(cuda_device(ops), &here));
    cuda_vendor_prefer(ops, 1);
    return ops;
}

static void handles_that_are_refused(void)
{
    static const vendor_names here = { lt_here, dnn_here };
    static const char *const variable[] = { "FAKE_CUBLASLT_CREATE", "FAKE_CUDNN_CREATE" };
    static const char *const code[] = { "1", "1001" };
    static const char *const text[] = { "cuBLASLt cannot begin: CUBLAS_STATUS_NOT_INITIALIZED",
                                        "cuDNN cannot begin: CUDNN_STATUS_NOT_INITIALIZED" };
    const size_t held = emu_held();
    for (int i = 0; i < 2; i++) {
        struct ops *ops = NULL;
        CHECK_OK(cuda_open(0, DTYPE_F16, &ops));
        setenv(variable[i], code[i], 1);
        CHECK(vendor_open(cuda_device(ops), &here) == STATUS_DEVICE);
        unsetenv(variable[i]);
        SAYS(text[i]);
        CHECK(cuda_vendor_versions(ops) == NULL);
        CHECK(cuda_force(ops, "conv2d", "vendor") == STATUS_MISUSE);
        SAYS("variant \"vendor\" of conv2d: it needs --engine vendor");
        cuda_vendor_prefer(ops, 1); /* it is not open: nothing to prefer */
        CHECK(strcmp(ops->engine, "own") == 0);
        ops->destroy(ops);
    }
    CHECK(emu_held() == held);
    CHECK(counted(lt_here, "fake_cublaslt_live") == 0);
    CHECK(counted(dnn_here, "fake_cudnn_live") == 0);
}

static void opened_behind_a_weight(void)
{
    struct ops *ops = NULL;
    struct weight *w = NULL;
    struct weight_args args = {};
    args.kind = WEIGHT_VECTOR;
    args.parts = args.in = args.kernel = args.stride = args.upsample = 1;
    args.part[0].out = 8;
    args.scale = 1;
    args.dtype = DTYPE_F16;
    args.name = "w";
    CHECK_OK(cuda_open(0, DTYPE_F16, &ops));
    CHECK_OK(ops->weight_create(ops, &args, &w));
    CHECK(cuda_vendor_open(ops) == STATUS_MISUSE);
    ops->destroy(ops);
}

/* ---- a network of two layers --------------------------------------------------------------- */

enum { N = 2, H = 6, W = 5, C = 64, OUT = 96, HW = H * W };

/* 3x3 with bias, then a linear layer back with bias and residual, both direct, then GEGLU. */
struct net {
    struct ops *ops;
    enum dtype dtype;
    struct weight *conv, *linear, *geglu;
    void *x, *hidden, *y, *gated;
    float *host_x;
};

static struct weight_args layer(enum weight_kind kind, enum dtype dtype, int in, int out,
                                int kernel)
{
    struct weight_args args = {};
    args.kind = kind;
    args.parts = args.stride = args.upsample = 1;
    args.in = in;
    args.kernel = kernel;
    args.scale = 1;
    args.dtype = dtype;
    args.name = "layer";
    args.part[0].out = out;
    args.part[0].dtype = args.part[0].bias_dtype = dtype;
    args.part[0].data = test_values(dtype, (size_t)out * in * kernel * kernel, 0,
                                    1 / sqrt((double)in * kernel * kernel), 7);
    args.part[0].bias = test_values(dtype, out, 0, 1, 8);
    return args;
}

static struct net make_net(enum dtype dtype)
{
    struct net net = {};
    net.ops = opened(dtype);
    net.dtype = dtype;
    const struct weight_args conv = layer(WEIGHT_CONV2D, dtype, C, OUT, 3),
                             linear = layer(WEIGHT_LINEAR, dtype, OUT, C, 1);
    struct weight_args geglu = layer(WEIGHT_LINEAR, dtype, C, 2 * OUT, 1);
    geglu.geglu = 1;
    CHECK_OK(net.ops->weight_create(net.ops, &conv, &net.conv));
    CHECK_OK(net.ops->weight_create(net.ops, &linear, &net.linear));
    CHECK_OK(net.ops->weight_create(net.ops, &geglu, &net.geglu));
    return net;
}

static status take_memory(struct net *net)
{
    const size_t size = dtype_size(net->dtype);
    TRY(net->ops->alloc(net->ops, N * HW * C * size, &net->x));
    TRY(net->ops->alloc(net->ops, N * HW * OUT * size, &net->hidden));
    TRY(net->ops->alloc(net->ops, N * HW * C * size, &net->y));
    TRY(net->ops->alloc(net->ops, N * HW * OUT * size, &net->gated));
    return net->ops->upload(net->ops, net->x, test_values(net->dtype, N * HW * C, 0.3, 1, 9),
                            N * HW * C * size);
}

static status evaluate(void *arg)
{
    struct net *net = (struct net *)arg;
    struct conv2d_args conv = {};
    conv.weight = net->conv, conv.x = net->x, conv.y = net->hidden;
    conv.dtype = net->dtype;
    conv.n = conv.n_x = conv.n_x2 = conv.n_residual = N, conv.n_add = 1;
    conv.h = conv.h_out = H, conv.w = conv.w_out = W, conv.c = C, conv.c_out = OUT;
    TRY(net->ops->conv2d(net->ops, &conv));
    struct linear_args linear = {};
    linear.weight = net->linear, linear.x = net->hidden, linear.residual = net->x;
    linear.y = net->y, linear.dtype = net->dtype;
    linear.n = linear.n_x = linear.n_x2 = linear.n_residual = N;
    linear.s = HW, linear.in = OUT, linear.out = C;
    TRY(net->ops->linear(net->ops, &linear));
    linear.weight = net->geglu, linear.x = net->y, linear.residual = NULL, linear.y = net->gated;
    linear.in = C, linear.out = OUT;
    return net->ops->linear(net->ops, &linear);
}

static status plan(struct net *net)
{
    TRY(net->ops->plan_begin(net->ops));
    TRY(take_memory(net));
    const status planned = evaluate(net);
    net->ops->release(net->ops, 0);
    const status ended = net->ops->plan_end(net->ops, 0, NULL);
    TRY(planned != STATUS_OK ? planned : ended);
    return take_memory(net);
}

static status result_of(struct net *net, void *out)
{
    return net->ops->download(net->ops, out, net->gated, N * HW * OUT * dtype_size(net->dtype));
}

/* All of it, on the engine or on our own kernels. */
static void run_net(struct net *net, int vendor, void *out)
{
    cuda_vendor_prefer(net->ops, vendor);
    CHECK_OK(plan(net));
    CHECK_OK(evaluate(net));
    CHECK_OK(result_of(net, out));
    net->ops->release(net->ops, 0);
}

static long vendor_runs(struct ops *ops, const char *op)
{
    for (int i = 0; cuda_variant_name(op, i); i++)
        if (strcmp(cuda_variant_name(op, i), "vendor") == 0)
            return cuda_variant_runs(ops, op, i);
    return -1;
}

/* Another order of sums, and for GEGLU the roundings of two layers in front. */
static void check_like_own(const void *got, const void *own, enum dtype dtype, const char *why)
{
    double *want = (double *)test_alloc(N * HW * OUT * sizeof *want);
    for (int i = 0; i < N * HW * OUT; i++)
        want[i] = dtype_value(own, dtype, i);
    struct bound bound = {};
    bound.rel = 4 * half_ulp(dtype);
    bound.abs = dtype == DTYPE_F32 ? 3e-5 : 24 * half_ulp(dtype); /* f32: sums of 576 terms */
    CHECK(check_close(got, dtype, want, N * HW * OUT, bound, why) == 0);
}

static void results_are_those_of_our_own(void)
{
    static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };
    for (int i = 0; i < 3; i++) {
        const size_t held = emu_held(), bytes = N * HW * OUT * dtype_size(dtypes[i]);
        struct net net = make_net(dtypes[i]);
        void *own = test_alloc(bytes), *vendor = test_alloc(bytes);
        const long fused = counted(dnn_here, "fake_cudnn_fused_runs");
        run_net(&net, 0, own);
        CHECK(vendor_runs(net.ops, "conv2d") == 0 && vendor_runs(net.ops, "linear") == 0);
        CHECK(strcmp(net.ops->engine, "own") == 0);
        run_net(&net, 1, vendor);
        CHECK(vendor_runs(net.ops, "conv2d") == 1 && vendor_runs(net.ops, "linear") == 2);
        CHECK(strcmp(net.ops->engine, "vendor, cuBLASLt 13.1.0, cuDNN 9.19.0") == 0);
        CHECK(counted(dnn_here, "fake_cudnn_fused_runs") == fused + 1);
        CHECK(net.ops->engine_left == NULL);
        check_like_own(vendor, own, dtypes[i], dtype_name(dtypes[i]));
        net.ops->destroy(net.ops);
        CHECK(emu_held() == held);
        test_release();
    }
    CHECK(counted(lt_here, "fake_cublaslt_live") == 0);
    CHECK(counted(dnn_here, "fake_cudnn_live") == 0);
}

/* A plan prepares; steps, as a graph and one by one, ask the libraries for nothing more. */
static void steps_prepare_nothing(void)
{
    const size_t bytes = N * HW * OUT * sizeof(f16);
    struct net net = make_net(DTYPE_F16);
    struct graph *graph = NULL;
    void *plain = test_alloc(bytes), *replayed = test_alloc(bytes);
    CHECK_OK(plan(&net));
    const long lt = counted(lt_here, "fake_cublaslt_heuristics"),
               dnn = counted(dnn_here, "fake_cudnn_heuristics"),
               objects =
                   counted(lt_here, "fake_cublaslt_live") + counted(dnn_here, "fake_cudnn_live");
    const size_t held = emu_held();
    CHECK_OK(evaluate(&net));
    CHECK_OK(result_of(&net, plain));
    CHECK_OK(net.ops->capture(net.ops, evaluate, &net, &graph));
    for (int i = 0; i < 3; i++)
        CHECK_OK(net.ops->replay(net.ops, graph));
    CHECK_OK(result_of(&net, replayed));
    CHECK(memcmp(plain, replayed, bytes) == 0);
    net.ops->graph_destroy(net.ops, graph);
    CHECK(emu_held() == held);
    CHECK(counted(lt_here, "fake_cublaslt_heuristics") == lt);
    CHECK(counted(dnn_here, "fake_cudnn_heuristics") == dnn);
    CHECK(counted(lt_here, "fake_cublaslt_live") + counted(dnn_here, "fake_cudnn_live") == objects);
    net.ops->release(net.ops, 0);
    net.ops->destroy(net.ops);
    test_release();
}

/* What a library does not support runs on our own kernels, and is listed once. */
static void calls_that_are_left(void)
{
    const size_t bytes = N * HW * OUT * sizeof(f16);
    struct net net = make_net(DTYPE_F16);
    void *own = test_alloc(bytes), *mixed = test_alloc(bytes);
    run_net(&net, 0, own);
    setenv("FAKE_CUBLASLT_REFUSES", "96", 1);
    setenv("FAKE_CUDNN_REFUSES", "64", 1);
    run_net(&net, 1, mixed);
    run_net(&net, 1, mixed);
    unsetenv("FAKE_CUBLASLT_REFUSES");
    unsetenv("FAKE_CUDNN_REFUSES");
    CHECK(vendor_runs(net.ops, "conv2d") == 0 && vendor_runs(net.ops, "linear") == 2);
    CHECK(net.ops->engine_left &&
          strcmp(net.ops->engine_left,
                 "conv2d 3x3 6x5 64+0->96 f16: cuDNN: CUDNN_STATUS_NOT_SUPPORTED\n"
                 "linear 30 96+0->64 f16: cuBLASLt: CUBLAS_STATUS_NOT_SUPPORTED\n") == 0);
    check_like_own(mixed, own, DTYPE_F16, "partly our own");
    CHECK(cuda_force(net.ops, "conv2d", "vendor") == STATUS_OK); /* by name it is an error */
    CHECK(plan(&net) == STATUS_UNSUPPORTED);
    net.ops->release(net.ops, 0);
    net.ops->destroy(net.ops);
    test_release();
}

/* cuDNN without bias and residual: the same picture by another way, decided at the plan where the
 * algorithm is not offered, and at the call where it is refused. */
static void convolutions_finished_by_us(void)
{
    static const char *const variable[] = { "FAKE_CUDNN_NO_PRECOMP", "FAKE_CUDNN_FUSED" };
    static const char *const value[] = { "1", "3000" };
    const size_t bytes = N * HW * OUT * sizeof(f16);
    for (int i = 0; i < 2; i++) {
        struct net net = make_net(DTYPE_F16);
        void *own = test_alloc(bytes), *apart = test_alloc(bytes);
        const long fused = counted(dnn_here, "fake_cudnn_fused_runs");
        run_net(&net, 0, own);
        setenv(variable[i], value[i], 1);
        run_net(&net, 1, apart);
        unsetenv(variable[i]);
        CHECK(vendor_runs(net.ops, "conv2d") == 1 && net.ops->engine_left == NULL);
        CHECK(counted(dnn_here, "fake_cudnn_fused_runs") == fused);
        check_like_own(apart, own, DTYPE_F16, variable[i]);
        net.ops->destroy(net.ops);
        test_release();
    }
}

static void calls_that_fail(void)
{
    static const char *const variable[] = { "FAKE_CUBLASLT_MATMUL", "FAKE_CUDNN_FUSED",
                                            "FAKE_CUDNN_FUSED" };
    static const char *const value[] = { "13", "5000", "2000" };
    static const char *const text[] = {
        "engine vendor: cublasLtMatmul: CUBLAS_STATUS_EXECUTION_FAILED",
        "engine vendor: cudnnConvolutionBiasActivationForward: CUDNN_STATUS_EXECUTION_FAILED",
        "engine vendor: cudnnConvolutionBiasActivationForward: CUDNN_STATUS_BAD_PARAM"
    };
    for (int i = 0; i < 3; i++) {
        const size_t held = emu_held();
        struct net net = make_net(DTYPE_F16);
        struct graph *graph = NULL;
        CHECK_OK(plan(&net));
        setenv(variable[i], value[i], 1);
        CHECK(evaluate(&net) == STATUS_DEVICE);
        SAYS(text[i]);
        CHECK(net.ops->capture(net.ops, evaluate, &net, &graph) == STATUS_DEVICE);
        SAYS(text[i]);
        unsetenv(variable[i]);
        CHECK(graph == NULL);
        net.ops->release(net.ops, 0);
        net.ops->destroy(net.ops);
        CHECK(emu_held() == held);
        test_release();
    }
}

/* A delta changes the filter's copy too, and taking it off gives the first bytes again. */
static void weights_are_rebuilt(void)
{
    enum { IN = 24 }; /* 9 * 24 terms: cuDNN's rows are not ours */
    static float full[OUT * IN * 9];
    struct ops *ops = opened(DTYPE_F16);
    struct weight *w = NULL;
    const struct weight_args args = layer(WEIGHT_CONV2D, DTYPE_F16, IN, OUT, 3);
    const size_t bytes = (size_t)OUT * 9 * IN * sizeof(f16);
    char *first = (char *)test_alloc(bytes), *fused = (char *)test_alloc(bytes),
         *again = (char *)test_alloc(bytes);
    struct weight_delta delta = {};
    for (size_t i = 0; i < sizeof full / sizeof full[0]; i++)
        full[i] = 1;
    delta.scale = 0.5f;
    delta.full = full;
    CHECK_OK(ops->weight_create(ops, &args, &w));
    CHECK(w->filter != NULL && w->bias_as_y != NULL);
    CHECK_OK(ops->download(ops, first, w->filter, bytes));
    CHECK_OK(ops->weight_fuse(ops, w, &args, &delta, 1));
    CHECK_OK(ops->download(ops, fused, w->filter, bytes));
    CHECK_OK(ops->weight_fuse(ops, w, &args, NULL, 0));
    CHECK_OK(ops->download(ops, again, w->filter, bytes));
    CHECK(memcmp(first, again, bytes) == 0);
    for (size_t i = 0; i < bytes / sizeof(f16); i++)
        if (fabs(dtype_value(fused, DTYPE_F16, i) - dtype_value(first, DTYPE_F16, i) - 0.5) >
            1e-3) {
            CHECK(!"a filter's value is not its own plus a half");
            break;
        }
    ops->destroy(ops);
    test_release();
}

int main(void)
{
    emu_set.quiet = 1;
    libraries_are_looked_at();
    handles_that_are_refused();
    opened_behind_a_weight();
    results_are_those_of_our_own();
    steps_prepare_nothing();
    calls_that_are_left();
    convolutions_finished_by_us();
    calls_that_fail();
    weights_are_rebuilt();
    return check_failures != 0;
}
