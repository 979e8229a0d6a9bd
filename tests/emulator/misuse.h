/* tests/emulator/misuse.h - small kernels, each wrong in one way, and what has to be said of them.
 */
#ifndef EMULATOR_MISUSE_H
#define EMULATOR_MISUSE_H

#include <stddef.h>

#include "host/base/status.h"

enum { MISUSE_VALUES = 64 }; /* of y, on the device; the last one has never been written */

struct misuse {
    const char *name;
    const char *checked; /* part of the report of a checked build, or one of several, "a|b"; null:
                            there is nothing wrong */
    const char *fast;    /* the same of a fast one; null: it need not notice */
    status (*launch)(float *y, float *host);
};
extern const misuse misuses_sm80[], misuses_hopper[];
extern const size_t misuses_sm80_count, misuses_hopper_count;

#endif
