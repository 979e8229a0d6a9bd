/* tests/test_cuda_norms.cpp - every CUDA variant of group_norm and layer_norm against its
 * definition, on means of 64 sigma. */
#include <math.h>
#include <string.h>

#include "cuda/device.cuh"
#include "cuda/weight.cuh"
#include "tests/check.h"
#include "tests/gpu.h"
#include "tests/ref/ref.h"

static struct cuda_device *device_for(enum dtype dtype)
{
    struct cuda_device *dev = cuda_device(gpu_device());
    dev->dtype = dtype;
    return dev;
}

/* A weight of c values; it holds device memory until gpu_release(). */
static struct weight vector_of(const float *values, int c)
{
    struct weight w = {};
    w.kind = WEIGHT_VECTOR;
    w.out = c;
    w.vector = (float *)gpu_copy(values, (size_t)c * sizeof *values);
    return w;
}

/* ---- GroupNorm ---------------------------------------------------------------------------- */

struct shape {
    int n, n_x, n_x2, hw, c, c2, groups, silu;
    float eps;
    int stats; /* 1: given for x, 2: for x2, 3: for both */
    int in_place;
    const char *why;
};

static const struct shape shapes[] = {
    { 2, 2, 0, 12 * 11, 320, 0, 32, 1, 1e-5f, 1, 0, "UNet, first level" },
    { 1, 1, 0, 12 * 8, 1280, 0, 32, 0, 1e-6f, 0, 1, "the lowest level, in place" },
    { 2, 2, 1, 70, 64, 32, 32, 1, 1e-5f, 3, 0, "skip connection: groups across the seam" },
    { 1, 1, 1, 70, 64, 32, 32, 1, 1e-5f, 1, 0, "skip connection, half the statistics" },
    { 1, 1, 1, 70, 64, 32, 32, 1, 1e-5f, 2, 0, "skip connection, the other half" },
    { 1, 1, 0, 40 * 40, 16, 0, 2, 1, 1e-6f, 0, 0, "decoder: many tiles" },
    { 6, 2, 3, 65, 24, 8, 4, 0, 1e-6f, 3, 0, "an n each, a tile and one pixel" },
    { 3, 3, 0, 77, 12, 0, 4, 1, 1e-6f, 0, 0, "odd group width, odd pixel count" },
    { 1, 1, 0, 1, 32, 0, 32, 1, 1e-5f, 0, 0, "one value a group: variance is 0" },
    { 1, 1, 1, 3, 5, 4, 3, 1, 1e-5f, 3, 0, "odd everything" },
    { 1, 1, 1, 2, 2560 - 8, 8, 32, 1, 1e-5f, 3, 0, "more runs of channels than threads" },
    { 1, 1, 0, 1, 1, 0, 1, 0, 1e-5f, 0, 0, "one of each" },
};

struct norm_case {
    struct group_norm_args host, dev;
    float *gamma, *beta, *stats, *stats2;
    size_t x_bytes, x2_bytes, stats_bytes, stats2_bytes, count;
    struct weight weights[2];
};

static float *stats_of(const void *x, enum dtype dtype, int n, int hw, int c, size_t *bytes)
{
    const size_t count = (size_t)n * (size_t)stats_tiles(hw) * (size_t)c * 2;
    double *exact = (double *)test_alloc(count * sizeof *exact);
    float *stats = (float *)test_alloc(count * sizeof *stats);
    ref_stats(x, dtype, n, hw, c, exact);
    for (size_t i = 0; i < count; i++)
        stats[i] = (float)exact[i];
    *bytes = count * sizeof *stats;
    return stats;
}

/* |mean| = 64 sigma: a one-pass variance fails. */
static void make(struct norm_case *k, enum dtype dtype, const struct shape *s, const int *id)
{
    const size_t hw = (size_t)s->hw, size = dtype_size(dtype);
    const int c = s->c + s->c2;
    *k = {};
    struct group_norm_args &a = k->host;
    a.x = test_images(dtype, s->n_x, hw * (size_t)s->c, id, 16, 0.25, 2);
    a.x2 = s->c2 ? test_images(dtype, s->n_x2, hw * (size_t)s->c2, id, 16.5, 0.25, 3) : nullptr;
    a.dtype = dtype;
    a.n = s->n;
    a.n_x = s->n_x;
    a.n_x2 = s->n_x2;
    a.hw = s->hw;
    a.c = s->c;
    a.c2 = s->c2;
    a.groups = s->groups;
    a.silu = s->silu;
    a.eps = s->eps;
    k->x_bytes = (size_t)s->n_x * hw * (size_t)s->c * size;
    k->x2_bytes = (size_t)s->n_x2 * hw * (size_t)s->c2 * size;
    k->count = (size_t)s->n * hw * (size_t)c;
    k->gamma = test_f32((size_t)c, 1, 0.2, 4);
    k->beta = test_f32((size_t)c, 0, 0.5, 5);
    if (s->stats & 1)
        k->stats = stats_of(a.x, dtype, s->n_x, s->hw, s->c, &k->stats_bytes);
    if (s->stats & 2)
        k->stats2 = stats_of(a.x2, dtype, s->n_x2, s->hw, s->c2, &k->stats2_bytes);
}

