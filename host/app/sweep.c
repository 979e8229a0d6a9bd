/* host/app/sweep.c - jobs times precisions times sizes times batches. */
#include "host/app/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/text_file.h"

/* Places in the option's lists; where a list is empty its only place is 0 and changes nothing. */
struct place {
    size_t precision, job, size, batch;
};

static size_t at_least_one(size_t count) { return count > 0 ? count : 1; }

static void apply(const struct options *o, const struct place *at, struct configuration *c)
{
    struct miku_request *r = &c->request;
    if (o->precisions_count > 0)
        c->precision = o->precisions[at->precision];
    if (o->sizes_count > 0) {
        r->width = o->sizes[at->size].width;
        r->height = o->sizes[at->size].height;
    }
    if (o->batches_count > 0) {
        r->batch = o->batches[at->batch];
        if (!options_given(o, "count"))
            r->count = r->batch;
    }
}

static status write_label(const struct options *o, struct configuration *c)
{
    char size[32] = "", batch[32] = "";
    if (o->sizes_count > 0)
        snprintf(size, sizeof size, ", %dx%d", c->request.width, c->request.height);
    if (o->batches_count > 0)
        snprintf(batch, sizeof batch, ", batch %d", c->request.batch);
    const char *label = c->job->label, *precision = c->precision == NULL ? "" : c->precision;
    const size_t bytes = strlen(label) + strlen(precision) + sizeof size + sizeof batch + 4;
    char *text = malloc(bytes);
    if (text == NULL)
        return status_fail(STATUS_NO_MEMORY, "sweep: no memory");
    snprintf(text, bytes, "%s%s%s%s%s", label, precision[0] == 0 ? "" : ", ", precision, size,
             batch);
    if (label[0] == 0 && strncmp(text, ", ", 2) == 0)
        memmove(text, text + 2, strlen(text) - 1);
    c->label = text;
    return STATUS_OK;
}

static status add(const struct options *o, const struct jobs *jobs, const struct place *at,
                  struct sweep *sweep)
{
    struct configuration *c = &sweep->configuration[sweep->count];
    *c = (struct configuration){ .job = &jobs->job[at->job],
                                 .job_index = at->job,
                                 .request = jobs->job[at->job].request };
    apply(o, at, c);
    TRY(write_label(o, c));
    sweep->count++;
    return STATUS_OK;
}

status sweep_open(const struct options *o, const struct jobs *jobs, struct sweep *sweep)
{
    const size_t precisions = at_least_one(o->precisions_count),
                 sizes = at_least_one(o->sizes_count), batches = at_least_one(o->batches_count);
    const size_t all = precisions * jobs->count * sizes * batches;
    *sweep =
        (struct sweep){ .configuration = calloc(at_least_one(all), sizeof(struct configuration)) };
    if (sweep->configuration == NULL)
        return status_fail(STATUS_NO_MEMORY, "sweep: no memory for %zu configurations", all);
    struct place at = { 0 };
    for (at.precision = 0; at.precision < precisions; at.precision++)
        for (at.job = 0; at.job < jobs->count; at.job++)
            for (at.size = 0; at.size < sizes; at.size++)
                for (at.batch = 0; at.batch < batches; at.batch++)
                    TRY(add(o, jobs, &at, sweep));
    return STATUS_OK;
}

void sweep_free(struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->count; i++)
        free(sweep->configuration[i].label);
    free(sweep->configuration);
    *sweep = (struct sweep){ .configuration = NULL };
}

size_t sweep_group(const struct sweep *sweep, size_t first)
{
    size_t count = 1;
    while (first + count < sweep->count &&
           sweep->configuration[first + count].precision == sweep->configuration[first].precision)
        count++;
    return count;
}
