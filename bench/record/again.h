/* bench/record/again.h - a recorded call, made again on a real device with data of its own. */
#ifndef BENCH_RECORD_AGAIN_H
#define BENCH_RECORD_AGAIN_H

#include "bench/record/recorder.h"

struct again;

/* Weights are synthetic, activations unit noise, statistics theirs. Plans the device's memory: one
 * at a time.
 * returns  STATUS_UNSUPPORTED  a call of the small kind; else what the device returns */
status again_create(struct ops *ops, const struct recorded *call, enum dtype dtype,
                    struct again **out);
void again_destroy(struct again *again); /* null is fine */

status again_run(struct again *again);

/* The result of the last run: malloc()ed, *bytes of it. */
status again_result(struct again *again, void **host, size_t *bytes);

#endif
