/* host/prompt/attention.c - (x:1.2), (x), [x], escapes, BREAK.
 *
 * The web UI keeps a list of [text, weight] items and multiplies all behind a bracket when it
 * closes, which is quadratic for nested brackets. Here neighbours of equal weight are one run, and
 * brackets multiply runs: the products are the same doubles in the same order. Only what has sunk
 * below the normal range is 0 here, since thousands of nested brackets would spend seconds there.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/prompt/bytes.h"
#include "host/prompt/number.h"
#include "host/prompt/prompt.h"
#include "host/prompt/unicode.h"

static const char break_text[] = "BREAK";

struct item {
    const char *text; /* in the prompt, or break_text */
    size_t bytes;
};

struct stack { /* items at which brackets of one kind opened */
    size_t *at;
    size_t count, room;
};

struct reader {
    const char *text;
    size_t bytes;
    const struct prompt_rules *rules;
    struct item *item;
    size_t items, item_room;
    size_t *start; /* of each run: its first item */
    double *weight;
    size_t runs, start_room, weight_room;
    size_t work; /* products since equal neighbours were last joined */
    struct stack round, square;
};

/* ---- runs -------------------------------------------------------------------------------- */

static status insert_run(struct reader *reader, size_t place, size_t start, double weight)
{
    void *grown = reader->start;
    TRY(array_grow(&grown, &reader->start_room, reader->runs, sizeof *reader->start));
    reader->start = grown;
    grown = reader->weight;
    TRY(array_grow(&grown, &reader->weight_room, reader->runs, sizeof *reader->weight));
    reader->weight = grown;
    const size_t behind = reader->runs - place;
    memmove(reader->start + place + 1, reader->start + place, behind * sizeof *reader->start);
    memmove(reader->weight + place + 1, reader->weight + place, behind * sizeof *reader->weight);
    reader->start[place] = start;
    reader->weight[place] = weight;
    reader->runs++;
    return STATUS_OK;
}

