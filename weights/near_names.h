/* weights/near_names.h - which known names a mistyped one may have meant. */
#ifndef WEIGHTS_NEAR_NAMES_H
#define WEIGHTS_NEAR_NAMES_H

#include <stddef.h>

enum { NEAR_NAMES = 3 };

/* Letters to add, drop or change to make b of a, letter case aside; at most `most` + 1. */
size_t near_distance(const char *a, const char *b, size_t most);

/* The best few so far; zero-initialised. */
struct near_names {
    const char *name[NEAR_NAMES]; /* nearest first */
    size_t distance[NEAR_NAMES];
    size_t count;
};

/* Takes a known name if it is near enough to the wanted one; one that contains it always is. */
void near_names_offer(struct near_names *near, const char *wanted, const char *known);

/* Writes "; nearest: A, B", or nothing if there are none. */
void near_names_text(const struct near_names *near, char *text, size_t cap);

#endif
