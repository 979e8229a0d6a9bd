/* host/prompt/infotext.c - reading generation parameters. */
#include "host/prompt/infotext.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "host/prompt/bytes.h"
#include "host/prompt/number.h"
#include "host/prompt/unicode.h"

/* Fewer pairs than this, and the last line is part of the prompt. */
enum { LEAST_PAIRS = 3 };

static const char negative_mark[] = "Negative prompt:";

struct span {
    const char *at;
    size_t bytes;
};

static struct span stripped(const char *text, size_t from, size_t end)
{
    const size_t first = utf8_skip_space(text, end, from);
    const size_t last = first < end ? utf8_trim_space(text, end) : first;
    return (struct span){ text + first, last - first };
}

static status copy(struct span span, const char **out)
{
    char *text = malloc(span.bytes + 1);
    if (text == NULL)
        return status_fail(STATUS_NO_MEMORY, "infotext: no memory for %zu bytes", span.bytes);
    memcpy(text, span.at, span.bytes);
    text[span.bytes] = '\0';
    *out = text;
    return STATUS_OK;
}

/* ---- quoted values ----------------------------------------------------------------------- */

static int hex_at(const char *at, size_t left, uint32_t *out)
{
    if (left < 4)
        return 0;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        const char c = at[i], lower = (char)(c | 32);
        if (c >= '0' && c <= '9')
            *out = *out << 4 | (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *out = *out << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return 0;
    }
    return 1;
}

/* "\u00e9", surrogate pairs joined. Returns the bytes read behind the u, 0 if it is none. */
static size_t read_u(const char *at, size_t left, uint32_t *c)
{
    uint32_t low;
    if (!hex_at(at, left, c) || *c == 0)
        return 0;
    if (*c >= 0xd800 && *c <= 0xdbff && left >= 10 && at[4] == '\\' && at[5] == 'u' &&
        hex_at(at + 6, left - 6, &low) && low >= 0xdc00 && low <= 0xdfff) {
        *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
        return 10;
    }
    if (*c >= 0xd800 && *c <= 0xdfff)
        *c = UNICODE_REPLACEMENT;
    return 4;
}

/* What stands between the quotes, in place: JSON's escapes, and any other character by itself. */
static void unescape(char *text)
{
    static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
    const size_t bytes = strlen(text);
    size_t kept = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] != '\\' || i + 1 == bytes) {
            text[kept++] = text[i];
            continue;
        }
        const char c = text[++i];
        const char *known = strchr(from, c);
        uint32_t code;
        const size_t used = c == 'u' ? read_u(text + i + 1, bytes - i - 1, &code) : 0;
        if (used > 0) {
            kept += utf8_put(code, text + kept);
            i += used;
        } else {
            text[kept++] = known != NULL ? to[known - from] : c;
        }
    }
    text[kept] = '\0';
}

/* ---- pairs ------------------------------------------------------------------------------- */

struct found { /* one pair in the line */
    struct span key, value;
    size_t end;
};

static int is_key(uint32_t c) { return c == ' ' || c == '-' || c == '/' || unicode_is_word(c); }

/* Behind a double-quoted string that a comma or the end follows; 0 if there is none. */
static size_t quoted_end(struct span line, size_t at)
{
    const size_t first = at + 1;
    for (at = first; at < line.bytes && line.at[at] != '"'; at++)
        if (line.at[at] == '\\' && ++at == line.bytes)
            return 0;
    if (at >= line.bytes || at == first)
        return 0;
    at++;
    return at == line.bytes || line.at[at] == ',' ? at : 0;
}

/* The next "key: value" from *at on, and moves *at behind it. */
static int next_pair(struct span line, size_t *at, struct found *out)
{
    while (*at < line.bytes) {
        const size_t first = utf8_skip_space(line.at, line.bytes, *at);
        size_t end = first;
        for (size_t next = first; end < line.bytes; end = next)
            if (!is_key(utf8_next(line.at, line.bytes, &next)))
                break;
        if (end == first || end == line.bytes || line.at[end] != ':') {
            size_t next = end;
            if (end < line.bytes)
                utf8_next(line.at, line.bytes, &next);
            *at = next; /* no key ends between here and there */
            continue;
        }
        const size_t value = utf8_skip_space(line.at, line.bytes, end + 1);
        size_t close = value < line.bytes && line.at[value] == '"' ? quoted_end(line, value) : 0;
        if (close == 0) {
            const char *comma =
                value < line.bytes ? memchr(line.at + value, ',', line.bytes - value) : NULL;
            close = comma != NULL ? (size_t)(comma - line.at) : line.bytes;
        }
        out->key = stripped(line.at, first, end);
        out->value = stripped(line.at, value, close);
        *at = close < line.bytes ? close + 1 : close;
        if (out->key.bytes > 0)
            return 1;
    }
    return 0;
}

static status add_pair(struct infotext *info, size_t *room, const struct found *found)
{
    void *grown = info->pair;
    TRY(array_grow(&grown, room, info->count, sizeof *info->pair));
    info->pair = grown;
    struct infotext_pair *pair = &info->pair[info->count++];
    *pair = (struct infotext_pair){ 0 };
    struct span value = found->value;
    const int quoted = value.bytes >= 2 && value.at[0] == '"' && value.at[value.bytes - 1] == '"';
    TRY(copy(found->key, &pair->key));
    TRY(copy(value, &pair->raw));
    if (quoted)
        value = (struct span){ value.at + 1, value.bytes - 2 };
    TRY(copy(value, &pair->value));
    if (quoted)
        unescape((char *)pair->value);
    return STATUS_OK;
}

