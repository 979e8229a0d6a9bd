/* host/base/weight_args.c - arguments of a weight, checked. */
#include "host/base/weight_args.h"

#include <limits.h>

static int is_matrix(enum weight_kind kind)
{
    return kind == WEIGHT_CONV2D || kind == WEIGHT_LINEAR;
}

static int stored_float(enum dtype dtype)
{
    return dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16 || dtype == DTYPE_F64;
}

const char *weight_args_name(const struct weight_args *args)
{
    return args->name ? args->name : "weight";
}

static status check_parts(const struct weight_args *args, int *out)
{
    const char *name = weight_args_name(args);
    long total = 0;
    if (args->parts < 1 || args->parts > (is_matrix(args->kind) ? WEIGHT_MAX_PARTS : 1) ||
        (args->kind == WEIGHT_CONV2D && args->parts != 1))
        return status_fail(STATUS_BAD_SHAPE, "%s: %d parts", name, args->parts);
    for (int i = 0; i < args->parts; i++) {
        const struct weight_part *part = &args->part[i];
        if (part->out < 1)
            return status_fail(STATUS_BAD_SHAPE, "%s: %d outputs", name, part->out);
        if ((part->data && !stored_float(part->dtype)) ||
            (part->bias && !stored_float(part->bias_dtype)))
            return status_fail(STATUS_UNSUPPORTED, "%s: values are no floating point numbers",
                               name);
        total += part->out;
    }
    if (total > INT_MAX)
        return status_fail(STATUS_BAD_SHAPE, "%s: %ld outputs", name, total);
    *out = (int)total;
    return STATUS_OK;
}

static int sizes_fit(const struct weight_args *a, int out)
{
    const int conv = a->kind == WEIGHT_CONV2D, linear = a->kind == WEIGHT_LINEAR;
    if (a->in < 1 || a->in2 < 0 || a->in2 >= a->in || (a->in2 > 0 && !conv && !linear))
        return 0;
    if (a->kernel != 1 && !(conv && a->kernel == 3))
        return 0;
    if (conv && (a->stride < 1 || a->stride > 2 || a->upsample < 1 || a->upsample > 2))
        return 0;
    if (conv && a->upsample == 2 && (a->kernel != 3 || a->stride != 1 || a->in2 > 0))
        return 0;
    if (a->geglu && (!linear || out % 2 != 0 || a->in2 > 0))
        return 0;
    return a->kind != WEIGHT_VECTOR || a->in == 1;
}

status weight_args_check(const struct weight_args *args, enum dtype device, int *out)
{
    const char *name = weight_args_name(args);
    if ((int)args->kind < 0 || args->kind > WEIGHT_VECTOR)
        return status_fail(STATUS_BAD_SHAPE, "%s: kind %d", name, (int)args->kind);
    TRY(check_parts(args, out));
    if (!sizes_fit(args, *out))
        return status_fail(STATUS_BAD_SHAPE,
                           "%s: out %d, in %d (second %d), kernel %d, stride %d, upsample %d, "
                           "geglu %d",
                           name, *out, args->in, args->in2, args->kernel, args->stride,
                           args->upsample, args->geglu);
    if (args->dtype != device)
        return status_fail(STATUS_UNSUPPORTED, "%s: a weight of %s on a device opened for %s", name,
                           dtype_name(args->dtype), dtype_name(device));
    return STATUS_OK;
}

status weight_deltas_check(const struct weight_args *args, const struct weight_delta *deltas, int n)
{
    for (int i = 0; i < n; i++) {
        const struct weight_delta *d = &deltas[i];
        if (d->part < 0 || d->part >= args->parts || d->rank < 0 ||
            (d->rank > 0 ? !d->up || !d->down : !d->full))
            return status_fail(STATUS_BAD_SHAPE, "%s: a delta of part %d and rank %d",
                               weight_args_name(args), d->part, d->rank);
    }
    return STATUS_OK;
}

size_t weight_args_width(const struct weight_args *args)
{
    return (size_t)args->in * (size_t)args->kernel * (size_t)args->kernel;
}

/* FNV-1a of the name and the part's number, mixed as splitmix64 does.
 * source   Steele, Lea and Flood 2014, figure 16 */
uint64_t weight_args_seed(const struct weight_args *args, int part)
{
    uint64_t z = UINT64_C(0xcbf29ce484222325);
    for (const char *s = args->name ? args->name : ""; *s; s++)
        z = (z ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    z += (uint64_t)part;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
