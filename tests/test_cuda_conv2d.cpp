/* tests/test_cuda_conv2d.cpp - every CUDA variant of conv2d against the definition: the model's
 * kinds of convolution at few channels, then sizes that fill no tile, and sums in chunks. All tiles
 * of the tensor-core variants give the same bytes, and an image the same in any batch. */
#include <stdio.h>
#include <string.h>

#include "cuda/device.cuh"
#include "cuda/tiles.h"
#include "tests/check.h"
#include "tests/cuda_layer.h"
#include "tests/gpu.h"
#ifdef GPU_EMULATOR
#include "tests/emulator/emulator.h"
#endif

static const struct shape {
    int n, n_x, n_x2, n_add, n_residual;
    int h, w, c, c2, c_out;
    int kernel, stride, upsample, pad_end, crop;
    int add, residual; /* residual 2: y itself */
    float bias;
    const char *why;
} shapes[] = {
    { 2, 2, 1, 2, 2, 8, 12, 64, 0, 96, 3, 1, 1, 0, 0, 1, 0, 64, "ResBlock in, y = 64 sigma" },
    { 2, 2, 1, 1, 2, 11, 13, 32, 0, 72, 3, 1, 1, 0, 0, 0, 1, 0, "143 pixels, outputs past a tile" },
    { 4, 2, 1, 2, 1, 5, 7, 40, 24, 64, 3, 1, 1, 0, 0, 1, 2, 0, "skip, residual is y" },
    { 2, 2, 2, 1, 2, 6, 4, 64, 32, 64, 1, 1, 1, 0, 0, 0, 1, 0, "skip, 1x1" },
    { 1, 1, 1, 1, 1, 7, 9, 4, 0, 64, 3, 1, 1, 0, 0, 0, 0, 0, "first of the UNet" },
    { 1, 1, 1, 1, 1, 9, 8, 64, 0, 4, 3, 1, 1, 0, 0, 0, 0, 0, "last of the UNet" },
    { 1, 1, 1, 1, 1, 16, 9, 32, 0, 3, 3, 1, 1, 0, 0, 0, 1, 0, "last of the decoder" },
    { 2, 2, 1, 1, 2, 9, 11, 32, 0, 48, 3, 2, 1, 0, 0, 0, 0, 8, "Downsample of an odd size" },
    { 1, 1, 1, 1, 1, 8, 10, 32, 0, 32, 3, 2, 1, 1, 0, 0, 0, 0, "the VAE encoder's stride 2" },
    { 2, 1, 1, 1, 2, 5, 3, 64, 0, 64, 3, 1, 2, 0, 1, 0, 1, 64, "Upsample, cropped" },
    { 1, 1, 1, 1, 1, 9, 8, 32, 0, 64, 3, 1, 2, 0, 0, 0, 0, 0, "Upsample, two tiles a parity" },
    { 1, 1, 1, 1, 1, 3, 140, 32, 0, 64, 3, 1, 1, 0, 0, 0, 0, 64, "an image wider than a tile" },
    { 2, 1, 2, 1, 1, 3, 70, 32, 32, 40, 3, 1, 1, 0, 0, 0, 1, 0, "skip, wider than half a tile" },
    { 1, 1, 1, 1, 1, 2, 131, 64, 0, 32, 3, 1, 2, 0, 0, 0, 0, 0, "Upsample, wider than a tile" },
    { 1, 1, 1, 1, 1, 3, 64, 64, 0, 40, 3, 1, 1, 0, 0, 0, 0, 0, "the widest of the narrow windows" },
    { 1, 1, 1, 1, 1, 9, 1, 96, 0, 32, 3, 1, 1, 0, 0, 0, 0, 0, "one column" },
    { 2, 2, 1, 1, 2, 4, 3, 320, 0, 64, 3, 1, 1, 0, 0, 1, 1, 64, "K in chunks" },
    { 1, 1, 1, 1, 1, 3, 5, 320, 256, 40, 3, 1, 1, 0, 0, 0, 0, 0, "skip, K in more chunks" },
    { 1, 1, 1, 1, 1, 3, 2, 640, 0, 64, 3, 1, 2, 0, 0, 0, 1, 0, "Upsample, K in chunks" },
    { 2, 2, 1, 2, 2, 7, 32, 64, 0, 320, 3, 1, 1, 0, 0, 1, 1, 64, "boxes of two rows of pixels" },
    { 4, 2, 1, 1, 1, 6, 8, 64, 64, 96, 3, 1, 1, 0, 0, 0, 1, 0, "two inputs, images below a run" },
    { 1, 1, 1, 1, 1, 5, 24, 64, 0, 64, 3, 1, 1, 0, 0, 0, 0, 0, "boxes of eight pixels" },
    { 1, 1, 1, 1, 1, 2, 128, 64, 0, 40, 3, 1, 1, 0, 0, 0, 0, 0, "boxes of half a row" },
    { 2, 1, 1, 1, 2, 5, 16, 64, 0, 64, 3, 1, 2, 0, 0, 0, 1, 0, "Upsample of boxes" },
    { 1, 1, 1, 1, 1, 13, 5, 7, 5, 9, 3, 1, 1, 0, 1, 1, 1, 0, "odd everything" },
    { 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, "one of each" },
    { 1, 1, 1, 1, 1, 1, 9, 8, 0, 5, 3, 1, 2, 0, 0, 0, 1, 0, "one row, doubled" },
};

