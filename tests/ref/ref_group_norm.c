/* tests/ref/ref_group_norm.c - the definition, in double. */
#include <math.h>

#include "tests/check.h" /* value() */
#include "tests/ref/ref.h"

static double input(const struct group_norm_args *a, int img, int pixel, int ch)
{
    const size_t hw = (size_t)a->hw;
    if (ch < a->c)
        return value(a->x, a->dtype,
                     ((size_t)(img % a->n_x) * hw + (size_t)pixel) * (size_t)a->c + (size_t)ch);
    return value(a->x2, a->dtype,
                 ((size_t)(img % a->n_x2) * hw + (size_t)pixel) * (size_t)a->c2 +
                     (size_t)(ch - a->c));
}

void ref_group_norm(const struct group_norm_args *a, const float *gamma, const float *beta,
                    double *want)
{
    const int c = a->c + a->c2, width = c / a->groups;
    const double count = (double)a->hw * width;

    for (int img = 0; img < a->n; img++)
        for (int first = 0; first < c; first += width) {
            double mean = 0, var = 0;
            for (int p = 0; p < a->hw; p++)
                for (int ch = first; ch < first + width; ch++)
                    mean += input(a, img, p, ch) / count;
            for (int p = 0; p < a->hw; p++)
                for (int ch = first; ch < first + width; ch++)
                    var += pow(input(a, img, p, ch) - mean, 2) / count;
            for (int p = 0; p < a->hw; p++)
                for (int ch = first; ch < first + width; ch++) {
                    const double d = input(a, img, p, ch) - mean;
                    const double v = gamma[ch] * d / sqrt(var + a->eps) + beta[ch];
                    want[((size_t)img * (size_t)a->hw + (size_t)p) * (size_t)c + (size_t)ch] =
                        a->silu ? v / (1 + exp(-v)) : v;
                }
        }
}
