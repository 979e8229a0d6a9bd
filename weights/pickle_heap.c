/* weights/pickle_heap.c - chunks, and the values made in them. */
#include "weights/pickle_heap.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_BYTES = 64 << 10,
    TOTAL_MAX = 256 << 20 /* sd-v1-4.ckpt takes under 2 MB */
};

struct pickle_chunk {
    struct pickle_chunk *next;
    size_t size;
    max_align_t bytes[];
};

status pickle_create(struct pickle **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory");
    (*out)->persistent.kind = PICKLE_TUPLE;
    return STATUS_OK;
}

void pickle_destroy(struct pickle *pickle)
{
    if (pickle == NULL)
        return;
    for (struct pickle_chunk *chunk = pickle->chunks, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(pickle);
}

status pickle_take(struct pickle *pickle, size_t bytes, void **out)
{
    *out = NULL;
    if (bytes > TOTAL_MAX)
        return status_fail(STATUS_BAD_FILE, "a pickle asks for %zu bytes at once", bytes);
    bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (bytes > pickle->left) {
        const size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        if (size > TOTAL_MAX - pickle->total)
            return status_fail(STATUS_BAD_FILE, "a pickle takes more than %d bytes of memory",
                               (int)TOTAL_MAX);
        struct pickle_chunk *chunk = malloc(sizeof *chunk + size);
        if (chunk == NULL)
            return status_fail(STATUS_NO_MEMORY, "no memory for %zu bytes", size);
        chunk->next = pickle->chunks;
        chunk->size = size;
        pickle->chunks = chunk;
        pickle->left = size;
        pickle->total += size;
    }
    struct pickle_chunk *chunk = pickle->chunks;
    *out = (unsigned char *)chunk->bytes + (chunk->size - pickle->left);
    pickle->left -= bytes;
    return STATUS_OK;
}

status pickle_new(struct pickle *pickle, enum pickle_kind kind, struct pickle_value **out)
{
    void *at;
    TRY(pickle_take(pickle, sizeof **out, &at));
    *out = at;
    **out = (struct pickle_value){ .kind = kind };
    return STATUS_OK;
}

status pickle_append(struct pickle *pickle, struct pickle_value *to,
                     struct pickle_value *const *items, size_t count)
{
    const size_t wanted = to->items.count + count; /* no overflow: both are in memory */
    if (wanted > to->items.cap) {
        const size_t cap = wanted > 2 * to->items.cap ? wanted : 2 * to->items.cap;
        void *grown;
        TRY(pickle_take(pickle, cap * sizeof *to->items.at, &grown));
        if (to->items.count > 0)
            memcpy(grown, to->items.at, to->items.count * sizeof *to->items.at);
        to->items.at = grown;
        to->items.cap = cap;
    }
    if (count > 0)
        memcpy(to->items.at + to->items.count, items, count * sizeof *items);
    to->items.count = wanted;
    return STATUS_OK;
}

const struct pickle_value *pickle_persistent(const struct pickle *pickle)
{
    return &pickle->persistent;
}

/* ---- questions ----------------------------------------------------------------------- */

static int text_equal(const struct pickle_value *value, const char *text)
{
    return value->text.length == strlen(text) &&
           memcmp(value->text.at, text, value->text.length) == 0;
}

int pickle_is_class(const struct pickle_value *value, const char *name)
{
    return value->kind == PICKLE_CLASS && text_equal(value, name);
}

int pickle_is_object_of(const struct pickle_value *value, const char *name)
{
    return value->kind == PICKLE_OBJECT && pickle_is_class(value->type, name);
}

int pickle_text_is(const struct pickle_value *value, const char *text)
{
    return value->kind == PICKLE_TEXT && text_equal(value, text);
}

const struct pickle_value *pickle_dict_get(const struct pickle_value *dict, const char *key)
{
    const struct pickle_value *found = NULL;
    if (dict != NULL && dict->kind == PICKLE_DICT)
        for (size_t i = 0; i + 1 < dict->items.count; i += 2)
            if (pickle_text_is(dict->items.at[i], key))
                found = dict->items.at[i + 1];
    return found;
}