struct call {
    struct conv2d_args args; /* host pointers */
    struct layer layer;
    size_t count; /* of y */
    int in_place; /* the residual is y */
};

static int natural(int size, const struct shape *s)
{
    return s->stride == 1 ? size * s->upsample : s->pad_end ? size / 2 : (size - 1) / 2 + 1;
}

static size_t stats_bytes(const struct conv2d_args *a)
{
    return (size_t)a->n * stats_tiles(a->h_out * a->w_out) * a->c_out * 2 * sizeof(float);
}

/* Images are those that `id` names: 0, 1, ... if it is null. */
static struct call make(const struct shape *s, enum dtype dtype, const int *id)
{
    struct call call = {};
    struct weight_args weight =
        layer_args(WEIGHT_CONV2D, dtype, 1, s->c_out, s->c + s->c2, s->kernel, s->bias);
    weight.in2 = s->c2;
    weight.stride = s->stride;
    weight.upsample = s->upsample;
    call.layer = layer_make(&weight);

    struct conv2d_args &a = call.args;
    const size_t hw = (size_t)s->h * s->w;
    a.weight = call.layer.weight;
    a.dtype = dtype;
    a.n = s->n, a.n_x = s->n_x, a.n_x2 = s->n_x2, a.n_add = s->n_add;
    a.n_residual = s->residual == 2 ? s->n : s->n_residual;
    a.h = s->h, a.w = s->w, a.c = s->c, a.c2 = s->c2, a.c_out = s->c_out;
    a.h_out = natural(s->h, s) - s->crop;
    a.w_out = natural(s->w, s) - s->crop;
    a.pad_end = s->pad_end;
    const size_t per = (size_t)a.h_out * a.w_out * a.c_out, add = (size_t)s->n_add * s->c_out;
    call.count = s->n * per;
    call.in_place = s->residual == 2;
    a.x = test_images(dtype, s->n_x, hw * s->c, id, 0.5, 1, 2);
    a.x2 = s->c2 ? test_images(dtype, s->n_x2, hw * s->c2, id, -0.5, 2, 3) : NULL;
    a.add = s->add ? test_images(dtype, 2, add, NULL, 0, 1, 4) : NULL;
    a.add_step_stride = s->add ? add : 0;
    a.residual = s->residual ? test_images(dtype, a.n_residual, per, id, 0, 2, 5) : NULL;
    a.y = test_alloc(call.count * dtype_size(dtype));
    a.stats = (float *)test_alloc(stats_bytes(&a));
    return call;
}

