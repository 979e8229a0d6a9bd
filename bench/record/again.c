/* bench/record/again.c - args from a record. */
#include "bench/record/again.h"

#include <math.h>
#include <stdlib.h>

enum { GROUPS = 32 };

struct again {
    struct ops *ops;
    struct recorded call;
    enum dtype dtype;
    struct weight *weight, *beta;
    void *x, *x2, *residual, *add, *y;
    float *stats, *stats2, *wide;
};

static size_t pixels(const struct recorded *r) { return (size_t)r->h_out * r->w_out; }

/* Elements of each activation. */
static size_t x_count(const struct recorded *r)
{
    switch (r->kind) {
    case RECORDED_CONV:
        return (size_t)r->n * r->h * r->w * r->c;
    case RECORDED_ATTENTION:
        return (size_t)r->n * pixels(r) * r->out;
    default:
        return (size_t)r->n * pixels(r) * r->c;
    }
}

static size_t x2_count(const struct recorded *r)
{
    if (r->kind == RECORDED_ATTENTION) /* keys and values, packed */
        return (size_t)r->n_kv * r->s_kv * 2 * r->out;
    return r->c2 == 0 ? 0 : x_count(r) / r->c * r->c2;
}

static size_t y_count(const struct recorded *r) { return (size_t)r->n * pixels(r) * r->out; }

static size_t stats_count(const struct recorded *r, int c)
{
    return r->stats ? (size_t)r->n * stats_tiles((int)pixels(r)) * c * 2 : 0;
}

/* ---- the operator ------------------------------------------------------------------------ */

static status run_conv(struct again *a)
{
    const struct recorded *r = &a->call;
    return a->ops->conv2d(a->ops, &(struct conv2d_args){ .weight = a->weight,
                                                         .x = a->x,
                                                         .x2 = a->x2,
                                                         .add = a->add,
                                                         .residual = a->residual,
                                                         .y = a->y,
                                                         .stats = a->stats,
                                                         .dtype = a->dtype,
                                                         .n = r->n,
                                                         .n_x = r->n,
                                                         .n_x2 = r->n,
                                                         .n_add = 1,
                                                         .n_residual = r->n,
                                                         .h = r->h,
                                                         .w = r->w,
                                                         .c = r->c,
                                                         .c2 = r->c2,
                                                         .h_out = r->h_out,
                                                         .w_out = r->w_out,
                                                         .c_out = r->out });
}

static status run_linear(struct again *a)
{
    const struct recorded *r = &a->call;
    return a->ops->linear(a->ops, &(struct linear_args){ .weight = a->weight,
                                                         .x = a->x,
                                                         .x2 = a->x2,
                                                         .residual = a->residual,
                                                         .y = a->y,
                                                         .stats = a->stats,
                                                         .dtype = a->dtype,
                                                         .n = r->n,
                                                         .n_x = r->n,
                                                         .n_x2 = r->n,
                                                         .n_residual = r->n,
                                                         .s = r->w_out,
                                                         .in = r->c,
                                                         .in2 = r->c2,
                                                         .out = r->out });
}

static status run_attention(struct again *a)
{
    const struct recorded *r = &a->call;
    const size_t width = (size_t)r->out;
    return a->ops->attention(
        a->ops, &(struct attention_args){ .q = a->x,
                                          .k = a->x2,
                                          .v = (const char *)a->x2 + width * dtype_size(a->dtype),
                                          .y = a->y,
                                          .dtype = a->dtype,
                                          .n = r->n,
                                          .n_q = r->n,
                                          .n_kv = r->n_kv,
                                          .heads = r->heads,
                                          .d = r->d,
                                          .s_q = r->w_out,
                                          .s_kv = r->s_kv,
                                          .q_stride = width,
                                          .kv_stride = 2 * width,
                                          .scale = 1.0f / sqrtf((float)r->d) });
}

static status run_group_norm(struct again *a)
{
    const struct recorded *r = &a->call;
    return a->ops->group_norm(a->ops, &(struct group_norm_args){ .x = a->x,
                                                                 .x2 = a->x2,
                                                                 .stats = a->stats,
                                                                 .stats2 = a->stats2,
                                                                 .gamma = a->weight,
                                                                 .beta = a->beta,
                                                                 .y = a->y,
                                                                 .dtype = a->dtype,
                                                                 .n = r->n,
                                                                 .n_x = r->n,
                                                                 .n_x2 = r->n,
                                                                 .hw = r->w_out,
                                                                 .c = r->c,
                                                                 .c2 = r->c2,
                                                                 .groups = GROUPS,
                                                                 .silu = 1,
                                                                 .eps = 1e-5f });
}

