/* host/app/jobs.h - what there is to make: one request each, and what to call it. */
#ifndef HOST_APP_JOBS_H
#define HOST_APP_JOBS_H

#include <stddef.h>

#include "host/app/options.h"
#include "host/mikubench.h"

struct weights_set; /* host/app/weights_set.h */

struct job {
    char *label;     /* "case 2", "line 7"; "" where there is only one */
    int case_number; /* 0: no case */
    struct miku_request request;
    struct miku_text *text; /* owner of the request's strings, where they came from infotext */
    char **kept;            /* other strings of the request */
    size_t kept_count;
    status refused; /* not STATUS_OK: it could not be read, and `why` says why */
    char *why;
};

struct jobs {
    struct job *job;
    size_t count;
};

/* Adds a job with the library's defaults; *job is good until the next. */
status jobs_add(struct jobs *jobs, const char *label, struct job **job);
void jobs_free(struct jobs *jobs);

/* Keeps a copy of `text` as long as the job. Null if there is no memory. */
const char *job_keep(struct job *job, const char *text, size_t bytes);

/* Takes the request from infotext, then what the command line says over it. */
status job_from_infotext(struct job *job, const char *text, size_t bytes,
                         const struct options *options);

/* Marks the job as one that cannot run, with the kept line of text, and returns STATUS_OK: the
 * others go on. */
status job_refuse(struct job *job, status why);

/* --prompt. */
status jobs_from_prompt(struct jobs *jobs, const struct options *options,
                        const struct weights_set *weights);

/* --prompts: the text of the whole file. */
status jobs_from_text(struct jobs *jobs, const char *text, size_t bytes,
                      const struct options *options, const struct weights_set *weights);

/* One line of JSON onto a request that holds defaults and flags: what the line says wins.
 * returns  STATUS_BAD_TEXT with the key that is wrong or unknown */
status job_from_json(struct job *job, const char *line, size_t bytes);

/* --case N; with N 0, all of them. */
status jobs_from_cases(struct jobs *jobs, int number, const struct options *options,
                       const struct weights_set *weights);

#endif
