/* host/pipeline/hashing.h - files hashed in a thread beside the sampling. */
#ifndef HOST_PIPELINE_HASHING_H
#define HOST_PIPELINE_HASHING_H

#include "weights/hash.h"

struct hashing;

/* Starts on the files, in order; paths are copied. A path that is null gives "". */
status hashing_start(struct hash_cache *cache, const char *const *paths, size_t count,
                     struct hashing **out);

/* The hash of file i: waits until it is known. "" where it could not be had. */
const char *hashing_get(struct hashing *hashing, size_t i);

/* The same without waiting: null while it is not known. */
const char *hashing_peek(struct hashing *hashing, size_t i);

void hashing_stop(struct hashing *hashing); /* stops what is running, and frees; null is fine */

#endif
