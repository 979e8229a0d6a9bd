/* host/app/operators.c - a table of operators; a network has a few dozen shapes, so it is searched
 * from the front. */
#include "host/app/operators.h"

#include <stdlib.h>
#include <string.h>

static status no_memory(void) { return status_fail(STATUS_NO_MEMORY, "operators: no memory"); }

static status name(struct work *work, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    *work = (struct work){ .name = malloc(bytes) };
    if (work->name == NULL)
        return no_memory();
    memcpy(work->name, text, bytes);
    return STATUS_OK;
}

static status find_row(struct operators *o, const char *text, struct operator_row **out)
{
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->row[i].work.name, text) == 0) {
            *out = &o->row[i];
            return STATUS_OK;
        }
    struct operator_row *more = realloc(o->row, (o->count + 1) * sizeof *more);
    if (more == NULL)
        return no_memory();
    o->row = more;
    more[o->count] = (struct operator_row){ .shape = NULL };
    TRY(name(&more[o->count].work, text));
    *out = &more[o->count++];
    return STATUS_OK;
}

static status find_shape(struct operator_row *row, const char *text, struct work **out)
{
    for (size_t i = 0; i < row->shapes; i++)
        if (strcmp(row->shape[i].name, text) == 0) {
            *out = &row->shape[i];
            return STATUS_OK;
        }
    struct work *more = realloc(row->shape, (row->shapes + 1) * sizeof *more);
    if (more == NULL)
        return no_memory();
    row->shape = more;
    TRY(name(&more[row->shapes], text));
    *out = &more[row->shapes++];
    return STATUS_OK;
}

static void count(struct work *work, const struct miku_span *span)
{
    work->count++;
    work->total_ms += span->end_ms - span->begin_ms;
    work->flops += span->flops;
    work->bytes += span->bytes;
}

status operators_add(struct operators *o, const struct miku_span *span)
{
    struct operator_row *row = NULL;
    struct work *shape = NULL;
    if (span->level != MIKU_SPAN_OPERATOR)
        return STATUS_OK;
    TRY(find_row(o, span->name, &row));
    TRY(find_shape(row, span->shape, &shape));
    count(&row->work, span);
    count(shape, span);
    o->covered_ms += span->end_ms - span->begin_ms;
    return STATUS_OK;
}

/* struct work comes first in a row, so one order serves both. */
static int longest_first(const void *a, const void *b)
{
    const struct work *x = a, *y = b;
    if (x->total_ms < y->total_ms || x->total_ms > y->total_ms)
        return x->total_ms < y->total_ms ? 1 : -1;
    return strcmp(x->name, y->name);
}

void operators_sort(struct operators *o)
{
    for (size_t i = 0; i < o->count; i++)
        qsort(o->row[i].shape, o->row[i].shapes, sizeof *o->row[i].shape, longest_first);
    if (o->count > 0)
        qsort(o->row, o->count, sizeof *o->row, longest_first);
}

void operators_free(struct operators *o)
{
    for (size_t i = 0; i < o->count; i++) {
        for (size_t k = 0; k < o->row[i].shapes; k++)
            free(o->row[i].shape[k].name);
        free(o->row[i].shape);
        free(o->row[i].work.name);
    }
    free(o->row);
    *o = (struct operators){ .row = NULL };
}

double operators_of_ceiling(const struct work *work, const struct miku_ceiling *ceiling,
                            int *compute)
{
    /* 10^9 a second is 10^6 a millisecond */
    const double arithmetic_ms = work->flops / (ceiling->matrix_gflops * 1e6);
    const double traffic_ms = work->bytes / (ceiling->copy_gbytes * 1e6);
    *compute = arithmetic_ms > traffic_ms;
    if (!(work->total_ms > 0))
        return 0;
    return (*compute ? arithmetic_ms : traffic_ms) / work->total_ms;
}
