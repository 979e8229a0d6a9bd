/* tests/ref/ref_weight.c - a layer's matrix with its deltas, in double. */
#include "tests/check.h" /* value() */
#include "tests/ref/ref.h"

static double delta_value(const struct weight_delta *delta, size_t per, size_t row, size_t col)
{
    if (delta->rank == 0)
        return (double)delta->full[row * per + col];
    double sum = 0;
    for (int r = 0; r < delta->rank; r++)
        sum += (double)delta->up[row * (size_t)delta->rank + (size_t)r] *
               (double)delta->down[(size_t)r * per + col];
    return sum;
}

void ref_weight(const struct weight_args *args, const struct weight_delta *deltas, int n,
                double *matrix, double *bias)
{
    const size_t per = (size_t)args->in * (size_t)args->kernel * (size_t)args->kernel;
    const double scale = (double)args->scale;
    size_t first = 0;

    for (int p = 0; p < args->parts; p++) {
        const struct weight_part *part = &args->part[p];
        for (size_t row = 0; row < (size_t)part->out; row++) {
            for (size_t col = 0; col < per; col++) {
                double sum = value(part->data, part->dtype, row * per + col);
                for (int i = 0; i < n; i++)
                    if (deltas[i].part == p)
                        sum += (double)deltas[i].scale * delta_value(&deltas[i], per, row, col);
                matrix[(first + row) * per + col] = scale * sum;
            }
            bias[first + row] = part->bias ? scale * value(part->bias, part->bias_dtype, row) : 0;
        }
        first += (size_t)part->out;
    }
}
