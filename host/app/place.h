/* host/app/place.h - what lies beside the program: the cases and the embedded weights. */
#ifndef HOST_APP_PLACE_H
#define HOST_APP_PLACE_H

#include "host/base/status.h"

/* The folder of the cases; of the embedded weights; the catalog. Looked for beside the program as
 * installed
 * (../share/mikubench/...), then as built (../bench/cases, ../weights/mini), then in the source
 * tree that it was built from. free(*path).
 * returns  STATUS_NOT_FOUND with the places, STATUS_NO_MEMORY; *path is then null */
status place_cases(char **path);
status place_weights(char **path);
status place_catalog(char **path); /* weights/catalog.json */

/* The user's cache folder for this program, made if need be; null if there is none. free() it. */
char *place_cache(void);

/* The folders that MIKUBENCH_WEIGHTS lists, colons between; null if it is not set. Lent. */
const char *place_listed_weights(void);

/* "A/B"; null if there is no memory. free() it. */
char *place_join(const char *a, const char *b);

#endif
