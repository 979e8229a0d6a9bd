/* tests/ref/ref_linear.c - the definition, in double. */
#include <math.h>

#include "tests/check.h" /* value() */
#include "tests/ref/ref.h"

static double gelu(double x) { return x * 0.5 * erfc(-x / sqrt(2)); }

static double activate(enum activation act, double x)
{
    switch (act) {
    case ACT_SILU:
        return x / (1 + exp(-x));
    case ACT_GELU:
        return gelu(x);
    case ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case ACT_NONE:
        break;
    }
    return x;
}

/* b + sum of x w, and the sum of the terms' sizes. */
static double product(const struct linear_args *a, const struct ref_layer *layer, int img, int row,
                      int o, double *size)
{
    const size_t in = (size_t)(a->in + a->in2);
    double sum = layer->bias[o];
    *size = fabs(sum);
    for (size_t i = 0; i < in; i++) {
        const size_t first = (size_t)a->in;
        const double x =
            i < first
                ? value(a->x, a->dtype,
                        ((size_t)(img % a->n_x) * (size_t)a->s + (size_t)row) * first + i)
                : value(a->x2, a->dtype,
                        ((size_t)(img % a->n_x2) * (size_t)a->s + (size_t)row) * (size_t)a->in2 +
                            (i - first));
        const double term = x * layer->matrix[(size_t)o * in + i];
        sum += term;
        *size += fabs(term);
    }
    return sum;
}

void ref_linear(const struct linear_args *a, const struct ref_layer *layer, double *want,
                double *room)
{
    const double steepest = a->act == ACT_NONE ? 1 : 1.13; /* of any of the activations */

    for (int img = 0; img < a->n; img++)
        for (int row = 0; row < a->s; row++)
            for (int o = 0; o < a->out; o++) {
                double size, gate_size;
                double y = product(a, layer, img, row, o, &size);
                if (layer->args->geglu) {
                    const double gate = product(a, layer, img, row, a->out + o, &gate_size);
                    size = size * fabs(gelu(gate)) + fabs(y) * 1.13 * gate_size;
                    y *= gelu(gate);
                } else {
                    y = activate(a->act, y);
                    size *= steepest;
                }
                if (a->residual) {
                    const double residual =
                        value(a->residual, a->dtype,
                              ((size_t)(img % a->n_residual) * (size_t)a->s + (size_t)row) *
                                      (size_t)a->out +
                                  (size_t)o);
                    y += residual;
                    size += fabs(residual);
                }
                const size_t at =
                    ((size_t)img * (size_t)a->s + (size_t)row) * (size_t)a->out + (size_t)o;
                want[at] = y;
                room[at] = size;
            }
}
