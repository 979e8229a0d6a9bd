/* host/app/outputs.h - the files that a run writes beside its pictures. */
#ifndef HOST_APP_OUTPUTS_H
#define HOST_APP_OUTPUTS_H

#include "host/app/results.h"
#include "host/app/trace.h"

/* Whether each file that was asked for can be written: before any work.
 * returns  STATUS_IO with the name; STATUS_MISUSE if two of them are one file */
status outputs_check(const struct options *options);

/* Makes the folder of pictures, once the device is there. returns STATUS_IO with the name */
status outputs_make_folder(const struct options *options);

/* Whether somebody wants numbers: a file, or the table. */
int outputs_want_results(const struct options *options);

/* Writes all that was asked for, each whole or not at all, and says the table. What cannot be
 * written does not keep the others back. returns the first failure */
status outputs_write(const struct options *options, const struct results *results,
                     struct trace *trace, const char *device, const struct nvml *nvml,
                     const char *no_nvml, const struct machine_cards *cards);

#endif
