/* weights/name_map.h - names to numbers: a hash table that owns its keys. */
#ifndef WEIGHTS_NAME_MAP_H
#define WEIGHTS_NAME_MAP_H

#include <stddef.h>

#include "host/base/status.h"

enum { NAME_ABSENT = -1 };

/* Zero-initialised; name_map_release() frees it. */
struct name_map {
    struct name_entry *entries; /* [cap], open addressing */
    size_t cap, count;          /* cap is 0 or a power of two */
};

/* Adds a name, unless it is there: then the number that it has stays.
 * returns  STATUS_NO_MEMORY */
status name_map_add(struct name_map *map, const char *name, long number);

long name_map_find(const struct name_map *map, const char *name); /* or NAME_ABSENT */

void name_map_release(struct name_map *map);

#endif
