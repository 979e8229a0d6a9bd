/* host/pipeline/ranges.h - the spans that a request has open on its device, and the profiler's
 * bounds around one of them. */
#ifndef HOST_PIPELINE_RANGES_H
#define HOST_PIPELINE_RANGES_H

#include "host/base/ops.h"
#include "host/mikubench.h"

struct ranges {
    struct ops *ops;
    const struct miku_callbacks *callbacks;
    int depth;               /* spans open */
    int profiled;            /* depth of the one within the profiler's bounds; 0: none */
    int steps;               /* begun in this stage */
    int in_stage;            /* the stage that is open is the one to profile */
    double profile_ms;       /* when the bounds began */
    struct miku_span bounds; /* the last that were closed; end_ms 0: none since they were told */
};

/* Begin and end a span; while the device plans, neither does anything. */
void ranges_begin(struct ranges *ranges, enum span_level level, const char *name);
void ranges_end(struct ranges *ranges);

/* Ends all that a failure left open. */
void ranges_close(struct ranges *ranges);

/* Hands the finished spans to the callback, and forgets them.
 * returns  STATUS_NO_MEMORY, or what the device failed with */
status ranges_tell(struct ranges *ranges);

#endif
