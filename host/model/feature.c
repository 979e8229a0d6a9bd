/* host/model/feature.c - see feature.h. */
#include "host/model/feature.h"

enum { GROUPS = 32 };

static const float LAYER_NORM_EPS = 1e-5f;

size_t feature_bytes(const struct runner *run, int n, int h, int w, int c)
{
    return (size_t)n * h * w * c * dtype_size(run->dtype);
}

size_t feature_stats_bytes(int n, int h, int w, int c)
{
    return (size_t)n * stats_tiles(h * w) * c * 2 * sizeof(float);
}

status feature_alloc(const struct runner *run, int n, int h, int w, int c, int with_stats,
                     struct feature *out)
{
    void *data = NULL, *stats = NULL;
    TRY(run->ops->alloc(run->ops, feature_bytes(run, n, h, w, c), &data));
    if (with_stats)
        TRY(run->ops->alloc(run->ops, feature_stats_bytes(n, h, w, c), &stats));
    *out = (struct feature){ data, stats, n, h, w, c };
    return STATUS_OK;
}

static int larger(int a, int b) { return a > b ? a : b; }

status feature_norm(const struct runner *run, const struct layer *norm, const struct feature *x,
                    const struct feature *x2, int silu, float eps, struct feature *y)
{
    y->n = x2 != NULL ? larger(x->n, x2->n) : x->n;
    y->h = x->h;
    y->w = x->w;
    y->c = x->c + (x2 != NULL ? x2->c : 0);
    return run->ops->group_norm(run->ops,
                                &(struct group_norm_args){ .x = x->data,
                                                           .x2 = x2 != NULL ? x2->data : NULL,
                                                           .stats = x->stats,
                                                           .stats2 = x2 != NULL ? x2->stats : NULL,
                                                           .gamma = norm->weight,
                                                           .beta = norm->beta,
                                                           .y = y->data,
                                                           .dtype = run->dtype,
                                                           .n = y->n,
                                                           .n_x = x->n,
                                                           .n_x2 = x2 != NULL ? x2->n : 0,
                                                           .hw = x->h * x->w,
                                                           .c = x->c,
                                                           .c2 = x2 != NULL ? x2->c : 0,
                                                           .groups = GROUPS,
                                                           .silu = silu,
                                                           .eps = eps });
}

status feature_conv(const struct runner *run, const struct layer *conv, const struct feature *x,
                    const struct feature *x2, const struct feature_add *add,
                    const struct feature *residual, const struct feature *y)
{
    return run->ops->conv2d(
        run->ops, &(struct conv2d_args){ .weight = conv->weight,
                                         .x = x->data,
                                         .x2 = x2 != NULL ? x2->data : NULL,
                                         .add = add != NULL ? add->data : NULL,
                                         .residual = residual != NULL ? residual->data : NULL,
                                         .y = y->data,
                                         .stats = y->stats,
                                         .dtype = run->dtype,
                                         .n = y->n,
                                         .n_x = x->n,
                                         .n_x2 = x2 != NULL ? x2->n : 0,
                                         .n_add = add != NULL ? 1 : 0,
                                         .n_residual = residual != NULL ? residual->n : 0,
                                         .h = x->h,
                                         .w = x->w,
                                         .c = x->c,
                                         .c2 = x2 != NULL ? x2->c : 0,
                                         .h_out = y->h,
                                         .w_out = y->w,
                                         .c_out = y->c,
                                         .add_step_stride = add != NULL ? add->step_stride : 0 });
}

status token_linear(const struct runner *run, const struct token_linear *args)
{
    const struct layer *layer = args->layer;
    return run->ops->linear(
        run->ops, &(struct linear_args){ .weight = layer->weight,
                                         .x = args->x,
                                         .residual = args->residual,
                                         .y = args->y,
                                         .stats = args->stats,
                                         .dtype = run->dtype,
                                         .act = args->act,
                                         .n = args->n,
                                         .n_x = args->n_x,
                                         .n_residual = args->residual ? args->n_residual : 0,
                                         .s = args->s,
                                         .in = layer->in,
                                         .out = layer->geglu ? layer->out / 2 : layer->out });
}

status token_norm(const struct runner *run, const struct layer *norm, const void *x, int rows,
                  void *y)
{
    return run->ops->layer_norm(run->ops, &(struct layer_norm_args){ .x = x,
                                                                     .gamma = norm->weight,
                                                                     .beta = norm->beta,
                                                                     .y = y,
                                                                     .dtype = run->dtype,
                                                                     .rows = rows,
                                                                     .c = norm->out,
                                                                     .eps = LAYER_NORM_EPS });
}

const void *element(const struct runner *run, const void *base, size_t elements)
{
    return (const unsigned char *)base + elements * dtype_size(run->dtype);
}
