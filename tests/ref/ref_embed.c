/* tests/ref/ref_embed.c - the definition, in double. */
#include "tests/ref/ref.h"

void ref_embed(const struct embed_args *a, const double *token, const double *position,
               double *want)
{
    const size_t c = (size_t)a->c, s = (size_t)a->s;

    for (size_t r = 0; r < (size_t)a->n; r++)
        for (size_t p = 0; p < s; p++)
            for (size_t i = 0; i < c; i++) {
                double row = token[(size_t)a->ids[r * s + p] * c + i];
                for (int k = 0; k < a->patches; k++) {
                    const struct embed_patch *patch = &a->patch[k];
                    if ((size_t)patch->row == r && (size_t)patch->at <= p &&
                        p < (size_t)(patch->at + patch->count))
                        row = patch->vector[(p - (size_t)patch->at) * c + i];
                }
                want[(r * s + p) * c + i] = row + position[p * c + i];
            }
}