static size_t count_pairs(struct span line)
{
    size_t at = 0, count = 0;
    struct found found;
    while (count < LEAST_PAIRS && next_pair(line, &at, &found))
        count++;
    return count;
}

/* ---- the whole text ---------------------------------------------------------------------- */

/* Prompt lines: the first part is the prompt, that from the mark on is the negative one. */
static status read_lines(struct span text, struct bytes *prompt, struct bytes *negative)
{
    struct bytes *into = prompt;
    for (size_t from = 0; from <= text.bytes;) {
        const char *newline =
            from < text.bytes ? memchr(text.at + from, '\n', text.bytes - from) : NULL;
        const size_t end = newline != NULL ? (size_t)(newline - text.at) : text.bytes;
        struct span line = stripped(text.at, from, end);
        const size_t mark = sizeof negative_mark - 1;
        if (line.bytes >= mark && memcmp(line.at, negative_mark, mark) == 0) {
            into = negative;
            line = stripped(line.at, mark, line.bytes);
        }
        if (into->count > 0)
            TRY(bytes_append(into, "\n", 1));
        TRY(bytes_append(into, line.at, line.bytes));
        from = end + 1;
    }
    return STATUS_OK;
}

/* The text as UTF-8 without NULs. */
static status sanitize(const char *text, size_t bytes, struct bytes *out)
{
    for (size_t at = 0; at < bytes;) {
        const uint32_t c = utf8_next(text, bytes, &at);
        char form[4];
        const size_t length = utf8_put(c == 0 ? UNICODE_REPLACEMENT : c, form);
        TRY(bytes_append(out, form, length));
    }
    return bytes_end(out);
}

static status read_all(struct span text, struct infotext *info)
{
    size_t last = text.bytes;
    while (last > 0 && text.at[last - 1] != '\n')
        last--;
    const struct span line = { text.at + last, text.bytes - last };
    struct span prompts = text;
    if (count_pairs(line) >= LEAST_PAIRS) {
        prompts.bytes = last > 0 ? last - 1 : 0;
        size_t at = 0, room = 0;
        struct found found;
        while (next_pair(line, &at, &found))
            TRY(add_pair(info, &room, &found));
    }
    struct bytes prompt = { 0 }, negative = { 0 };
    status s = read_lines(prompts, &prompt, &negative);
    if (s == STATUS_OK)
        s = copy((struct span){ prompt.count > 0 ? prompt.at : "", prompt.count }, &info->prompt);
    if (s == STATUS_OK)
        s = copy((struct span){ negative.count > 0 ? negative.at : "", negative.count },
                 &info->negative);
    bytes_free(&prompt);
    bytes_free(&negative);
    return s;
}

status infotext_parse(const char *text, size_t bytes, struct infotext **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return status_fail(STATUS_NO_MEMORY, "infotext: no memory");
    struct bytes clean = { 0 };
    status s = sanitize(text, bytes, &clean);
    if (s == STATUS_OK)
        s = read_all(stripped(clean.at, 0, clean.count - 1), *out);
    bytes_free(&clean);
    if (s != STATUS_OK) {
        infotext_free(*out);
        *out = NULL;
    }
    return s;
}

void infotext_free(struct infotext *info)
{
    if (info == NULL)
        return;
    for (size_t i = 0; i < info->count; i++) {
        free((char *)info->pair[i].key);
        free((char *)info->pair[i].value);
        free((char *)info->pair[i].raw);
    }
    free(info->pair);
    free((char *)info->prompt);
    free((char *)info->negative);
    free(info);
}

/* ---- single values ----------------------------------------------------------------------- */

const char *infotext_get(const struct infotext *info, const char *key)
{
    for (size_t i = info->count; i > 0; i--)
        if (strcmp(info->pair[i - 1].key, key) == 0)
            return info->pair[i - 1].value;
    return NULL;
}

/* Decimal digits with an optional sign, as a whole, within long long. */
static int read_int(const char *text, size_t bytes, long long *out)
{
    const int negative = bytes > 0 && text[0] == '-';
    size_t at = bytes > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    if (at == bytes)
        return 0;
    long long value = 0;
    for (; at < bytes; at++) {
        if (text[at] < '0' || text[at] > '9')
            return 0;
        const int digit = text[at] - '0';
        if (value < (LLONG_MIN + digit) / 10)
            return 0;
        value = value * 10 - digit;
    }
    if (!negative && value == LLONG_MIN)
        return 0;
    *out = negative ? value : -value;
    return 1;
}

int infotext_get_int(const struct infotext *info, const char *key, long long *out)
{
    const char *text = infotext_get(info, key);
    return text != NULL && read_int(text, strlen(text), out);
}

int infotext_get_double(const struct infotext *info, const char *key, double *out)
{
    const char *text = infotext_get(info, key);
    return text != NULL && number_parse(text, strlen(text), out);
}

int infotext_get_size(const struct infotext *info, const char *key, int *width, int *height)
{
    const char *text = infotext_get(info, key), *x = text != NULL ? strchr(text, 'x') : NULL;
    long long w, h;
    if (x == NULL || !read_int(text, (size_t)(x - text), &w) ||
        !read_int(x + 1, strlen(x + 1), &h) || text[0] == '-' || text[0] == '+' || x[1] == '-' ||
        x[1] == '+' || w > INT_MAX || h > INT_MAX)
        return 0;
    *width = (int)w;
    *height = (int)h;
    return 1;
}
