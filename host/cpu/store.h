/* host/cpu/store.h - what is left to do when a product could not be stored where it belongs. */
#ifndef HOST_CPU_STORE_H
#define HOST_CPU_STORE_H

#include "host/cpu/device.h"

/* A row of `count` products in dtype `from_dtype`, or values and gates to be multiplied in f32,
 * plus a residual in `dtype`, stored in `dtype`: rounded once. */
struct cpu_store {
    enum dtype from_dtype, dtype;
    const void *from;
    const float *gate;    /* null: none; then from_dtype is F32 */
    const void *residual; /* null: none */
    void *to;
    size_t count;
};

void cpu_store_row(const struct cpu_store *row);

#endif