/* The step table's second row is the current one. */
static void run(struct call *call, int row, const char *why)
{
    const struct conv2d_args &a = call->args;
    const size_t size = dtype_size(a.dtype), hw = (size_t)a.h * a.w, bytes = call->count * size;
    struct conv2d_args dev = a;
    dev.x = gpu_copy(a.x, a.n_x * hw * a.c * size);
    dev.x2 = gpu_copy(a.x2, a.n_x2 * hw * a.c2 * size);
    dev.add = gpu_copy(a.add, 2 * (size_t)a.n_add * a.c_out * size);
    dev.residual = gpu_copy(a.residual, bytes / a.n * a.n_residual);
    dev.y = call->in_place ? (void *)dev.residual : gpu_poison(bytes);
    dev.stats = (float *)gpu_poison(stats_bytes(&a));
    gpu_step(1);
    gpu_force(row);
#ifdef GPU_EMULATOR
    (void)emu_take_stats();
#endif
    if (cuda_conv2d(gpu_device(), &dev) != STATUS_OK || gpu_sync() != STATUS_OK) {
        fprintf(stderr, "%s: ", why);
        check_failed(__FILE__, __LINE__, status_text());
        return;
    }
#ifdef GPU_EMULATOR
    const emu_stats stats = emu_take_stats();
    CHECK(row < 0 || (row > 1 && cuda_conv2d_table.row[row].arch <= 80) == (stats.ldmatrix > 0));
    CHECK(stats.wavefronts == stats.ldmatrix); /* no bank conflict in any fragment */
#endif
    gpu_download(a.y, dev.y, bytes);
    gpu_download(a.stats, dev.stats, stats_bytes(&a));
}

/* Rows of one architecture run on it alone; the emulator is an sm_90a. The vendor's run where its
 * libraries are. */
static int is_here(int row)
{
    const int arch = cuda_conv2d_table.row[row].arch;
    return arch == CUDA_VENDOR ? layer_vendor()
                               : arch <= 80 || arch == cuda_device(gpu_device())->arch;
}

/* Which rows give the same bytes: those that gather, those that read windows, those by wgmma; plain
 * and tiled, which meet in no 16-bit type; the vendor's. */
static int order_of(int row)
{
    const char *name = cuda_conv2d_table.row[row].name;
    return strcmp(name, "vendor") == 0            ? 5
           : strcmp(name, "plain") == 0           ? 0
           : strcmp(name, "tiled") == 0           ? 1
           : strncmp(name, "window", 6) == 0      ? 2
           : cuda_conv2d_table.row[row].arch > 80 ? 3
                                                  : 4;
}

/* One row speaks for all that give the same bytes: the last, which picks its tile by the batch. */
static int is_last_of_order(int row)
{
    for (int later = row + 1; later < cuda_conv2d_table.count; later++)
        if (order_of(later) == order_of(row))
            return 0;
    return 1;
}

/* Every row; those that sum in the same order must also agree in every byte. */
static void check_shape(const struct shape *s, enum dtype dtype, int *ran)
{
    struct call call = make(s, dtype, NULL);
    const struct ref_layer ref = layer_ref(&call.layer);
    const int hw = call.args.h_out * call.args.w_out;
    double *want = (double *)test_alloc(call.count * sizeof *want);
    double *room = (double *)test_alloc(call.count * sizeof *room);
    void *first[6] = { NULL }; /* of each order */
    ref_conv2d(&call.args, &ref, 1, want, room);
    /* Folded into 2x2 kernels, a 16-bit format rounds sums of weights: the contract's bound. */
    const double factor = s->upsample == 1 || dtype == DTYPE_F32 ? 0x1p-20
                          : dtype == DTYPE_F16                   ? 0x1p-11
                                                                 : 0x1p-9;
    for (int row = 0; row < cuda_conv2d_table.count; row++) {
        if (!is_here(row) || !cuda_conv2d_table.row[row].takes(&call.args))
            continue;
        const size_t bytes = call.count * dtype_size(dtype);
        char why[120];
        snprintf(why, sizeof why, "%s %s: %s", cuda_conv2d_table.row[row].name, dtype_name(dtype),
                 s->why);
        memset(call.args.y, 0xff, bytes);
        run(&call, row, why);
        /* cuDNN's sums are rounded before time embedding and the like are added. */
        const int twice = cuda_conv2d_table.row[row].arch == CUDA_VENDOR && s->kernel == 3;
        check_outputs(call.args.y, want, room, factor + (twice ? half_ulp(dtype) : 0),
                      call.args.stats, dtype, s->n, hw, s->c_out, why);
        void **same = &first[order_of(row)];
        if (!*same)
            *same = memcpy(test_alloc(bytes), call.args.y, bytes);
        CHECK(check_equal(call.args.y, *same, bytes, why) == 0);
        ran[row]++;
    }
    layer_done(&call.layer);
}

