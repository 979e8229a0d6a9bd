/* tests/test_cuda_linear.cpp - every CUDA variant of linear against the definition: merged parts,
 * GEGLU, activations, two inputs, then sizes that fill no tile, and sums in chunks. All tiles of
 * the tensor-core variants give the same bytes, and an image the same in any batch. */
#include <stdio.h>
#include <string.h>

#include "cuda/device.cuh"
#include "tests/check.h"
#include "tests/cuda_layer.h"
#include "tests/gpu.h"
#ifdef GPU_EMULATOR
#include "tests/emulator/emulator.h"
#endif

static const struct shape {
    int n, n_x, n_x2, n_residual;
    int s, in, in2, out; /* out as stored, of all parts */
    int parts, geglu;
    enum activation act;
    int residual; /* 2: y itself */
    float bias;
    const char *why;
} shapes[] = {
    { 2, 2, 1, 2, 77, 64, 0, 120, 3, 0, ACT_NONE, 0, 0, "merged q, k, v" },
    { 2, 2, 1, 2, 150, 64, 0, 64, 1, 0, ACT_NONE, 2, 64, "to_out, residual is y, y = 64 sigma" },
    { 2, 2, 1, 2, 70, 48, 0, 80, 1, 1, ACT_NONE, 0, 0, "GEGLU" },
    { 2, 2, 1, 2, 9, 320, 0, 64, 1, 1, ACT_NONE, 1, 8, "GEGLU, residual, far gates" },
    { 1, 1, 1, 1, 3, 5, 0, 7, 1, 1, ACT_NONE, 1, 0, "odd everything, GEGLU" },
    { 1, 1, 1, 1, 20, 64, 0, 136, 1, 0, ACT_GELU, 1, 0, "gelu" },
    { 1, 1, 1, 1, 20, 64, 0, 64, 1, 0, ACT_QUICK_GELU, 0, 0, "text encoder" },
    { 1, 1, 1, 1, 20, 64, 0, 64, 1, 0, ACT_SILU, 0, 0, "time path" },
    { 2, 2, 1, 2, 20, 2560, 0, 64, 1, 0, ACT_NONE, 1, 64, "K in chunks" },
    { 1, 1, 1, 1, 5, 5120, 0, 40, 1, 1, ACT_NONE, 1, 0, "GEGLU, K in more chunks" },
    { 6, 2, 3, 2, 5, 24, 8, 40, 1, 0, ACT_NONE, 1, 0, "everything with an n of its own" },
    { 3, 3, 3, 3, 7, 5, 3, 9, 1, 0, ACT_SILU, 1, 0, "odd everything, two inputs" },
    { 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, ACT_NONE, 0, 0, "one of each" },
};

struct call {
    struct linear_args args; /* host pointers */
    struct layer layer;
    size_t count; /* of y */
    int in_place; /* the residual is y */
};

static size_t stats_bytes(const struct linear_args *a)
{
    return (size_t)a->n * stats_tiles(a->s) * a->out * 2 * sizeof(float);
}

/* Images are those that `id` names: 0, 1, ... if it is null. */
static struct call make(const struct shape *s, enum dtype dtype, const int *id)
{
    struct call call = {};
    struct weight_args weight =
        layer_args(WEIGHT_LINEAR, dtype, s->parts, s->out * (s->geglu ? 2 : 1) / s->parts,
                   s->in + s->in2, 1, s->bias);
    weight.in2 = s->in2;
    weight.geglu = s->geglu;
    call.layer = layer_make(&weight);

    struct linear_args &a = call.args;
    const size_t rows = s->s, per = rows * s->out;
    a.weight = call.layer.weight;
    a.dtype = dtype;
    a.act = s->act;
    a.n = s->n, a.n_x = s->n_x, a.n_x2 = s->n_x2;
    a.n_residual = s->residual == 2 ? s->n : s->n_residual;
    a.s = s->s, a.in = s->in, a.in2 = s->in2, a.out = s->out;
    call.count = s->n * per;
    call.in_place = s->residual == 2;
    a.x = test_images(dtype, s->n_x, rows * s->in, id, 0.25, 1, 2);
    a.x2 = s->in2 ? test_images(dtype, s->n_x2, rows * s->in2, id, 0, 2, 3) : NULL;
    a.residual = s->residual ? test_images(dtype, a.n_residual, per, id, 0, 2, 5) : NULL;
    a.y = test_alloc(call.count * dtype_size(dtype));
    a.stats = (float *)test_alloc(stats_bytes(&a));
    return call;
}

