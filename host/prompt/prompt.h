/* host/prompt/prompt.h - the web UI's prompt language: tags, AND, scheduling, attention, chunks.
 *
 * The whole way of one prompt:
 *     prompt_extract_tags   "<lora:flat2:-1>, a AND b"  ->  ", a AND b" and the tag
 *     prompt_parts          ", a AND b"                 ->  ", a" weight 1, "b" weight 1
 *     prompt_schedule       "[a:b:10]"                  ->  "a" to step 10, "b" to step 20
 *     prompt_chunks         "(a:1.2), b"                ->  77 ids and weights a chunk
 * The negative prompt goes through prompt_schedule and prompt_chunks only.
 *
 * Texts carry their length and may hold NULs; a NUL also follows each. No text makes any of these
 * fail but for memory; every result is one allocation tree with a _free of its own (null is fine).
 * On failure *out is null. Time is near linear in the text's length, stack use is constant.
 */
#ifndef HOST_PROMPT_PROMPT_H
#define HOST_PROMPT_PROMPT_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/compat.h"
#include "host/base/status.h"
#include "host/prompt/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct prompt_text {
    const char *data; /* UTF-8 as given, not checked; a NUL follows */
    size_t bytes;
};

/* Where versions differ. */
struct prompt_rules {
    int attention_spaces;        /* 1.6: "( a : 1.2 )" may have spaces around the number */
    int schedule_spaces;         /* 1.6: "[a:b:10 ]" may have spaces after the number */
    int schedule_point_fraction; /* 1.6: a number with a point is a fraction of the steps, one
                                    without is a step; before: below 1 it is a fraction */
    int schedule_empty_options;  /* 1.6: "[a|]" has an empty option; before, the prompt that holds
                                    it is taken literally */
    int schedule_skip_zero;      /* 1.6: a number below step 1 makes no entry of its own */
    int comma_backtrack;         /* tokens a chunk may give back after its last comma; 0: none */
};

/* The rules of a version, with a comma backtrack of 20. */
struct prompt_rules prompt_rules_of(const struct compat *compat);

/* ---- <kind:item:item> -------------------------------------------------------------------- */

struct prompt_tag {
    struct prompt_text kind;  /* "lora" */
    struct prompt_text *item; /* what stood between colons; [0] is the name; unquoted, unchecked */
    size_t items;             /* >= 1 */
};

struct prompt_tags {
    struct prompt_text text; /* the prompt without its tags, nothing in their place */
    struct prompt_tag *tag;  /* in order, of any kind */
    size_t count;
};

/* source   webui extra_networks.py, parse_prompt */
status prompt_extract_tags(const char *text, size_t bytes, struct prompt_tags **out);
void prompt_tags_free(struct prompt_tags *tags);

/* A tag's multipliers: item 1 for the text encoder (1 if absent), item 2 for the UNet (the former
 * if absent); named items te=, unet= override from 1.5. Before 1.5 item 2 is ignored. Returns 0 if
 * a number cannot be read, and leaves that multiplier at its default. */
int prompt_tag_weights(const struct prompt_tag *tag, const struct compat *compat, double *te,
                       double *unet);

/* ---- AND --------------------------------------------------------------------------------- */

struct prompt_part {
    struct prompt_text text;
    double weight;
};

struct prompt_parts {
    struct prompt_part *part;
    size_t count; /* >= 1 */
};

/* source   webui prompt_parser.py, get_multicond_prompt_list */
status prompt_parts(const char *text, size_t bytes, struct prompt_parts **out);
void prompt_parts_free(struct prompt_parts *parts);

/* ---- [from:to:when], [a|b] --------------------------------------------------------------- */

struct prompt_entry {
    int last_step;           /* the web UI counts from 1; may be 0 before 1.6 */
    struct prompt_text text; /* entries of equal text share its data */
};

struct prompt_schedule {
    struct prompt_entry *entry; /* by rising last_step; the last has the step count */
    size_t count;               /* >= 1; more than 1 only if the prompt changes */
};

