/* weights/manifest.h - manifest.json beside weights that stand in for others. */
#ifndef WEIGHTS_MANIFEST_H
#define WEIGHTS_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct manifest;

struct manifest_file {
    const char *name; /* file name in the manifest's folder */
    const char *kind;
    const char *sha256;
    const char *stands_in_for; /* in words; "" if unknown */
    uint64_t bytes;
};

/* Reads FOLDER/manifest.json.
 * returns  STATUS_NOT_FOUND  there is none: these are not stand-ins
 *          STATUS_BAD_FILE   malformed; *out is then null */
status manifest_open(const char *folder, struct manifest **out);
void manifest_close(struct manifest *manifest); /* null is fine */

int manifest_stand_in(const struct manifest *manifest); /* 1: hashes of cases are not compared */
int manifest_width(const struct manifest *manifest);    /* picture size of these weights, pixels */
int manifest_height(const struct manifest *manifest);
const char *
manifest_recipe(const struct manifest *manifest); /* how they were made; "" if unknown */

size_t manifest_count(const struct manifest *manifest);
/* The entry of a file: by the last part of its path; null if there is none. */
const struct manifest_file *manifest_find(const struct manifest *manifest, const char *path);

#ifdef __cplusplus
}
#endif

#endif
