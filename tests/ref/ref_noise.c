/* tests/ref/ref_noise.c - Philox4x32-10 by its paper, normal deviates by Box and Muller, in
 * double.
 *
 * source  Salmon et al. 2011, section 3.3: a round of Philox-4 maps (R0, L0, R1, L1) through two
 *         32x32 products, keys bumped by the golden ratio and sqrt(3) - 1 as fixed point */
#include <math.h>

#include "tests/ref/ref.h"

double ref_normal(uint64_t seed, uint64_t draw, uint64_t element)
{
    const uint64_t low = 0xffffffff;
    const uint64_t bump[2] = { (uint64_t)floor((sqrt(5) - 1) / 2 * 4294967296.0),
                               (uint64_t)floor((sqrt(3) - 1) * 4294967296.0) };
    uint64_t word[4] = { draw & low, draw >> 32, element & low, element >> 32 };
    uint64_t key[2] = { seed & low, seed >> 32 };

    for (int round = 0; round < 10; round++) {
        const uint64_t a = word[0] * 0xD2511F53u, b = word[2] * 0xCD9E8D57u;
        const uint64_t next[4] = { (b >> 32) ^ word[1] ^ key[0], b & low,
                                   (a >> 32) ^ word[3] ^ key[1], a & low };
        for (int i = 0; i < 4; i++)
            word[i] = next[i];
        for (int i = 0; i < 2; i++)
            key[i] = (key[i] + bump[i]) & low;
    }

    /* The scales are floats in cuRAND: 2^-32, and 2 pi 2^-32 rounded to a float. */
    const double turn = (float)(2 * acos(-1) / 4294967296.0);
    const double u = ((double)word[0] + 0.5) / 4294967296.0;
    const double v = ((double)word[1] + 0.5) * turn;
    return sqrt(-2 * log(u)) * sin(v);
}

void ref_noise(const struct noise_args *a, double *want)
{
    for (size_t img = 0; img < (size_t)a->n; img++)
        for (size_t ch = 0; ch < (size_t)a->c; ch++)
            for (size_t p = 0; p < (size_t)a->hw; p++)
                want[(img * (size_t)a->hw + p) * (size_t)a->c + ch] =
                    a->scale * ref_normal(a->seed[img], (uint64_t)a->draw, ch * (size_t)a->hw + p);
}
