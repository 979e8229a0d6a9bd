/* host/app/progress.h - where the run is, and how long it will take. */
#ifndef HOST_APP_PROGRESS_H
#define HOST_APP_PROGRESS_H

#include <stddef.h>

#include "host/mikubench.h"

struct progress {
    const char *label; /* of the job */
    double began_ms;   /* its first step; 0: none yet */
    double shown_ms;
    double later_ms; /* what is expected to come after this job */
    int batch;
    int steps_done; /* in all of its batches */
};

void progress_begin(struct progress *progress, const char *label, int batch, double later_ms);
void progress_show(struct progress *progress, const struct miku_progress *now);

/* The line for `now`, `elapsed_ms` after the first step of the job. */
void progress_line(const struct progress *progress, const struct miku_progress *now,
                   double elapsed_ms, char *line, size_t cap);

#endif
