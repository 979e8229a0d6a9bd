/* host/app/nvml.h - NVIDIA's cards as their driver's library shows them, opened at run time. */
#ifndef HOST_APP_NVML_H
#define HOST_APP_NVML_H

#include "host/base/status.h"

struct nvml;

enum { NVML_CARDS_MOST = 16, NVML_TEXT = 96 };

/* What changes. NaN and -1: the driver or the card does not say. */
struct nvml_reading {
    double sm_mhz, memory_mhz, power_w, temperature_c;
    double energy_j;             /* since the driver was loaded */
    unsigned long long throttle; /* bits of nvml_throttle_name() */
    int has_throttle;
};

struct nvml_card {
    char name[NVML_TEXT], uuid[NVML_TEXT], bus_id[NVML_TEXT]; /* "": not known */
    double memory_bytes;                                      /* NaN: not known */
};

/* Opens `library` (null: libnvidia-ml.so.1).
 * returns  STATUS_UNSUPPORTED with the reason in status_text(): no library, no driver, no card */
status nvml_open(const char *library, struct nvml **out);
void nvml_close(struct nvml *nvml); /* null is fine */

int nvml_count(const struct nvml *nvml);
const char *nvml_driver(const struct nvml *nvml); /* "": not known */
struct nvml_card nvml_card(const struct nvml *nvml, int card);
struct nvml_reading nvml_read(const struct nvml *nvml, int card);

/* The card at this PCI address, or -1. Domains of four and of eight digits are the same. */
int nvml_find(const struct nvml *nvml, const char *bus_id);

/* Name of one bit, as nvml.h has it in small letters; null for a bit without one. */
const char *nvml_throttle_name(int bit);

#endif
