/* host/cpu/to_rgb8.c - decoder output to bytes, truncated as the web UI does, and a flag for each
 * image that holds a NaN or an infinity. */
#include <math.h>

#include "host/cpu/device.h"

/* Returns 1 if v is finite. */
static int to_byte(float v, uint8_t *rgb)
{
    if (!isfinite(v)) {
        *rgb = 0;
        return 0;
    }
    const float unit = (v + 1.0f) / 2.0f;
    *rgb = (uint8_t)(255.0f * (unit < 0 ? 0 : unit > 1 ? 1 : unit));
    return 1;
}

static int row_to_bytes(const struct to_rgb8_args *a, size_t first, size_t last)
{
    int finite = 1;
    for (size_t i = first; i < last; i++)
        finite &= to_byte(a->dtype == DTYPE_F32 ? ((const float *)a->x)[i]
                                                : bf16_to_f32(((const bf16 *)a->x)[i]),
                          &a->rgb[i]);
    return finite;
}

status cpu_to_rgb8(struct ops *ops, const struct to_rgb8_args *a)
{
    struct cpu_device *dev = cpu_device(ops);
    if (a->n < 1 || a->hw < 1)
        return status_fail(STATUS_BAD_SHAPE, "to_rgb8: n=%d hw=%d", a->n, a->hw);
    if (a->dtype != DTYPE_F32 && a->dtype != DTYPE_BF16)
        return status_fail(STATUS_UNSUPPORTED, "to_rgb8: no variant for %s", dtype_name(a->dtype));
    if (dev->planning)
        return STATUS_OK;

    enum { PIECE = 3 * 4096 }; /* values to one piece of work */
    const size_t per = 3 * (size_t)a->hw;
    cpu_op_begin(dev, "to_rgb8", 0, (double)a->n * (double)per * 5, "%dx%d", a->n, a->hw);
    for (int img = 0; img < a->n; img++) {
        const size_t start = (size_t)img * per;
        int broken = 0;
#pragma omp parallel for num_threads(dev->threads) reduction(| : broken)
        for (size_t at = 0; at < per; at += PIECE)
            broken |= !row_to_bytes(a, start + at, start + (per - at < PIECE ? per : at + PIECE));
        a->non_finite[img] = broken;
    }
    cpu_op_end(dev);
    return STATUS_OK;
}
