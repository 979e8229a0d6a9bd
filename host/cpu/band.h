/* host/cpu/band.h - a convolution cut into bands of rows, so that what it needs beside its tensors
 * stays small and in the cache. The cut depends on the shape alone. */
#ifndef HOST_CPU_BAND_H
#define HOST_CPU_BAND_H

#include "host/cpu/engine.h"

enum { BAND_PIXELS = 16384 };

struct cpu_band {
    struct cpu_product product; /* of the band alone */
    int from;                   /* its first input row */
};

/* Output rows of a band; the last may be shorter. */
static inline int cpu_band_rows(const struct cpu_product *p)
{
    const int rows = BAND_PIXELS / p->w_out;
    return rows < 1 ? 1 : rows < p->h_out ? rows : p->h_out;
}

/* The band that begins with output row `first`, of a kernel kh high. */
static inline struct cpu_band cpu_band_at(const struct cpu_product *p, int kh, int first)
{
    const int rows = cpu_band_rows(p), left = p->h_out - first;
    struct cpu_band band = { .product = *p };
    band.product.h_out = rows < left ? rows : left;
    const int top = first * p->stride - p->pad_top;
    const int bottom = top + (band.product.h_out - 1) * p->stride + kh;
    band.from = top > 0 ? top : 0;
    band.product.pad_top = band.from - top;
    band.product.h = (bottom < p->h ? bottom : p->h) - band.from;
    return band;
}

#endif