static void run(struct call *call, int row, const char *why)
{
    const struct linear_args &a = call->args;
    const size_t size = dtype_size(a.dtype), bytes = call->count * size;
    struct linear_args dev = a;
    dev.x = gpu_copy(a.x, (size_t)a.n_x * a.s * a.in * size);
    dev.x2 = gpu_copy(a.x2, (size_t)a.n_x2 * a.s * a.in2 * size);
    dev.residual = gpu_copy(a.residual, bytes / a.n * a.n_residual);
    dev.y = call->in_place ? (void *)dev.residual : gpu_poison(bytes);
    dev.stats = (float *)gpu_poison(stats_bytes(&a));
    gpu_force(row);
#ifdef GPU_EMULATOR
    (void)emu_take_stats();
#endif
    if (cuda_linear(gpu_device(), &dev) != STATUS_OK || gpu_sync() != STATUS_OK) {
        fprintf(stderr, "%s: ", why);
        check_failed(__FILE__, __LINE__, status_text());
        return;
    }
#ifdef GPU_EMULATOR
    const emu_stats stats = emu_take_stats();
    CHECK((row > 1 && cuda_linear_table.row[row].arch <= 80) == (stats.ldmatrix > 0));
    CHECK(stats.wavefronts == stats.ldmatrix); /* no bank conflict in any fragment */
#endif
    gpu_download(a.y, dev.y, bytes);
    gpu_download(a.stats, dev.stats, stats_bytes(&a));
}

/* Rows of one architecture run on it alone; the emulator is an sm_90a. The vendor's run where its
 * libraries are. */
static int is_here(int row)
{
    const int arch = cuda_linear_table.row[row].arch;
    return arch == CUDA_VENDOR ? layer_vendor()
                               : arch <= 80 || arch == cuda_device(gpu_device())->arch;
}

/* Every row; those of mma.sync must also agree in every byte. */
static void check_shape(const struct shape *s, enum dtype dtype, int *ran)
{
    struct call call = make(s, dtype, NULL);
    const struct ref_layer ref = layer_ref(&call.layer);
    const size_t bytes = call.count * dtype_size(dtype);
    double *want = (double *)test_alloc(call.count * sizeof *want);
    double *room = (double *)test_alloc(call.count * sizeof *room);
    void *first = NULL; /* of the rows on tensor cores */
    ref_linear(&call.args, &ref, want, room);
    for (int row = 0; row < cuda_linear_table.count; row++) {
        if (!is_here(row) || !cuda_linear_table.row[row].takes(&call.args))
            continue;
        char why[120];
        snprintf(why, sizeof why, "%s %s: %s", cuda_linear_table.row[row].name, dtype_name(dtype),
                 s->why);
        memset(call.args.y, 0xff, bytes);
        run(&call, row, why);
        check_outputs(call.args.y, want, room, 0x1p-20, call.args.stats, dtype, s->n, s->s, s->out,
                      why);
        if (row <= 1 || cuda_linear_table.row[row].arch > 80)
            ; /* sums in an order of their own */
        else if (!first)
            first = memcpy(test_alloc(bytes), call.args.y, bytes);
        else
            CHECK(check_equal(call.args.y, first, bytes, why) == 0);
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
        one.n = one.n_x = one.n_x2 = one.n_residual = i < 3 ? 1 : 3;
        struct call call = make(&one, DTYPE_F16, i < 3 ? &i : batch[i - 3]);
        if (!cuda_linear_table.row[row].takes(&call.args)) {
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

int main(void)
{
    static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };
    int ran[32] = { 0 };
    if (!gpu_present())
        return TEST_SKIP;
    (void)layer_vendor();
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (size_t k = 0; k < COUNT(dtypes); k++) {
            check_shape(&shapes[i], dtypes[k], ran);
            gpu_release();
            test_release();
        }
    for (int row = 0; row < cuda_linear_table.count; row++)
        CHECK(!is_here(row) || ran[row] > 0);
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (int row = 1; row < cuda_linear_table.count; row++)
            if (shapes[i].n == 2 && is_here(row) &&
                cuda_linear_table.row[row].arch != CUDA_VENDOR) /* which promises no such thing */
                check_places(&shapes[i], row);
    test_release();
    return check_failures != 0;
}
