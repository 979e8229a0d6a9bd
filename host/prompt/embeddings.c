/* host/prompt/embeddings.c */
#include "host/prompt/embeddings.h"

#include <stdlib.h>
#include <string.h>

struct prompt_embeddings {
    struct embedding_key *key; /* by first id, then longest first, then as registered */
    size_t count;
};

static int by_first_id(const void *a, const void *b)
{
    const struct embedding_key *x = a, *y = b;
    if (x->ids[0] != y->ids[0])
        return x->ids[0] < y->ids[0] ? -1 : 1;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return (x->embedding > y->embedding) - (x->embedding < y->embedding);
}

status prompt_embeddings_create(const struct tokenizer *tokenizer,
                                const struct prompt_embedding *list, size_t count,
                                struct prompt_embeddings **out)
{
    *out = calloc(1, sizeof **out);
    if (*out != NULL)
        (*out)->key = calloc(count > 0 ? count : 1, sizeof *(*out)->key);
    status s = STATUS_OK;
    if (*out == NULL || (*out)->key == NULL)
        s = status_fail(STATUS_NO_MEMORY, "prompt: no memory for %zu embeddings", count);
    for (size_t i = 0; i < count && s == STATUS_OK; i++) {
        struct embedding_key *key = &(*out)->key[(*out)->count];
        if (list[i].vectors < 1 || list[i].vectors > PROMPT_CHUNK_TEXT)
            continue;
        s = tokenizer_encode(tokenizer, list[i].name, strlen(list[i].name), &key->ids,
                             &key->length);
        key->embedding = (int)i;
        key->vectors = list[i].vectors;
        if (s == STATUS_OK && key->length > 0)
            (*out)->count++;
        else
            free(key->ids); /* a name of white space: nothing can match it */
    }
    if (s != STATUS_OK) {
        prompt_embeddings_destroy(*out);
        *out = NULL;
        return s;
    }
    if ((*out)->count > 0)
        qsort((*out)->key, (*out)->count, sizeof *(*out)->key, by_first_id);
    return STATUS_OK;
}

void prompt_embeddings_destroy(struct prompt_embeddings *embeddings)
{
    if (embeddings == NULL)
        return;
    for (size_t i = 0; i < embeddings->count; i++)
        free(embeddings->key[i].ids);
    free(embeddings->key);
    free(embeddings);
}

const struct embedding_key *embeddings_at(const struct prompt_embeddings *embeddings,
                                          const int32_t *ids, size_t left)
{
    if (embeddings == NULL)
        return NULL;
    size_t low = 0, high = embeddings->count;
    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (embeddings->key[mid].ids[0] < ids[0])
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < embeddings->count && embeddings->key[low].ids[0] == ids[0]; low++) {
        const struct embedding_key *key = &embeddings->key[low];
        if (key->length <= left && memcmp(key->ids, ids, key->length * sizeof *ids) == 0)
            return key;
    }
    return NULL;
}
