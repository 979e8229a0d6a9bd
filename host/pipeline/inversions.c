/* host/pipeline/inversions.c - every inversion of the store, read once per width. */
#include "host/pipeline/inversions.h"

#include <stdlib.h>

#include "weights/embedding.h"

void inversions_destroy(struct inversions *v)
{
    if (v == NULL)
        return;
    for (int i = 0; i < v->count; i++)
        embedding_free(v->vectors[i]);
    prompt_embeddings_destroy(v->names);
    free(v->file);
    free(v->vectors);
    free(v->data);
    free(v->vector_count);
    free(v->unfit);
    free(v);
}

static void take(struct inversions *v, const struct store_file *file)
{
    struct embedding *embedding = NULL;
    if (embedding_open(file->path, &embedding) != STATUS_OK || embedding->width != v->width) {
        embedding_free(embedding);
        v->unfit[v->unfit_count++] = file;
        return;
    }
    v->file[v->count] = file;
    v->vectors[v->count] = embedding;
    v->data[v->count] = embedding->data;
    v->vector_count[v->count++] = embedding->vectors;
}

static status name_them(struct inversions *v, const struct tokenizer *tokenizer)
{
    struct prompt_embedding *list = calloc((size_t)v->count + 1, sizeof *list);
    if (list == NULL)
        return status_fail(STATUS_NO_MEMORY, "inversions: no memory");
    for (int i = 0; i < v->count; i++)
        list[i] = (struct prompt_embedding){ v->file[i]->name, v->vector_count[i] };
    const status result = prompt_embeddings_create(tokenizer, list, (size_t)v->count, &v->names);
    free(list);
    return result;
}

status inversions_create(const struct store *store, const struct tokenizer *tokenizer, int width,
                         struct inversions **out)
{
    *out = NULL;
    const size_t most = store == NULL ? 0 : store_count(store);
    struct inversions *v = calloc(1, sizeof *v);
    if (v == NULL)
        return status_fail(STATUS_NO_MEMORY, "inversions: no memory");
    v->width = width;
    v->file = calloc(most + 1, sizeof *v->file);
    v->vectors = calloc(most + 1, sizeof *v->vectors);
    v->data = calloc(most + 1, sizeof *v->data);
    v->vector_count = calloc(most + 1, sizeof *v->vector_count);
    v->unfit = calloc(most + 1, sizeof *v->unfit);
    status result = STATUS_OK;
    if (v->file == NULL || v->vectors == NULL || v->data == NULL || v->vector_count == NULL ||
        v->unfit == NULL)
        result = status_fail(STATUS_NO_MEMORY, "inversions: no memory for %zu", most);
    for (size_t i = 0; result == STATUS_OK && i < most; i++)
        if (store_at(store, i)->kind == WEIGHTS_EMBEDDING)
            take(v, store_at(store, i));
    if (result == STATUS_OK)
        result = name_them(v, tokenizer);
    if (result != STATUS_OK) {
        inversions_destroy(v);
        return result;
    }
    *out = v;
    return STATUS_OK;
}
