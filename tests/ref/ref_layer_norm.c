/* tests/ref/ref_layer_norm.c - the definition, in double. */
#include <math.h>

#include "tests/check.h" /* value() */
#include "tests/ref/ref.h"

void ref_layer_norm(const struct layer_norm_args *a, const float *gamma, const float *beta,
                    double *want, double *room)
{
    const size_t c = (size_t)a->c;

    for (size_t row = 0; row < (size_t)a->rows; row++) {
        double mean = 0, var = 0;
        for (size_t i = 0; i < c; i++)
            mean += value(a->x, a->dtype, row * c + i) / (double)c;
        for (size_t i = 0; i < c; i++)
            var += pow(value(a->x, a->dtype, row * c + i) - mean, 2) / (double)c;
        const double sigma = sqrt(var + a->eps);
        for (size_t i = 0; i < c; i++) {
            want[row * c + i] =
                gamma[i] * (value(a->x, a->dtype, row * c + i) - mean) / sigma + beta[i];
            room[row * c + i] = fabs((double)gamma[i]) * (1 + fabs(mean) / sigma);
        }
    }
}
