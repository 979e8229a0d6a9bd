/* host/cpu/scale.c - y = scale * x, converted. */
#include "host/cpu/device.h"

status cpu_scale(struct ops *ops, const struct scale_args *a)
{
    struct cpu_device *dev = cpu_device(ops);
    if (a->count < 1)
        return status_fail(STATUS_BAD_SHAPE, "scale: nothing to do");
    if (a->dtype != DTYPE_F32 && a->dtype != DTYPE_BF16)
        return status_fail(STATUS_UNSUPPORTED, "scale: no variant for %s", dtype_name(a->dtype));
    if (dev->planning)
        return STATUS_OK;

    cpu_op_begin(dev, "scale", 0, (double)a->count * (4 + (double)dtype_size(a->dtype)), "%zu",
                 a->count);
    for (size_t i = 0; i < a->count; i++)
        if (a->dtype == DTYPE_F32)
            ((float *)a->y)[i] = a->scale * a->x[i];
        else
            ((bf16 *)a->y)[i] = bf16_from_f32(a->scale * a->x[i]);
    cpu_op_end(dev);
    return STATUS_OK;
}
