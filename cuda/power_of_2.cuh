/* cuda/power_of_2.cuh - 2^x on the units that multiply, not the one that knows exponentials. */
#ifndef CUDA_POWER_OF_2_CUH
#define CUDA_POWER_OF_2_CUH

#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* 2^x for x up to 120: x = r + f, r whole, |f| <= 1/2; 2^f by a polynomial, 2^r by its bits.
 *
 * numerics  relative error up to 2.9e-6 (minimax of degree 4, 1 at 0 held); 1 at 0; 0 below -127;
 *           NaN stays NaN
 * source    Shah et al. 2025 (FlashAttention-4) use the idea for a part of the exponentials */
static __host__ __device__ __forceinline__ float power_of_2(float x)
{
    const float bias = 12582912.0f + 127.0f; /* 1.5 * 2^23: the sum's low bits are r + 127 */
    const float c = x < -127.0f ? -127.0f : x;
    const float shifted = c + bias;
    const float f = c - (shifted - bias);
    float p = 9.582855739e-03f;
    p = fmaf(p, f, 5.590642989e-02f);
    p = fmaf(p, f, 2.402409911e-01f);
    p = fmaf(p, f, 6.931241751e-01f);
    p = fmaf(p, f, 1.0f);
    uint32_t bits;
    memcpy(&bits, &shifted, 4);
    bits <<= 23;
    float whole;
    memcpy(&whole, &bits, 4);
    return p * whole;
}

#endif
