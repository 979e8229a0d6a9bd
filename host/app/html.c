/* host/app/html.c - writing HTML into memory. */
#include "host/app/html.h"

#include <math.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/say.h"

status html_open(struct html *page)
{
    *page = (struct html){ .failed = 0 };
    page->to = open_memstream(&page->text, &page->bytes);
    return page->to == NULL ? status_fail(STATUS_NO_MEMORY, "report: no memory") : STATUS_OK;
}

status html_close(struct html *page, char **text, size_t *bytes)
{
    const int failed = page->failed | (ferror(page->to) != 0);
    *text = NULL;
    if (fclose(page->to) != 0 || failed) {
        free(page->text);
        return status_fail(STATUS_NO_MEMORY, "report: no memory");
    }
    *text = page->text;
    *bytes = page->bytes;
    return STATUS_OK;
}

void html_put(struct html *page, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    page->failed |= vfprintf(page->to, format, args) < 0;
    va_end(args);
}

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void html_text(struct html *page, const char *text)
{
    if (text == NULL)
        return;
    char *tamed = say_tamed(text, 1);
    page->failed |= tamed == NULL;
    for (const char *at = tamed; at != NULL && *at != 0; at++) {
        const char *escaped = entity(*at);
        if (escaped != NULL)
            fputs(escaped, page->to);
        else
            fputc(*at, page->to);
    }
    free(tamed);
}

void html_base64(struct html *page, const void *bytes, size_t count)
{
    enum { PIECE = 3 * 1024 }; /* a multiple of 3: padding comes at the end alone */
    unsigned char coded[PIECE / 3 * 4 + 1];
    for (size_t at = 0; at < count; at += PIECE) {
        const size_t part = count - at < PIECE ? count - at : PIECE;
        const int length = EVP_EncodeBlock(coded, (const unsigned char *)bytes + at, (int)part);
        fwrite(coded, 1, (size_t)length, page->to);
    }
}

/* ---- numbers ----------------------------------------------------------------------------- */

/* Digits before the point, three by three. */
static void put_whole(struct html *page, double value)
{
    char digits[340];
    const int length = snprintf(digits, sizeof digits, "%.0f", fabs(value));
    if (value < 0)
        fputs("\u2212", page->to);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            fputc(',', page->to);
        fputc(digits[i], page->to);
    }
}

void html_number(struct html *page, double value)
{
    const double size = fabs(value);
    if (!isfinite(value))
        fputs("\u2013", page->to);
    else if (size == 0 || size >= 99.95)
        put_whole(page, value);
    else if (size >= 0.001)
        html_put(page, "%.*f", size >= 9.995 ? 1 : size >= 0.9995 ? 2 : size >= 0.1 ? 3 : 4, value);
    else
        html_put(page, "%s", value > 0 ? "&lt;0.001" : "0");
}

enum html_unit html_time_unit(double largest_ms) { return largest_ms >= 10000 ? HTML_S : HTML_MS; }

const char *html_unit_name(enum html_unit unit) { return unit == HTML_S ? "s" : "ms"; }

double html_in_unit(double ms, enum html_unit unit) { return unit == HTML_S ? ms / 1000 : ms; }

void html_time(struct html *page, double ms)
{
    const enum html_unit unit = ms >= 1000 ? HTML_S : HTML_MS;
    html_number(page, html_in_unit(ms, unit));
    if (isfinite(ms))
        html_put(page, "\u00a0%s", html_unit_name(unit)); /* a space that does not break */
}

void html_size(struct html *page, double bytes)
{
    const int giga = bytes >= 0x1p30;
    html_number(page, bytes / (giga ? 0x1p30 : 0x1p20));
    if (isfinite(bytes))
        html_put(page, "\u00a0%s", giga ? "GiB" : "MiB");
}
