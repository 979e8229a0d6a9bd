/* host/app/nvml.c - a dozen calls of libnvidia-ml, declared here from its published ABI.
 *
 * source  NVML API Reference, "Device Queries", "System Queries", "NvmlClocksEventReasons" */
#include "host/app/nvml.h"

#include <ctype.h>
#include <dlfcn.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct nvml_device *device_handle;

/* nvmlPciInfo_t of nvmlDeviceGetPciInfo_v3 */
struct pci_info {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};

struct memory_info {
    unsigned long long total, free, used; /* bytes */
};

enum { CLOCK_SM = 1, CLOCK_MEMORY = 2, SENSOR_GPU = 0 };

struct calls {
    int (*init)(void);
    int (*shutdown)(void);
    const char *(*error)(int);
    int (*driver)(char *, unsigned);
    int (*count)(unsigned *);
    int (*handle)(unsigned, device_handle *);
    int (*name)(device_handle, char *, unsigned);
    int (*uuid)(device_handle, char *, unsigned);
    int (*pci)(device_handle, struct pci_info *);
    int (*memory)(device_handle, struct memory_info *);
    int (*clock)(device_handle, int, unsigned *);
    int (*power)(device_handle, unsigned *); /* milliwatts */
    int (*temperature)(device_handle, int, unsigned *);
    int (*throttle)(device_handle, unsigned long long *);
    int (*energy)(device_handle, unsigned long long *); /* millijoules */
};

struct nvml {
    void *library;
    struct calls call; /* those that are null are missing from this driver */
    int begun, count;
    char driver[NVML_TEXT];
    device_handle card[NVML_CARDS_MOST];
};

/* ---- opening ----------------------------------------------------------------------------- */

static const struct {
    size_t offset;
    const char *name, *older; /* what an older driver calls it; null: the same */
    int needed;
} symbols[] = {
    { offsetof(struct calls, init), "nvmlInit_v2", NULL, 1 },
    { offsetof(struct calls, shutdown), "nvmlShutdown", NULL, 1 },
    { offsetof(struct calls, error), "nvmlErrorString", NULL, 0 },
    { offsetof(struct calls, driver), "nvmlSystemGetDriverVersion", NULL, 0 },
    { offsetof(struct calls, count), "nvmlDeviceGetCount_v2", NULL, 1 },
    { offsetof(struct calls, handle), "nvmlDeviceGetHandleByIndex_v2", NULL, 1 },
    { offsetof(struct calls, name), "nvmlDeviceGetName", NULL, 0 },
    { offsetof(struct calls, uuid), "nvmlDeviceGetUUID", NULL, 0 },
    { offsetof(struct calls, pci), "nvmlDeviceGetPciInfo_v3", NULL, 0 },
    { offsetof(struct calls, memory), "nvmlDeviceGetMemoryInfo", NULL, 0 },
    { offsetof(struct calls, clock), "nvmlDeviceGetClockInfo", NULL, 0 },
    { offsetof(struct calls, power), "nvmlDeviceGetPowerUsage", NULL, 0 },
    { offsetof(struct calls, temperature), "nvmlDeviceGetTemperature", NULL, 0 },
    { offsetof(struct calls, throttle), "nvmlDeviceGetCurrentClocksEventReasons",
      "nvmlDeviceGetCurrentClocksThrottleReasons", 0 },
    { offsetof(struct calls, energy), "nvmlDeviceGetTotalEnergyConsumption", NULL, 0 },
};

static status find_symbols(struct nvml *nvml)
{
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *found = dlsym(nvml->library, symbols[i].name);
        if (found == NULL && symbols[i].older != NULL)
            found = dlsym(nvml->library, symbols[i].older);
        if (found == NULL && symbols[i].needed)
            return status_fail(STATUS_UNSUPPORTED, "NVML has no %s", symbols[i].name);
        memcpy((char *)&nvml->call + symbols[i].offset, &found, sizeof found);
    }
    return STATUS_OK;
}

static status check(const struct nvml *nvml, int code, const char *what)
{
    if (code == 0)
        return STATUS_OK;
    return status_fail(STATUS_UNSUPPORTED, "NVML: %s: %s", what,
                       nvml->call.error == NULL ? "error" : nvml->call.error(code));
}

static status begin(struct nvml *nvml)
{
    unsigned count = 0;
    TRY(find_symbols(nvml));
    TRY(check(nvml, nvml->call.init(), "init"));
    nvml->begun = 1;
    TRY(check(nvml, nvml->call.count(&count), "count"));
    for (unsigned i = 0; i < count && nvml->count < NVML_CARDS_MOST; i++)
        if (nvml->call.handle(i, &nvml->card[nvml->count]) == 0)
            nvml->count++;
    if (nvml->count == 0)
        return status_fail(STATUS_UNSUPPORTED, "NVML shows no card");
    if (nvml->call.driver == NULL || nvml->call.driver(nvml->driver, sizeof nvml->driver) != 0)
        nvml->driver[0] = 0;
    return STATUS_OK;
}

