/* host/app/html.h - a page that grows: markup of ours, and text of others, which is escaped here
 * and nowhere else. */
#ifndef HOST_APP_HTML_H
#define HOST_APP_HTML_H

#include <stddef.h>
#include <stdio.h>

#include "host/base/status.h"

#if defined __GNUC__
#define HTML_FORMAT __attribute__((format(printf, 2, 3)))
#else
#define HTML_FORMAT
#endif

struct html {
    FILE *to; /* a memory stream: it is asked at the end whether all went well */
    char *text;
    size_t bytes;
    int failed;
};

status html_open(struct html *page);

/* Hands the text over: free(*text). Fails if memory ran out anywhere on the way. */
status html_close(struct html *page, char **text, size_t *bytes);

/* Markup. The format is a literal, its arguments are numbers and literals. */
void html_put(struct html *page, const char *format, ...) HTML_FORMAT;

/* Text of anybody's, for content and for quoted attributes: & < > " ' escaped, control characters
 * and what is not UTF-8 replaced; newlines stay. Null is nothing. */
void html_text(struct html *page, const char *text);

/* Bytes as base64. */
void html_base64(struct html *page, const void *bytes, size_t count);

/* ---- numbers for readers ----------------------------------------------------------------- */

/* Three significant digits, no exponent: 0.0123, 1.23, 12.3, 123, 1,234. A dash for NaN. */
void html_number(struct html *page, double value);

enum html_unit { HTML_MS, HTML_S };

/* What a row of times is best written in, by the largest of them; and a time in it, without it. */
enum html_unit html_time_unit(double largest_ms);
const char *html_unit_name(enum html_unit unit);
double html_in_unit(double ms, enum html_unit unit);

/* A time with its unit: "412 ms", "3.21 s". */
void html_time(struct html *page, double ms);

/* Bytes in GiB or MiB, with the unit. */
void html_size(struct html *page, double bytes);

#endif
