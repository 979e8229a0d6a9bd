/* host/pipeline/inversions.c - every inversion of the store, read once per width. */
#include "host/pipeline/inversions.h"

#include <stdlib.h>
#include <string.h>

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
    for (int i = 0; i < v->unfit_count; i++)
        free(v->unfit[i].why);
    free(v->unfit);
    free(v);
}

static status leave_out(struct inversions *v, const struct store_file *file, const char *why)
{
    char *copy = strdup(why);
    if (copy == NULL)
        return status_fail(STATUS_NO_MEMORY, "inversions: no memory");
    v->unfit[v->unfit_count++] = (struct unfit_inversion){ file, copy };
    return STATUS_OK;
}

static status take(struct inversions *v, const struct store_file *file)
{
    struct embedding *embedding = NULL;
    status result = embedding_open(file->path, &embedding);
    if (result == STATUS_OK && embedding->width != v->width)
        result = status_fail(STATUS_BAD_SHAPE, "%s is %d wide, this model's text encoder %d",
                             file->path, embedding->width, v->width);
    if (result != STATUS_OK) {
        embedding_free(embedding);
        return leave_out(v, file, status_text());
    }
    v->file[v->count] = file;
    v->vectors[v->count] = embedding;
    v->data[v->count] = embedding->data;
    v->vector_count[v->count++] = embedding->vectors;
    return STATUS_OK;
}

static status take_all(struct inversions *v, const struct store *store, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct store_file *file = store_at(store, i);
        if (file->kind == WEIGHTS_EMBEDDING)
            TRY(take(v, file));
        else if (file->problem[0] != 0)
            TRY(leave_out(v, file, file->problem));
    }
    return STATUS_OK;
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
    if (result == STATUS_OK)
        result = take_all(v, store, most);
    if (result == STATUS_OK)
        result = name_them(v, tokenizer);
    if (result != STATUS_OK) {
        inversions_destroy(v);
        return result;
    }
    *out = v;
    return STATUS_OK;
}
