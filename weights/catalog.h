/* weights/catalog.h - the real weights files: what they are called, their hashes, where they are.
 */
#ifndef WEIGHTS_CATALOG_H
#define WEIGHTS_CATALOG_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct catalog;

struct catalog_file {
    const char *name; /* as prompts and infotexts have it: "AOM3" */
    const char *file; /* "AOM3.safetensors" */
    const char *kind; /* weights_kind_name() */
    const char *role; /* a sentence for people */
    const char *sha256;
    const char *address;
    uint64_t bytes;
    unsigned cases; /* bit N is set if case N needs it */
};

/* Reads weights/catalog.json.
 * returns  STATUS_IO, STATUS_BAD_FILE with what is missing; *out is then null */
status catalog_open(const char *path, struct catalog **out);
void catalog_close(struct catalog *catalog); /* null is fine */

size_t catalog_count(const struct catalog *catalog);
const struct catalog_file *catalog_at(const struct catalog *catalog, size_t i);
const struct catalog_file *catalog_find(const struct catalog *catalog,
                                        const char *name); /* or null */

#ifdef __cplusplus
}
#endif

#endif
