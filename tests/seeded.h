/* tests/seeded.h - checkpoints whose parameters come from a seed, the same as
 * tools/vectors/seeded.py makes them, and the vectors made with them. */
#ifndef TESTS_SEEDED_H
#define TESTS_SEEDED_H

#include "host/model/modules.h"
#include "host/model/source.h"

enum seeded_which { SEEDED_SMALL, SEEDED_WIDE, SEEDED_REQUESTS };

/* A checkpoint. get() makes each row anew, so it can be asked as often as one likes. */
struct seeded {
    enum seeded_which which;
    struct modules *modules;
    struct model_source source;
    float *lent[2 * WEIGHT_MAX_PARTS];
    int lent_count;
    /* one row with a delta of rank 1 times `scale`; null: none */
    const char *delta_row;
    float scale;
    int baked; /* 1: the delta is part of what get() gives instead */
    float *up, *down;
    struct weight_delta delta;
};

void seeded_open(struct seeded *seeded, enum seeded_which which); /* stops the test on failure */
void seeded_close(struct seeded *seeded);

/* malloc()ed: `count` normals of (seed, draw), and chunks of 77 token ids. */
float *seeded_values(uint64_t seed, uint64_t draw, size_t count);
int32_t *seeded_ids(uint64_t seed, int chunks, int vocabulary);

/* malloc()ed: tests/vectors/model/NAME, which must hold `count` floats (or bytes of `size`). */
void *vector_read(const char *name, size_t size, size_t count);

/* ||got - want|| / ||want||; NaN if anything is. */
double relative_error(const float *got, const float *want, size_t count);

/* Stops the test, with the figure, unless the error is at most `bound`. */
void check_relative(const char *what, const float *got, const float *want, size_t count,
                    double bound);

#endif
