/* bench/ops_bare.h - the yardstick: oneDNN alone, on the same shape. */
#ifndef BENCH_OPS_BARE_H
#define BENCH_OPS_BARE_H

#include "bench/ops_shapes.h"
#include "host/base/dtype.h"

struct bare;

/* A direct convolution in NHWC (3x3, at the size of the output also where the network doubles its
 * input first), or the better of a 1x1 convolution and a matrix product (`way` 0 and 1), or an
 * attention's two products, 256 queries at a time. Weights are packed beforehand, nothing is fused.
 * Null: oneDNN has no such thing, or norms. */
struct bare *bare_open(const struct bench_shape *shape, enum dtype dtype, int way);
void bare_run(struct bare *bare);
void bare_close(struct bare *bare); /* null is fine */

#endif
