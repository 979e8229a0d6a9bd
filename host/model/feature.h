/* host/model/feature.h - feature maps on the device, and the layers applied to them. */
#ifndef HOST_MODEL_FEATURE_H
#define HOST_MODEL_FEATURE_H

#include "host/model/layer.h"

/* [n, h, w, c] in the run's dtype. Stats are the statistics that ride along, or null. */
struct feature {
    void *data;
    float *stats;
    int n, h, w, c;
};

/* What every layer call needs. */
struct runner {
    struct ops *ops;
    enum dtype dtype;
};

size_t feature_bytes(const struct runner *run, int n, int h, int w, int c);
size_t feature_stats_bytes(int n, int h, int w, int c);

/* Takes the memory; with_stats: for statistics too. */
status feature_alloc(const struct runner *run, int n, int h, int w, int c, int with_stats,
                     struct feature *out);

/* y = norm(concat(x, x2)), SiLU after it if asked; y->n, h, w, c are set here. x2 may be null. */
status feature_norm(const struct runner *run, const struct layer *norm, const struct feature *x,
                    const struct feature *x2, int silu, float eps, struct feature *y);

struct feature_add {
    const void *data; /* [rows, c_out] in dtype, n_add 1; null: none */
    size_t step_stride;
};

/* y = conv(concat(x, x2)) + add + residual; y's sizes are given, its statistics written if it has
 * room for them. x2, add and residual may be null. */
status feature_conv(const struct runner *run, const struct layer *conv, const struct feature *x,
                    const struct feature *x2, const struct feature_add *add,
                    const struct feature *residual, const struct feature *y);

/* y = act(x W^T + b) + residual over rows of tokens: x and y are [n, s, c]. residual may be null.
 */
struct token_linear {
    const struct layer *layer;
    const void *x;
    int n_x;
    const void *residual;
    int n_residual;
    void *y;
    float *stats; /* null: not wanted */
    int n, s;
    enum activation act;
};

status token_linear(const struct runner *run, const struct token_linear *args);

/* y = norm(x), over rows of the norm's width. */
status token_norm(const struct runner *run, const struct layer *norm, const void *x, int rows,
                  void *y);

/* The address `elements` behind `base`. */
const void *element(const struct runner *run, const void *base, size_t elements);

#endif
