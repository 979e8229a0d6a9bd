/* host/app/number.c - strict numbers. */
#include "host/app/number.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/clock.h"

static int all_of(const char *text, const char *allowed)
{
    return text[0] != 0 && strspn(text, allowed) == strlen(text);
}

int number_int(const char *text, long long low, long long high, long long *out)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (!all_of(digits, "0123456789"))
        return 0;
    errno = 0;
    const long long value = strtoll(text, NULL, 10);
    if (errno != 0 || value < low || value > high)
        return 0;
    *out = value;
    return 1;
}

int number_real(const char *text, double low, double high, double *out)
{
    char *end;
    if (!all_of(text, "0123456789+-.eE"))
        return 0;
    const double value = strtod(text, &end);
    if (*end != 0 || !(value >= low && value <= high))
        return 0;
    *out = value;
    return 1;
}

int number_size(const char *text, int *width, int *height)
{
    char first[16];
    long long w, h;
    const char *x = strchr(text, 'x');
    if (x == NULL || (size_t)(x - text) >= sizeof first)
        return 0;
    memcpy(first, text, (size_t)(x - text));
    first[x - text] = 0;
    if (!number_int(first, 0, INT_MAX, &w) || !number_int(x + 1, 0, INT_MAX, &h))
        return 0;
    *width = (int)w;
    *height = (int)h;
    return 1;
}

int number_seed(const char *text, uint64_t *out, int *random)
{
    *random = strcmp(text, "-1") == 0;
    if (*random)
        return 1;
    if (!all_of(text, "0123456789"))
        return 0;
    errno = 0;
    const unsigned long long value = strtoull(text, NULL, 10);
    if (errno != 0 || value > UINT64_MAX)
        return 0;
    *out = value;
    return 1;
}

uint64_t number_random_seed(void)
{
    uint32_t seed = 0;
    FILE *file = fopen("/dev/urandom", "rb");
    const int got = file != NULL && fread(&seed, sizeof seed, 1, file) == 1;
    if (file != NULL)
        fclose(file);
    if (!got)
        seed = (uint32_t)(int64_t)(clock_now_ms() * 1000) ^ (uint32_t)getpid() * 2654435761u;
    return seed;
}
