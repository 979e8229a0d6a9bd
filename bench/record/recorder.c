/* bench/record/recorder.c - the contract, answered by taking notes. */
#include "bench/record/recorder.h"

#include <stdlib.h>
#include <string.h>

struct recorder {
    struct ops ops; /* first */
    enum dtype dtype;
    struct recorded *call;
    size_t count, cap;
    struct weight *weights; /* list through `next` */
};

struct weight {
    struct weight *next;
    struct weight_args args;
    int out;
};

static struct recorder *recorder(struct ops *ops) { return (struct recorder *)ops; }

/* ---- notes ------------------------------------------------------------------------------ */

static int same(const struct recorded *a, const struct recorded *b)
{
    return a->kind == b->kind && strcmp(a->op, b->op) == 0 && a->n == b->n && a->h == b->h &&
           a->w == b->w && a->h_out == b->h_out && a->w_out == b->w_out && a->c == b->c &&
           a->c2 == b->c2 && a->out == b->out && a->kernel == b->kernel && a->stride == b->stride &&
           a->upsample == b->upsample && a->geglu == b->geglu && a->residual == b->residual &&
           a->add == b->add && a->stats == b->stats && a->heads == b->heads && a->d == b->d &&
           a->s_kv == b->s_kv && a->n_kv == b->n_kv;
}

static status note(struct ops *ops, const struct recorded *call)
{
    struct recorder *r = recorder(ops);
    for (size_t i = 0; i < r->count; i++)
        if (same(&r->call[i], call)) {
            r->call[i].count++;
            return STATUS_OK;
        }
    if (r->count == r->cap) {
        const size_t cap = r->cap ? 2 * r->cap : 128;
        struct recorded *grown = realloc(r->call, cap * sizeof *grown);
        if (!grown)
            return status_fail(STATUS_NO_MEMORY, "recorder: no memory for %zu calls", cap);
        r->call = grown;
        r->cap = cap;
    }
    r->call[r->count] = *call;
    r->call[r->count++].count = 1;
    return STATUS_OK;
}

static double bytes(const struct ops *ops, double elements)
{
    return elements * (double)dtype_size(((const struct recorder *)ops)->dtype);
}

const struct recorded *recorder_calls(const struct ops *ops, size_t *count)
{
    const struct recorder *r = (const struct recorder *)ops;
    *count = r->count;
    return r->call;
}

void recorder_clear(struct ops *ops) { recorder(ops)->count = 0; }

/* ---- operators -------------------------------------------------------------------------- */

static status conv2d(struct ops *ops, const struct conv2d_args *a)
{
    const struct weight_args *w = &a->weight->args;
    const double in = (double)a->n_x * a->h * a->w * a->c + (double)a->n_x2 * a->h * a->w * a->c2;
    const double y = (double)a->n * a->h_out * a->w_out * a->c_out;
    const int folded = w->upsample == 2 ? 16 : w->kernel * w->kernel; /* taps of all phases */
    return note(ops, &(struct recorded){
                         .kind = RECORDED_CONV,
                         .op = "conv2d",
                         .n = a->n,
                         .h = a->h,
                         .w = a->w,
                         .h_out = a->h_out,
                         .w_out = a->w_out,
                         .c = a->c,
                         .c2 = a->c2,
                         .out = a->c_out,
                         .kernel = w->kernel,
                         .stride = w->stride,
                         .upsample = w->upsample,
                         .residual = a->residual != NULL,
                         .add = a->add != NULL,
                         .stats = a->stats != NULL,
                         .weight_bytes = bytes(ops, (double)folded * w->in * a->c_out),
                         .in_bytes = bytes(ops, in + (a->residual ? y : 0)),
                         .out_bytes = bytes(ops, y),
                     });
}

static status linear(struct ops *ops, const struct linear_args *a)
{
    const struct weight_args *w = &a->weight->args;
    const double y = (double)a->n * a->s * a->out;
    return note(ops,
                &(struct recorded){
                    .kind = RECORDED_LINEAR,
                    .op = "linear",
                    .n = a->n,
                    .h = 1,
                    .w = a->s,
                    .h_out = 1,
                    .w_out = a->s,
                    .c = a->in,
                    .c2 = a->in2,
                    .out = a->out,
                    .kernel = 1,
                    .stride = 1,
                    .upsample = 1,
                    .geglu = w->geglu,
                    .residual = a->residual != NULL,
                    .stats = a->stats != NULL,
                    .weight_bytes = bytes(ops, (double)w->in * a->weight->out),
                    .in_bytes = bytes(ops, (double)a->n_x * a->s * a->in + (a->residual ? y : 0)),
                    .out_bytes = bytes(ops, y),
                });
}

static status group_norm(struct ops *ops, const struct group_norm_args *a)
{
    const double in = (double)a->n_x * a->hw * a->c + (double)a->n_x2 * a->hw * a->c2;
    return note(
        ops, &(struct recorded){ .kind = RECORDED_GROUP_NORM,
                                 .op = "group_norm",
                                 .n = a->n,
                                 .h_out = 1,
                                 .w_out = a->hw,
                                 .c = a->c,
                                 .c2 = a->c2,
                                 .out = a->c + a->c2,
                                 .stats = a->stats != NULL,
                                 .in_bytes = bytes(ops, in * (a->stats ? 1 : 2)),
                                 .out_bytes = bytes(ops, (double)a->n * a->hw * (a->c + a->c2)) });
}

