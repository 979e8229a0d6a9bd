/* host/prompt/tokenizer.h - CLIP's byte pair encoding: text to token ids. */
#ifndef HOST_PROMPT_TOKENIZER_H
#define HOST_PROMPT_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    TOKEN_PLACEHOLDER = 0, /* stands where an embedding's vectors go; also "!" within a word */
    TOKEN_COMMA = 267,
    TOKEN_START = 49406,
    TOKEN_END = 49407,
    TOKEN_COUNT = 49408 /* rows of the token embedding */
};

struct tokenizer;

/* Builds the tables from the vocabulary that is compiled in.
 * returns  STATUS_NO_MEMORY; on failure *out is null */
status tokenizer_create(struct tokenizer **out);
void tokenizer_destroy(struct tokenizer *tokenizer); /* null is fine */

/* The ids of UTF-8 text, without start and end, however many: free(*ids). A string without tokens
 * gives *count 0 and an *ids that may still be freed.
 *
 * Cleans as ftfy.fix_text does (entities, NFC, quotes, widths, control characters), but does not
 * decode mojibake; then collapses whitespace and lower-cases as Python does. Bytes that are not
 * UTF-8 are read as U+FFFD, one for each maximal broken sequence, as Python's errors="replace"
 * does. A NUL is a control character like others and vanishes.
 *
 * One tokenizer may be used by several threads at once. Time is near linear in `bytes`.
 * returns  STATUS_NO_MEMORY; on failure *ids is null and *count is 0
 * source   transformers 4.25.1 tokenization_clip.py, CLIPTokenizer; Sennrich et al. 2016, alg. 1 */
status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t bytes,
                        int32_t **ids, size_t *count);

/* The text of one id as the vocabulary has it ("miku</w>", bytes as CLIP's alphabet), lent; null if
 * there is no such id. */
const char *tokenizer_piece(const struct tokenizer *tokenizer, int32_t id);

#ifdef __cplusplus
}
#endif

#endif
