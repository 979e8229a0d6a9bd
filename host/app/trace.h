/* host/app/trace.h - the file of --trace: spans as Chrome trace events.
 *
 * One process; a thread of it for the device's stream, for the thread that writes files, and for
 * the profiler's bounds. Times are microseconds since the program started. Every event says which
 * configuration (its place in the JSON) and which run it is of.
 * source  "Trace Event Format", complete events */
#ifndef HOST_APP_TRACE_H
#define HOST_APP_TRACE_H

#include "host/app/writer.h"
#include "host/mikubench.h"

struct trace;

enum trace_run { TRACE_WARMUP, TRACE_COUNTED, TRACE_OPERATORS };

status trace_open(double began_ms, struct trace **out);
void trace_close(struct trace *trace); /* null is fine */

/* What comes next belongs to run `run` of configuration `configuration`, both from 0. */
void trace_run(struct trace *trace, size_t configuration, int run, enum trace_run kind);

status trace_spans(struct trace *trace, const struct miku_span *span, size_t count);

/* A file that was written, once the writer is closed. */
status trace_file(struct trace *trace, const struct shot *shot);

/* Ends the text: lent until trace_close(). */
status trace_finish(struct trace *trace, const char *device, const char **text, size_t *bytes);

#endif
