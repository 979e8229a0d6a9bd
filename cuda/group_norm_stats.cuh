/* cuda/group_norm_stats.cuh - GroupNorm's riding statistics, made by a pass of their own where no
 * convolution or product has written them. */
#ifndef CUDA_GROUP_NORM_STATS_CUH
#define CUDA_GROUP_NORM_STATS_CUH

#include <cuda_runtime.h>

#include "host/base/dtype.h"
#include "host/base/ops.h"

/* stats[n, tiles, c, 2]: mean and M2 of each channel over each STATS_PIXELS pixels of x [n, hw, c].
 */
status group_norm_stats(const void *x, enum dtype dtype, int n, int hw, int c, float *stats,
                        cudaStream_t stream);

#endif
