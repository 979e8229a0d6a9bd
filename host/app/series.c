/* host/app/series.c - a list of numbers that grows. */
#include "host/app/series.h"

#include <stdlib.h>

status series_add(struct series *series, double value)
{
    if (series->count == series->cap) {
        const size_t cap = series->cap == 0 ? 8 : 2 * series->cap;
        double *more = realloc(series->value, cap * sizeof *more);
        if (more == NULL)
            return status_fail(STATUS_NO_MEMORY, "times: no memory for %zu", cap);
        series->value = more;
        series->cap = cap;
    }
    series->value[series->count++] = value;
    return STATUS_OK;
}

void series_free(struct series *series)
{
    free(series->value);
    *series = (struct series){ .value = NULL };
}
