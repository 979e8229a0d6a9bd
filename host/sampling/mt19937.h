/* host/sampling/mt19937.h - the Mersenne Twister, and the normal deviates that torch's CPU
 * generator makes of it. */
#ifndef HOST_SAMPLING_MT19937_H
#define HOST_SAMPLING_MT19937_H

#include <stddef.h>
#include <stdint.h>

enum { MT19937_WORDS = 624 };

struct mt19937 {
    uint32_t state[MT19937_WORDS];
    int at;       /* next word; MT19937_WORDS: all used up */
    double spare; /* the sine half of the last pair of deviates */
    int has_spare;
};

void mt19937_seed(struct mt19937 *mt, uint32_t seed);
uint32_t mt19937_next(struct mt19937 *mt);

/* torch.randn(count) on the CPU, continuing the generator.
 * numerics  logarithm, root, sine and cosine of the 16-blocks in double, rounded once; torch's are
 * in f32, about 1e-6 apart source    Matsumoto & Nishimura 1998; ATen DistributionTemplates.h,
 * normal_fill */
void mt19937_normal(struct mt19937 *mt, size_t count, float *out);

#endif
