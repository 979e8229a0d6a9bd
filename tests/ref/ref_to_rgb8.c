/* tests/ref/ref_to_rgb8.c - the definition, in double. */
#include <math.h>

#include "tests/check.h" /* value() */
#include "tests/ref/ref.h"

void ref_to_rgb8(const struct to_rgb8_args *a, double *want, int *non_finite)
{
    for (size_t img = 0; img < (size_t)a->n; img++) {
        non_finite[img] = 0;
        for (size_t i = 0; i < (size_t)a->hw * 3; i++) {
            const size_t at = img * (size_t)a->hw * 3 + i;
            const double x = value(a->x, a->dtype, at);
            if (!isfinite(x))
                non_finite[img] = 1;
            want[at] = isfinite(x) ? 255 * fmin(fmax((x + 1) / 2, 0), 1) : 0;
        }
    }
}
