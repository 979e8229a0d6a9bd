/* tests/ref/ref.h - every operator's definition, in double, on host pointers.
 *
 * The formula of host/base/ops.h, loops in the order of the equation, sharing no code with any
 * device. Args are the device's own, with host pointers in them; what is opaque to a device's
 * caller (weights) or hidden in it (the current row of the step table) comes as a parameter.
 *
 * `room`, where there is one, is the sum of |terms| that the contract's bound is a multiple of.
 */
#ifndef TESTS_REF_REF_H
#define TESTS_REF_REF_H

#include "host/base/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A layer's parameters as the formula reads them. */
struct ref_layer {
    const struct weight_args *args; /* kernel, stride, upsample, geglu */
    const double *matrix;           /* [out, in, k, k], all parts stacked */
    const double *bias;             /* [out] */
};

/* scale * (W + sum of deltas) and scale * bias; null entries of `bias` stand for zeros. */
void ref_weight(const struct weight_args *args, const struct weight_delta *deltas, int n,
                double *matrix, double *bias);

void ref_conv2d(const struct conv2d_args *a, const struct ref_layer *layer, int step, double *want,
                double *room);
void ref_linear(const struct linear_args *a, const struct ref_layer *layer, double *want,
                double *room);

/* (mean, M2) per channel and tile: [n, tiles, c, 2]. */
void ref_stats(const void *y, enum dtype dtype, int n, int hw, int c, double *want);

void ref_group_norm(const struct group_norm_args *a, const float *gamma, const float *beta,
                    double *want);

/* `room` is |gamma| (1 + |mean| / sigma) of each value's row. */
void ref_layer_norm(const struct layer_norm_args *a, const float *gamma, const float *beta,
                    double *want, double *room);

void ref_attention(const struct attention_args *a, int context, double *want);

void ref_embed(const struct embed_args *a, const double *token, const double *position,
               double *want);
void ref_time_embed(const struct time_embed_args *a, double *want);

/* What row `row` makes of args; x and history in and out, [STEP_HISTORY] planes of n * hw * c. */
void ref_sampler_step(const struct sampler_step_args *a, const struct step_row *row, double *x,
                      double *history, double *denoised, double *input);

/* Element `element` of draw `draw`, and the whole operator. */
double ref_normal(uint64_t seed, uint64_t draw, uint64_t element);
void ref_noise(const struct noise_args *a, double *want);

void ref_scale(const struct scale_args *a, double *want);

/* want is 255 * clamp((x + 1) / 2, 0, 1) before truncation, 0 where x is not finite. */
void ref_to_rgb8(const struct to_rgb8_args *a, double *want, int *non_finite);

#ifdef __cplusplus
}
#endif

#endif
