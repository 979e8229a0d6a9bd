/* host/cpu/weight.h - what a weight is on this device; for weight*.c, conv2d.c and linear.c. */
#ifndef HOST_CPU_WEIGHT_H
#define HOST_CPU_WEIGHT_H

#include "host/cpu/engine.h"

/* A layer is one packed matrix, or several that together make it:
 *   two inputs   one for each
 *   upsample     four 2x2 kernels, [2 * row parity + column parity]
 *   geglu        values, gates */
enum { WEIGHT_MAX_MATRICES = 4 };

struct weight {
    struct weight *next;
    struct cpu_device *dev;
    enum weight_kind kind;
    enum dtype dtype;
    int out, in, in2, kernel, stride, upsample, geglu;
    const char *name;

    int matrices;
    struct cpu_matrix matrix[WEIGHT_MAX_MATRICES];
    float *bias; /* [out], and as many zeros for a second matrix */

    float *vector;          /* VECTOR: [out] */
    void *table;            /* EMBEDDING: [out, in] */
    enum dtype table_dtype; /* as stored in the file where that is 16 bits wide */
    size_t plain_bytes;     /* of bias, vector and table */
};

/* ---- weight_rows.c ---------------------------------------------------------------------- */

/* Rows first .. first + rows - 1 of the layer in f32, each of in k k elements, parts stacked:
 * (W + deltas) * scale, summed in f32. */
void cpu_weight_rows(const struct cpu_device *dev, const struct weight_args *args,
                     const struct weight_delta *deltas, int n, int first, int rows, float *to);

/* The stacked biases, scaled: [out]. */
void cpu_weight_bias(const struct weight_args *args, float *to);

/* ---- weight_fold.c ---------------------------------------------------------------------- */

/* Rows [rows, in, 3, 3] to the 2x2 kernel of one parity, [rows, in, 2, 2]: nearest-2x and 3x3 are
 * one 2x2 convolution for each parity of the output's row and column. Sums are in f32. */
void cpu_weight_fold(const struct cpu_device *dev, const float *rows3, int rows, int in, int parity,
                     float *rows2);

/* Elements at .. at + count - 1 of each of `rows` rows of `width`, side by side. */
void cpu_weight_slice(const struct cpu_device *dev, const float *from, int rows, size_t width,
                      size_t at, size_t count, float *to);

#endif
