/* host/cpu/layer_norm.c - LayerNorm over rows of c.
 *
 * Algorithm  One thread a row: the sum, the squared residuals (their own sum puts the mean right),
 *            the result. The row stays in the first cache between the passes. A lane sums every
 *            LANES-th value; the lanes are added in double, in order.
 */
#include <math.h>

#include "host/cpu/device.h"
#include "host/cpu/lanes.h"

static double add_up(lanes v)
{
    float part[LANES];
    double sum = 0;
    lanes_store(part, v);
    for (int i = 0; i < LANES; i++)
        sum += (double)part[i];
    return sum;
}

static void normalise_row(const struct layer_norm_args *a, const float *gamma, const float *beta,
                          size_t row)
{
    const size_t at = row * (size_t)a->c;
    const int whole = a->c / LANES * LANES; /* channels in full registers */
    lanes sums = lanes_set(0), squares = lanes_set(0), rests = lanes_set(0);

    for (int ch = 0; ch < a->c; ch += LANES)
        sums = lanes_add(
            sums, lanes_load_part(a->x, a->dtype, at + (size_t)ch, ch < whole ? LANES : a->c - ch));
    const float mean = (float)(add_up(sums) / a->c);
    for (int ch = 0; ch < whole; ch += LANES) {
        const lanes d =
            lanes_sub(lanes_load_part(a->x, a->dtype, at + (size_t)ch, LANES), lanes_set(mean));
        rests = lanes_add(rests, d);
        squares = lanes_fma(d, d, squares);
    }
    double rest = add_up(rests), m2 = add_up(squares);
    for (int ch = whole; ch < a->c; ch++) {
        float x[LANES];
        lanes_store(x, lanes_load_part(a->x, a->dtype, at + (size_t)ch, 1));
        const double d = (double)x[0] - (double)mean;
        rest += d;
        m2 += d * d;
    }
    rest /= a->c; /* what the float `mean` is short of the mean */
    const double rstd = 1 / sqrt(m2 / a->c + (double)a->eps);

    for (int ch = 0; ch < a->c; ch += LANES) {
        const int count = ch < whole ? LANES : a->c - ch;
        const lanes x = lanes_load_part(a->x, a->dtype, at + (size_t)ch, count);
        const lanes d = lanes_sub(lanes_sub(x, lanes_set(mean)), lanes_set((float)rest));
        const lanes slope =
            lanes_mul(lanes_load_part(gamma, DTYPE_F32, (size_t)ch, count), lanes_set((float)rstd));
        lanes_store_part(a->y, a->dtype, at + (size_t)ch, count,
                         lanes_fma(d, slope, lanes_load_part(beta, DTYPE_F32, (size_t)ch, count)));
    }
}

status cpu_layer_norm(struct ops *ops, const struct layer_norm_args *a)
{
    struct cpu_device *dev = cpu_device(ops);
    int gammas = 0, betas = 0;
    if (a->rows < 1 || a->c < 1)
        return status_fail(STATUS_BAD_SHAPE, "layer_norm: rows=%d c=%d", a->rows, a->c);
    if (a->dtype != DTYPE_F32 && a->dtype != DTYPE_BF16)
        return status_fail(STATUS_UNSUPPORTED, "layer_norm: no variant for %s",
                           dtype_name(a->dtype));
    const float *gamma = cpu_weight_vector(a->gamma, &gammas);
    const float *beta = cpu_weight_vector(a->beta, &betas);
    if (!gamma || !beta || gammas != a->c || betas != a->c)
        return status_fail(STATUS_BAD_SHAPE, "layer_norm: %d gammas and %d betas for %d channels",
                           gammas, betas, a->c);
    if (dev->planning)
        return STATUS_OK;

    const double values = (double)a->rows * a->c;
    cpu_op_begin(dev, "layer_norm", 0, 2 * values * (double)dtype_size(a->dtype), "%dx%d", a->rows,
                 a->c);
#pragma omp parallel for num_threads(dev->threads)
    for (int row = 0; row < a->rows; row++)
        normalise_row(a, gamma, beta, (size_t)row);
    cpu_op_end(dev);
    return STATUS_OK;
}
