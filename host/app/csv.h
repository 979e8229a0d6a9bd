/* host/app/csv.h - the file of --csv: a row for each configuration and stage (RFC 4180). */
#ifndef HOST_APP_CSV_H
#define HOST_APP_CSV_H

#include "host/app/results.h"

/* The text, free() it. returns STATUS_NO_MEMORY */
status csv_write(const struct results *results, char **text, size_t *bytes);

#endif
