/* host/prompt/unicode.h - UTF-8 and the character classes that Python's text functions know. */
#ifndef HOST_PROMPT_UNICODE_H
#define HOST_PROMPT_UNICODE_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { UNICODE_REPLACEMENT = 0xfffd };

/* The code point at text[*at], *at < bytes, and moves *at behind it. A broken sequence gives
 * U+FFFD for its longest well-formed beginning, at least one byte (Unicode 15, section 3.9;
 * Python's errors="replace"). */
uint32_t utf8_next(const char *text, size_t bytes, size_t *at);

/* The code point that ends before text[at]; 0 if at is 0. */
uint32_t utf8_before(const char *text, size_t at);

/* Whether `word` stands at text[at] with no word character on either side (\b of Python's re). */
int utf8_word_at(const char *text, size_t bytes, size_t at, const char *word);

/* End of the white space (unicode_is_space) from `at` on; start of that before `at`. */
size_t utf8_skip_space(const char *text, size_t bytes, size_t at);
size_t utf8_trim_space(const char *text, size_t at);

/* Bytes written to out: 1 to 4. */
size_t utf8_put(uint32_t c, char out[4]);

int unicode_is_letter(uint32_t c); /* category L */
int unicode_is_number(uint32_t c); /* category N */
int unicode_is_digit(uint32_t c);  /* category Nd: \d */
int unicode_is_word(uint32_t c);   /* \w of Python's re: letter, number or underscore */
int unicode_is_space(uint32_t c);  /* str.isspace: White_Space and U+001C to U+001F */

/* Code points that grow. A zeroed one is empty. */
struct codes {
    uint32_t *at;
    size_t count, room;
};

status codes_push(struct codes *codes, uint32_t c);
status codes_append(struct codes *codes, const uint32_t *from, size_t count);
void codes_free(struct codes *codes);

/* In place: canonical composition (NFC). Time is n log n whatever the combining marks. */
status unicode_compose(struct codes *codes);

/* In place: str.lower of Python, final sigma and dotted I included. */
status unicode_lower(struct codes *codes);

/* At most 8 code points of c's compatibility form (NFKC). Returns how many. */
size_t unicode_compatible(uint32_t c, uint32_t out[8]);

#ifdef __cplusplus
}
#endif

#endif
