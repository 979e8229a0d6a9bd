/* host/app/series.h - numbers in the order they were taken. */
#ifndef HOST_APP_SERIES_H
#define HOST_APP_SERIES_H

#include <stddef.h>

#include "host/base/status.h"

struct series {
    double *value;
    size_t count, cap;
};

status series_add(struct series *series, double value);
void series_free(struct series *series);

#endif
