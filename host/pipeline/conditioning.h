/* host/pipeline/conditioning.h - prompts to what the cross-attentions read.
 *
 * First on the host alone: parts, schedules, chunks (conditioning_create). Then, while the device
 * plans and for real, through the text encoder (conditioning_encode).
 */
#ifndef HOST_PIPELINE_CONDITIONING_H
#define HOST_PIPELINE_CONDITIONING_H

#include "host/base/compat.h"
#include "host/base/ops.h"
#include "host/model/text_encoder.h"
#include "host/prompt/prompt.h"

struct conditioning_args {
    const struct tokenizer *tokenizer;
    const struct prompt_embeddings *embeddings; /* to look for; null: none */
    const float *const *vectors;                /* [embedding], each [vectors, width] */
    const int *vector_count;                    /* [embedding] */
    const char *prompt;                         /* without tags */
    const char *negative;
    struct compat compat;
    int steps;     /* the sampler's */
    int timeline;  /* evaluations a step, for the prompt's timeline: 1 or 2 */
    int rows;      /* evaluations in all */
    int guided;    /* 0: the negative is left out */
    int same_size; /* DDIM: the negative is cut or filled to the prompt's length, AND is refused */
    int clip_skip;
    int width; /* of the encoder */
};

struct conditioning; /* opaque: texts and their chunks */

/* What comes out of it; good until conditioning_destroy(). */
struct conditioning_result {
    int contexts, parts, tokens; /* tokens: the longest */
    const float *context;        /* [contexts, parts, tokens, width], zeros behind each length; null
                                    before conditioning_encode() ran for real */
    const int *len;              /* [contexts, parts] */
    const int *row_context;      /* [rows]: which context an evaluation reads */
    const double *weight;        /* [parts - 1] of the AND parts, or [1] without guidance */
};

/* returns  STATUS_UNSUPPORTED (AND with DDIM), STATUS_NO_MEMORY */
status conditioning_create(const struct conditioning_args *args, struct conditioning **out);
void conditioning_destroy(struct conditioning *conditioning); /* null is fine */

/* Runs the text encoder over all chunks, restores the mean where weights differ from 1, and lays
 * the contexts out. While the device plans, only memory adds up. */
status conditioning_encode(struct conditioning *conditioning, struct ops *ops,
                           struct text_encoder *encoder, enum dtype dtype);

struct conditioning_result conditioning_get(const struct conditioning *conditioning);

/* 1 if any text holds the embedding of that index. */
int conditioning_uses(const struct conditioning *conditioning, int embedding);

/* Token ids of the first step's texts, for a dump: [chunks, 77] of the first part or the negative.
 */
const int32_t *conditioning_tokens(const struct conditioning *conditioning, int negative,
                                   int *chunks);

#endif
