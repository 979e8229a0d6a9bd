/* host/app/run.h - makes what the jobs ask for. */
#ifndef HOST_APP_RUN_H
#define HOST_APP_RUN_H

#include "host/app/jobs.h"
#include "host/app/report.h"
#include "host/app/weights_set.h"

/* The first picture of each job, for a sheet or a comparison: sized and kept by whoever asks. */
struct run_kept {
    struct miku_picture picture; /* width, height and rgb are good */
    int made;
};

struct run_results {
    int failed;   /* jobs that failed */
    int pictures; /* written */
    status first; /* what the first failed job failed with */
};

/* Opens the library as the command line says. A device or precision that is only preferred (a
 * picture's notes name it) gives way with a warning. */
status run_open(const struct options *options, const struct weights_set *weights,
                struct miku **miku);

/* Runs the jobs in order, says a line for each picture, and one for each job that fails; the
 * others go on, unless a picture cannot be written or the user stops it.
 * kept     [jobs->count], zeroed; null: nothing is kept. run_kept_free()
 * returns  STATUS_CANCELLED, or what stopped everything; STATUS_OK even if jobs failed */
status run_jobs(struct miku *miku, const struct jobs *jobs, const struct options *options,
                const struct weights_set *weights, struct report *report, struct run_kept *kept,
                struct run_results *results);
void run_kept_free(struct run_kept *kept, size_t count);

#endif
