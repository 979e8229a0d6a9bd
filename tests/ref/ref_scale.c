/* tests/ref/ref_scale.c - the definition, in double. */
#include "tests/ref/ref.h"

void ref_scale(const struct scale_args *a, double *want)
{
    for (size_t i = 0; i < a->count; i++)
        want[i] = (double)a->scale * (double)a->x[i];
}
