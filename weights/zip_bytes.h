/* weights/zip_bytes.h - libzip over bytes in memory, and where in them an entry's data lies. */
#ifndef WEIGHTS_ZIP_BYTES_H
#define WEIGHTS_ZIP_BYTES_H

#include <zip.h>

#include "weights/readers.h"

#ifdef __cplusplus
extern "C" {
#endif

struct zip_bytes; /* an open archive */

struct zip_entry {
    size_t size;   /* unpacked */
    size_t packed; /* bytes in the file */
    int stored;    /* 1: packed is the data as it is */
};

/* returns  STATUS_BAD_FILE  no zip, or one whose directory, local headers and names disagree */
status zip_bytes_open(struct file_bytes file, struct zip_bytes **out);
void zip_bytes_close(struct zip_bytes *zip); /* null is fine */

size_t zip_bytes_count(const struct zip_bytes *zip);
const char *zip_bytes_name(const struct zip_bytes *zip, size_t i);

/* 1 if there is an entry of this name; *i is its number. */
int zip_bytes_find(const struct zip_bytes *zip, const char *name, size_t *i);

/* returns  STATUS_BAD_FILE    encrypted, or a size that deflate could not reach
 *          STATUS_UNSUPPORTED another method than stored or deflated */
status zip_bytes_entry(const struct zip_bytes *zip, size_t i, struct zip_entry *out);

/* Lends the data of a stored entry; its CRC is not looked at. */
status zip_bytes_lend(struct zip_bytes *zip, size_t i, const unsigned char **out);

/* Unpacks an entry to `out`, which takes its size, and checks its CRC. */
status zip_bytes_unpack(struct zip_bytes *zip, size_t i, unsigned char *out);

#ifdef __cplusplus
}
#endif

#endif
