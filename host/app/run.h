/* host/app/run.h - makes the configurations: warm-up, counted runs, and one by operators. */
#ifndef HOST_APP_RUN_H
#define HOST_APP_RUN_H

#include "host/app/results.h"
#include "host/app/sweep.h"
#include "host/app/trace.h"
#include "host/app/weights_set.h"

/* The first picture of each job, for a sheet or a comparison: sized and kept by whoever asks. */
struct run_kept {
    struct miku_picture picture; /* width, height and rgb are good */
    char *caption;               /* lines */
    int made;
};

struct run_outcome {
    int failed;   /* configurations that failed */
    int pictures; /* written */
    status first; /* what the first that failed failed with */
};

/* Opens the library as the command line says. */
status run_open(const struct options *options, const struct weights_set *weights,
                struct miku **miku);

/* All lent until runs_close(). */
struct runs_args {
    const struct options *options;
    const struct weights_set *weights;
    size_t configurations;   /* in all, for the budget */
    double began_ms;         /* of the program */
    struct run_kept *kept;   /* [jobs], zeroed; null: nothing is kept. run_kept_free() */
    struct results *results; /* null: nobody asked for numbers */
    struct trace *trace;     /* null: none */
    const struct nvml *nvml; /* null: none */
    struct machine_cards *cards;
    struct run_outcome *outcome;
};

struct runs;

/* Begins to write into the folder of pictures. returns STATUS_IO, STATUS_NO_MEMORY */
status runs_open(const struct runs_args *args, struct runs **out);

/* Runs configurations of one device and precision in order, says a line for each picture, and one
 * for each configuration that fails; the others go on, unless a picture cannot be written or the
 * user stops it.
 * returns  STATUS_CANCELLED, or what stopped everything; STATUS_OK even if some failed */
status runs_make(struct runs *runs, struct miku *miku, const struct configuration *configuration,
                 size_t count);

/* Marks what was not begun, in the results. */
status runs_leave_out(struct runs *runs, const struct configuration *configuration, size_t count,
                      const char *reason);

/* Waits for the files, and hands their clocks to results and trace. A file that could not be
 * written counts as a failure in the outcome. */
status runs_finish(struct runs *runs);
void runs_close(struct runs *runs); /* null is fine; after runs_finish() */

void run_kept_free(struct run_kept *kept, size_t count);

#endif
