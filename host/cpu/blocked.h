/* host/cpu/blocked.h - convolutions in oneDNN's blocked layout, behind NHWC tensors. */
#ifndef HOST_CPU_BLOCKED_H
#define HOST_CPU_BLOCKED_H

#include "host/cpu/engine.h"

/* 1 if the product is quicker in blocks of 8 channels, copies included: 3x3 and 2x2 in f32 on CPUs
 * without AVX-512. */
int cpu_blocked_wins(const struct cpu_product *product, const struct cpu_matrix *matrix);

/* As cpu_product_prepare() and cpu_product_run(), of a product with no activation. */
status cpu_blocked_prepare(struct cpu_device *dev, const struct cpu_product *product,
                           struct cpu_matrix *matrix, size_t *work_bytes);
status cpu_blocked_run(struct cpu_device *dev, const struct cpu_product *product,
                       struct cpu_matrix *matrix, const float *bias, const float *x, float *y,
                       void *work);

#endif
