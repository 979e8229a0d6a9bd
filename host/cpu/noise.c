/* host/cpu/noise.c - unit noise of a picture's seed, scaled. Elements are numbered channel, row,
 * column, and stored NHWC. */
#include "host/base/philox.h"
#include "host/cpu/device.h"

status cpu_noise(struct ops *ops, const struct noise_args *a)
{
    struct cpu_device *dev = cpu_device(ops);
    if (a->n < 1 || a->hw < 1 || a->c < 1 || a->draw < 0)
        return status_fail(STATUS_BAD_SHAPE, "noise: n=%d hw=%d c=%d draw=%d", a->n, a->hw, a->c,
                           a->draw);
    if (dev->planning)
        return STATUS_OK;

    const size_t hw = (size_t)a->hw, c = (size_t)a->c;
    cpu_op_begin(dev, "noise", 0, (double)a->n * a->hw * a->c * 4, "%dx%dx%d", a->n, a->hw, a->c);
#pragma omp parallel for num_threads(dev->threads)
    for (size_t i = 0; i < (size_t)a->n * hw; i++)
        for (size_t ch = 0; ch < c; ch++)
            a->y[i * c + ch] =
                a->scale * philox_normal(a->seed[i / hw], (uint64_t)a->draw, ch * hw + i % hw);
    cpu_op_end(dev);
    return STATUS_OK;
}
