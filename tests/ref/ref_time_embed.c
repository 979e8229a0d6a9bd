/* tests/ref/ref_time_embed.c - the definition, in double. */
#include <math.h>

#include "tests/ref/ref.h"

void ref_time_embed(const struct time_embed_args *a, double *want)
{
    const int half = a->c / 2;
    for (int r = 0; r < a->rows; r++)
        for (int i = 0; i < half; i++) {
            const double angle = a->t[r] * exp(-log(10000) * i / half);
            want[(size_t)r * (size_t)a->c + (size_t)i] = cos(angle);
            want[(size_t)r * (size_t)a->c + (size_t)(half + i)] = sin(angle);
        }
}
