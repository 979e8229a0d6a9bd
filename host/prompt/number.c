/* host/prompt/number.c */
#include "host/prompt/number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t digits(const char *text, size_t bytes, size_t at)
{
    size_t n = 0;
    while (at + n < bytes && text[at + n] >= '0' && text[at + n] <= '9')
        n++;
    return n;
}

size_t number_length(const char *text, size_t bytes, int exponent)
{
    size_t at = bytes > 0 && (text[0] == '+' || text[0] == '-') ? 1 : 0;
    size_t found = digits(text, bytes, at);
    at += found;
    if (at < bytes && text[at] == '.') {
        const size_t more = digits(text, bytes, at + 1);
        if (found + more > 0)
            at += 1 + more;
        found += more;
    }
    if (found == 0)
        return 0;
    if (exponent && at < bytes && (text[at] | 32) == 'e') {
        const size_t sign = at + 1 < bytes && (text[at + 1] == '+' || text[at + 1] == '-');
        const size_t power = digits(text, bytes, at + 1 + sign);
        if (power > 0)
            at += 1 + sign + power;
    }
    return at;
}

/* A point is a point: the thread's locale is put aside while the C library converts. */
static double convert(const char *text)
{
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const locale_t before = plain != (locale_t)0 ? uselocale(plain) : (locale_t)0;
    const double value = strtod(text, NULL);
    if (plain != (locale_t)0) {
        uselocale(before);
        freelocale(plain);
    }
    return value;
}

int number_parse(const char *text, size_t bytes, double *out)
{
    if (bytes == 0 || number_length(text, bytes, 1) != bytes)
        return 0;
    char small[64];
    char *copy = bytes < sizeof small ? small : malloc(bytes + 1);
    if (copy == NULL)
        return 0;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    *out = convert(copy);
    if (copy != small)
        free(copy);
    return 1;
}

/* The fewest digits that give the value back, as "%.*e" or "%.*f" prints them. */
static void print_shortest(double value, char *out, size_t size)
{
    int precision = 0;
    char text[NUMBER_TEXT];
    for (; precision <= 16; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    const char *power = strchr(text, 'e');
    const int exponent = power != NULL ? atoi(power + 1) : 0;
    if (exponent < -4 || exponent >= 16)
        snprintf(out, size, "%s", text);
    else
        snprintf(out, size, "%.*f", precision > exponent ? precision - exponent : 0, value);
}

void number_print(double value, char *out, size_t size)
{
    if (!isfinite(value)) {
        snprintf(out, size, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return;
    }
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const locale_t before = plain != (locale_t)0 ? uselocale(plain) : (locale_t)0;
    print_shortest(value, out, size);
    if (plain != (locale_t)0) {
        uselocale(before);
        freelocale(plain);
    }
}
