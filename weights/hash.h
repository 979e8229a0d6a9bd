/* weights/hash.h - SHA-256 of weights files, kept between runs. */
#ifndef WEIGHTS_HASH_H
#define WEIGHTS_HASH_H

#include <stddef.h>

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HASH_TEXT = 65, HASH_SHORT = 10, HASH_OLD_TEXT = 9 };

struct hash_cache;

/* dir is where hashes are kept by path, size and time; it is made if it is not there. Null: only in
 * memory. A folder that cannot be written, or a damaged file in it, costs time and is no error.
 * May be used from several threads, and the folder by several processes, at once. */
status hash_cache_open(const char *dir, struct hash_cache **out);
void hash_cache_close(struct hash_cache *cache); /* null is fine */

/* 1, and the 64 hex digits, if the hash of the file as it is now is known without reading it. */
int hash_known(struct hash_cache *cache, const char *path, char sha256[HASH_TEXT]);

/* The file's SHA-256 as 64 lower-case hex digits, from the cache or by reading the file.
 * `cancel` (may be null) is asked every few megabytes; not 0 stops it.
 * returns  STATUS_IO         it cannot be read
 *          STATUS_BAD_FILE   it changed while it was read
 *          STATUS_CANCELLED
 *          On failure sha256 is "". */
status hash_file(struct hash_cache *cache, const char *path, int (*cancel)(void *user), void *user,
                 char sha256[HASH_TEXT]);

/* The web UI's model hash before 2023-01-14: 8 digits, from 64 KiB at 1 MiB. */
status hash_old(const char *path, char digits[HASH_OLD_TEXT]);

/* 1 if `wanted`, as an infotext has it, is a prefix (8 digits at least) of the hash; any case. */
int hash_matches(const char *sha256, const char *wanted);

#ifdef __cplusplus
}
#endif

#endif
