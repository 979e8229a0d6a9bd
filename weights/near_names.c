/* weights/near_names.c - edit distance, one row at a time. */
#include "weights/near_names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { LENGTH_MAX = 128 }; /* longer names are compared by their beginnings */

static int lower(char c) { return tolower((unsigned char)c); }

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t near_distance(const char *a, const char *b, size_t most)
{
    size_t row[LENGTH_MAX + 1];
    const size_t m = strnlen(a, LENGTH_MAX), n = strnlen(b, LENGTH_MAX);
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            const size_t change = corner + (lower(a[i - 1]) != lower(b[j - 1]));
            corner = row[j];
            row[j] = least(change, least(row[j], row[j - 1]) + 1);
        }
    }
    return least(row[n], most + 1);
}

static int contains(const char *text, const char *part)
{
    const size_t length = strlen(part);
    for (; *text != 0; text++) {
        size_t i = 0;
        while (i < length && text[i] != 0 && lower(text[i]) == lower(part[i]))
            i++;
        if (i == length)
            return 1;
    }
    return 0;
}

void near_names_offer(struct near_names *near, const char *wanted, const char *known)
{
    const size_t most = 1 + strlen(wanted) / 3;
    size_t distance = near_distance(wanted, known, most);
    if (distance > most && strlen(wanted) >= 3 && contains(known, wanted))
        distance = most;
    if (distance > most)
        return;
    size_t at = 0;
    for (; at < near->count && near->distance[at] <= distance; at++)
        if (strcmp(near->name[at], known) == 0)
            return;
    if (at == NEAR_NAMES)
        return;
    if (near->count < NEAR_NAMES)
        near->count++;
    for (size_t i = near->count - 1; i > at; i--) {
        near->name[i] = near->name[i - 1];
        near->distance[i] = near->distance[i - 1];
    }
    near->name[at] = known;
    near->distance[at] = distance;
}

void near_names_text(const struct near_names *near, char *text, size_t cap)
{
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < near->count && used < cap; i++)
        used += (size_t)snprintf(text + used, cap - used, "%s%s", i == 0 ? "; nearest: " : ", ",
                                 near->name[i]);
}
