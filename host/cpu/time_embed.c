/* host/cpu/time_embed.c - the sinusoid of t, in f32 as the original computes it: frequencies,
 * angles and functions each rounded. A handful of rows, so one thread. */
#include <math.h>

#include "host/cpu/device.h"

static void put(void *y, enum dtype dtype, size_t at, float v)
{
    if (dtype == DTYPE_F32)
        ((float *)y)[at] = v;
    else
        ((bf16 *)y)[at] = bf16_from_f32(v);
}

status cpu_time_embed(struct ops *ops, const struct time_embed_args *a)
{
    struct cpu_device *dev = cpu_device(ops);
    if (a->rows < 1 || a->c < 2 || a->c % 2 != 0)
        return status_fail(STATUS_BAD_SHAPE, "time_embed: rows=%d c=%d", a->rows, a->c);
    if (a->dtype != DTYPE_F32 && a->dtype != DTYPE_BF16)
        return status_fail(STATUS_UNSUPPORTED, "time_embed: no variant for %s",
                           dtype_name(a->dtype));
    if (dev->planning)
        return STATUS_OK;

    const int half = a->c / 2;
    const float span = (float)-9.210340371976184; /* -ln 10000 */
    cpu_op_begin(dev, "time_embed", 0, 0, "%dx%d", a->rows, a->c);
    for (int r = 0; r < a->rows; r++)
        for (int i = 0; i < half; i++) {
            const float angle = a->t[r] * expf(span * (float)i / (float)half);
            const size_t at = (size_t)r * (size_t)a->c + (size_t)i;
            put(a->y, a->dtype, at, cosf(angle));
            put(a->y, a->dtype, at + (size_t)half, sinf(angle));
        }
    cpu_op_end(dev);
    return STATUS_OK;
}
