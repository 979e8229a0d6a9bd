/* host/sampling/mt19937.c - see mt19937.h. */
#include "host/sampling/mt19937.h"

#include <math.h>

enum { SHIFT = 397, BLOCK = 16, HALF = BLOCK / 2 };

static const double TWO_PI = 6.283185307179586476925286766559;

void mt19937_seed(struct mt19937 *mt, uint32_t seed)
{
    mt->state[0] = seed;
    for (uint32_t i = 1; i < MT19937_WORDS; i++)
        mt->state[i] = 1812433253u * (mt->state[i - 1] ^ (mt->state[i - 1] >> 30)) + i;
    mt->at = MT19937_WORDS;
    mt->has_spare = 0;
}

static void twist(struct mt19937 *mt)
{
    uint32_t *s = mt->state;
    for (int i = 0; i < MT19937_WORDS; i++) {
        const uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % MT19937_WORDS] & 0x7fffffffu);
        s[i] = s[(i + SHIFT) % MT19937_WORDS] ^ (y >> 1) ^ ((y & 1u) ? 0x9908b0dfu : 0u);
    }
    mt->at = 0;
}

uint32_t mt19937_next(struct mt19937 *mt)
{
    if (mt->at == MT19937_WORDS)
        twist(mt);
    uint32_t y = mt->state[mt->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* ---- few: pairs from 53-bit uniforms ---------------------------------------------------- */

static double uniform53(struct mt19937 *mt)
{
    const uint64_t high = mt19937_next(mt), low = mt19937_next(mt);
    return (double)((high << 32 | low) & ((UINT64_C(1) << 53) - 1)) * 0x1p-53;
}

static double next_normal(struct mt19937 *mt)
{
    if (mt->has_spare) {
        mt->has_spare = 0;
        return mt->spare;
    }
    const double u1 = uniform53(mt), u2 = uniform53(mt);
    const double radius = sqrt(-2.0 * log1p(-u2));
    mt->spare = radius * sin(TWO_PI * u1);
    mt->has_spare = 1;
    return radius * cos(TWO_PI * u1);
}

/* ---- many: blocks of 16 24-bit uniforms ------------------------------------------------- */

static float uniform24(struct mt19937 *mt)
{
    return (float)(mt19937_next(mt) & 0xffffffu) * 0x1p-24f;
}

static void block_to_normal(float *a)
{
    for (int j = 0; j < HALF; j++) {
        const double radius = sqrt(-2.0 * log(1.0 - a[j])), angle = TWO_PI * a[j + HALF];
        a[j] = (float)(radius * cos(angle));
        a[j + HALF] = (float)(radius * sin(angle));
    }
}

void mt19937_normal(struct mt19937 *mt, size_t count, float *out)
{
    if (count < BLOCK) {
        for (size_t i = 0; i < count; i++)
            out[i] = (float)next_normal(mt);
        return;
    }
    for (size_t i = 0; i < count; i++)
        out[i] = uniform24(mt);
    for (size_t i = 0; i + BLOCK <= count; i += BLOCK)
        block_to_normal(out + i);
    if (count % BLOCK != 0) { /* the last 16 are drawn again */
        float *tail = out + count - BLOCK;
        for (int j = 0; j < BLOCK; j++)
            tail[j] = uniform24(mt);
        block_to_normal(tail);
    }
}