/* The texts of a prompt over `steps` steps (a second-order sampler's caller doubles them). A prompt
 * that the grammar does not take is one entry, as it stands. What the web UI would list for steps
 * below 0 is left out: no counter ever reaches it. Where its parser resolves an ambiguity oddly
 * (loose brackets or colons in a row), the bracket is taken for what it looks like.
 * returns  STATUS_MISUSE     steps < 1 or > 100,000
 *          STATUS_NO_MEMORY  also if the texts of all entries come to more than 1 GiB, or the
 *                            different ones to more than 256 MiB
 * source   webui prompt_parser.py, get_learned_conditioning_prompt_schedules */
status prompt_schedule(const char *text, size_t bytes, int steps, const struct prompt_rules *rules,
                       struct prompt_schedule **out);
void prompt_schedule_free(struct prompt_schedule *schedule);

/* Index of the entry used at the sampler's counter, which starts at 0: the first whose last step is
 * not below it; 0 if there is none.
 * source   webui prompt_parser.py, reconstruct_cond_batch */
size_t prompt_schedule_at(const struct prompt_schedule *schedule, int counter);

/* ---- (x:1.2), [x], BREAK ----------------------------------------------------------------- */

struct prompt_piece {
    struct prompt_text text;
    double weight;
    int is_break; /* a BREAK outside brackets: text is "BREAK", weight -1 */
};

struct prompt_pieces {
    struct prompt_piece *piece;
    size_t count; /* >= 1 */
};

/* numerics doubles, multiplied in the web UI's order
 * source   webui prompt_parser.py, parse_prompt_attention */
status prompt_attention(const char *text, size_t bytes, const struct prompt_rules *rules,
                        struct prompt_pieces **out);
void prompt_pieces_free(struct prompt_pieces *pieces);

/* ---- chunks ------------------------------------------------------------------------------ */

enum { PROMPT_CHUNK = 77, PROMPT_CHUNK_TEXT = 75 };

/* The Textual Inversions to look for, in the order they were registered. */
struct prompt_embedding {
    const char *name; /* file stem */
    int vectors;      /* 1 to 75; others are left out: no chunk would hold them */
};

struct prompt_embeddings; /* their names as token ids */

status prompt_embeddings_create(const struct tokenizer *tokenizer,
                                const struct prompt_embedding *list, size_t count,
                                struct prompt_embeddings **out);
void prompt_embeddings_destroy(struct prompt_embeddings *embeddings);

/* Embedding `embedding` (index in the list) goes over rows offset + 1 ... of a chunk, as many as it
 * has vectors, but never over row 76. Later fixes go over earlier ones. */
struct prompt_fix {
    int offset; /* 0 to 75, counted behind the start token */
    int embedding;
};

struct prompt_chunk {
    int32_t ids[PROMPT_CHUNK];  /* TOKEN_PLACEHOLDER where vectors go */
    float weight[PROMPT_CHUNK]; /* 1 for start, end and padding */
    struct prompt_fix *fix;     /* in order of their offsets */
    size_t fixes;
};

struct prompt_chunks {
    struct prompt_chunk *chunk;
    size_t count;  /* >= 1 */
    int all_ones;  /* no weight differs from 1 */
    size_t tokens; /* before padding */
};

/* One text of a schedule, through attention and the tokenizer. `embeddings` may be null.
 * source   webui sd_hijack_clip.py, tokenize_line */
status prompt_chunks(const struct tokenizer *tokenizer, const char *text, size_t bytes,
                     const struct prompt_embeddings *embeddings, const struct prompt_rules *rules,
                     struct prompt_chunks **out);
void prompt_chunks_free(struct prompt_chunks *chunks);

/* A chunk of an empty text: what shorter prompts of one call are filled up with. */
void prompt_chunk_empty(struct prompt_chunk *chunk);

#ifdef __cplusplus
}
#endif

#endif
