/* host/app/run_one.h - the runs of one configuration: between run_one.c and runs.c. */
#ifndef HOST_APP_RUN_ONE_H
#define HOST_APP_RUN_ONE_H

#include "host/app/budget.h"
#include "host/app/energy.h"
#include "host/app/progress.h"
#include "host/app/run.h"

struct runs {
    const struct runs_args *args;
    int synthetic; /* random weights are among the sets: there are no inversions to them */
    struct budget budget;
    struct writer *writer;
    struct shot **shot; /* of all configurations */
    size_t shots_count;
    int unwritable; /* a picture could not be written: nothing more is begun */
    int perf;       /* the FIFO of perf; -1: none */
    size_t begun;   /* configurations */

    struct miku *miku;
    const struct configuration *configuration;
    struct measured *measured; /* of this configuration; null: nobody asks */
    char *dump;                /* its folder of --dump; null: none */
    struct run_kept *kept;     /* of its job; null: nothing is kept */

    enum trace_run kind; /* of this run */
    int run;             /* its number, from 0 */
    int writes;          /* it is the first: its pictures are new */
    int profiles;        /* it is the first counted one */
    size_t first_shot;   /* the configuration's first in `shot` */
    char (*hash)[65];    /* [pictures], of the first run */
    status spans_failed; /* what became of its spans */
    char label[128];     /* with the number of the run, for the progress */
    struct progress progress;
};

/* Warm-up runs, counted runs, one by operators where asked for.
 * returns  what failed, in status_text(); STATUS_CANCELLED */
status run_one(struct runs *runs);

#endif