/* Runs row `row`; the result, or null if the row does not take the call. */
static void *run(struct norm_case *k, int row, int in_place)
{
    const int c = k->host.c + k->host.c2;
    const size_t bytes = k->count * dtype_size(k->host.dtype);
    struct group_norm_args a = k->host;
    struct ops *ops = &device_for(a.dtype)->ops;
    k->weights[0] = vector_of(k->gamma, c);
    k->weights[1] = vector_of(k->beta, c);
    a.gamma = &k->weights[0];
    a.beta = &k->weights[1];
    a.x = gpu_copy(a.x, k->x_bytes);
    a.x2 = gpu_copy(a.x2, k->x2_bytes);
    a.stats = (const float *)gpu_copy(k->stats, k->stats_bytes);
    a.stats2 = (const float *)gpu_copy(k->stats2, k->stats2_bytes);
    a.y = in_place ? (void *)a.x : gpu_poison(bytes);
    if (!cuda_group_norm_table.row[row].takes(&a))
        return nullptr;
    gpu_force(row);
    CHECK_OK(cuda_group_norm(ops, &a));
    void *y = test_alloc(bytes);
    gpu_download(y, a.y, bytes);
    return y;
}

static void group_norm_equals_its_definition(enum dtype dtype)
{
    int checked[8] = {};
    for (const struct shape &s : shapes) {
        struct norm_case k;
        make(&k, dtype, &s, nullptr);
        double *want = (double *)test_alloc(k.count * sizeof *want);
        ref_group_norm(&k.host, k.gamma, k.beta, want);
        struct bound bound = {};
        bound.rel = half_ulp(dtype) * 1.01;
        bound.abs = 1e-4;
        for (int row = 0; row < cuda_group_norm_table.count; row++) {
            const void *y = run(&k, row, s.in_place);
            if (!y)
                continue;
            checked[row]++;
            CHECK(check_close(y, dtype, want, k.count, bound, s.why) == 0);
        }
        gpu_release();
        test_release();
    }
    for (int row = 0; row < cuda_group_norm_table.count; row++)
        CHECK(checked[row] > 0);
}

/* An image alone, and at each place of a batch of 3: the same bytes. */
static void group_norm_does_not_depend_on_its_batch(enum dtype dtype)
{
    static const int batch[2][3] = { { 0, 1, 2 }, { 2, 0, 1 } };
    for (int stats = 0; stats < 2; stats++)
        for (int row = 0; row < cuda_group_norm_table.count; row++) {
            struct shape s = { 1, 1, 1, 150, 64, 32, 32, 1, 1e-5f, stats * 3, 0, "" };
            const size_t bytes = (size_t)150 * 96 * dtype_size(dtype);
            struct norm_case k;
            const void *alone[3];
            for (int i = 0; i < 3; i++) {
                make(&k, dtype, &s, &i);
                alone[i] = run(&k, row, 0);
            }
            s.n = s.n_x = s.n_x2 = 3;
            for (int b = 0; b < 2; b++) {
                make(&k, dtype, &s, batch[b]);
                const char *all = (const char *)run(&k, row, 0);
                for (int i = 0; i < 3; i++)
                    CHECK(check_equal(all + (size_t)i * bytes, alone[batch[b][i]], bytes,
                                      cuda_group_norm_table.row[row].name) == 0);
            }
            gpu_release();
            test_release();
        }
}

