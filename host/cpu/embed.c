/* host/cpu/embed.c - token rows, or an inversion's vectors in their place, plus positions. */
#include "host/cpu/device.h"

/* Element i of a table of some dtype. */
static float element(const void *table, enum dtype dtype, size_t i)
{
    if (dtype == DTYPE_F32)
        return ((const float *)table)[i];
    const uint16_t bits = ((const uint16_t *)table)[i];
    return dtype == DTYPE_F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

static status check(const struct embed_args *a)
{
    int rows = 0, positions = 0, c = 0, c2 = 0;
    enum dtype dtype;
    if (a->n < 1 || a->s < 1 || a->c < 1 || a->patches < 0)
        return status_fail(STATUS_BAD_SHAPE, "embed: n=%d s=%d c=%d patches=%d", a->n, a->s, a->c,
                           a->patches);
    if (a->dtype != DTYPE_F32 && a->dtype != DTYPE_BF16)
        return status_fail(STATUS_UNSUPPORTED, "embed: no variant for %s", dtype_name(a->dtype));
    if (!cpu_weight_table(a->token, &dtype, &rows, &c) ||
        !cpu_weight_table(a->position, &dtype, &positions, &c2) || c != a->c || c2 != a->c ||
        positions < a->s)
        return status_fail(STATUS_BAD_SHAPE,
                           "embed: s=%d c=%d with %d tokens of %d and %d positions of %d", a->s,
                           a->c, rows, c, positions, c2);
    for (size_t i = 0; i < (size_t)a->n * (size_t)a->s; i++)
        if (a->ids[i] < 0 || a->ids[i] >= rows)
            return status_fail(STATUS_BAD_SHAPE, "embed: token %d of a table of %d", (int)a->ids[i],
                               rows);
    for (int i = 0; i < a->patches; i++) {
        const struct embed_patch *p = &a->patch[i];
        if (p->row < 0 || p->row >= a->n || p->at < 0 || p->count < 0 || p->count > a->s ||
            p->at > a->s - p->count)
            return status_fail(STATUS_BAD_SHAPE, "embed: patch of %d at %d in sequence %d of %dx%d",
                               p->count, p->at, p->row, a->n, a->s);
    }
    return STATUS_OK;
}

/* The vector that takes the token's place at position p of sequence r, or null. */
static const float *patched(const struct embed_args *a, int r, int p)
{
    const float *found = NULL;
    for (int i = 0; i < a->patches; i++) {
        const struct embed_patch *patch = &a->patch[i];
        if (patch->row == r && patch->at <= p && p < patch->at + patch->count)
            found = patch->vector + (size_t)(p - patch->at) * (size_t)a->c;
    }
    return found;
}

status cpu_embed(struct ops *ops, const struct embed_args *a)
{
    struct cpu_device *dev = cpu_device(ops);
    TRY(check(a));
    if (dev->planning)
        return STATUS_OK;

    enum dtype token_dtype, position_dtype;
    int rows, width;
    const void *tokens = cpu_weight_table(a->token, &token_dtype, &rows, &width);
    const void *positions = cpu_weight_table(a->position, &position_dtype, &rows, &width);
    const size_t c = (size_t)a->c;
    cpu_op_begin(dev, "embed", 0, 0, "%dx%dx%d", a->n, a->s, a->c);
    for (int row = 0; row < a->n * a->s; row++) {
        const size_t p = (size_t)(row % a->s), id = (size_t)a->ids[row];
        const float *vector = patched(a, row / a->s, (int)p);
        for (size_t i = 0; i < c; i++) {
            const float v = vector ? vector[i] : element(tokens, token_dtype, id * c + i);
            const float sum = v + element(positions, position_dtype, p * c + i);
            const size_t at = (size_t)row * c + i;
            if (a->dtype == DTYPE_F32)
                ((float *)a->y)[at] = sum;
            else
                ((bf16 *)a->y)[at] = bf16_from_f32(sum);
        }
    }
    cpu_op_end(dev);
    return STATUS_OK;
}