status nvml_open(const char *library, struct nvml **out)
{
    const char *name = library == NULL ? "libnvidia-ml.so.1" : library;
    *out = NULL;
    struct nvml *nvml = calloc(1, sizeof *nvml);
    if (nvml == NULL)
        return status_fail(STATUS_NO_MEMORY, "NVML: no memory");
    nvml->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    const status result = nvml->library != NULL
                              ? begin(nvml)
                              : status_fail(STATUS_UNSUPPORTED, "no NVIDIA driver (%s)", name);
    if (result != STATUS_OK) {
        nvml_close(nvml);
        return result;
    }
    *out = nvml;
    return STATUS_OK;
}

void nvml_close(struct nvml *nvml)
{
    if (nvml == NULL)
        return;
    if (nvml->begun)
        nvml->call.shutdown();
    if (nvml->library != NULL)
        dlclose(nvml->library);
    free(nvml);
}

/* ---- asking ------------------------------------------------------------------------------ */

int nvml_count(const struct nvml *nvml) { return nvml->count; }
const char *nvml_driver(const struct nvml *nvml) { return nvml->driver; }

struct nvml_card nvml_card(const struct nvml *nvml, int card)
{
    const struct calls *call = &nvml->call;
    const device_handle handle = nvml->card[card];
    struct nvml_card out = { .memory_bytes = NAN };
    struct pci_info pci = { .bus_id = "" };
    struct memory_info memory;
    if (call->name == NULL || call->name(handle, out.name, sizeof out.name) != 0)
        out.name[0] = 0;
    if (call->uuid == NULL || call->uuid(handle, out.uuid, sizeof out.uuid) != 0)
        out.uuid[0] = 0;
    if (call->pci != NULL && call->pci(handle, &pci) == 0)
        snprintf(out.bus_id, sizeof out.bus_id, "%.*s", (int)sizeof pci.bus_id, pci.bus_id);
    if (call->memory != NULL && call->memory(handle, &memory) == 0)
        out.memory_bytes = (double)memory.total;
    return out;
}

struct nvml_reading nvml_read(const struct nvml *nvml, int card)
{
    const struct calls *call = &nvml->call;
    const device_handle handle = nvml->card[card];
    struct nvml_reading out = { NAN, NAN, NAN, NAN, NAN, 0, 0 };
    unsigned value;
    unsigned long long large;
    if (call->clock != NULL && call->clock(handle, CLOCK_SM, &value) == 0)
        out.sm_mhz = value;
    if (call->clock != NULL && call->clock(handle, CLOCK_MEMORY, &value) == 0)
        out.memory_mhz = value;
    if (call->power != NULL && call->power(handle, &value) == 0)
        out.power_w = value / 1000.0;
    if (call->temperature != NULL && call->temperature(handle, SENSOR_GPU, &value) == 0)
        out.temperature_c = value;
    if (call->energy != NULL && call->energy(handle, &large) == 0)
        out.energy_j = (double)large / 1000.0;
    if (call->throttle != NULL && call->throttle(handle, &large) == 0) {
        out.throttle = large;
        out.has_throttle = 1;
    }
    return out;
}

/* Past a domain's leading zeros. */
static const char *short_id(const char *bus_id)
{
    while (bus_id[0] == '0' && isxdigit((unsigned char)bus_id[1]))
        bus_id++;
    return bus_id;
}

static int same_id(const char *a, const char *b)
{
    a = short_id(a), b = short_id(b);
    while (*a != 0 && tolower((unsigned char)*a) == tolower((unsigned char)*b))
        a++, b++;
    return *a == 0 && *b == 0;
}

int nvml_find(const struct nvml *nvml, const char *bus_id)
{
    for (int i = 0; bus_id != NULL && i < nvml->count; i++) {
        const struct nvml_card card = nvml_card(nvml, i);
        if (card.bus_id[0] != 0 && same_id(card.bus_id, bus_id))
            return i;
    }
    return -1;
}

const char *nvml_throttle_name(int bit)
{
    static const char *const names[] = { "gpu_idle",
                                         "applications_clocks_setting",
                                         "sw_power_cap",
                                         "hw_slowdown",
                                         "sync_boost",
                                         "sw_thermal_slowdown",
                                         "hw_thermal_slowdown",
                                         "hw_power_brake_slowdown",
                                         "display_clock_setting" };
    return bit >= 0 && bit < (int)(sizeof names / sizeof names[0]) ? names[bit] : NULL;
}
