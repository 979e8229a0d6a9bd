/* host/base/near_names.h - which known names a mistyped one may have meant. */
#ifndef HOST_BASE_NEAR_NAMES_H
#define HOST_BASE_NEAR_NAMES_H

#include <stddef.h>

enum { NEAR_NAMES = 3 };

/* Letters to add, drop, change or swap with a neighbour to make b of a (optimal string alignment),
 * letter case aside, over the first 128 bytes of each. */
size_t near_distance(const char *a, const char *b);

/* The best few so far; zero-initialised. */
struct near_names {
    const char *name[NEAR_NAMES]; /* nearest first */
    size_t distance[NEAR_NAMES];
    size_t count;
};

/* Takes a known name if it is near enough to the wanted one; one that contains it always is, and
 * an ending behind a dot may be left out. */
void near_names_offer(struct near_names *near, const char *wanted, const char *known);

/* Writes "; nearest: A, B", or nothing if there are none. */
void near_names_text(const struct near_names *near, char *text, size_t cap);

#endif
