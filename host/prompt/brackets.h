/* host/prompt/brackets.h - finds [from:to:when] and [a|b] in a prompt. */
#ifndef HOST_PROMPT_BRACKETS_H
#define HOST_PROMPT_BRACKETS_H

#include <stddef.h>
#include <stdint.h>

#include "host/prompt/prompt.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BRACKETS_NONE = -1 };

/* [open ... close], with the colons or bars between its parts. */
struct bracket {
    size_t open, close;
    size_t first, count; /* its separators in brackets.separator */
    int alternates;      /* bars; otherwise colons: 1 for [to:when], 2 for [from:to:when] */
    double when;         /* as written */
    int point;           /* `when` was written with a point */
};

struct brackets {
    struct bracket *bracket;
    size_t count, room;
    size_t *separator;
    size_t separators, separator_room;
    int32_t *at;  /* [bytes] index of the bracket that opens there, or BRACKETS_NONE */
    int accepted; /* 0: the grammar does not take the prompt, all of it is plain text */
};

/* One pass. A bracket that is neither of the two, nor closed as it should be, is plain text, and
 * then so is every one that it stands in; a bar in such a place, a backslash at the end or before
 * a newline, and the prompt is not accepted.
 * memory   brackets_free(), also after failure */
status brackets_find(const char *text, size_t bytes, const struct prompt_rules *rules,
                     struct brackets *out);
void brackets_free(struct brackets *brackets);

#ifdef __cplusplus
}
#endif

#endif
