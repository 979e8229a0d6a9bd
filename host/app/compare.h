/* host/app/compare.h - two documents of --json: how much slower the second is, and how sure that
 * is. */
#ifndef HOST_APP_COMPARE_H
#define HOST_APP_COMPARE_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "host/base/status.h"

/* Fewer values of a stage say nothing of its spread: three against three that do not overlap happen
 * by chance once in ten times, two against two once in three. */
enum { COMPARE_VALUES_LEAST = 3, COMPARE_ROWS_MOST = 7 };

enum compare_verdict {
    COMPARE_FEW,       /* too few values */
    COMPARE_SAME,      /* the interval holds 1 */
    COMPARE_FASTER,    /* it lies below */
    COMPARE_SLOWER,    /* it lies above */
    COMPARE_REGRESSION /* above, and the ratio is beyond what is allowed */
};

struct compare_row {
    const char *stage; /* a literal: picture, load, fuse, encode, sample, decode, write */
    double a_ms, b_ms; /* medians */
    double ratio;      /* b over a */
    double low, high;  /* 95 % of it, bootstrap of the medians; NaN if there are too few values */
    enum compare_verdict verdict;
};

struct compare_pair {
    const char *key; /* the first document's */
    struct compare_row row[COMPARE_ROWS_MOST];
    size_t rows;
};

struct comparison {
    struct compare_pair *pair;
    size_t count;
    size_t only_a, only_b; /* configurations of one document alone */
    size_t regressions;
};

struct compare_args {
    const cJSON *a, *b;
    double fail_over; /* share: 0.05 lets a stage be 5 % slower */
    int anyway;       /* stand-ins against real weights, other pictures: compared all the same */
};

/* Compares the configurations that both have, by their keys, in the first one's order.
 *
 * memory   compare_free(); keys are lent by the documents
 * returns  STATUS_MISUSE with what keeps the two from being compared, unless `anyway`;
 *          STATUS_NOT_FOUND: they have nothing in common; STATUS_NO_MEMORY */
status compare_documents(const struct compare_args *args, struct comparison *out);
void compare_free(struct comparison *comparison);

/* --compare: reads both files and prints the table. *regressions counts what is beyond fail_over.
 */
status compare_files(const char *const path[2], double fail_over, int anyway, size_t *regressions);

#endif
