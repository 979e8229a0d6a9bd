/* weights/pickle_text.c - text as protocols 0 and 1 spell it, and Latin-1. */
#include "weights/pickle_heap.h"

#include <string.h>

/* Appends a code point as UTF-8. */
static size_t put_utf8(char *out, unsigned long code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    const size_t length = more + 1;
    out[0] = (char)((0xff00 >> (more + 1) & 0xff) | code >> 6 * more);
    for (char *p = out + 1; more-- > 0; p++)
        *p = (char)(0x80 | (code >> 6 * more & 0x3f));
    return length;
}

/* `digits` hexadecimal digits at text, or -1. */
static long read_hex(const char *text, size_t left, size_t digits)
{
    long value = 0;
    if (left < digits)
        return -1;
    for (size_t i = 0; i < digits; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static status text_new(struct pickle *pickle, enum pickle_kind kind, size_t room, char **at,
                       struct pickle_value **out)
{
    void *memory;
    TRY(pickle_take(pickle, room, &memory));
    TRY(pickle_new(pickle, kind, out));
    (*out)->text.at = *at = memory;
    return STATUS_OK;
}

status pickle_text_from_string(struct pickle *pickle, const char *line, size_t length,
                               struct pickle_value **out)
{
    if (length < 2 || (line[0] != '\'' && line[0] != '"') || line[length - 1] != line[0])
        return status_fail(STATUS_BAD_FILE, "a pickled string without quotes");
    const char *p = line + 1, *end = line + length - 1;
    char *to;
    TRY(text_new(pickle, PICKLE_TEXT, length, &to, out));
    while (p < end) {
        char c = *p++;
        if (c == '\\' && p < end) {
            static const char from[] = "nrtabfv", into[] = "\n\r\t\a\b\f\v";
            c = *p++;
            const char *escape = strchr(from, c);
            const long byte = c == 'x' ? read_hex(p, (size_t)(end - p), 2) : -1;
            if (c != 0 && escape != NULL)
                c = into[escape - from];
            if (byte >= 0) {
                c = (char)byte;
                p += 2;
            }
        }
        *to++ = c;
    }
    (*out)->text.length = (size_t)(to - (*out)->text.at);
    return STATUS_OK;
}

status pickle_text_from_unicode(struct pickle *pickle, const char *line, size_t length,
                                struct pickle_value **out)
{
    const char *p = line, *end = line + length;
    char *to;
    TRY(text_new(pickle, PICKLE_TEXT, 2 * length, &to, out)); /* Latin-1 doubles, \u shrinks */
    while (p < end) {
        unsigned long code = (unsigned char)*p++;
        if (code == '\\' && p < end && (*p == 'u' || *p == 'U')) {
            const size_t digits = *p == 'u' ? 4 : 8;
            const long value = read_hex(p + 1, (size_t)(end - p - 1), digits);
            if (value < 0 || value > 0x10ffff)
                return status_fail(STATUS_BAD_FILE, "a pickled string with a broken escape");
            code = (unsigned long)value;
            p += 1 + digits;
        }
        to += put_utf8(to, code);
    }
    (*out)->text.length = (size_t)(to - (*out)->text.at);
    return STATUS_OK;
}

status pickle_bytes_from_latin1(struct pickle *pickle, const struct pickle_value *text,
                                struct pickle_value **out)
{
    const char *p = text->text.at, *end = p + text->text.length;
    char *to;
    TRY(text_new(pickle, PICKLE_BYTES, text->text.length, &to, out));
    while (p < end) {
        const unsigned char lead = (unsigned char)*p++;
        if (lead < 0x80)
            *to++ = (char)lead;
        else if ((lead == 0xc2 || lead == 0xc3) && p < end)
            *to++ = (char)((lead & 3) << 6 | (*p++ & 0x3f));
        else
            return status_fail(STATUS_BAD_FILE, "pickled bytes that are not Latin-1");
    }
    (*out)->text.length = (size_t)(to - (*out)->text.at);
    return STATUS_OK;
}
