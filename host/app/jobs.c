/* host/app/jobs.c - the list of what there is to make. */
#include "host/app/jobs.h"

#include <stdlib.h>
#include <string.h>

#include "host/app/text_file.h"
#include "host/app/weights_set.h"

static status no_memory(void) { return status_fail(STATUS_NO_MEMORY, "requests: no memory"); }

status jobs_add(struct jobs *jobs, const char *label, struct job **job)
{
    struct job *more = realloc(jobs->job, (jobs->count + 1) * sizeof *more);
    if (more == NULL)
        return no_memory();
    jobs->job = more;
    *job = &more[jobs->count];
    **job =
        (struct job){ .label = text_keep(label, strlen(label)), .request = miku_request_default() };
    if ((*job)->label == NULL)
        return no_memory();
    jobs->count++;
    return STATUS_OK;
}

void jobs_free(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->count; i++) {
        struct job *job = &jobs->job[i];
        miku_text_free(job->text);
        for (size_t k = 0; k < job->kept_count; k++)
            free(job->kept[k]);
        free(job->kept);
        free(job->label);
        free(job->why);
    }
    free(jobs->job);
    *jobs = (struct jobs){ .job = NULL };
}

const char *job_keep(struct job *job, const char *text, size_t bytes)
{
    char **more = realloc(job->kept, (job->kept_count + 1) * sizeof *more);
    if (more == NULL)
        return NULL;
    job->kept = more;
    char *copy = text_keep(text, bytes);
    if (copy != NULL)
        job->kept[job->kept_count++] = copy;
    return copy;
}

status job_from_infotext(struct job *job, const char *text, size_t bytes,
                         const struct options *options)
{
    TRY(text_check(text, bytes));
    TRY(miku_request_parse(text, bytes, &job->request, &job->text));
    options_apply(options, &job->request);
    options_draw_seeds(options, &job->request);
    return STATUS_OK;
}

status job_refuse(struct job *job, status why)
{
    if (why == STATUS_NO_MEMORY)
        return why;
    const char *text = status_text();
    job->why = text_keep(text, strlen(text));
    if (job->why == NULL)
        return no_memory();
    job->refused = why;
    return STATUS_OK;
}

status jobs_from_prompt(struct jobs *jobs, const struct options *options,
                        const struct weights_set *weights)
{
    struct job *job = NULL;
    TRY(jobs_add(jobs, "", &job));
    options_apply(options, &job->request);
    options_draw_seeds(options, &job->request);
    weights_set_size(weights, options, &job->request);
    return STATUS_OK;
}
