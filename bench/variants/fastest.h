/* bench/variants/fastest.h - the plan that follows from measured rows. */
#ifndef BENCH_VARIANTS_FASTEST_H
#define BENCH_VARIANTS_FASTEST_H

#include <stdio.h>

#include <cjson/cJSON.h>

/* Writes a line for each call (operator and key) of which a variant other than the one that runs by
 * itself was faster beyond doubt: its p90 lies below the other's p10. The vendor's rows are no
 * variants of ours, and one further than `most_error` from the plainest is wrong.
 * bench/plans/README.md has the form.
 *
 * returns  how many lines were written */
int fastest_write(const cJSON *rows, double most_error, FILE *plan);

#endif
