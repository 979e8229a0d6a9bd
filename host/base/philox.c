/* host/base/philox.c - ten rounds, then Box and Muller. */
#include "host/base/philox.h"

#include <math.h>

void philox4x32(uint64_t seed, uint64_t draw, uint64_t element, uint32_t out[4])
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)draw, c1 = (uint32_t)(draw >> 32);
    uint32_t c2 = (uint32_t)element, c3 = (uint32_t)(element >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)c0 * 0xD2511F53u, p1 = (uint64_t)c2 * 0xCD9E8D57u;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

float philox_normal(uint64_t seed, uint64_t draw, uint64_t element)
{
    static const float unit = 0x1p-32f, angle = 1.4629181e-9f; /* 2F800000, 30C90FDB */
    uint32_t word[4];
    philox4x32(seed, draw, element, word);
    const double u = word[0] * (double)unit + (double)unit / 2;
    const double v = word[1] * (double)angle + (double)angle / 2;
    return (float)(sqrt(-2 * log(u)) * sin(v));
}
