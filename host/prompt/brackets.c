/* host/prompt/brackets.c
 *
 * The grammar, in words: a prompt is a run of groups, plain text and loose brackets and colons.
 * Groups are ( x ), ( x : x ), [ x ], and the two that matter here; inside a group, x is a run of
 * groups and plain text only. So a loose bracket or colon makes everything it stands in loose.
 */
#include "host/prompt/brackets.h"

#include <stdlib.h>
#include <string.h>

#include "host/prompt/bytes.h"
#include "host/prompt/number.h"
#include "host/prompt/unicode.h"

struct frame { /* a bracket that is still open */
    size_t open;
    size_t base; /* its separators begin here on the separator stack */
    size_t bars; /* how many of them are bars */
};

struct scan {
    const char *text;
    size_t bytes;
    const struct prompt_rules *rules;
    struct brackets *out;
    struct frame *frame;
    size_t frames, frame_room;
    size_t *stack; /* separators of open frames */
    size_t stacked, stack_room, bars;
};

static status push_frame(struct scan *scan, size_t at)
{
    void *grown = scan->frame;
    TRY(array_grow(&grown, &scan->frame_room, scan->frames, sizeof *scan->frame));
    scan->frame = grown;
    scan->frame[scan->frames++] = (struct frame){ .open = at, .base = scan->stacked };
    return STATUS_OK;
}

static status push_separator(struct scan *scan, size_t at)
{
    const int bar = scan->text[at] == '|';
    if (scan->frames == 0) {
        scan->out->accepted &= !bar;
        return STATUS_OK;
    }
    void *grown = scan->stack;
    TRY(array_grow(&grown, &scan->stack_room, scan->stacked, sizeof *scan->stack));
    scan->stack = grown;
    scan->stack[scan->stacked++] = at;
    scan->frame[scan->frames - 1].bars += (size_t)bar;
    scan->bars += (size_t)bar;
    return STATUS_OK;
}

/* All open brackets turn out to be plain text. */
static void loosen(struct scan *scan)
{
    scan->out->accepted &= scan->bars == 0;
    scan->frames = scan->stacked = scan->bars = 0;
}

/* "  10" between the last colon and the closing bracket. */
static int read_when(const struct scan *scan, size_t from, size_t close, struct bracket *out)
{
    const char *text = scan->text;
    from = utf8_skip_space(text, close, from);
    const size_t end =
        scan->rules->schedule_spaces && from < close ? utf8_trim_space(text, close) : close;
    if (from >= end)
        return 0;
    out->point = memchr(text + from, '.', end - from) != NULL;
    return number_parse(text + from, end - from, &out->when);
}

static int has_empty_option(const struct scan *scan, const struct frame *frame, size_t close)
{
    size_t from = frame->open + 1;
    for (size_t i = frame->base; i <= scan->stacked; i++) {
        const size_t end = i < scan->stacked ? scan->stack[i] : close;
        if (end == from)
            return 1;
        from = end + 1;
    }
    return 0;
}

static status keep(struct scan *scan, const struct frame *frame, struct bracket bracket)
{
    struct brackets *out = scan->out;
    bracket.open = frame->open;
    bracket.first = out->separators;
    bracket.count = scan->stacked - frame->base;
    for (size_t i = frame->base; i < scan->stacked; i++) {
        void *grown = out->separator;
        TRY(array_grow(&grown, &out->separator_room, out->separators, sizeof *out->separator));
        out->separator = grown;
        out->separator[out->separators++] = scan->stack[i];
    }
    void *grown = out->bracket;
    TRY(array_grow(&grown, &out->room, out->count, sizeof *out->bracket));
    out->bracket = grown;
    out->at[frame->open] = (int32_t)out->count;
    out->bracket[out->count++] = bracket;
    return STATUS_OK;
}

static status close_frame(struct scan *scan, size_t at)
{
    if (scan->frames == 0)
        return STATUS_OK; /* loose, and alone */
    const struct frame *frame = &scan->frame[scan->frames - 1];
    const int square = scan->text[at] == ']';
    const size_t separators = scan->stacked - frame->base, colons = separators - frame->bars;
    struct bracket bracket = { .close = at, .alternates = frame->bars > 0 };

    if (square != (scan->text[frame->open] == '[')) {
        loosen(scan);
        return STATUS_OK;
    }
    if (square && frame->bars > 0 && colons == 0) {
        if (!scan->rules->schedule_empty_options && has_empty_option(scan, frame, at))
            scan->out->accepted = 0;
        TRY(keep(scan, frame, bracket));
    } else if (square && frame->bars == 0 && (colons == 1 || colons == 2) &&
               read_when(scan, scan->stack[scan->stacked - 1] + 1, at, &bracket)) {
        TRY(keep(scan, frame, bracket));
    } else if (frame->bars > 0 || colons > (square ? 0u : 1u)) {
        loosen(scan);
        return STATUS_OK;
    }
    scan->bars -= frame->bars;
    scan->stacked = frame->base;
    scan->frames--;
    return STATUS_OK;
}

static status walk(struct scan *scan)
{
    for (size_t at = 0; at < scan->bytes && scan->out->accepted; at++) {
        switch (scan->text[at]) {
        case '\\':
            if (++at == scan->bytes || scan->text[at] == '\n')
                scan->out->accepted = 0;
            break;
        case '(':
        case '[':
            TRY(push_frame(scan, at));
            break;
        case ')':
        case ']':
            TRY(close_frame(scan, at));
            break;
        case ':':
        case '|':
            TRY(push_separator(scan, at));
            break;
        default:
            break;
        }
    }
    loosen(scan);
    return STATUS_OK;
}

status brackets_find(const char *text, size_t bytes, const struct prompt_rules *rules,
                     struct brackets *out)
{
    *out = (struct brackets){ .accepted = 1 };
    if (bytes > INT32_MAX)
        return status_fail(STATUS_NO_MEMORY, "prompt: %zu bytes are too many", bytes);
    out->at = malloc((bytes + 1) * sizeof *out->at);
    if (out->at == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory for %zu bytes", bytes);
    for (size_t i = 0; i <= bytes; i++)
        out->at[i] = BRACKETS_NONE;
    struct scan scan = { .text = text, .bytes = bytes, .rules = rules, .out = out };
    const status s = walk(&scan);
    free(scan.frame);
    free(scan.stack);
    return s;
}

void brackets_free(struct brackets *brackets)
{
    free(brackets->bracket);
    free(brackets->separator);
    free(brackets->at);
    *brackets = (struct brackets){ 0 };
}
