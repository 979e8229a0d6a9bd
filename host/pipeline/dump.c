/* host/pipeline/dump.c - the .npy format, version 1.0: a magic, a padded Python literal, the data.
 */
#include "host/pipeline/dump.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/mikubench.h" /* miku_file_write() */

enum { PATH_CAP = 4096 };

struct dump {
    int pictures;
    char folder[PATH_CAP];
};

static status make_folder(const char *path)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return STATUS_OK;
    return status_fail(STATUS_IO, "%s: cannot make the folder: %s", path, strerror(errno));
}

status dump_open(const char *folder, int pictures, struct dump **out)
{
    *out = NULL;
    if (folder == NULL || folder[0] == 0)
        return STATUS_OK;
    if (strlen(folder) > PATH_CAP - 64)
        return status_fail(STATUS_IO, "dump: the folder's name is too long");
    TRY(make_folder(folder));
    char path[PATH_CAP];
    for (int k = 0; pictures > 1 && k < pictures; k++) {
        snprintf(path, sizeof path, "%s/%d", folder, k);
        TRY(make_folder(path));
    }
    struct dump *dump = malloc(sizeof *dump);
    if (dump == NULL)
        return status_fail(STATUS_NO_MEMORY, "dump: %zu bytes asked", sizeof *dump);
    dump->pictures = pictures;
    snprintf(dump->folder, sizeof dump->folder, "%s", folder);
    *out = dump;
    return STATUS_OK;
}

void dump_close(struct dump *dump) { free(dump); }

static status write_array(struct dump *dump, int k, const char *name, const char *type,
                          const void *data, size_t element, const size_t *shape, int rank)
{
    char path[PATH_CAP], dims[128] = "";
    size_t count = 1, used = 0;
    for (int i = 0; i < rank; i++) {
        count *= shape[i];
        used += (size_t)snprintf(dims + used, sizeof dims - used, "%zu%s", shape[i],
                                 rank == 1      ? ","
                                 : i + 1 < rank ? ", "
                                                : "");
    }
    if (dump->pictures > 1)
        snprintf(path, sizeof path, "%.4000s/%d/%s.npy", dump->folder, k, name);
    else
        snprintf(path, sizeof path, "%.4000s/%s.npy", dump->folder, name);

    /* Magic, version and header length take 10 bytes; the whole head is padded to 64. */
    char head[256];
    const int text =
        snprintf(head + 10, sizeof head - 10,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", type, dims);
    const size_t padded = ((size_t)text + 11 + 63) / 64 * 64;
    memcpy(head, "\x93NUMPY\x01\x00", 8);
    head[8] = (char)((padded - 10) & 255), head[9] = (char)((padded - 10) >> 8);
    memset(head + 10 + text, ' ', padded - 11 - (size_t)text);
    head[padded - 1] = '\n';

    unsigned char *file = malloc(padded + count * element);
    if (file == NULL)
        return status_fail(STATUS_NO_MEMORY, "dump: %zu bytes asked", padded + count * element);
    memcpy(file, head, padded);
    memcpy(file + padded, data, count * element);
    const status result = miku_file_write(path, file, padded + count * element);
    free(file);
    return result;
}

status dump_f32(struct dump *dump, int k, const char *name, const float *data, const size_t *shape,
                int rank)
{
    return dump == NULL ? STATUS_OK
                        : write_array(dump, k, name, "<f4", data, sizeof *data, shape, rank);
}

status dump_i32(struct dump *dump, int k, const char *name, const int32_t *data,
                const size_t *shape, int rank)
{
    return dump == NULL ? STATUS_OK
                        : write_array(dump, k, name, "<i4", data, sizeof *data, shape, rank);
}

status dump_nhwc(struct dump *dump, int k, const char *name, const float *data, int h, int w, int c)
{
    if (dump == NULL)
        return STATUS_OK;
    const size_t hw = (size_t)h * w, shape[] = { (size_t)c, (size_t)h, (size_t)w };
    float *planar = malloc(hw * c * sizeof *planar);
    if (planar == NULL)
        return status_fail(STATUS_NO_MEMORY, "dump: %zu bytes asked", hw * c * sizeof *planar);
    for (int ch = 0; ch < c; ch++)
        for (size_t p = 0; p < hw; p++)
            planar[ch * hw + p] = data[p * c + ch];
    const status result = dump_f32(dump, k, name, planar, shape, 3);
    free(planar);
    return result;
}
