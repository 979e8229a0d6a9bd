/* weights/name_map.c - open addressing, at most half full. */
#include "weights/name_map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct name_entry {
    char *name; /* null: empty */
    long number;
};

static struct name_entry *slot_of(struct name_entry *entries, size_t cap, const char *name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (const char *p = name; *p != 0; p++)
        h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    size_t at = (size_t)(h ^ h >> 29) & (cap - 1);
    while (entries[at].name != NULL && strcmp(entries[at].name, name) != 0)
        at = (at + 1) & (cap - 1);
    return &entries[at];
}

static status grow(struct name_map *map)
{
    const size_t cap = map->cap == 0 ? 256 : map->cap * 2;
    struct name_entry *entries = calloc(cap, sizeof *entries);
    if (entries == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory for %zu bytes", cap * sizeof *entries);
    for (size_t i = 0; i < map->cap; i++)
        if (map->entries[i].name != NULL)
            *slot_of(entries, cap, map->entries[i].name) = map->entries[i];
    free(map->entries);
    map->entries = entries;
    map->cap = cap;
    return STATUS_OK;
}

status name_map_add(struct name_map *map, const char *name, long number)
{
    if (2 * (map->count + 1) > map->cap)
        TRY(grow(map));
    struct name_entry *entry = slot_of(map->entries, map->cap, name);
    if (entry->name != NULL)
        return STATUS_OK;
    const size_t bytes = strlen(name) + 1;
    entry->name = malloc(bytes);
    if (entry->name == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory for %zu bytes", bytes);
    memcpy(entry->name, name, bytes);
    entry->number = number;
    map->count++;
    return STATUS_OK;
}

long name_map_find(const struct name_map *map, const char *name)
{
    if (map->cap == 0)
        return NAME_ABSENT;
    const struct name_entry *entry = slot_of(map->entries, map->cap, name);
    return entry->name == NULL ? NAME_ABSENT : entry->number;
}

void name_map_release(struct name_map *map)
{
    for (size_t i = 0; i < map->cap; i++)
        free(map->entries[i].name);
    free(map->entries);
    *map = (struct name_map){ 0 };
}