static status run_layer_norm(struct again *a)
{
    const struct recorded *r = &a->call;
    return a->ops->layer_norm(a->ops, &(struct layer_norm_args){ .x = a->x,
                                                                 .gamma = a->weight,
                                                                 .beta = a->beta,
                                                                 .y = a->y,
                                                                 .dtype = a->dtype,
                                                                 .rows = r->w_out,
                                                                 .c = r->c,
                                                                 .eps = 1e-5f });
}

status again_run(struct again *a)
{
    switch (a->call.kind) {
    case RECORDED_CONV:
        return run_conv(a);
    case RECORDED_LINEAR:
        return run_linear(a);
    case RECORDED_ATTENTION:
        return run_attention(a);
    case RECORDED_GROUP_NORM:
        return run_group_norm(a);
    case RECORDED_LAYER_NORM:
        return run_layer_norm(a);
    default:
        return status_fail(STATUS_UNSUPPORTED, "%s: not made again", a->call.op);
    }
}

/* ---- data -------------------------------------------------------------------------------- */

static status alloc(struct ops *ops, size_t bytes, void *out)
{
    *(void **)out = NULL;
    return bytes == 0 ? STATUS_OK : ops->alloc(ops, bytes, out);
}

/* `wide` is as long as the longest activation. */
static status alloc_all(struct again *a)
{
    const struct recorded *r = &a->call;
    const size_t size = dtype_size(a->dtype), y = y_count(r);
    const size_t x = x_count(r), x2 = x2_count(r), most = x > x2 ? x : x2;
    const int in_stats =
        r->kind == RECORDED_GROUP_NORM; /* group_norm reads them, the others write */
    TRY(alloc(a->ops, x * size, &a->x));
    TRY(alloc(a->ops, x2 * size, &a->x2));
    TRY(alloc(a->ops, y * size, &a->y));
    TRY(alloc(a->ops, r->residual ? y * size : 0, &a->residual));
    TRY(alloc(a->ops, r->add ? r->out * size : 0, &a->add));
    TRY(alloc(a->ops, stats_count(r, in_stats ? r->c : r->out) * sizeof(float), &a->stats));
    TRY(alloc(a->ops, in_stats ? stats_count(r, r->c2) * sizeof(float) : 0, &a->stats2));
    return alloc(a->ops, (most > y ? most : y) * sizeof(float), &a->wide);
}

static status fill_noise(struct again *a, void *to, size_t count)
{
    static const uint64_t seed = 1;
    if (to == NULL)
        return STATUS_OK;
    TRY(a->ops->noise(
        a->ops,
        &(struct noise_args){
            .seed = &seed, .y = a->wide, .scale = 1.0f, .n = 1, .hw = (int)count, .c = 1 }));
    return a->ops->scale(
        a->ops, &(struct scale_args){
                    .x = a->wide, .y = to, .dtype = a->dtype, .scale = 1.0f, .count = count });
}

/* (mean, M2) of each channel of each tile of `x`, [n, hw, c] on the host. */
static void stats_of(const struct recorded *r, const void *x, enum dtype dtype, int c, float *stats)
{
    const size_t hw = pixels(r), size = dtype_size(dtype);
    for (int img = 0; img < r->n; img++)
        for (size_t tile = 0; tile < (size_t)stats_tiles((int)hw); tile++)
            for (int ch = 0; ch < c; ch++, stats += 2) {
                const size_t first = tile * STATS_PIXELS;
                const size_t count = hw - first < STATS_PIXELS ? hw - first : STATS_PIXELS;
                double sum = 0, squares = 0;
                for (size_t i = 0; i < count; i++) {
                    float v;
                    dtype_to_f32((const char *)x + ((img * hw + first + i) * c + ch) * size, dtype,
                                 1, &v);
                    sum += v;
                    squares += (double)v * v;
                }
                stats[0] = (float)(sum / count);
                stats[1] = (float)(squares - sum * sum / count); /* of noise: nothing cancels */
            }
}

