/* weights/zip_bytes.c - libzip reads the archive through a source of ours over the mapped bytes.
 *
 * libzip does all the understanding: directory, zip64, local headers, deflate, CRC. It does not say
 * where a stored entry's data begins, which is what points a tensor into the mapping. The source
 * sees it, though: it is where libzip reads the entry's first byte from. */
#include "weights/zip_bytes.h"

#include <stdlib.h>
#include <string.h>

struct zip_bytes {
    struct file_bytes file;
    size_t at;         /* where the source reads next */
    size_t read_first; /* where it last read from */
    zip_error_t error;
    zip_t *archive;
};

/* ---- the source ---------------------------------------------------------------------- */

static zip_int64_t source_read(struct zip_bytes *zip, void *to, zip_uint64_t wanted)
{
    const size_t left = zip->file.size - zip->at;
    const size_t count = wanted < left ? (size_t)wanted : left;
    zip->read_first = zip->at;
    if (count > 0)
        memcpy(to, zip->file.at + zip->at, count);
    zip->at += count;
    return (zip_int64_t)count;
}

static zip_int64_t source_call(void *user, void *data, zip_uint64_t length,
                               zip_source_cmd_t command)
{
    struct zip_bytes *zip = user;
    switch (command) {
    case ZIP_SOURCE_OPEN:
        zip->at = 0;
        return 0;
    case ZIP_SOURCE_READ:
        return source_read(zip, data, length);
    case ZIP_SOURCE_SEEK: {
        const zip_int64_t to =
            zip_source_seek_compute_offset(zip->at, zip->file.size, data, length, &zip->error);
        if (to < 0)
            return -1;
        zip->at = (size_t)to;
        return 0;
    }
    case ZIP_SOURCE_TELL:
        return (zip_int64_t)zip->at;
    case ZIP_SOURCE_STAT: {
        zip_stat_t *stat = data;
        zip_stat_init(stat);
        stat->valid = ZIP_STAT_SIZE;
        stat->size = zip->file.size;
        return sizeof *stat;
    }
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&zip->error, data, length);
    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(
            ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR,
            ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_SUPPORTS, -1);
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
        return 0;
    default:
        zip_error_set(&zip->error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

/* ---- the archive --------------------------------------------------------------------- */

static status open_archive(struct zip_bytes *zip)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_function_create(source_call, zip, &error);
    if (source != NULL) {
        /* The check compares each local header with the directory. */
        zip->archive = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
        if (zip->archive == NULL)
            zip_source_free(source);
    }
    status code = STATUS_OK;
    if (zip->archive == NULL)
        code = status_fail(STATUS_BAD_FILE, "no whole zip file: %s", zip_error_strerror(&error));
    zip_error_fini(&error);
    return code;
}

/* Two entries of one name: which of them counts is for nobody to guess. */
static status check_names(const struct zip_bytes *zip)
{
    for (size_t i = 0; i < zip_bytes_count(zip); i++) {
        size_t first;
        const char *name = zip_bytes_name(zip, i);
        if (name == NULL)
            return status_fail(STATUS_BAD_FILE, "zip entry %zu has no name", i);
        if (zip_bytes_find(zip, name, &first) && first != i)
            return status_fail(STATUS_BAD_FILE, "zip entry \"%s\" is there twice", name);
    }
    return STATUS_OK;
}

status zip_bytes_open(struct file_bytes file, struct zip_bytes **out)
{
    *out = NULL;
    struct zip_bytes *zip = calloc(1, sizeof *zip);
    if (zip == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory");
    zip->file = file;
    zip_error_init(&zip->error);
    status code = open_archive(zip);
    if (code == STATUS_OK)
        code = check_names(zip);
    if (code != STATUS_OK) {
        zip_bytes_close(zip);
        return code;
    }
    *out = zip;
    return STATUS_OK;
}

void zip_bytes_close(struct zip_bytes *zip)
{
    if (zip == NULL)
        return;
    if (zip->archive != NULL)
        zip_discard(zip->archive);
    zip_error_fini(&zip->error);
    free(zip);
}

size_t zip_bytes_count(const struct zip_bytes *zip)
{
    const zip_int64_t count = zip_get_num_entries(zip->archive, 0);
    return count < 0 ? 0 : (size_t)count;
}

const char *zip_bytes_name(const struct zip_bytes *zip, size_t i)
{
    return zip_get_name(zip->archive, i, ZIP_FL_ENC_RAW);
}

int zip_bytes_find(const struct zip_bytes *zip, const char *name, size_t *i)
{
    const zip_int64_t at = zip_name_locate(zip->archive, name, ZIP_FL_ENC_RAW);
    *i = at < 0 ? 0 : (size_t)at;
    return at >= 0;
}

/* ---- entries ------------------------------------------------------------------------- */

status zip_bytes_entry(const struct zip_bytes *zip, size_t i, struct zip_entry *out)
{
    *out = (struct zip_entry){ .size = 0 };
    const char *name = zip_bytes_name(zip, i);
    const zip_uint64_t wanted = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    zip_stat_t stat;
    if (zip_stat_index(zip->archive, i, 0, &stat) != 0 || (stat.valid & wanted) != wanted)
        return status_fail(STATUS_BAD_FILE, "zip entry \"%s\" does not say its size", name);
    if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && stat.encryption_method != ZIP_EM_NONE)
        return status_fail(STATUS_BAD_FILE, "zip entry \"%s\" is encrypted", name);
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)
        return status_fail(STATUS_UNSUPPORTED,
                           "zip entry \"%s\" is packed by method %d; stored and deflated are known",
                           name, stat.comp_method);
    out->stored = stat.comp_method == ZIP_CM_STORE;

    /* Deflate packs 1032 bytes into one at the very best. */
    const uint64_t ratio = out->stored ? 1 : 1032, slack = out->stored ? 0 : 1032;
    if (stat.comp_size > zip->file.size || stat.size > stat.comp_size * ratio + slack ||
        (out->stored && stat.size != stat.comp_size))
        return status_fail(
            STATUS_BAD_FILE,
            "zip entry \"%s\" says it has %ju bytes, packed into %ju of a file of %zu", name,
            (uintmax_t)stat.size, (uintmax_t)stat.comp_size, zip->file.size);
    out->size = (size_t)stat.size;
    out->packed = (size_t)stat.comp_size;
    return STATUS_OK;
}

