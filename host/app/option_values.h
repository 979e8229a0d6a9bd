/* host/app/option_values.h - values of options that are more than one word. */
#ifndef HOST_APP_OPTION_VALUES_H
#define HOST_APP_OPTION_VALUES_H

#include "host/app/option_table.h"

/* --sizes, --batches, --precisions: at most SWEEP_MOST, none twice.
 * returns  STATUS_MISUSE with a line that names the flag and the value */
status option_take_list(const struct option_row *row, const char *value, struct options *options);

/* A number of percent, with the sign or without, as a share of 1. */
status option_take_percent(const struct option_row *row, const char *value, double *share);

/* --profile STAGE[:STEP]. */
status option_take_profile(const struct option_row *row, const char *value,
                           struct options *options);

#endif
