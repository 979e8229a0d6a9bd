/* host/base/weight_args.h - what every device asks of a weight's arguments, and the seed of a
 * synthetic one. */
#ifndef HOST_BASE_WEIGHT_ARGS_H
#define HOST_BASE_WEIGHT_ARGS_H

#include <stdint.h>

#include "host/base/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Checks everything but the host pointers; *out is the number of outputs of all parts.
 * returns  STATUS_BAD_SHAPE    a size is out of range or sizes contradict each other
 *          STATUS_UNSUPPORTED  the host's values are no floating point numbers, or the weight is
 *                              not of the type that the device was opened for */
status weight_args_check(const struct weight_args *args, enum dtype device, int *out);

/* STATUS_BAD_SHAPE if a delta names no part of the layer or lacks what its rank asks for. */
status weight_deltas_check(const struct weight_args *args, const struct weight_delta *deltas,
                           int n);

const char *weight_args_name(const struct weight_args *args); /* "weight" where it has none */

/* Elements of one output's row: in k k. */
size_t weight_args_width(const struct weight_args *args);

/* What element i of a synthetic part is drawn from: a function of the layer's name and the part's
 * number, so that every device draws the same weights. */
uint64_t weight_args_seed(const struct weight_args *args, int part);

#ifdef __cplusplus
}
#endif

#endif