static status fail_entry(const struct zip_bytes *zip, size_t i, const char *why)
{
    return status_fail(STATUS_BAD_FILE, "zip entry \"%s\": %s", zip_bytes_name(zip, i), why);
}

status zip_bytes_lend(struct zip_bytes *zip, size_t i, const unsigned char **out)
{
    struct zip_entry entry;
    unsigned char byte;
    TRY(zip_bytes_entry(zip, i, &entry));
    *out = zip->file.at;
    if (entry.size == 0)
        return STATUS_OK;
    zip_file_t *opened = zip_fopen_index(zip->archive, i, ZIP_FL_COMPRESSED);
    if (opened == NULL)
        return fail_entry(zip, i, zip_strerror(zip->archive));
    const int read = zip_fread(opened, &byte, 1) == 1;
    zip_fclose(opened);
    if (!read || zip->read_first > zip->file.size - entry.size ||
        zip->file.at[zip->read_first] != byte)
        return fail_entry(zip, i, "its data lies outside the file");
    *out = zip->file.at + zip->read_first;
    return STATUS_OK;
}

status zip_bytes_unpack(struct zip_bytes *zip, size_t i, unsigned char *out)
{
    struct zip_entry entry;
    TRY(zip_bytes_entry(zip, i, &entry));
    zip_file_t *opened = zip_fopen_index(zip->archive, i, 0);
    if (opened == NULL)
        return fail_entry(zip, i, zip_strerror(zip->archive));
    size_t done = 0;
    zip_int64_t got = 1;
    while (done < entry.size && (got = zip_fread(opened, out + done, entry.size - done)) > 0)
        done += (size_t)got;
    unsigned char beyond; /* the CRC is checked at the end, so the end has to be read */
    const zip_int64_t more = got < 0 ? got : zip_fread(opened, &beyond, 1);
    status code = STATUS_OK;
    if (more < 0)
        code = fail_entry(zip, i, zip_error_strerror(zip_file_get_error(opened)));
    else if (done != entry.size || more > 0)
        code = fail_entry(zip, i, "unpacks to another size than it says");
    zip_fclose(opened);
    return code;
}
