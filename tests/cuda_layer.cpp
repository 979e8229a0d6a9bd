/* tests/cuda_layer.cpp - layers for kernel tests. */
#include "tests/cuda_layer.h"

#include <math.h>
#include <stdio.h>

#include "cuda/vendor.cuh"
#include "tests/check.h"
#include "tests/gpu.h"

struct weight_args layer_args(enum weight_kind kind, enum dtype dtype, int parts, int out, int in,
                              int kernel, float bias)
{
    const size_t terms = (size_t)in * kernel * kernel;
    struct weight_args args = {};
    args.kind = kind;
    args.parts = parts;
    args.in = in;
    args.kernel = kernel;
    args.stride = args.upsample = 1;
    args.scale = 1;
    args.dtype = dtype;
    args.name = "layer";
    for (int p = 0; p < parts; p++) {
        struct weight_part *part = &args.part[p];
        part->data = test_values(dtype, out * terms, 0, 1 / sqrt((double)terms), 51 + p);
        part->dtype = dtype;
        part->out = out;
        part->bias_dtype = bias == 0 ? dtype : DTYPE_F32; /* that a library can add, or not */
        part->bias = test_values(part->bias_dtype, out, bias, 0.5, 61 + p);
    }
    return args;
}

struct layer layer_make(const struct weight_args *args)
{
    struct layer layer = { *args, NULL, NULL, NULL };
    const size_t rows = (size_t)args->parts * args->part[0].out;
    layer.matrix =
        (double *)test_alloc(rows * args->in * args->kernel * args->kernel * sizeof(double));
    layer.bias = (double *)test_alloc(rows * sizeof(double));
    ref_weight(args, NULL, 0, layer.matrix, layer.bias);
    gpu_device_for(args->dtype);
    CHECK_OK(cuda_weight_create(gpu_device(), args, &layer.weight));
    return layer;
}

struct ref_layer layer_ref(const struct layer *layer)
{
    return { &layer->args, layer->matrix, layer->bias };
}

int layer_vendor(void)
{
    static int asked, open;
    const vendor_names *names = NULL;
#ifdef GPU_EMULATOR /* stand-ins: tests/vendor */
    static const char *const lt[] = { FAKE_VENDOR "/libcublasLt.so.13", NULL };
    static const char *const dnn[] = { FAKE_VENDOR "/libcudnn.so.9", NULL };
    static const vendor_names fakes = { lt, dnn };
    names = &fakes;
#endif
    if (!asked)
        open = vendor_open(cuda_device(gpu_device()), names) == STATUS_OK;
    if (!asked && !open)
        fprintf(stderr, "the vendor's rows are left out: %s\n", status_text());
#ifdef GPU_EMULATOR
    CHECK(open);
#endif
    asked = 1;
    return open;
}

void layer_done(struct layer *layer) { cuda_weight_destroy(gpu_device(), layer->weight); }

void check_outputs(const void *y, const double *want, const double *room, double factor,
                   const float *stats, enum dtype dtype, int n, int hw, int c, const char *why)
{
    struct bound bound = {};
    bound.rel = half_ulp(dtype) * 1.01;
    bound.factor = factor;
    bound.room = room;
    CHECK(check_close(y, dtype, want, (size_t)n * hw * c, bound, why) == 0);
    if (!stats)
        return;
    const size_t count = (size_t)n * stats_tiles(hw) * c * 2;
    double *exact = (double *)test_alloc(count * sizeof *exact);
    ref_stats(y, dtype, n, hw, c, exact);
    struct bound close = {};
    close.rel = 0x1p-18; /* of M2: two roundings for each of 64 pixels, mostly cancelling */
    close.abs = 4e-6;
    CHECK(check_close(stats, DTYPE_F32, exact, count, close, why) == 0);
}
