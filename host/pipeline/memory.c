/* host/pipeline/memory.c - the kernel's own accounts. */
#include "host/pipeline/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The number behind `key` in a file of lines "Key:  123 kB", in bytes; 0 if it is not there. */
static size_t kilobytes(const char *path, const char *key)
{
    char line[256];
    unsigned long long value = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0 &&
            sscanf(line + strlen(key), " %llu", &value) == 1)
            break;
    fclose(file);
    return (size_t)value * 1024;
}

/* A file of one number; "max" and absence are SIZE_MAX. */
static size_t number(const char *path)
{
    unsigned long long value = SIZE_MAX;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return SIZE_MAX;
    if (fscanf(file, "%llu", &value) != 1)
        value = SIZE_MAX;
    fclose(file);
    return (size_t)value;
}

size_t memory_available(void)
{
    size_t available = kilobytes("/proc/meminfo", "MemAvailable:");
    const size_t most = number("/sys/fs/cgroup/memory.max");
    const size_t now = number("/sys/fs/cgroup/memory.current");
    if (most != SIZE_MAX && now != SIZE_MAX) {
        const size_t left = most > now ? most - now : 1;
        available = available == 0 || left < available ? left : available;
    }
    return available;
}
