/* weights/torch_file.c - torch's zip: ROOT/data.pkl says what there is, ROOT/data/KEY holds the
 * storages.
 *
 * data.pkl and whatever is deflated has its CRC checked. Stored tensor data has not: that would
 * read all of a 4 GB file before its first use, and whoever needs to know a file's bytes compares
 * its SHA-256. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights/readers.h"
#include "weights/torch_tensors.h"
#include "weights/zip_bytes.h"

enum { PICKLE_MAX_BYTES = 256 << 20, ROOT_MAX_BYTES = 1024 };

struct zip_store {
    struct torch_store store; /* first, so that find() gets back to the rest */
    struct zip_bytes *zip;
    struct tensor_table *table;
    char root[ROOT_MAX_BYTES];  /* "archive/", or "" */
    const unsigned char **data; /* of each entry that was asked for */
    struct span *spans;         /* of the stored ones among them */
    size_t span_count;
};

struct span {
    const unsigned char *begin, *end;
    size_t entry;
};

/* ---- entries ------------------------------------------------------------------------- */

/* 1 if ROOT/name is there. */
static int entry_find(const struct zip_store *s, const char *name, size_t *i)
{
    char full[ROOT_MAX_BYTES + 256];
    const int length = snprintf(full, sizeof full, "%s%s", s->root, name);
    return length > 0 && (size_t)length < sizeof full && zip_bytes_find(s->zip, full, i);
}

/* The folder that holds data.pkl; torch allows one level, of any name. */
static status find_root(struct zip_store *s)
{
    static const char wanted[] = "data.pkl";
    int found = 0;
    for (size_t i = 0; i < zip_bytes_count(s->zip); i++) {
        const char *name = zip_bytes_name(s->zip, i);
        const char *slash = strchr(name, '/');
        if (strcmp(slash == NULL ? name : slash + 1, wanted) != 0)
            continue;
        const size_t length = slash == NULL ? 0 : (size_t)(slash - name) + 1;
        if (found++)
            return status_fail(STATUS_BAD_FILE, "a zip with more than one data.pkl");
        if (length >= sizeof s->root)
            return status_fail(STATUS_BAD_FILE, "a zip folder with a name of %zu bytes", length);
        memcpy(s->root, name, length);
        s->root[length] = 0;
    }
    if (!found)
        return status_fail(STATUS_BAD_FILE, "a zip file without data.pkl: not a torch file");
    return STATUS_OK;
}

static status read_byteorder(struct zip_store *s)
{
    size_t i;
    struct zip_entry entry;
    unsigned char text[8] = { 0 };
    if (!entry_find(s, "byteorder", &i))
        return STATUS_OK;
    TRY(zip_bytes_entry(s->zip, i, &entry));
    if (entry.size < sizeof text)
        TRY(zip_bytes_unpack(s->zip, i, text));
    if (memcmp(text, "big", 4) == 0)
        s->store.swap = 1;
    else if (memcmp(text, "little", 7) != 0)
        return status_fail(STATUS_BAD_FILE, "a byteorder that is neither little nor big");
    return STATUS_OK;
}

/* ---- storages ------------------------------------------------------------------------ */

static status load_entry(struct zip_store *s, size_t i, const struct zip_entry *entry)
{
    if (entry->stored) {
        TRY(zip_bytes_lend(s->zip, i, &s->data[i]));
        s->spans[s->span_count++] = (struct span){ s->data[i], s->data[i] + entry->size, i };
        return STATUS_OK;
    }
    void *own;
    TRY(tensor_table_own(s->table, entry->size, &own));
    TRY(zip_bytes_unpack(s->zip, i, own));
    s->data[i] = own;
    return STATUS_OK;
}

static status find_storage(struct torch_store *store, const struct torch_storage *want,
                           const unsigned char **data)
{
    struct zip_store *s = (struct zip_store *)store;
    char name[256];
    size_t i;
    struct zip_entry entry;
    snprintf(name, sizeof name, "data/%.*s", (int)want->key_length, want->key);
    if (!entry_find(s, name, &i))
        return status_fail(STATUS_BAD_FILE, "its storage, zip entry \"%s%s\", is not there",
                           s->root, name);
    TRY(zip_bytes_entry(s->zip, i, &entry));
    if (entry.size != want->bytes)
        return status_fail(STATUS_BAD_FILE,
                           "its storage, zip entry \"%s%s\", has %zu bytes, %zu are wanted",
                           s->root, name, entry.size, want->bytes);
    if (s->data[i] == NULL)
        TRY(load_entry(s, i, &entry));
    *data = s->data[i];
    return STATUS_OK;
}

static int by_begin(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* Two entries over the same bytes are a lie, whichever of them tells it. */
static status check_overlap(struct zip_store *s)
{
    qsort(s->spans, s->span_count, sizeof *s->spans, by_begin);
    for (size_t i = 1; i < s->span_count; i++)
        if (s->spans[i].begin < s->spans[i - 1].end)
            return status_fail(STATUS_BAD_FILE, "zip entries \"%s\" and \"%s\" overlap",
                               zip_bytes_name(s->zip, s->spans[i - 1].entry),
                               zip_bytes_name(s->zip, s->spans[i].entry));
    return STATUS_OK;
}

/* ---- the file ------------------------------------------------------------------------ */

static status run_pickle(struct zip_store *s, const unsigned char *bytes, size_t size)
{
    struct pickle *pickle;
    const struct pickle_value *root;
    size_t used;
    TRY(pickle_create(&pickle));
    status code = pickle_run(pickle, bytes, size, &root, &used);
    if (code != STATUS_OK)
        code = status_prefix(code, "data.pkl");
    else
        code = torch_tensors_read(root, &s->store, s->table);
    pickle_destroy(pickle);
    return code;
}

static status read_pickle(struct zip_store *s)
{
    size_t i;
    struct zip_entry entry;
    if (entry_find(s, "constants.pkl", &i))
        return status_fail(STATUS_UNSUPPORTED, "a TorchScript program, not a file of weights");
    if (!entry_find(s, "data.pkl", &i))
        return status_fail(STATUS_BAD_FILE, "a zip file without data.pkl: not a torch file");
    TRY(zip_bytes_entry(s->zip, i, &entry));
    if (entry.size > PICKLE_MAX_BYTES)
        return status_fail(STATUS_BAD_FILE, "data.pkl has %zu bytes, %d at most are wanted",
                           entry.size, (int)PICKLE_MAX_BYTES);
    unsigned char *bytes = malloc(entry.size + 1);
    if (bytes == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory for %zu bytes", entry.size);
    status code = zip_bytes_unpack(s->zip, i, bytes);
    if (code == STATUS_OK)
        code = run_pickle(s, bytes, entry.size);
    free(bytes);
    return code;
}

static status read_archive(struct zip_store *s)
{
    const size_t count = zip_bytes_count(s->zip);
    TRY(find_root(s));
    TRY(read_byteorder(s));
    s->data = calloc(count, sizeof *s->data);
    s->spans = calloc(count, sizeof *s->spans);
    if (s->data == NULL || s->spans == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory for %zu zip entries", count);
    TRY(read_pickle(s));
    return check_overlap(s);
}

status torch_zip_read(struct file_bytes file, struct tensor_table *table)
{
    struct zip_store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory");
    s->store.find = find_storage;
    s->table = table;
    status code = zip_bytes_open(file, &s->zip);
    if (code == STATUS_OK)
        code = read_archive(s);
    zip_bytes_close(s->zip);
    free(s->data);
    free(s->spans);
    free(s);
    return code;
}
