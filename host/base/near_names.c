/* host/base/near_names.c - edit distance, three rows of the table at a time. */
#include "host/base/near_names.h"

#include <stdio.h>
#include <string.h>

enum { LENGTH_MAX = 128 };

/* ASCII, whatever the locale. */
static int lower(char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

static int same(char a, char b) { return lower(a) == lower(b); }

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t distance(const char *a, size_t m, const char *b, size_t n)
{
    size_t rows[3][LENGTH_MAX + 1];
    for (size_t j = 0; j <= n; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            row[j] =
                least(least(above[j], row[j - 1]) + 1, above[j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return rows[m % 3][n];
}

size_t near_distance(const char *a, const char *b)
{
    return distance(a, strnlen(a, LENGTH_MAX), b, strnlen(b, LENGTH_MAX));
}

static int contains(const char *text, const char *part)
{
    const size_t length = strlen(part);
    for (; *text != 0; text++) {
        size_t i = 0;
        while (i < length && text[i] != 0 && same(text[i], part[i]))
            i++;
        if (i == length)
            return 1;
    }
    return 0;
}

void near_names_offer(struct near_names *near, const char *wanted, const char *known)
{
    const size_t most = 1 + strlen(wanted) / 3;
    const char *ending = strrchr(known, '.');
    size_t far = near_distance(wanted, known), at = 0;
    if (far > most && ending != NULL && ending - known <= LENGTH_MAX)
        far = distance(wanted, strnlen(wanted, LENGTH_MAX), known, (size_t)(ending - known));
    if (far > most && strlen(wanted) >= 3 && contains(known, wanted))
        far = most;
    if (far > most)
        return;
    for (; at < near->count && near->distance[at] <= far; at++)
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
    near->distance[at] = far;
}

void near_names_text(const struct near_names *near, char *text, size_t cap)
{
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < near->count && used < cap; i++)
        used += (size_t)snprintf(text + used, cap - used, "%s%s", i == 0 ? "; nearest: " : ", ",
                                 near->name[i]);
}