/* The statistics that the operator before would have left of x. */
static status fill_stats(struct again *a, float *to, const void *x, int c)
{
    const struct recorded *r = &a->call;
    if (to == NULL || a->ops->planning(a->ops))
        return STATUS_OK;
    const size_t bytes = (size_t)r->n * pixels(r) * c * dtype_size(a->dtype);
    const size_t count = stats_count(r, c);
    void *host = malloc(bytes);
    float *stats = malloc(count * sizeof *stats);
    status result = host && stats ? a->ops->download(a->ops, host, x, bytes)
                                  : status_fail(STATUS_NO_MEMORY, "bench: %zu bytes asked", bytes);
    if (result == STATUS_OK) {
        stats_of(r, host, a->dtype, c, stats);
        result = a->ops->upload(a->ops, to, stats, count * sizeof *stats);
    }
    if (result == STATUS_OK)
        result = a->ops->sync(a->ops);
    free(host);
    free(stats);
    return result;
}

static status fill_all(struct again *a)
{
    const struct recorded *r = &a->call;
    TRY(fill_noise(a, a->x, x_count(r)));
    TRY(fill_noise(a, a->x2, x2_count(r)));
    TRY(fill_noise(a, a->residual, y_count(r)));
    TRY(fill_noise(a, a->add, (size_t)r->out));
    if (r->kind != RECORDED_GROUP_NORM)
        return STATUS_OK;
    TRY(fill_stats(a, a->stats, a->x, r->c));
    return fill_stats(a, a->stats2, a->x2, r->c2);
}

static status create_weights(struct again *a)
{
    const struct recorded *r = &a->call;
    struct weight_args args = { .parts = 1,
                                .kernel = 1,
                                .stride = 1,
                                .upsample = 1,
                                .scale = 1.0f,
                                .dtype = a->dtype,
                                .name = r->op,
                                .in = 1 };
    args.part[0].out = r->out;
    if (r->kind == RECORDED_ATTENTION)
        return STATUS_OK;
    if (r->kind == RECORDED_GROUP_NORM || r->kind == RECORDED_LAYER_NORM) {
        args.kind = WEIGHT_VECTOR;
        TRY(a->ops->weight_create(a->ops, &args, &a->weight));
        return a->ops->weight_create(a->ops, &args, &a->beta);
    }
    args.kind = r->kind == RECORDED_CONV ? WEIGHT_CONV2D : WEIGHT_LINEAR;
    args.in = r->c + r->c2;
    args.in2 = r->c2;
    args.kernel = r->kernel;
    args.stride = r->stride;
    args.upsample = r->upsample;
    args.geglu = r->geglu;
    args.part[0].out = r->geglu ? 2 * r->out : r->out;
    return a->ops->weight_create(a->ops, &args, &a->weight);
}

static status pass(struct again *a)
{
    TRY(alloc_all(a));
    TRY(fill_all(a));
    return again_run(a);
}

status again_create(struct ops *ops, const struct recorded *call, enum dtype dtype,
                    struct again **out)
{
    *out = NULL;
    struct again *a = calloc(1, sizeof *a);
    if (a == NULL)
        return status_fail(STATUS_NO_MEMORY, "bench: no memory");
    *a = (struct again){ .ops = ops, .call = *call, .dtype = dtype };
    status result = call->kind == RECORDED_SMALL
                        ? status_fail(STATUS_UNSUPPORTED, "%s: not made again", call->op)
                        : create_weights(a);
    if (result == STATUS_OK)
        result = ops->plan_begin(ops);
    if (result == STATUS_OK) {
        const size_t mark = ops->mark(ops);
        const status planned = pass(a);
        ops->release(ops, mark);
        const status ended = ops->plan_end(ops, 0, NULL);
        result = planned != STATUS_OK ? planned : ended;
    }
    if (result == STATUS_OK)
        result = pass(a);
    if (result != STATUS_OK) {
        again_destroy(a);
        return result;
    }
    *out = a;
    return STATUS_OK;
}

void again_destroy(struct again *a)
{
    if (a == NULL)
        return;
    a->ops->release(a->ops, 0);
    a->ops->weight_destroy(a->ops, a->weight);
    a->ops->weight_destroy(a->ops, a->beta);
    free(a);
}

status again_result(struct again *a, void **host, size_t *bytes)
{
    *bytes = y_count(&a->call) * dtype_size(a->dtype);
    *host = malloc(*bytes);
    if (*host == NULL)
        return status_fail(STATUS_NO_MEMORY, "bench: %zu bytes asked", *bytes);
    const status result = a->ops->download(a->ops, *host, a->y, *bytes);
    if (result != STATUS_OK) {
        free(*host);
        *host = NULL;
    }
    return result;
}
