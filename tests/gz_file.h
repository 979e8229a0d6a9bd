/* tests/gz_file.h - a gzip file of recorded values, unpacked. */
#ifndef TESTS_GZ_FILE_H
#define TESTS_GZ_FILE_H

#include <stdlib.h>
#include <zlib.h>

/* All of a file under tests/, a NUL behind it; free() it. Null if it cannot be read. */
static inline unsigned char *gz_read(const char *name, size_t *bytes)
{
    unsigned char *data = NULL;
    gzFile file = gzopen(name, "rb");
    *bytes = 0;
    for (int got = 1; file != NULL && got > 0; *bytes += got > 0 ? (size_t)got : 0) {
        unsigned char *grown = realloc(data, *bytes + 65536 + 1);
        if (grown == NULL)
            break;
        data = grown;
        got = gzread(file, data + *bytes, 65536);
    }
    if (file != NULL)
        gzclose(file);
    if (data != NULL)
        data[*bytes] = '\0';
    return data;
}

#endif
