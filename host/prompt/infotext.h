/* host/prompt/infotext.h - generation parameters as the web UI writes them into its pictures. */
#ifndef HOST_PROMPT_INFOTEXT_H
#define HOST_PROMPT_INFOTEXT_H

#include <stddef.h>

#include "host/base/compat.h"
#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct infotext_pair {
    const char *key;   /* trimmed; NUL-terminated, as are all strings here */
    const char *value; /* without its quotes and escapes */
    const char *raw;   /* as written, quotes and all */
};

/* Strings are UTF-8 without NULs: a NUL, and what is not UTF-8, is read as U+FFFD. */
struct infotext {
    const char *prompt;         /* lines joined by newlines; tags still in it */
    const char *negative;       /* "" if there is none */
    struct infotext_pair *pair; /* in the order of the text; a repeated key is repeated */
    size_t count;
};

/* Reads any text: without a line of parameters it is all prompt, and count is 0.
 * memory   free with infotext_free()
 * returns  STATUS_NO_MEMORY; *out is then null
 * source   webui generation_parameters_copypaste.py, parse_generation_parameters */
status infotext_parse(const char *text, size_t bytes, struct infotext **out);
void infotext_free(struct infotext *info); /* null is fine */

/* The value of a key, exact spelling, lent; of the last if repeated; null if there is none. */
const char *infotext_get(const struct infotext *info, const char *key);

/* Values read as numbers. Return 1 if the key is there and all of its value is such a number;
 * otherwise 0, and *out is untouched. */
int infotext_get_int(const struct infotext *info, const char *key, long long *out);
int infotext_get_double(const struct infotext *info, const char *key, double *out);
int infotext_get_size(const struct infotext *info, const char *key, int *width, int *height);

/* The text that web UI `compat` would have written: prompt, "Negative prompt: ..." unless empty,
 * and one line of pairs in the order given (`raw` is not read), values quoted where that version
 * quotes. A pair whose value is null is left out. free(*text).
 * source   webui processing.py, create_infotext; generation_parameters_copypaste.py, quote */
status infotext_write(const char *prompt, const char *negative, const struct infotext_pair *pair,
                      size_t count, const struct compat *compat, char **text);

/* A number as Python prints it, whole ones without a point: "7", "7.5", "1e-05". Needs 32 bytes. */
void infotext_number(double value, char *out, size_t size);

/* Everything in a text as JSON (free(*json)): prompt, negative_prompt, steps, sampler, cfg_scale,
 * seed, width, height, model, model_hash, vae, clip_skip; null where the text does not say
 * (clip_skip: 1, as the web UI reads it); every other key under extra, its value a string. A
 * value that should be a number and is none is a string.
 * returns  STATUS_NO_MEMORY; *json is then null */
status infotext_to_json(const char *text, size_t bytes, char **json);

#ifdef __cplusplus
}
#endif

#endif
