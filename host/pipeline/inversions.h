/* host/pipeline/inversions.h - the Textual Inversions that fit the model. */
#ifndef HOST_PIPELINE_INVERSIONS_H
#define HOST_PIPELINE_INVERSIONS_H

#include "host/prompt/prompt.h"
#include "weights/store.h"

struct inversions {
    int width;                      /* of the text encoder they fit */
    const struct store_file **file; /* [count] */
    struct embedding **vectors;     /* [count] */
    const float **data;             /* [count], each [vector_count, width] */
    int *vector_count;
    int count;
    struct unfit_inversion {
        const struct store_file *file;
        char *why;
    } * unfit; /* [unfit_count]: plain text in prompts */
    int unfit_count;
    struct prompt_embeddings *names;
};

/* Reads all of the store whose width fits. The others are unfit, and so is every file that could
 * not be read: what it holds is not known. */
status inversions_create(const struct store *store, const struct tokenizer *tokenizer, int width,
                         struct inversions **out);
void inversions_destroy(struct inversions *inversions); /* null is fine */

#endif