static void impossible_groups_are_refused(void)
{
    struct weight w = {};
    w.kind = WEIGHT_VECTOR;
    w.out = 16;
    struct group_norm_args good = {};
    good.x2 = good.x = good.y = &w; /* not reached */
    good.gamma = good.beta = &w;
    good.n = good.n_x = good.n_x2 = 1;
    good.hw = good.groups = 4;
    good.c = good.c2 = 8;
    struct ops *ops = &device_for(DTYPE_F32)->ops;
    gpu_force(-1);
    for (int i = 0; i < 10; i++) {
        struct group_norm_args bad = good;
        int *field[] = { &bad.n, &bad.n_x, &bad.n_x2, &bad.hw, &bad.c, &bad.groups, &bad.c2 };
        if (i < 7)
            *field[i] = 0;
        if (i == 7)
            bad.groups = 5;
        if (i == 8)
            bad.gamma = nullptr;
        if (i == 9)
            bad.c = 24;
        CHECK(cuda_group_norm(ops, &bad) == STATUS_BAD_SHAPE);
    }
    good.dtype = DTYPE_I8;
    CHECK(cuda_group_norm(ops, &good) == STATUS_UNSUPPORTED);
}

/* ---- LayerNorm ---------------------------------------------------------------------------- */

static void layer_norm_equals_its_definition(enum dtype dtype)
{
    static const struct {
        int rows, c;
        double mean;
        int in_place;
    } cases[] = { { 21, 320, 0, 0 }, { 6, 640, 16, 0 }, { 5, 1280, 16, 1 },
                  { 9, 768, -4, 0 }, { 4, 2048, 3, 0 }, { 33, 50, 16, 1 },
                  { 5, 17, 16, 0 },  { 3, 8, 2, 0 },    { 3, 1, 2, 0 } };
    int checked[8] = {};
    for (const auto &s : cases) {
        const size_t count = (size_t)s.rows * (size_t)s.c, bytes = count * dtype_size(dtype);
        const float *gamma = test_f32((size_t)s.c, 1, 0.2, 4);
        const float *beta = test_f32((size_t)s.c, 0, 0.5, 5);
        struct layer_norm_args host = {};
        host.x = test_values(dtype, count, s.mean, 0.25, 2);
        host.dtype = dtype;
        host.rows = s.rows;
        host.c = s.c;
        host.eps = 1e-5f;
        double *want = (double *)test_alloc(count * sizeof *want);
        double *room = (double *)test_alloc(count * sizeof *room);
        ref_layer_norm(&host, gamma, beta, want, room);
        const struct bound bound = { half_ulp(dtype) * 1.01, 1e-7, 1e-5, room };

        for (int row = 0; row < cuda_layer_norm_table.count; row++) {
            const struct weight g = vector_of(gamma, s.c), b = vector_of(beta, s.c);
            struct layer_norm_args a = host;
            a.x = gpu_copy(host.x, bytes);
            a.y = s.in_place ? (void *)a.x : gpu_poison(bytes);
            a.gamma = &g;
            a.beta = &b;
            if (!cuda_layer_norm_table.row[row].takes(&a))
                continue;
            checked[row]++;
            gpu_force(row);
            CHECK_OK(cuda_layer_norm(&device_for(dtype)->ops, &a));
            void *y = test_alloc(bytes);
            gpu_download(y, a.y, bytes);
            CHECK(check_close(y, dtype, want, count, bound, cuda_layer_norm_table.row[row].name) ==
                  0);
        }
        gpu_release();
        test_release();
    }
    for (int row = 0; row < cuda_layer_norm_table.count; row++)
        CHECK(checked[row] > 0);
}

static void impossible_rows_are_refused(void)
{
    struct weight w = {};
    w.kind = WEIGHT_VECTOR;
    w.out = 8;
    struct layer_norm_args bad = {};
    struct ops *ops = &device_for(DTYPE_F32)->ops;
    gpu_force(-1);
    bad.c = 8;
    bad.gamma = bad.beta = &w;
    CHECK(cuda_layer_norm(ops, &bad) == STATUS_BAD_SHAPE);
    bad.rows = 1;
    bad.c = 7;
    CHECK(cuda_layer_norm(ops, &bad) == STATUS_BAD_SHAPE);
    bad.c = 8;
    bad.dtype = DTYPE_I8;
    CHECK(cuda_layer_norm(ops, &bad) == STATUS_UNSUPPORTED);
}

int main(void)
{
    if (!gpu_present())
        return TEST_SKIP;
    CHECK(check_selftest() == 0);
    for (int dtype = DTYPE_F32; dtype <= DTYPE_BF16; dtype++) {
        group_norm_equals_its_definition((enum dtype)dtype);
        group_norm_does_not_depend_on_its_batch((enum dtype)dtype);
        layer_norm_equals_its_definition((enum dtype)dtype);
    }
    impossible_groups_are_refused();
    impossible_rows_are_refused();
    return check_failures != 0;
}
