/* tests/cuda_layer.h - layers for kernel tests: made on the device, and as their definition reads
 * them; outputs and statistics compared. */
#ifndef TESTS_CUDA_LAYER_H
#define TESTS_CUDA_LAYER_H

#include "host/base/ops.h"
#include "tests/ref/ref.h"

struct layer {
    struct weight_args args;
    struct weight *weight; /* the device's */
    double *matrix, *bias; /* for the definition */
};

/* `parts` of `out` outputs each. Values have variance 1 / terms; biases have mean `bias`, so that
 * outputs can be made to lie far from zero, and are of dtype where it is 0. Change args before
 * layer_make(). */
struct weight_args layer_args(enum weight_kind kind, enum dtype dtype, int parts, int out, int in,
                              int kernel, float bias);
struct layer layer_make(const struct weight_args *args);
struct ref_layer layer_ref(const struct layer *layer);
void layer_done(struct layer *layer); /* before gpu_release() */

/* Is the vendor engine open on gpu_device()? Says once why not; on the emulator it has to be. Ask
 * before the first layer. */
int layer_vendor(void);

/* y against its definition, and the statistics (null: none) against those of y as stored. */
void check_outputs(const void *y, const double *want, const double *room, double factor,
                   const float *stats, enum dtype dtype, int n, int hw, int c, const char *why);

#endif
