/* host/app/energy.c - NVML's total, and the kernel's RAPL counters. */
#include "host/app/energy.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

enum { PACKAGES_MOST = 64, PATH_BYTES = 256 };

static int read_number(const char *folder, int package, const char *file, double *out)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/intel-rapl:%d/%s", folder, package, file);
    FILE *from = fopen(path, "r");
    if (from == NULL)
        return 0;
    unsigned long long number;
    const int found = fscanf(from, "%llu", &number) == 1;
    fclose(from);
    *out = found ? (double)number : 0;
    return found;
}

/* Sum over the packages, in joules; NaN if one cannot be read or there is none. */
static double packages(const char *folder)
{
    double sum = 0, microjoules;
    int package = 0;
    while (package < PACKAGES_MOST && read_number(folder, package, "energy_uj", &microjoules)) {
        sum += microjoules / 1e6;
        package++;
    }
    return package > 0 ? sum : NAN;
}

/* What the counters hold before they begin again at 0. */
static double range(const char *folder)
{
    double microjoules = 0;
    return read_number(folder, 0, "max_energy_range_uj", &microjoules) ? microjoules / 1e6 : NAN;
}

static double reading(const struct energy *e)
{
    return e->nvml != NULL ? nvml_read(e->nvml, e->card).energy_j : packages(e->folder);
}

void energy_begin(struct energy *e, const struct nvml *nvml, const char *bus_id, const char *folder)
{
    const int card = nvml == NULL ? -1 : nvml_find(nvml, bus_id);
    *e = (struct energy){ .nvml = card < 0 ? NULL : nvml,
                          .card = card,
                          .folder = folder == NULL ? "/sys/class/powercap" : folder };
    e->began_j = reading(e);
}

double energy_end(const struct energy *e, const char **source, const char **reason)
{
    double used = reading(e) - e->began_j;
    *source = *reason = NULL;
    if (e->nvml == NULL && used < 0)
        used += range(e->folder); /* one counter went round */
    if (isfinite(used) && used >= 0) {
        *source = e->nvml != NULL ? "NVML" : "RAPL";
        return used;
    }
    *reason = e->nvml != NULL ? "the card's driver has no energy counter"
                              : "no RAPL counter can be read (/sys/class/powercap)";
    return NAN;
}
