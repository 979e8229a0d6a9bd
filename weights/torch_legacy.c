/* weights/torch_legacy.c - torch before 1.6: five pickles in a row, then the storages.
 *
 * The pickles are a magic number, a protocol version, a dict about the machine, the object, and the
 * list of storage keys. The storages follow in the order of that list, each an eight-byte number of
 * elements and the elements. */
#include <stdlib.h>
#include <string.h>

#include "weights/readers.h"
#include "weights/torch_tensors.h"

struct legacy_storage {
    struct torch_storage of;
    const unsigned char *data; /* null until its place in the file is known */
};

struct legacy_store {
    struct torch_store store; /* first, so that find() gets back to the rest */
    struct file_bytes file;
    size_t at; /* what was read */
    struct pickle *pickle;
    struct legacy_storage *storages; /* sorted by key */
    size_t count;
};

/* ---- storages ------------------------------------------------------------------------ */

static int by_key(const void *a, const void *b)
{
    const struct torch_storage *x = &((const struct legacy_storage *)a)->of;
    const struct torch_storage *y = &((const struct legacy_storage *)b)->of;
    const size_t least = x->key_length < y->key_length ? x->key_length : y->key_length;
    const int order = memcmp(x->key, y->key, least);
    if (order != 0)
        return order;
    return x->key_length < y->key_length ? -1 : x->key_length > y->key_length;
}

static struct legacy_storage *storage_of(const struct legacy_store *s, const char *key,
                                         size_t length)
{
    const struct legacy_storage wanted = { .of = { .key = key, .key_length = length } };
    if (s->count == 0)
        return NULL;
    return bsearch(&wanted, s->storages, s->count, sizeof *s->storages, by_key);
}

static status find_storage(struct torch_store *store, const struct torch_storage *want,
                           const unsigned char **data)
{
    const struct legacy_store *s = (const struct legacy_store *)store;
    const struct legacy_storage *storage = storage_of(s, want->key, want->key_length);
    if (storage == NULL || storage->data == NULL)
        return status_fail(STATUS_BAD_FILE, "its storage \"%.*s\" is not in the file",
                           (int)want->key_length, want->key);
    *data = storage->data;
    return STATUS_OK;
}

/* Every storage that the object names, once. A module's source, also named this way, is passed
 * over. */
static status collect_storages(struct legacy_store *s)
{
    const struct pickle_value *all = pickle_persistent(s->pickle);
    s->storages = calloc(all->items.count + 1, sizeof *s->storages);
    if (s->storages == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory for %zu storages", all->items.count);
    for (size_t i = 0; i < all->items.count; i++) {
        const struct pickle_value *id = all->items.at[i]->args;
        if (id->kind == PICKLE_TUPLE && id->items.count > 0 &&
            pickle_text_is(id->items.at[0], "module"))
            continue;
        TRY(torch_storage_read(all->items.at[i], &s->storages[s->count].of));
        s->count++;
    }
    qsort(s->storages, s->count, sizeof *s->storages, by_key);

    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct legacy_storage *last = kept == 0 ? NULL : &s->storages[kept - 1];
        if (last == NULL || by_key(last, &s->storages[i]) != 0)
            s->storages[kept++] = s->storages[i];
        else if (last->of.elements != s->storages[i].of.elements ||
                 last->of.dtype != s->storages[i].of.dtype)
            return status_fail(STATUS_BAD_FILE, "storage \"%.*s\" has two sizes or types",
                               (int)last->of.key_length, last->of.key);
    }
    s->count = kept;
    return STATUS_OK;
}

static status place_storage(struct legacy_store *s, const struct pickle_value *key)
{
    struct legacy_storage *storage =
        key->kind == PICKLE_TEXT ? storage_of(s, key->text.at, key->text.length) : NULL;
    if (storage == NULL)
        return status_fail(STATUS_BAD_FILE, "the list of storages has a key that nothing names");
    const struct torch_storage *of = &storage->of;
    if (storage->data != NULL)
        return status_fail(STATUS_BAD_FILE, "storage \"%.*s\" is there twice", (int)of->key_length,
                           of->key);
    if (s->file.size - s->at < 8 || s->file.size - s->at - 8 < of->bytes)
        return status_fail(STATUS_BAD_FILE,
                           "storage \"%.*s\" of %zu bytes reaches beyond the file: it is cut short",
                           (int)of->key_length, of->key, of->bytes);
    uint64_t elements = 0;
    for (int i = 0; i < 8; i++)
        elements |= (uint64_t)s->file.at[s->at + (size_t)(s->store.swap ? 7 - i : i)] << 8 * i;
    if (elements != of->elements)
        return status_fail(STATUS_BAD_FILE, "storage \"%.*s\" has %ju elements, %zu are wanted",
                           (int)of->key_length, of->key, (uintmax_t)elements, of->elements);
    storage->data = s->file.at + s->at + 8;
    s->at += 8 + of->bytes;
    return STATUS_OK;
}

static status place_storages(struct legacy_store *s, const struct pickle_value *keys)
{
    if (keys->kind != PICKLE_LIST)
        return status_fail(STATUS_BAD_FILE, "the list of storages is no list");
    for (size_t i = 0; i < keys->items.count; i++)
        TRY(place_storage(s, keys->items.at[i]));
    if (s->at != s->file.size)
        return status_fail(STATUS_BAD_FILE, "%zu bytes after the last storage",
                           s->file.size - s->at);
    return STATUS_OK;
}

/* ---- the five pickles ---------------------------------------------------------------- */

static status next_pickle(struct legacy_store *s, const char *what,
                          const struct pickle_value **value)
{
    size_t used = 0;
    const status code =
        pickle_run(s->pickle, s->file.at + s->at, s->file.size - s->at, value, &used);
    s->at += used;
    return code == STATUS_OK ? code : status_prefix(code, "%s", what);
}

static status read_machine(struct legacy_store *s)
{
    const struct pickle_value *magic, *version, *machine;
    TRY(next_pickle(s, "magic number", &magic));
    if (magic->kind != PICKLE_LONG)
        return status_fail(STATUS_BAD_FILE, "not torch's magic number");
    TRY(next_pickle(s, "protocol version", &version));
    if (version->kind != PICKLE_INT || version->integer != 1001)
        return status_fail(STATUS_UNSUPPORTED, "a torch protocol other than 1001");
    TRY(next_pickle(s, "machine", &machine));
    const struct pickle_value *little = pickle_dict_get(machine, "little_endian");
    if (little == NULL || little->kind != PICKLE_BOOL)
        return status_fail(STATUS_BAD_FILE, "the file does not say its byte order");
    s->store.swap = !little->integer;
    return STATUS_OK;
}

static status read_all(struct legacy_store *s, struct tensor_table *table)
{
    const struct pickle_value *root, *keys;
    TRY(read_machine(s));
    TRY(next_pickle(s, "object", &root));
    TRY(collect_storages(s));
    TRY(next_pickle(s, "list of storages", &keys));
    TRY(place_storages(s, keys));
    return torch_tensors_read(root, &s->store, table);
}

status torch_legacy_read(struct file_bytes file, struct tensor_table *table)
{
    struct legacy_store s = { .store = { .find = find_storage }, .file = file };
    TRY(pickle_create(&s.pickle));
    const status code = read_all(&s, table);
    pickle_destroy(s.pickle);
    free(s.storages);
    return code;
}
