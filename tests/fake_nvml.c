/* tests/fake_nvml.c - a library with NVML's names: two cards, the second of which says little.
 * FAKE_NVML_OLD leaves out what older drivers lack; FAKE_NVML_BROKEN makes init fail. */
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

struct nvml_device {
    int index;
};

struct pci_info { /* nvmlPciInfo_t */
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};

struct memory_info { /* nvmlMemory_t */
    unsigned long long total, free, used;
};

enum { NOT_SUPPORTED = 3, BAD_ARGUMENT = 2 };

static struct nvml_device cards[2] = { { 0 }, { 1 } };
static unsigned long long millijoules;

EXPORT int nvmlInit_v2(void);
EXPORT int nvmlShutdown(void);
EXPORT const char *nvmlErrorString(int code);
EXPORT int nvmlSystemGetDriverVersion(char *text, unsigned cap);
EXPORT int nvmlDeviceGetCount_v2(unsigned *count);
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct nvml_device **card);
EXPORT int nvmlDeviceGetName(struct nvml_device *card, char *text, unsigned cap);
EXPORT int nvmlDeviceGetUUID(struct nvml_device *card, char *text, unsigned cap);
EXPORT int nvmlDeviceGetPciInfo_v3(struct nvml_device *card, struct pci_info *pci);
EXPORT int nvmlDeviceGetMemoryInfo(struct nvml_device *card, struct memory_info *memory);
EXPORT int nvmlDeviceGetClockInfo(struct nvml_device *card, int clock, unsigned *mhz);
EXPORT int nvmlDeviceGetPowerUsage(struct nvml_device *card, unsigned *milliwatts);
EXPORT int nvmlDeviceGetTemperature(struct nvml_device *card, int sensor, unsigned *degrees);

#ifdef FAKE_NVML_BROKEN
int nvmlInit_v2(void) { return 9; }
#else
int nvmlInit_v2(void) { return 0; }
#endif
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return code == 9 ? "Driver Not Loaded" : "error"; }

int nvmlSystemGetDriverVersion(char *text, unsigned cap)
{
    snprintf(text, cap, "999.1");
    return 0;
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
    *count = 2;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct nvml_device **card)
{
    *card = &cards[index];
    return 0;
}

int nvmlDeviceGetName(struct nvml_device *card, char *text, unsigned cap)
{
    snprintf(text, cap, "Fake Card %d", card->index);
    return 0;
}

int nvmlDeviceGetUUID(struct nvml_device *card, char *text, unsigned cap)
{
    if (card->index == 1)
        return NOT_SUPPORTED;
    snprintf(text, cap, "GPU-0");
    return 0;
}

int nvmlDeviceGetPciInfo_v3(struct nvml_device *card, struct pci_info *pci)
{
    memset(pci, 0xff, sizeof *pci); /* whoever reads the wrong field sees it */
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", 0x3b + card->index);
    return 0;
}

int nvmlDeviceGetMemoryInfo(struct nvml_device *card, struct memory_info *memory)
{
    if (card->index == 1)
        return NOT_SUPPORTED;
    *memory = (struct memory_info){ 80ull << 30, 79ull << 30, 1ull << 30 };
    return 0;
}

int nvmlDeviceGetClockInfo(struct nvml_device *card, int clock, unsigned *mhz)
{
    if (card->index == 1)
        return NOT_SUPPORTED;
    *mhz = clock == 1 ? 1980 : clock == 2 ? 2619 : 0;
    return 0;
}

int nvmlDeviceGetPowerUsage(struct nvml_device *card, unsigned *milliwatts)
{
    if (card->index == 1)
        return NOT_SUPPORTED;
    *milliwatts = 345600;
    return 0;
}

int nvmlDeviceGetTemperature(struct nvml_device *card, int sensor, unsigned *degrees)
{
    (void)card;
    if (sensor != 0)
        return BAD_ARGUMENT;
    *degrees = 61;
    return 0;
}

#ifdef FAKE_NVML_OLD
EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(struct nvml_device *card,
                                                     unsigned long long *bits);
int nvmlDeviceGetCurrentClocksThrottleReasons(struct nvml_device *card, unsigned long long *bits)
#else
EXPORT int nvmlDeviceGetCurrentClocksEventReasons(struct nvml_device *card,
                                                  unsigned long long *bits);
EXPORT int nvmlDeviceGetTotalEnergyConsumption(struct nvml_device *card, unsigned long long *mj);

int nvmlDeviceGetTotalEnergyConsumption(struct nvml_device *card, unsigned long long *mj)
{
    if (card->index == 1)
        return NOT_SUPPORTED;
    *mj = millijoules += 2500;
    return 0;
}

int nvmlDeviceGetCurrentClocksEventReasons(struct nvml_device *card, unsigned long long *bits)
#endif
{
    (void)millijoules;
    if (card->index == 1)
        return NOT_SUPPORTED;
    *bits = 0x24 | 1ull << 40; /* power cap, thermal slowdown, one that has no name yet */
    return 0;
}
