/* host/cpu/store.c - gate, residual and rounding of one row. */
#include "host/cpu/store.h"

#include <string.h>

static inline float wide(bf16 bits)
{
    const uint32_t word = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

/* Nearest, ties to even; NaN stays NaN. The same as bf16_from_f32(), in a form that vectorises. */
static inline bf16 narrow(float value)
{
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    const uint32_t rounded = (word + 0x7fff + ((word >> 16) & 1)) >> 16;
    const uint32_t quiet = (word >> 16) | 0x40;
    return (bf16)((word & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

static void store_f32(const struct cpu_store *r)
{
    const float *from = r->from, *gate = r->gate, *residual = r->residual;
    float *to = r->to;
    if (gate && residual)
        for (size_t i = 0; i < r->count; i++)
            to[i] = from[i] * gate[i] + residual[i];
    else if (gate)
        for (size_t i = 0; i < r->count; i++)
            to[i] = from[i] * gate[i];
    else
        for (size_t i = 0; i < r->count; i++)
            to[i] = from[i] + residual[i];
}

static void store_bf16(const struct cpu_store *r)
{
    const float *from = r->from, *gate = r->gate;
    const bf16 *residual = r->residual;
    bf16 *to = r->to;
    if (gate && residual)
        for (size_t i = 0; i < r->count; i++)
            to[i] = narrow(from[i] * gate[i] + wide(residual[i]));
    else if (gate)
        for (size_t i = 0; i < r->count; i++)
            to[i] = narrow(from[i] * gate[i]);
    else if (residual)
        for (size_t i = 0; i < r->count; i++)
            to[i] = narrow(from[i] + wide(residual[i]));
    else
        for (size_t i = 0; i < r->count; i++)
            to[i] = narrow(from[i]);
}

void cpu_store_row(const struct cpu_store *row)
{
    if (row->from_dtype == row->dtype && !row->gate && !row->residual)
        memcpy(row->to, row->from, row->count * dtype_size(row->dtype));
    else if (row->dtype == DTYPE_F32)
        store_f32(row);
    else
        store_bf16(row);
}
