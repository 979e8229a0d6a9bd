/* host/app/energy.h - joules that a package or a card used between two moments. */
#ifndef HOST_APP_ENERGY_H
#define HOST_APP_ENERGY_H

#include "host/app/nvml.h"

/* A counter and its reading at the beginning. */
struct energy {
    const struct nvml *nvml; /* of a card; null: of the CPU's packages */
    int card;
    double began_j;
    const char *folder;
};

/* Begins counting: the card's where `bus_id` names one, else the CPU packages of `folder` (null:
 * the kernel's /sys/class/powercap). */
void energy_begin(struct energy *energy, const struct nvml *nvml, const char *bus_id,
                  const char *folder);

/* Joules since; NaN if there is no counter, and *reason then says why. *source is "NVML" or "RAPL",
 * else null. */
double energy_end(const struct energy *energy, const char **source, const char **reason);

#endif
