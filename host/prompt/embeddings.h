/* host/prompt/embeddings.h - embeddings by the token ids of their names. */
#ifndef HOST_PROMPT_EMBEDDINGS_H
#define HOST_PROMPT_EMBEDDINGS_H

#include "host/prompt/prompt.h"

#ifdef __cplusplus
extern "C" {
#endif

struct embedding_key {
    int32_t *ids; /* of the name */
    size_t length;
    int embedding; /* index in the caller's list */
    int vectors;
};

/* The longest key that stands at ids[0], the earliest registered of equals; null if none does.
 * `embeddings` may be null. */
const struct embedding_key *embeddings_at(const struct prompt_embeddings *embeddings,
                                          const int32_t *ids, size_t left);

#ifdef __cplusplus
}
#endif

#endif
