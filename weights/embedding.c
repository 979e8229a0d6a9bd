/* weights/embedding.c - one table of vectors, wherever the file keeps it. */
#include "weights/embedding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "weights/kind.h"

enum {
    VECTORS_MAX = 4096, /* a prompt of 75-token chunks has no use for more */
    WIDTH_MAX = 16384
};

/* The one tensor that is the inversion: below string_to_param, or the only one of the file. */
static status the_table(const struct tensor_file *file, const struct tensor **out)
{
    const struct tensor *only = NULL;
    size_t found = 0;
    int inside = 0;
    for (size_t i = 0; i < tensor_file_count(file); i++)
        inside |= strncmp(tensor_file_at(file, i)->name, "string_to_param", 15) == 0;
    for (size_t i = 0; i < tensor_file_count(file); i++) {
        const struct tensor *tensor = tensor_file_at(file, i);
        if (inside && strncmp(tensor->name, "string_to_param", 15) != 0)
            continue;
        only = tensor;
        found++;
    }
    if (found != 1)
        return status_fail(STATUS_BAD_FILE, "%s: holds %zu tensors, a Textual Inversion has one",
                           tensor_file_path(file), found);
    *out = only;
    return STATUS_OK;
}

static status copy_table(const struct tensor_file *file, const struct tensor *tensor,
                         struct embedding *embedding)
{
    const char *path = tensor_file_path(file);
    const size_t vectors = tensor->rank == 2 ? tensor->shape[0] : 1;
    const size_t width = tensor->rank < 1 ? 0 : tensor->shape[tensor->rank - 1];
    if ((tensor->rank != 1 && tensor->rank != 2) || vectors < 1 || vectors > VECTORS_MAX ||
        width < 1 || width > WIDTH_MAX)
        return status_fail(STATUS_BAD_FILE,
                           "%s: \"%s\" has %d dimensions, %zu vectors of %zu values; 1 to %d of "
                           "at most %d are wanted",
                           path, tensor->name, tensor->rank, vectors, width, (int)VECTORS_MAX,
                           (int)WIDTH_MAX);
    embedding->data = malloc(vectors * width * sizeof(float));
    if (embedding->data == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for %zu bytes", path,
                           vectors * width * sizeof(float));
    embedding->vectors = (int)vectors;
    embedding->width = (int)width;
    tensor_to_f32(tensor, embedding->data);
    for (size_t i = 0; i < vectors * width; i++)
        if (!isfinite(embedding->data[i]))
            return status_fail(STATUS_NOT_FINITE, "%s: \"%s\" holds NaN or infinity", path,
                               tensor->name);
    return STATUS_OK;
}

status embedding_open(const char *path, struct embedding **out)
{
    struct tensor_file *file;
    const struct tensor *tensor = NULL;
    struct embedding *embedding = NULL;
    *out = NULL;
    TRY(tensor_file_open(path, &file));
    status result = weights_kind_expect(file, WEIGHTS_EMBEDDING);
    if (result == STATUS_OK)
        result = the_table(file, &tensor);
    if (result == STATUS_OK && tensor != NULL) {
        embedding = calloc(1, sizeof *embedding);
        result = embedding == NULL ? status_fail(STATUS_NO_MEMORY, "%s: no memory for %zu bytes",
                                                 path, sizeof *embedding)
                                   : copy_table(file, tensor, embedding);
    }
    tensor_file_close(file);
    if (result != STATUS_OK)
        embedding_free(embedding);
    else
        *out = embedding;
    return result;
}

void embedding_free(struct embedding *embedding)
{
    if (embedding == NULL)
        return;
    free(embedding->data);
    free(embedding);
}
