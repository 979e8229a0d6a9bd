/* host/prompt/parts.c - prompts joined by AND, each with its weight. */
#include <stdlib.h>
#include <string.h>

#include "host/prompt/bytes.h"
#include "host/prompt/number.h"
#include "host/prompt/prompt.h"
#include "host/prompt/unicode.h"

/* Behind the last character of text[lead, end) that is no white space. */
static size_t trimmed(const char *text, size_t lead, size_t end)
{
    const size_t last = utf8_trim_space(text, end);
    return last > lead ? last : lead;
}

/* Finds the tail ": number" of text[lead, last). Returns where it begins, white space before the
 * colon included, or `last`. */
static size_t find_weight(const char *text, size_t lead, size_t last, double *weight)
{
    size_t number = last;
    while (number > lead && text[number - 1] != '\0' &&
           strchr("+-.0123456789", text[number - 1]) != NULL)
        number--;
    const size_t colon = trimmed(text, lead, number);
    if (colon == lead || text[colon - 1] != ':' ||
        !number_parse(text + number, last - number, weight))
        return last;
    return trimmed(text, lead, colon - 1);
}

/* Moves *end before the weight and white space at the end of text[from, *end). What stays may
 * begin with newlines but not go past one; if it would, nothing is cut. */
static double cut_weight(const char *text, size_t from, size_t *end)
{
    const size_t lead = utf8_skip_space(text, *end, from);
    double weight = 1.0;
    const size_t last = find_weight(text, lead, trimmed(text, lead, *end), &weight);
    if (memchr(text + lead, '\n', last - lead) != NULL)
        return 1.0;
    *end = last;
    return weight;
}

static status add_part(struct prompt_parts *parts, size_t *room, const char *text, size_t from,
                       size_t end)
{
    void *grown = parts->part;
    TRY(array_grow(&grown, room, parts->count, sizeof *parts->part));
    parts->part = grown;
    const double weight = cut_weight(text, from, &end);
    char *data = malloc(end - from + 1);
    if (data == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory for %zu bytes", end - from);
    memcpy(data, text + from, end - from);
    data[end - from] = '\0';
    parts->part[parts->count++] =
        (struct prompt_part){ .text = { data, end - from }, .weight = weight };
    return STATUS_OK;
}

static status split(const char *text, size_t bytes, struct prompt_parts *parts)
{
    size_t from = 0, room = 0;
    for (size_t at = 0; at < bytes;) {
        const char *a = memchr(text + at, 'A', bytes - at);
        if (a == NULL)
            break;
        at = (size_t)(a - text);
        if (utf8_word_at(text, bytes, at, "AND")) {
            TRY(add_part(parts, &room, text, from, at));
            at += 3;
            from = at;
        } else {
            at++;
        }
    }
    return add_part(parts, &room, text, from, bytes);
}

status prompt_parts(const char *text, size_t bytes, struct prompt_parts **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory");
    const status s = split(text, bytes, *out);
    if (s != STATUS_OK) {
        prompt_parts_free(*out);
        *out = NULL;
    }
    return s;
}

void prompt_parts_free(struct prompt_parts *parts)
{
    if (parts == NULL)
        return;
    for (size_t i = 0; i < parts->count; i++)
        free((char *)parts->part[i].text.data);
    free(parts->part);
    free(parts);
}
