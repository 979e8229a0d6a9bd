/* cuda/stats.cuh - GroupNorm's statistics of one tile of pixels, wherever they lie.
 *
 * Two passes: the sum, then the distances from its rounded mean. The distances' own sum puts right
 * what rounding the mean cost. Always in ascending order of pixels. */
#ifndef CUDA_STATS_CUH
#define CUDA_STATS_CUH

#include "cuda/element.cuh"
#include "host/base/ops.h"

/* stats_tiles() for kernels. */
static __host__ __device__ __forceinline__ int tiles_of(int hw)
{
    return (hw + STATS_PIXELS - 1) / STATS_PIXELS;
}

struct tile_stats {
    float mean, m2;
};

/* Of x[0], x[stride], ... : one channel, `pixels` of them. */
template <class T>
static __device__ __forceinline__ tile_stats stats_of(const T *x, size_t stride, int pixels)
{
    float sum = 0.0f, rest = 0.0f, m2 = 0.0f;
    for (int i = 0; i < pixels; i++)
        sum += to_f32(x[i * stride]);
    const float mean = sum / (float)pixels;
    for (int i = 0; i < pixels; i++) {
        const float d = to_f32(x[i * stride]) - mean;
        rest += d;
        m2 = fmaf(d, d, m2);
    }
    const float shift = rest / (float)pixels;
    return { mean + shift, fmaxf(0.0f, m2 - rest * shift) };
}

#endif
