/* host/cpu/cores.c - what CPU this is, and how much of it the process may use.
 *
 * Read from the kernel's text files: the list of CPUs allowed (affinity and cpuset), one of each
 * core's hardware threads, and the cgroup's quota of time, v2 or v1. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cpu/cpu.h"
#include "host/cpu/engine.h"

enum { LINE = 1024, CPUS = 4096 };

/* The value of the first line "key<blanks>:<blanks>value" of a file, or 0. */
static int file_value(const char *path, const char *key, char value[LINE])
{
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    char line[LINE];
    int found = 0;
    while (!found && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (!colon || strncmp(line, key, strlen(key)) != 0)
            continue;
        const char *at = colon + 1;
        while (isspace((unsigned char)*at))
            at++;
        snprintf(value, LINE, "%s", at);
        value[strcspn(value, "\n")] = '\0';
        found = 1;
    }
    fclose(file);
    return found;
}

static int file_line(const char *path, char line[LINE])
{
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    const int found = fgets(line, LINE, file) != NULL;
    fclose(file);
    return found;
}

/* Marks the CPUs of a list such as "0-3,8"; returns how many. */
static int parse_list(const char *list, unsigned char cpu[CPUS])
{
    int count = 0;
    for (char *end = NULL; isdigit((unsigned char)*list); list = end) {
        const long first = strtol(list, &end, 10);
        const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        for (long i = first; i <= last && i < CPUS; i++, count++)
            cpu[i] = 1;
        if (*end == ',')
            end++;
    }
    return count;
}

/* The first of the hardware threads that share a core with this one. */
static int first_sibling(int cpu)
{
    char path[128], line[LINE];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    if (!file_line(path, line) || !isdigit((unsigned char)line[0]))
        return cpu;
    const long first = strtol(line, NULL, 10);
    return first < CPUS ? (int)first : cpu;
}

static int allowed_cores(void)
{
    char list[LINE];
    unsigned char cpu[CPUS] = { 0 }, core[CPUS] = { 0 };
    if (!file_value("/proc/self/status", "Cpus_allowed_list", list) || parse_list(list, cpu) < 1)
        return 1;
    int count = 0;
    for (int i = 0; i < CPUS; i++) {
        const int first = cpu[i] ? first_sibling(i) : i;
        if (cpu[i] && !core[first]) {
            core[first] = 1;
            count++;
        }
    }
    return count;
}

/* Cores' worth of time that "quota period" grants, rounded up; a large number without a limit. */
static int granted(long long quota, long long period)
{
    if (quota <= 0 || period <= 0 || (quota + period - 1) / period > CPUS)
        return CPUS;
    return (int)((quota + period - 1) / period);
}

static int granted_v2(const char *group)
{
    char path[2 * LINE], line[LINE];
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
    long long quota = 0, period = 0;
    if (!file_line(path, line) || sscanf(line, "%lld %lld", &quota, &period) != 2)
        return CPUS; /* no file, or "max 100000" */
    return granted(quota, period);
}

static int granted_v1(void)
{
    char quota[LINE], period[LINE];
    if (!file_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota) ||
        !file_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period))
        return CPUS;
    return granted(atoll(quota), atoll(period));
}

/* The least that the process's cgroup or one above it grants. */
static int quota_cores(void)
{
    char group[LINE];
    int least = granted_v1();
    if (!file_value("/proc/self/cgroup", "0:", group))
        return least;
    char *path = strchr(group, ':'); /* "0::/a/b" was split at its first colon */
    path = path ? path + 1 : group;
    for (;;) {
        const int here = granted_v2(strcmp(path, "/") == 0 ? "" : path);
        least = here < least ? here : least;
        char *slash = strrchr(path, '/');
        if (!slash || path[0] == '\0')
            return least;
        *slash = '\0';
    }
}

int cpu_cores(void)
{
    const int allowed = allowed_cores(), quota = quota_cores();
    const int cores = allowed < quota ? allowed : quota;
    return cores > 0 ? cores : 1;
}

void cpu_describe(int threads, char *text, size_t size)
{
    char model[LINE] = "";
    const dnnl_version_t *version = dnnl_version();
    if (!file_value("/proc/cpuinfo", "model name", model))
        snprintf(model, sizeof model, "CPU");
    snprintf(text, size, "%.80s, %d thread%s, %s, oneDNN %d.%d.%d", model, threads,
             threads == 1 ? "" : "s", cpu_engine_isa(), version->major, version->minor,
             version->patch);
}
