/* cuda/philox.cuh - host/base/philox.h on the device: the same words, and the same deviates but for
 * last bits. In double, as there: log(u) near u = 1 loses in f32 what the first guidance
 * multiplies. A step draws 4 * hw values, some 150 operations each: 3 us at 1/64 of a consumer
 * card's rate. */
#ifndef CUDA_PHILOX_CUH
#define CUDA_PHILOX_CUH

#include <cuda_runtime.h>
#include <stdint.h>

/* Words 0 and 1 of Philox4x32-10. */
static __device__ __forceinline__ uint2 philox_words(uint64_t seed, uint64_t draw, uint64_t element)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)draw, c1 = (uint32_t)(draw >> 32);
    uint32_t c2 = (uint32_t)element, c3 = (uint32_t)(element >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const uint32_t high0 = __umulhi(c0, 0xD2511F53u), low0 = c0 * 0xD2511F53u;
        const uint32_t high1 = __umulhi(c2, 0xCD9E8D57u), low1 = c2 * 0xCD9E8D57u;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return make_uint2(c0, c1);
}

/* Box and Muller, as host/base/philox.c. */
static __device__ __forceinline__ float philox_deviate(uint64_t seed, uint64_t draw,
                                                       uint64_t element)
{
    const double unit = 2.3283064365386963e-10,
                 angle = (double)1.4629181e-9f; /* 2^-32; 2 pi of it */
    const uint2 word = philox_words(seed, draw, element);
    const double u = __dadd_rn(__dmul_rn((double)word.x, unit), unit / 2);
    const double v = __dadd_rn(__dmul_rn((double)word.y, angle), angle / 2);
    return (float)(sqrt(-2 * log(u)) * sin(v));
}

#endif
