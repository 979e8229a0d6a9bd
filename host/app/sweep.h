/* host/app/sweep.h - the configurations to run: every job in every precision, size and batch asked
 * for. */
#ifndef HOST_APP_SWEEP_H
#define HOST_APP_SWEEP_H

#include "host/app/jobs.h"

struct configuration {
    const struct job *job; /* lent; the strings of the request are its own */
    size_t job_index;
    struct miku_request request;
    const char *precision; /* as --precisions has it; null: as the device chooses */
    char *label;           /* the job's, and what the sweep changes */
};

struct sweep {
    struct configuration *configuration;
    size_t count;
};

/* Those of one precision stand together, since a device is opened for it; then those of one job,
 * since it loads the model.
 * returns  STATUS_NO_MEMORY; sweep_free() whatever came of it */
status sweep_open(const struct options *options, const struct jobs *jobs, struct sweep *out);
void sweep_free(struct sweep *sweep);

/* How many from `first` on have the precision of the first. */
size_t sweep_group(const struct sweep *sweep, size_t first);

#endif
