/* host/prompt/bpe.h - byte pair encoding of one word. */
#ifndef HOST_PROMPT_BPE_H
#define HOST_PROMPT_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BPE_MERGES = 48894, BPE_BASE = 512 /* bytes, and bytes at the end of a word */ };

struct bpe;      /* the table of merges */
struct bpe_work; /* one caller's scratch */

status bpe_create(struct bpe **out);
void bpe_destroy(struct bpe *bpe); /* null is fine */

status bpe_work_create(struct bpe_work **out);
void bpe_work_destroy(struct bpe_work *work); /* null is fine */

/* The ids of a word's UTF-8 bytes (>= 1), lent until the next call with this work: always the pair
 * of lowest rank first, from the left. Time is n log n.
 * source   Sennrich et al. 2016, algorithm 1; CLIP simple_tokenizer.py, bpe */
status bpe_encode(const struct bpe *bpe, struct bpe_work *work, const char *word, size_t bytes,
                  const int32_t **ids, size_t *count);

/* Bytes of an id's text in CLIP's alphabet, appended to out (room for `room`); 0 if it does not
 * fit. */
size_t bpe_piece(int32_t id, char *out, size_t room);

#ifdef __cplusplus
}
#endif

#endif
