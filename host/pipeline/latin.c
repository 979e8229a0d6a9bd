/* host/pipeline/latin.c - Latin-1 and UTF-8: a PNG's tEXt chunk is in the one, we in the other. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "host/pipeline/image.h"

status latin_from_utf8(const char *text, char **latin)
{
    *latin = NULL;
    const utf8proc_ssize_t bytes = (utf8proc_ssize_t)strlen(text);
    char *out = malloc((size_t)bytes + 1);
    if (out == NULL)
        return status_fail(STATUS_NO_MEMORY, "text: %zu bytes asked", (size_t)bytes + 1);
    size_t used = 0;
    int fits = 1;
    for (utf8proc_ssize_t i = 0; i < bytes;) {
        utf8proc_int32_t point;
        const utf8proc_ssize_t step =
            utf8proc_iterate((const utf8proc_uint8_t *)text + i, bytes - i, &point);
        if (step <= 0) {
            free(out);
            return status_fail(STATUS_BAD_TEXT, "text: byte %zu is no UTF-8", (size_t)i);
        }
        fits = fits && point <= 0xff;
        out[used++] = (char)point;
        i += step;
    }
    out[used] = 0;
    if (fits)
        *latin = out;
    else
        free(out);
    return STATUS_OK;
}

char *latin_to_utf8(const char *latin)
{
    char *out = malloc(2 * strlen(latin) + 1);
    if (out == NULL)
        return NULL;
    unsigned char *at = (unsigned char *)out;
    for (const unsigned char *p = (const unsigned char *)latin; *p != 0; p++)
        if (*p < 0x80)
            *at++ = *p;
        else {
            *at++ = (unsigned char)(0xc0 | *p >> 6);
            *at++ = (unsigned char)(0x80 | (*p & 0x3f));
        }
    *at = 0;
    return out;
}
