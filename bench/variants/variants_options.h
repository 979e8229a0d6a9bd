/* bench/variants/variants_options.h - what bench_variants is asked to measure. */
#ifndef BENCH_VARIANTS_OPTIONS_H
#define BENCH_VARIANTS_OPTIONS_H

#include "host/base/dtype.h"

enum { MOST_RUNS = 1000, MOST_SIZES = 8, MOST_CALLS = 10000 };

struct variants_options {
    enum dtype dtype;
    struct {
        int width, height; /* pixels */
    } size[MOST_SIZES];
    int sizes, n;                 /* n: pictures at a time */
    int runs, inner, row_ms;      /* what they may take, about */
    int seconds;                  /* no call is begun later */
    int calls;                    /* of each network, the first */
    int side;                     /* of the product that is the ceiling */
    const char *op, *json, *plan; /* null: all; none written */
};

extern const struct variants_options variants_options_default;

/* Reads the command line over `o`; 0 where it is not understood. */
int variants_options_read(int argc, char **argv, struct variants_options *o);

#endif
