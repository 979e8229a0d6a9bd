/* host/app/machine.h - the machine and the build, for the results' environment. */
#ifndef HOST_APP_MACHINE_H
#define HOST_APP_MACHINE_H

#include <cjson/cJSON.h>

#include "host/app/nvml.h"

/* Adds what does not change during a run: program, commit, compiler, libraries, system, CPU,
 * memory. */
void machine_describe(cJSON *environment);

/* Readings of all cards, before and after. */
struct machine_cards {
    struct nvml_reading before[NVML_CARDS_MOST], after[NVML_CARDS_MOST];
    unsigned char used[NVML_CARDS_MOST];
};

/* Adds `gpus` and `gpus_reason`. nvml null: none, for the reason given. */
void machine_describe_cards(cJSON *environment, const struct nvml *nvml, const char *reason,
                            const struct machine_cards *cards);

#endif