/* An image alone and at each place of a batch of 3. */
static void check_places(const struct shape *s, int row)
{
    static const int batch[3][3] = { { 0, 1, 2 }, { 1, 2, 0 }, { 2, 0, 1 } };
    const char *alone[3];
    for (int i = 0; i < 6; i++) {
        struct shape one = *s;
        one.n = one.n_x = one.n_residual = i < 3 ? 1 : 3;
        one.n_x2 = one.n;
        struct call call = make(&one, DTYPE_F16, i < 3 ? &i : batch[i - 3]);
        if (!is_here(row) || !cuda_conv2d_table.row[row].takes(&call.args)) {
            layer_done(&call.layer);
            return;
        }
        const size_t bytes = call.count / one.n * 2;
        run(&call, row, s->why);
        for (int k = 0; i >= 3 && k < 3; k++)
            CHECK(check_equal((const char *)call.args.y + k * bytes, alone[batch[i - 3][k]], bytes,
                              s->why) == 0);
        if (i < 3)
            alone[i] = (const char *)call.args.y;
        layer_done(&call.layer);
        gpu_release();
    }
}

/* The chunks of K are part of what a picture's bytes depend on. 3x3 at 512x768 and 512x512, and the
 * feed-forward's way back at the lowest level. */
static void check_splits(void)
{
    CHECK(tile_splits(96 * 64, 320, 9 * 320) == 1);
    CHECK(tile_splits(48 * 32, 640, 9 * 640) == 2);
    CHECK(tile_splits(24 * 16, 1280, 9 * 1280) == 4);
    CHECK(tile_splits(12 * 8, 1280, 9 * 2560) == 16);
    CHECK(tile_splits(8 * 8, 1280, 9 * 1280) == 16);
    CHECK(tile_splits(12 * 8, 1280, 5120) == 8);
}

/* Which row runs where no plan says otherwise. */
static void check_picks(void)
{
    static const struct {
        enum dtype dtype;
        struct shape shape;
        const char *row;
    } calls[] = {
        { DTYPE_F32, { 1, 1, 1, 1, 1, 8, 12, 32, 0, 64, 3, 1, 1, 0, 0, 0, 0, 0, "" }, "tiled" },
        { DTYPE_F16, { 1, 1, 1, 1, 1, 8, 12, 32, 0, 64, 3, 1, 1, 0, 0, 0, 0, 0, "" }, "window" },
        { DTYPE_F16, { 1, 1, 1, 1, 1, 8, 8, 24, 0, 64, 3, 1, 1, 0, 0, 0, 0, 0, "" }, "mma" },
        { DTYPE_F16, { 1, 1, 1, 1, 1, 8, 12, 32, 0, 4, 3, 1, 1, 0, 0, 0, 0, 0, "" }, "mma" },
        { DTYPE_F16, { 1, 1, 1, 1, 1, 8, 12, 32, 0, 64, 1, 1, 1, 0, 0, 0, 0, 0, "" }, "mma" },
        { DTYPE_F16, { 1, 1, 1, 1, 1, 8, 12, 32, 0, 64, 3, 2, 1, 0, 0, 0, 0, 0, "" }, "mma" },
    };
    for (size_t i = 0; i < COUNT(calls); i++) {
        struct call call = make(&calls[i].shape, calls[i].dtype, NULL);
        run(&call, -1, "picked");
        const char *name = cuda_conv2d_table.row[gpu_ran()].name;
        if (strcmp(name, calls[i].row) != 0) {
            fprintf(stderr, "call %zu ran as %s, wanted %s\n", i, name, calls[i].row);
            CHECK(!"picked as said");
        }
        layer_done(&call.layer);
        gpu_release();
        test_release();
    }
}

int main(void)
{
    static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };
    int ran[32] = { 0 };
    if (!gpu_present())
        return TEST_SKIP;
    (void)layer_vendor();
    check_splits();
    check_picks();
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (size_t k = 0; k < COUNT(dtypes); k++) {
            check_shape(&shapes[i], dtypes[k], ran);
            gpu_release();
            test_release();
        }
    for (int row = 0; row < cuda_conv2d_table.count; row++)
        CHECK(!is_here(row) || ran[row] > 0);
    for (int row = 0; row < cuda_conv2d_table.count; row++)
        for (size_t i = 0; i < COUNT(shapes) && is_last_of_order(row); i++)
            if (shapes[i].n == 2 && !shapes[i].add && order_of(row) != 5)
                check_places(&shapes[i], row);
    test_release();
    return check_failures != 0;
}