static status layer_norm(struct ops *ops, const struct layer_norm_args *a)
{
    const double all = bytes(ops, (double)a->rows * a->c);
    return note(ops, &(struct recorded){ .kind = RECORDED_LAYER_NORM,
                                         .op = "layer_norm",
                                         .n = 1,
                                         .h_out = 1,
                                         .w_out = a->rows,
                                         .c = a->c,
                                         .out = a->c,
                                         .in_bytes = all,
                                         .out_bytes = all });
}

static status attention(struct ops *ops, const struct attention_args *a)
{
    const double q = (double)a->n_q * a->s_q * a->heads * a->d;
    const double kv = 2.0 * a->n_kv * a->s_kv * a->heads * a->d;
    return note(ops, &(struct recorded){ .kind = RECORDED_ATTENTION,
                                         .op = "attention",
                                         .n = a->n,
                                         .h_out = 1,
                                         .w_out = a->s_q,
                                         .out = a->heads * a->d,
                                         .heads = a->heads,
                                         .d = a->d,
                                         .s_kv = a->s_kv,
                                         .n_kv = a->n_kv,
                                         .in_bytes = bytes(ops, q + kv),
                                         .out_bytes =
                                             bytes(ops, (double)a->n * a->s_q * a->heads * a->d) });
}

static status small(struct ops *ops, const char *op, int n, int rows, int c, double moved)
{
    return note(ops, &(struct recorded){ .kind = RECORDED_SMALL,
                                         .op = op,
                                         .n = n,
                                         .h_out = 1,
                                         .w_out = rows,
                                         .out = c,
                                         .in_bytes = moved });
}

static status embed(struct ops *ops, const struct embed_args *a)
{
    return small(ops, "embed", a->n, a->s, a->c, bytes(ops, 2.0 * a->n * a->s * a->c));
}

static status time_embed(struct ops *ops, const struct time_embed_args *a)
{
    return small(ops, "time_embed", 1, a->rows, a->c, bytes(ops, (double)a->rows * a->c));
}

static status sampler_step(struct ops *ops, const struct sampler_step_args *a)
{
    const double one = (double)a->n * a->hw * a->c;
    return small(ops, "sampler_step", a->n, a->hw, a->c,
                 bytes(ops, one * (a->parts + 1)) + one * 4 * (2 + 2 * STEP_HISTORY));
}

static status noise(struct ops *ops, const struct noise_args *a)
{
    return small(ops, "noise", a->n, a->hw, a->c, 4.0 * a->n * a->hw * a->c);
}

static status scale(struct ops *ops, const struct scale_args *a)
{
    return small(ops, "scale", 1, (int)a->count, 1, (4.0 + bytes(ops, 1)) * (double)a->count);
}

static status to_rgb8(struct ops *ops, const struct to_rgb8_args *a)
{
    return small(ops, "to_rgb8", a->n, a->hw, 3, (bytes(ops, 1) + 1) * 3.0 * a->n * a->hw);
}

/* ---- the rest of the contract: nothing to do --------------------------------------------- */

static status weight_create(struct ops *ops, const struct weight_args *args, struct weight **out)
{
    struct recorder *r = recorder(ops);
    struct weight *weight = calloc(1, sizeof *weight);
    *out = weight;
    if (!weight)
        return status_fail(STATUS_NO_MEMORY, "recorder: no memory for a weight");
    weight->args = *args;
    for (int i = 0; i < args->parts; i++)
        weight->out += args->part[i].out;
    weight->next = r->weights;
    r->weights = weight;
    return STATUS_OK;
}

static status weight_fuse(struct ops *ops, struct weight *weight, const struct weight_args *args,
                          const struct weight_delta *deltas, int n)
{
    (void)ops, (void)weight, (void)args, (void)deltas, (void)n;
    return STATUS_OK;
}

/* Weights live as long as the device: a record's reader may come after the network is gone. */
static void weight_destroy(struct ops *ops, struct weight *weight) { (void)ops, (void)weight; }

static status alloc(struct ops *ops, size_t size, void **out)
{
    (void)ops, (void)size;
    *out = (void *)(uintptr_t)64; /* never followed */
    return STATUS_OK;
}

static int planning(const struct ops *ops)
{
    (void)ops;
    return 1;
}

static size_t mark(const struct ops *ops)
{
    (void)ops;
    return 0;
}

static void release(struct ops *ops, size_t to) { (void)ops, (void)to; }

static void destroy(struct ops *ops)
{
    struct recorder *r = recorder(ops);
    while (r->weights) {
        struct weight *next = r->weights->next;
        free(r->weights);
        r->weights = next;
    }
    free(r->call);
    free(r);
}

status recorder_open(enum dtype dtype, struct ops **out)
{
    *out = NULL;
    struct recorder *r = calloc(1, sizeof *r);
    if (!r)
        return status_fail(STATUS_NO_MEMORY, "recorder: no memory");
    r->dtype = dtype;
    r->ops = (struct ops){ .name = "recorder",
                           .weight_create = weight_create,
                           .weight_fuse = weight_fuse,
                           .weight_destroy = weight_destroy,
                           .planning = planning,
                           .alloc = alloc,
                           .mark = mark,
                           .release = release,
                           .conv2d = conv2d,
                           .linear = linear,
                           .group_norm = group_norm,
                           .layer_norm = layer_norm,
                           .attention = attention,
                           .embed = embed,
                           .time_embed = time_embed,
                           .sampler_step = sampler_step,
                           .noise = noise,
                           .scale = scale,
                           .to_rgb8 = to_rgb8,
                           .destroy = destroy };
    *out = &r->ops;
    return STATUS_OK;
}
