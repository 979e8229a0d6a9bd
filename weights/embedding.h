/* weights/embedding.h - the vectors of a Textual Inversion. */
#ifndef WEIGHTS_EMBEDDING_H
#define WEIGHTS_EMBEDDING_H

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct embedding {
    int vectors;
    int width;   /* other than the text encoder's: not usable with it; the name stays plain text */
    float *data; /* [vectors, width] */
};

/* Reads web UI files (string_to_param, a dict or ParameterDict), emb_params, and diffusers' one
 * tensor of any name; a single vector may have one dimension.
 *
 * memory   the caller's; embedding_free()
 * returns  what tensor_file_open() returns, and
 *          STATUS_WRONG_KIND  it is something else; the text says what
 *          STATUS_BAD_FILE    another number of tensors than one, or a wrong shape
 *          STATUS_NOT_FINITE  a value is NaN or infinite
 *          On failure *out is null.
 * source   textual_inversion.py: EmbeddingDatabase.load_from_file
 */
status embedding_open(const char *path, struct embedding **out);
void embedding_free(struct embedding *embedding); /* null is fine */

#ifdef __cplusplus
}
#endif

#endif
