/* host/app/machine.c - what /proc, /sys, NVML and the build say. */
#include "host/app/machine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "host/app/built.h"
#include "host/mikubench.h"

enum { LINE_BYTES = 512 };

static void add_text(cJSON *to, const char *key, const char *text)
{
    if (text == NULL || text[0] == 0)
        cJSON_AddNullToObject(to, key);
    else
        cJSON_AddStringToObject(to, key, text);
}

static void add_number(cJSON *to, const char *key, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(to, key, value);
    else
        cJSON_AddNullToObject(to, key);
}

/* ---- the build --------------------------------------------------------------------------- */

/* Lines "name version". */
static void add_versions(cJSON *to, const char *text)
{
    while (*text != 0) {
        char line[LINE_BYTES] = "";
        const size_t length = strcspn(text, "\n");
        strncat(line, text, length < sizeof line - 1 ? length : sizeof line - 1);
        char *gap = strchr(line, ' ');
        if (gap != NULL) {
            *gap = 0;
            if (strcmp(line, "compiler") != 0)
                cJSON_AddStringToObject(to, line, gap + 1);
        }
        text += length;
        text += *text == '\n';
    }
}

static void describe_build(cJSON *to)
{
    add_text(to, "commit", BUILT_COMMIT);
    if (BUILT_COMMIT[0] == 0)
        cJSON_AddNullToObject(to, "dirty");
    else
        cJSON_AddBoolToObject(to, "dirty", BUILT_DIRTY);
    cJSON *build = cJSON_AddObjectToObject(to, "build");
    cJSON_AddStringToObject(build, "compiler", MIKU_COMPILER);
    cJSON_AddStringToObject(build, "type", MIKU_BUILD_TYPE);
    cJSON_AddStringToObject(build, "arch", MIKU_ARCH_FLAG);
    if (MIKU_SANITIZE[0] != 0)
        cJSON_AddStringToObject(build, "sanitize", MIKU_SANITIZE);
    cJSON *libraries = cJSON_AddObjectToObject(to, "libraries");
    add_versions(libraries, miku_build());
    add_versions(libraries, MIKU_LIBRARIES);
}

/* ---- the machine ------------------------------------------------------------------------- */

/* The text behind "key   :" in a file of such lines, or the whole first line if key is null. */
static const char *file_text(const char *path, const char *key, char line[LINE_BYTES])
{
    const char *found = NULL;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return NULL;
    while (found == NULL && fgets(line, LINE_BYTES, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        const char *colon = strchr(line, ':');
        if (key == NULL)
            found = line;
        else if (colon != NULL && strncmp(line, key, strlen(key)) == 0)
            found = colon + 1 + strspn(colon + 1, " \t");
    }
    fclose(file);
    return found;
}

static double kilobytes(const char *key)
{
    char line[LINE_BYTES];
    unsigned long long value = 0;
    const char *text = file_text("/proc/meminfo", key, line);
    return text != NULL && sscanf(text, "%llu", &value) == 1 ? (double)value * 1024 : 0;
}

static void describe_system(cJSON *to)
{
    struct utsname system;
    char line[LINE_BYTES];
    const int known = uname(&system) == 0;
    cJSON *at = cJSON_AddObjectToObject(to, "system");
    cJSON_AddStringToObject(at, "name", known ? system.sysname : "");
    cJSON_AddStringToObject(at, "release", known ? system.release : "");
    cJSON_AddStringToObject(at, "machine", known ? system.machine : "");
    at = cJSON_AddObjectToObject(to, "cpu");
    add_text(at, "model", file_text("/proc/cpuinfo", "model name", line));
    cJSON_AddNumberToObject(at, "logical", (double)sysconf(_SC_NPROCESSORS_ONLN));
    add_text(at, "governor",
             file_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", NULL, line));
    at = cJSON_AddObjectToObject(to, "memory");
    cJSON_AddNumberToObject(at, "total_bytes", kilobytes("MemTotal"));
    cJSON_AddNumberToObject(at, "available_bytes", kilobytes("MemAvailable"));
}

void machine_describe(cJSON *environment)
{
    cJSON_AddStringToObject(environment, "program", "mikubench-cuda");
    cJSON_AddStringToObject(environment, "version", miku_version());
    describe_build(environment);
    describe_system(environment);
}

/* ---- cards ------------------------------------------------------------------------------- */

static void add_reading(cJSON *to, const char *key, const struct nvml_reading *reading)
{
    cJSON *at = cJSON_AddObjectToObject(to, key);
    add_number(at, "sm_mhz", reading->sm_mhz);
    add_number(at, "memory_mhz", reading->memory_mhz);
    add_number(at, "power_w", reading->power_w);
    add_number(at, "temperature_c", reading->temperature_c);
    if (!reading->has_throttle) {
        cJSON_AddNullToObject(at, "throttle");
        return;
    }
    cJSON *list = cJSON_AddArrayToObject(at, "throttle");
    for (int bit = 0; bit < 64; bit++)
        if (reading->throttle >> bit & 1) {
            const char *name = nvml_throttle_name(bit);
            char number[16];
            snprintf(number, sizeof number, "bit_%d", bit);
            cJSON_AddItemToArray(list, cJSON_CreateString(name == NULL ? number : name));
        }
}

void machine_describe_cards(cJSON *environment, const struct nvml *nvml, const char *reason,
                            const struct machine_cards *cards)
{
    cJSON *list = cJSON_AddArrayToObject(environment, "gpus");
    for (int i = 0; nvml != NULL && i < nvml_count(nvml); i++) {
        const struct nvml_card card = nvml_card(nvml, i);
        cJSON *at = cJSON_CreateObject();
        cJSON_AddNumberToObject(at, "index", i);
        add_text(at, "name", card.name);
        add_text(at, "uuid", card.uuid);
        add_text(at, "bus_id", card.bus_id);
        add_text(at, "driver", nvml_driver(nvml));
        add_number(at, "memory_bytes", card.memory_bytes);
        cJSON_AddBoolToObject(at, "used", cards->used[i]);
        add_reading(at, "before", &cards->before[i]);
        add_reading(at, "after", &cards->after[i]);
        cJSON_AddItemToArray(list, at);
    }
    add_text(environment, "gpus_reason", nvml == NULL ? reason : NULL);
}
