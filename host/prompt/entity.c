/* host/prompt/entity.c - HTML character references, those that end in a semicolon.
 *
 * source  ftfy 6.3.1 fixes.py, unescape_html; Python's html.unescape for the numeric ones
 */
#include <stdlib.h>
#include <string.h>

#include "host/prompt/clean.h"

static const struct entity {
    const char *name, *text;
} entities[] = {
#include "host/prompt/vocab/entities.inc"
};

static int by_name(const void *key, const void *row)
{
    return strcmp(key, ((const struct entity *)row)->name);
}

/* What a browser reads into the references 0x80 to 0x9f; 0 stands for the code point itself. */
static const uint16_t windows_1252[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178,
};

static int vanishes(uint32_t c)
{
    return (c >= 1 && c <= 8) || c == 0x0b || (c >= 0x0e && c <= 0x1f) || c == 0x7f ||
           (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
}

/* "#65" or "#x41"; the whole of it has to be digits. Returns 0 if it is not. */
static int number_of(const char *name, uint32_t *out)
{
    const int hex = name[1] == 'x' || name[1] == 'X';
    const char *digit = name + (hex ? 2 : 1);
    if (*digit == '\0')
        return 0;
    uint32_t c = 0;
    for (; *digit != '\0'; digit++) {
        const char lower = (char)(*digit | 32);
        if (*digit >= '0' && *digit <= '9')
            c = c * (hex ? 16 : 10) + (uint32_t)(*digit - '0');
        else if (hex && lower >= 'a' && lower <= 'f')
            c = c * 16 + (uint32_t)(lower - 'a' + 10);
        else
            return 0;
        if (c > 0x10ffff)
            c = 0x110000; /* stays too large, and small enough to go on */
    }
    *out = c;
    return 1;
}

static int numeric(const char *name, struct codes *out, status *s)
{
    uint32_t c;
    if (!number_of(name, &c) || c == ';')
        return 0; /* ftfy takes a semicolon in the result for one it failed to use */
    if (c == 0 || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
        c = UNICODE_REPLACEMENT;
    else if (c >= 0x80 && c <= 0x9f && windows_1252[c - 0x80] != 0)
        c = windows_1252[c - 0x80];
    else if (vanishes(c))
        return 1;
    *s = codes_push(out, c);
    return 1;
}

int clean_entity(const char *name, struct codes *out, status *s)
{
    *s = STATUS_OK;
    if (name[0] == '#')
        return numeric(name, out, s);
    const struct entity *found =
        bsearch(name, entities, sizeof entities / sizeof entities[0], sizeof entities[0], by_name);
    if (found == NULL)
        return 0;
    const size_t bytes = strlen(found->text);
    for (size_t at = 0; at < bytes && *s == STATUS_OK;)
        *s = codes_push(out, utf8_next(found->text, bytes, &at));
    return 1;
}
