/* host/app/operators.h - operator spans added up: by name, and by shape within a name. */
#ifndef HOST_APP_OPERATORS_H
#define HOST_APP_OPERATORS_H

#include "host/mikubench.h"

/* Calls of one kind. */
struct work {
    char *name; /* the operator's, or the shape */
    size_t count;
    double total_ms, flops, bytes;
};

struct operator_row {
    struct work work;
    struct work *shape;
    size_t shapes;
};

struct operators {
    struct operator_row *row;
    size_t count;
    double covered_ms; /* within operators */
    double picture_ms; /* the clock `picture` of the pass, all batches: whoever runs it adds it */
};

/* Adds an operator's span; others are passed over. */
status operators_add(struct operators *operators, const struct miku_span *span);

/* Rows and their shapes by total time, the longest first. */
void operators_sort(struct operators *operators);
void operators_free(struct operators *operators);

/* How much of what the device reaches: 1 is the ceiling. 0 where the time is 0.
 * compute  out: 1 if arithmetic is what binds, 0 if memory */
double operators_of_ceiling(const struct work *work, const struct miku_ceiling *ceiling,
                            int *compute);

#endif
