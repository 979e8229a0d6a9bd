/* tests/wrappers/wrappers.h - every wrapper of cuda/ptx*.cuh in a kernel of its own, on fixed
 * inputs.
 *
 * The same table serves three ends: on the emulator and on a GPU each result is held to its
 * definition; on a GPU the results are recorded; and the emulator is held to the record. */
#ifndef TESTS_WRAPPERS_H
#define TESTS_WRAPPERS_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

enum { WRAPPER_IN = 16384, WRAPPER_OUT = 32768 }; /* most elements of an input and a result */

struct wrapper_case {
    const char *name;
    int arch;     /* 80 or 90 */
    size_t count; /* of results */
    float bound;  /* on |result - definition| per 1 of `room`; 0: the same value */

    /* a and b: 16-bit values of WRAPPER_IN, bit patterns of f16 or bf16; out: `count` floats. */
    status (*run)(const uint16_t *a, const uint16_t *b, float *out);
    void (*define)(const uint16_t *a, const uint16_t *b, double *want, double *room);
};

/* Rows whose inputs are taken for bf16 have "bf16" in their names. */
extern const wrapper_case wrappers_warp[], wrappers_hopper[];
extern const size_t wrappers_warp_count, wrappers_hopper_count;

#endif
