/* host/prompt/clean.h - text repair before tokenising, as ftfy.fix_text does it. */
#ifndef HOST_PROMPT_CLEAN_H
#define HOST_PROMPT_CLEAN_H

#include "host/prompt/unicode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In place, a line at a time: HTML entities (until a line holds a '<'), C1 controls as
 * windows-1252, Latin ligatures, half and full width forms, straight quotes, line breaks, terminal
 * escapes, control characters, NFC; again until nothing changes, at most CLEAN_ROUNDS times
 * (hostile nesting would make it quadratic). Mojibake is left as it is.
 * source   ftfy 6.3.1, fix_text */
enum { CLEAN_ROUNDS = 64, CLEAN_LINE = 1000000 /* code points a line is cut at */ };

status clean_text(struct codes *text);

/* Appends what "&name;" stands for (name without & and ;), or returns 0. At most 24 characters. */
int clean_entity(const char *name, struct codes *out, status *s);

#ifdef __cplusplus
}
#endif

#endif
