/* host/app/report.h - what was made and how long it took, as JSON. */
#ifndef HOST_APP_REPORT_H
#define HOST_APP_REPORT_H

#include <cjson/cJSON.h>

#include "host/app/jobs.h"
#include "host/app/writer.h"
#include "host/mikubench.h"

struct report;

/* began_ms is clock_now_ms() when the program started. */
status report_open(int argc, char **argv, double began_ms, struct report **out);
void report_close(struct report *report); /* null is fine */

/* A configuration begins: what comes next belongs to it. */
status report_job(struct report *report, const struct job *job);

/* A picture of the first run, with the shot that the writer has (null: not written); then the
 * times of later runs, which have the same pictures. */
status report_picture(struct report *report, const struct miku_picture *picture,
                      const struct shot *shot);
status report_run(struct report *report, const struct miku_picture *picture);

/* The configuration failed. */
status report_failure(struct report *report, const char *why);

/* Writes all of it; the writer is closed by then. */
status report_write(struct report *report, const char *path);

#endif
