/* host/app/results.h - the document of --json: bench/schema/results.schema.json says what is in it.
 */
#ifndef HOST_APP_RESULTS_H
#define HOST_APP_RESULTS_H

#include <cjson/cJSON.h>

#include "host/app/machine.h"
#include "host/app/measured.h"
#include "host/app/writer.h"
#include "host/mikubench.h"

struct results;

/* began_ms is clock_now_ms() when the program started. */
status results_open(int argc, char **argv, double began_ms, const struct options *options,
                    struct results **out);
void results_close(struct results *results); /* null is fine */

/* The next configuration's record, good until results_close(). */
status results_add(struct results *results, const struct configuration *configuration,
                   const struct miku_device *device, struct measured **out);
size_t results_count(const struct results *results);
struct measured *results_at(const struct results *results, size_t index);

/* A picture of a configuration's first run, with the shot that the writer has. The shots of the
 * later runs, which write the same file again, follow. */
status results_picture(struct results *results, const struct miku_picture *picture,
                       const struct shot *shot);
status results_shot(struct results *results, const struct shot *shot);

/* What was asked for and never begun. */
status results_left_out(struct results *results, const struct configuration *configuration,
                        const char *reason);

/* Why the program ended early; the first wins. */
status results_stopped(struct results *results, const char *why);

/* The clocks of written files, for tables as for the document: once, when the writer is closed. */
status results_settle(struct results *results);

/* The whole document, the caller's to delete. cards null: there is no NVML, for this reason. */
status results_document(const struct results *results, const struct nvml *nvml, const char *reason,
                        const struct machine_cards *cards, cJSON **out);

#endif
