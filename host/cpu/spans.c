/* host/cpu/spans.c - what took how long, by the clock.
 *
 * A span is written down when it ends, so the list is in order of ends. Room is made between
 * steps: a step begins only when as many spans fit as the largest step so far has used, and one
 * that needs more doubles the room (once, for the first step with operators). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/base/clock.h"
#include "host/cpu/device.h"

enum {
    DEPTH = 16,        /* stage, step and operator take 3 */
    SHAPE_BYTES = 64,  /* the longest shape is about 50 */
    BLOCK = 1024,      /* shapes to one block of text; blocks never move */
    SPANS_FIRST = 1024 /* of room at the start */
};

struct text_block {
    struct text_block *next;
    char shape[BLOCK][SHAPE_BYTES];
};

struct open_span {
    enum span_level level;
    const char *name, *shape;
    double begin_ms, flops, bytes;
    int kept; /* 0: begun while planning */
};

struct cpu_spans {
    struct span *done;
    size_t count, cap;
    struct text_block *texts; /* all blocks, the one in use first */
    struct text_block *spare; /* emptied by spans_clear() */
    size_t text_used;         /* shapes of texts[0] */
    struct open_span open[DEPTH];
    int depth;         /* may exceed DEPTH: deeper spans are counted, not kept */
    int operators;     /* wanted */
    size_t step_first; /* count when the current step began */
    size_t step_most;  /* spans of the largest step so far */
};

static int make_room(struct cpu_spans *s, size_t wanted)
{
    size_t cap = s->cap;
    while (cap - s->count < wanted)
        cap = cap ? 2 * cap : SPANS_FIRST;
    if (cap == s->cap)
        return 1;
    struct span *done = realloc(s->done, cap * sizeof *done);
    if (!done)
        return 0;
    s->done = done;
    s->cap = cap;
    return 1;
}

/* Makes sure that `wanted` more shapes fit without asking for memory. */
static void make_spare(struct cpu_spans *s, size_t wanted)
{
    size_t have = BLOCK - s->text_used;
    for (const struct text_block *block = s->spare; block; block = block->next)
        have += BLOCK;
    for (; have < wanted; have += BLOCK) {
        struct text_block *block = malloc(sizeof *block);
        if (!block)
            return; /* a shape that finds no room stays "" */
        block->next = s->spare;
        s->spare = block;
    }
}

/* Makes sure that texts[0] has room for a shape. */
static int make_text_room(struct cpu_spans *s)
{
    if (s->texts && s->text_used < BLOCK)
        return 1;
    struct text_block *block = s->spare;
    if (block)
        s->spare = block->next;
    else if (!(block = malloc(sizeof *block)))
        return 0;
    block->next = s->texts;
    s->texts = block;
    s->text_used = 0;
    return 1;
}

status cpu_spans_open(struct cpu_device *dev)
{
    dev->spans = calloc(1, sizeof *dev->spans);
    if (!dev->spans || !make_room(dev->spans, 1) || !make_text_room(dev->spans)) {
        cpu_spans_close(dev);
        return status_fail(STATUS_NO_MEMORY, "spans: no memory");
    }
    return STATUS_OK;
}

static void free_blocks(struct text_block *block)
{
    while (block) {
        struct text_block *next = block->next;
        free(block);
        block = next;
    }
}

void cpu_spans_close(struct cpu_device *dev)
{
    if (!dev->spans)
        return;
    free_blocks(dev->spans->texts);
    free_blocks(dev->spans->spare);
    free(dev->spans->done);
    free(dev->spans);
    dev->spans = NULL;
}

static void push(struct cpu_spans *s, const struct open_span *span)
{
    if (s->depth < DEPTH)
        s->open[s->depth] = *span;
    s->depth++;
}

static void pop(struct cpu_spans *s)
{
    if (s->depth == 0 || --s->depth >= DEPTH)
        return;
    const struct open_span *open = &s->open[s->depth];
    if (!open->kept || !make_room(s, 1))
        return;
    s->done[s->count++] = (struct span){ open->level,    open->name,  open->shape, open->begin_ms,
                                         clock_now_ms(), open->flops, open->bytes };
    if (open->level == SPAN_STEP && s->count - s->step_first > s->step_most)
        s->step_most = s->count - s->step_first;
}

void cpu_op_begin(struct cpu_device *dev, const char *name, double flops, double bytes,
                  const char *shape, ...)
{
    struct cpu_spans *s = dev->spans;
    if (!s->operators)
        return;
    char *text = NULL;
    if (make_text_room(s)) {
        va_list args;
        va_start(args, shape);
        text = s->texts->shape[s->text_used++];
        vsnprintf(text, SHAPE_BYTES, shape, args);
        va_end(args);
    }
    push(s,
         &(struct open_span){ SPAN_OP, name, text ? text : "", clock_now_ms(), flops, bytes, 1 });
}

void cpu_op_end(struct cpu_device *dev)
{
    if (dev->spans->operators)
        pop(dev->spans);
}

void cpu_span_begin(struct ops *ops, enum span_level level, const char *name)
{
    struct cpu_device *dev = cpu_device(ops);
    struct cpu_spans *s = dev->spans;
    if (level == SPAN_STEP && !dev->planning) {
        make_room(s, s->step_most + DEPTH);
        if (s->operators)
            make_spare(s, s->step_most + DEPTH);
        s->step_first = s->count;
    }
    push(s, &(struct open_span){ level, name, "", clock_now_ms(), 0, 0, !dev->planning });
}

void cpu_span_end(struct ops *ops) { pop(cpu_device(ops)->spans); }

void cpu_spans_operators(struct ops *ops, int wanted)
{
    cpu_device(ops)->spans->operators = wanted;
}

status cpu_spans_read(struct ops *ops, const struct span **spans, size_t *count)
{
    *spans = cpu_device(ops)->spans->done;
    *count = cpu_device(ops)->spans->count;
    return STATUS_OK;
}

void cpu_spans_clear(struct ops *ops)
{
    struct cpu_spans *s = cpu_device(ops)->spans;
    s->count = s->step_first = 0;
    while (s->texts && s->texts->next) {
        struct text_block *block = s->texts;
        s->texts = block->next;
        block->next = s->spare;
        s->spare = block;
    }
    s->text_used = 0;
}
