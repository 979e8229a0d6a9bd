/* tests/ref/ref_conv2d.c - the definition, in double. */
#include <math.h>

#include "tests/check.h" /* value() */
#include "tests/ref/ref.h"

/* Pixel (row, col) of channel ch of the input as the kernel sees it: concatenated, doubled,
 * zero outside. */
static double input(const struct conv2d_args *a, int up, int img, int row, int col, int ch)
{
    if (row < 0 || col < 0 || row >= a->h * up || col >= a->w * up)
        return 0;
    const size_t pixel = (size_t)(row / up) * (size_t)a->w + (size_t)(col / up);
    const size_t hw = (size_t)a->h * (size_t)a->w;
    if (ch < a->c)
        return value(a->x, a->dtype,
                     ((size_t)(img % a->n_x) * hw + pixel) * (size_t)a->c + (size_t)ch);
    return value(a->x2, a->dtype,
                 ((size_t)(img % a->n_x2) * hw + pixel) * (size_t)a->c2 + (size_t)(ch - a->c));
}

void ref_conv2d(const struct conv2d_args *a, const struct ref_layer *layer, int step, double *want,
                double *room)
{
    const int k = layer->args->kernel, stride = layer->args->stride, up = layer->args->upsample;
    const int pad = k == 3 && !(stride == 2 && a->pad_end), in = a->c + a->c2;
    const size_t c_out = (size_t)a->c_out;

    for (int img = 0; img < a->n; img++)
        for (int row = 0; row < a->h_out; row++)
            for (int col = 0; col < a->w_out; col++)
                for (int o = 0; o < a->c_out; o++) {
                    double sum = layer->bias[o], size = fabs(sum);
                    for (int ch = 0; ch < in; ch++)
                        for (int i = 0; i < k; i++)
                            for (int j = 0; j < k; j++) {
                                const double term =
                                    input(a, up, img, row * stride + i - pad,
                                          col * stride + j - pad, ch) *
                                    layer->matrix[((size_t)(o * in + ch) * (size_t)k + (size_t)i) *
                                                      (size_t)k +
                                                  (size_t)j];
                                sum += term;
                                size += fabs(term);
                            }
                    const size_t pixel = (size_t)row * (size_t)a->w_out + (size_t)col;
                    const size_t hw = (size_t)a->h_out * (size_t)a->w_out;
                    if (a->add) {
                        const double add = value(a->add, a->dtype,
                                                 (size_t)step * a->add_step_stride +
                                                     (size_t)(img % a->n_add) * c_out + (size_t)o);
                        sum += add;
                        size += fabs(add);
                    }
                    if (a->residual) {
                        const double residual =
                            value(a->residual, a->dtype,
                                  ((size_t)(img % a->n_residual) * hw + pixel) * c_out + (size_t)o);
                        sum += residual;
                        size += fabs(residual);
                    }
                    want[((size_t)img * hw + pixel) * c_out + (size_t)o] = sum;
                    room[((size_t)img * hw + pixel) * c_out + (size_t)o] = size;
                }
}