/* First run whose first item is not before `item`. */
static size_t run_from(const struct reader *reader, size_t item)
{
    size_t low = 0, high = reader->runs;
    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (reader->start[mid] < item)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void join_runs(struct reader *reader)
{
    size_t kept = 0;
    for (size_t i = 0; i < reader->runs; i++) {
        if (kept > 0 && reader->weight[kept - 1] == reader->weight[i])
            continue;
        reader->start[kept] = reader->start[i];
        reader->weight[kept++] = reader->weight[i];
    }
    reader->runs = kept;
    reader->work = 0;
}

static status multiply(struct reader *reader, size_t item, double by)
{
    if (item == reader->items || by == 1.0)
        return STATUS_OK;
    const size_t run = run_from(reader, item);
    if (run == reader->runs || reader->start[run] != item)
        TRY(insert_run(reader, run, item, reader->weight[run - 1]));
    double *weight = reader->weight;
    const size_t runs = reader->runs;
    for (size_t i = run; i < runs; i++) {
        const double product = weight[i] * by;
        weight[i] = fabs(product) < DBL_MIN ? 0.0 : product;
    }
    reader->work += runs - run;
    if (reader->work > 16 * runs)
        join_runs(reader);
    return STATUS_OK;
}

static status add_item(struct reader *reader, const char *text, size_t bytes, double weight)
{
    if (reader->runs == 0 || reader->weight[reader->runs - 1] != weight)
        TRY(insert_run(reader, reader->runs, reader->items, weight));
    void *grown = reader->item;
    TRY(array_grow(&grown, &reader->item_room, reader->items, sizeof *reader->item));
    reader->item = grown;
    reader->item[reader->items++] = (struct item){ text, bytes };
    return STATUS_OK;
}

/* ---- brackets ---------------------------------------------------------------------------- */

static status open_bracket(struct reader *reader, struct stack *stack)
{
    void *grown = stack->at;
    TRY(array_grow(&grown, &stack->room, stack->count, sizeof *stack->at));
    stack->at = grown;
    stack->at[stack->count++] = reader->items;
    return STATUS_OK;
}

static status close_bracket(struct reader *reader, struct stack *stack, double by)
{
    return multiply(reader, stack->at[--stack->count], by);
}

static size_t skip_space(const struct reader *reader, size_t at)
{
    return reader->rules->attention_spaces ? utf8_skip_space(reader->text, reader->bytes, at) : at;
}

/* Length of ":1.2)" at text[at]; 0 if it is none. `fine` says whether the number can be read. */
static size_t weight_at(const struct reader *reader, size_t at, double *weight, int *fine)
{
    const size_t from = skip_space(reader, at + 1);
    size_t end = from;
    if (end < reader->bytes && (reader->text[end] == '+' || reader->text[end] == '-'))
        end++;
    const size_t first = end;
    while (end < reader->bytes &&
           (reader->text[end] == '.' || (reader->text[end] >= '0' && reader->text[end] <= '9')))
        end++;
    const size_t close = skip_space(reader, end);
    if (end == first || close == reader->bytes || reader->text[close] != ')')
        return 0;
    *fine = number_parse(reader->text + from, end - from, weight);
    return close + 1 - at;
}

/* ---- text -------------------------------------------------------------------------------- */

/* A stretch of plain text, cut at each BREAK and the white space around it. */
static status add_text(struct reader *reader, const char *text, size_t bytes)
{
    size_t from = 0;
    for (size_t at = 0; at < bytes;) {
        const char *b = memchr(text + at, 'B', bytes - at);
        if (b == NULL)
            break;
        at = (size_t)(b - text);
        if (!utf8_word_at(text, bytes, at, break_text)) {
            at++;
            continue;
        }
        const size_t before = utf8_trim_space(text, at);
        TRY(add_item(reader, text + from, before > from ? before - from : 0, 1.0));
        TRY(add_item(reader, break_text, sizeof break_text - 1, -1.0));
        from = at = utf8_skip_space(text, bytes, at + sizeof break_text - 1);
    }
    return add_item(reader, text + from, bytes - from, 1.0);
}

static status read_colon(struct reader *reader, size_t *at)
{
    double weight;
    int fine = 0;
    const size_t length = weight_at(reader, *at, &weight, &fine);
    const size_t from = *at;
    if (length > 0 && reader->round.count == 0) {
        *at += length;
        return add_text(reader, reader->text + from, length);
    }
    if (length > 0 && fine) {
        *at += length;
        return close_bracket(reader, &reader->round, weight);
    }
    *at += 1; /* the web UI fails at a number like 1.2.3; here it is text */
    return add_text(reader, reader->text + from, 1);
}

static status read_escape(struct reader *reader, size_t *at)
{
    const size_t next = *at + 1;
    const int known = next < reader->bytes && reader->text[next] != '\0' &&
                      strchr("()[]\\", reader->text[next]) != NULL;
    *at = next + (size_t)known;
    return add_item(reader, reader->text + next, (size_t)known, 1.0);
}

static status read_plain(struct reader *reader, size_t *at)
{
    const size_t from = *at;
    while (*at < reader->bytes &&
           (reader->text[*at] == '\0' || strchr("\\()[]:", reader->text[*at]) == NULL))
        ++*at;
    return add_text(reader, reader->text + from, *at - from);
}

static status read_all(struct reader *reader)
{
    for (size_t at = 0; at < reader->bytes;) {
        const char c = reader->text[at];
        if (c == '\\') {
            TRY(read_escape(reader, &at));
        } else if (c == '(') {
            TRY(open_bracket(reader, &reader->round));
            at++;
        } else if (c == '[') {
            TRY(open_bracket(reader, &reader->square));
            at++;
        } else if (c == ':') {
            TRY(read_colon(reader, &at));
        } else if (c == ')' && reader->round.count > 0) {
            TRY(close_bracket(reader, &reader->round, 1.1));
            at++;
        } else if (c == ']' && reader->square.count > 0) {
            TRY(close_bracket(reader, &reader->square, 1 / 1.1));
            at++;
        } else if (c == ')' || c == ']') {
            TRY(add_text(reader, reader->text + at, 1));
            at++;
        } else {
            TRY(read_plain(reader, &at));
        }
    }
    for (size_t i = 0; i < reader->round.count; i++)
        TRY(multiply(reader, reader->round.at[i], 1.1));
    for (size_t i = 0; i < reader->square.count; i++)
        TRY(multiply(reader, reader->square.at[i], 1 / 1.1));
    if (reader->items == 0)
        TRY(add_item(reader, "", 0, 1.0));
    join_runs(reader);
    return STATUS_OK;
}

/* ---- results ----------------------------------------------------------------------------- */

/* One piece a run. Texts lie behind one another in one block, which the first piece owns. */
static status make_pieces(const struct reader *reader, struct prompt_pieces *out)
{
    size_t total = reader->runs;
    for (size_t i = 0; i < reader->items; i++)
        total += reader->item[i].bytes;
    char *at = malloc(total);
    out->piece = calloc(reader->runs, sizeof *out->piece);
    if (at == NULL || out->piece == NULL) {
        free(at);
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory for %zu bytes", total);
    }
    for (size_t run = 0; run < reader->runs; run++) {
        struct prompt_piece *piece = &out->piece[out->count++];
        const size_t end = run + 1 < reader->runs ? reader->start[run + 1] : reader->items;
        piece->text.data = at;
        piece->weight = reader->weight[run];
        for (size_t i = reader->start[run]; i < end; i++) {
            memcpy(at, reader->item[i].text, reader->item[i].bytes);
            at += reader->item[i].bytes;
        }
        piece->text.bytes = (size_t)(at - piece->text.data);
        *at++ = '\0';
        piece->is_break = piece->weight == -1.0 && piece->text.bytes == sizeof break_text - 1 &&
                          memcmp(piece->text.data, break_text, sizeof break_text) == 0;
    }
    return STATUS_OK;
}

status prompt_attention(const char *text, size_t bytes, const struct prompt_rules *rules,
                        struct prompt_pieces **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory");
    struct reader reader = { .text = text, .bytes = bytes, .rules = rules };
    status s = read_all(&reader);
    if (s == STATUS_OK)
        s = make_pieces(&reader, *out);
    free(reader.item);
    free(reader.start);
    free(reader.weight);
    free(reader.round.at);
    free(reader.square.at);
    if (s != STATUS_OK) {
        prompt_pieces_free(*out);
        *out = NULL;
    }
    return s;
}

void prompt_pieces_free(struct prompt_pieces *pieces)
{
    if (pieces == NULL)
        return;
    if (pieces->count > 0)
        free((char *)pieces->piece[0].text.data);
    free(pieces->piece);
    free(pieces);
}
