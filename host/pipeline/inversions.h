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
    const struct store_file **unfit; /* [unfit_count]: of another width; plain text in prompts */
    int unfit_count;
    struct prompt_embeddings *names;
};

/* Reads all of the store whose width fits. One that cannot be read is among the unfit. */
status inversions_create(const struct store *store, const struct tokenizer *tokenizer, int width,
                         struct inversions **out);
void inversions_destroy(struct inversions *inversions); /* null is fine */

#endif
