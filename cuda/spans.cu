/* cuda/spans.cu - what took how long, by events on the stream of work.
 *
 * A span is written down when it ends, so the list is in order of ends. Its times are known once
 * the device has passed its events: spans_read() waits for that, and puts them on the clock of
 * clock_now_ms() by one event whose time on both is known. Records lie in blocks that never move,
 * events in a pool; room is made when a step begins, for as much as the largest step so far has
 * used. */
#include "cuda/spans.cuh"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/ranges.cuh"
#include "host/base/clock.h"

enum {
    DEPTH = 16, /* stage, step and operator take 3 */
    BLOCK = 64, /* records to one block */
};

struct record {
    enum span_level level;
    const char *name;
    char shape[64];
    double flops, bytes;
    cudaEvent_t begin, end;
    int kept; /* 0: begun while planning, or no room */
};

struct block {
    struct block *next;
    struct record record[BLOCK];
};

struct cuda_spans {
    struct block *first; /* never shrinks until the device closes */
    size_t count, cap;   /* records in use, and in all blocks */
    cudaEvent_t *event;  /* the pool: `taken` of `events` are in use */
    size_t events, taken;
    struct record open[DEPTH];
    int depth;     /* may exceed DEPTH: deeper spans are counted, not kept */
    int operators; /* wanted */
    size_t step_first, step_most;
    cudaEvent_t base; /* passed at base_ms of the clock */
    double base_ms;
    struct span *read; /* what spans_read() lent last */
    size_t read_cap;
};

/* ---- room --------------------------------------------------------------------------------- */

static void make_records(struct cuda_spans *s, size_t wanted)
{
    struct block **link = &s->first;
    while (*link)
        link = &(*link)->next;
    while (s->cap - s->count < wanted) {
        *link = (struct block *)calloc(1, sizeof **link);
        if (!*link)
            return; /* a span that finds no room is not kept */
        link = &(*link)->next;
        s->cap += BLOCK;
    }
}

static void make_events(struct cuda_spans *s, size_t wanted)
{
    if (s->events - s->taken >= wanted)
        return;
    const size_t events = s->taken + wanted + BLOCK;
    cudaEvent_t *more = (cudaEvent_t *)realloc(s->event, events * sizeof *more);
    if (!more)
        return;
    s->event = more;
    for (; s->events < events; s->events++)
        if (cudaEventCreate(&s->event[s->events]) != cudaSuccess) {
            (void)cudaGetLastError();
            return;
        }
}

static void make_room(struct cuda_spans *s, size_t spans)
{
    make_records(s, spans);
    make_events(s, 2 * (spans + DEPTH));
}

static struct record *record_at(const struct cuda_spans *s, size_t i)
{
    struct block *block = s->first;
    for (; i >= BLOCK; i -= BLOCK)
        block = block->next;
    return &block->record[i];
}

/* An event of the pool, recorded now; null if there is none left. */
static cudaEvent_t stamp(struct cuda_device *dev)
{
    struct cuda_spans *s = dev->spans;
    make_events(s, 1);
    if (s->taken == s->events || dev->capturing)
        return nullptr;
    const cudaEvent_t event = s->event[s->taken];
    if (cudaEventRecord(event, dev->stream) != cudaSuccess) {
        (void)cudaGetLastError(); /* what is wrong surfaces at the next sync */
        return nullptr;
    }
    s->taken++;
    return event;
}

/* ---- opening ------------------------------------------------------------------------------ */

static status set_base(struct cuda_device *dev)
{
    TRY(cuda_check(cudaEventRecord(dev->spans->base, dev->stream), "event"));
    TRY(cuda_check(cudaEventSynchronize(dev->spans->base), "event"));
    dev->spans->base_ms = clock_now_ms();
    return STATUS_OK;
}

status cuda_spans_create(struct cuda_device *dev)
{
    dev->spans = (struct cuda_spans *)calloc(1, sizeof *dev->spans);
    if (!dev->spans)
        return status_fail(STATUS_NO_MEMORY, "cuda: no host memory");
    TRY(cuda_check(cudaEventCreate(&dev->spans->base), "event"));
    make_room(dev->spans, DEPTH);
    return set_base(dev);
}

void cuda_spans_destroy(struct cuda_device *dev)
{
    struct cuda_spans *s = dev->spans;
    if (!s)
        return;
    while (s->first) {
        struct block *block = s->first;
        s->first = block->next;
        free(block);
    }
    for (size_t i = 0; i < s->events; i++)
        (void)cudaEventDestroy(s->event[i]);
    if (s->base)
        (void)cudaEventDestroy(s->base);
    free(s->event);
    free(s->read);
    free(s);
    dev->spans = nullptr;
}

/* ---- begin and end ------------------------------------------------------------------------ */

static void push(struct cuda_device *dev, enum span_level level, const char *name,
                 const struct cuda_span_text *text)
{
    struct cuda_spans *s = dev->spans;
    if (s->depth < DEPTH) {
        struct record *r = &s->open[s->depth];
        memset(r, 0, sizeof *r);
        r->level = level;
        r->name = name;
        if (text) {
            memcpy(r->shape, text->shape, sizeof r->shape);
            r->flops = text->flops;
            r->bytes = text->bytes;
        }
        r->begin = dev->planning ? nullptr : stamp(dev);
        r->kept = r->begin != nullptr;
    }
    s->depth++;
}

static void pop(struct cuda_device *dev)
{
    struct cuda_spans *s = dev->spans;
    if (s->depth == 0 || --s->depth >= DEPTH)
        return;
    struct record *r = &s->open[s->depth];
    if (!r->kept)
        return;
    r->end = stamp(dev);
    make_records(s, 1);
    if (!r->end || s->count == s->cap)
        return;
    *record_at(s, s->count++) = *r;
    if (r->level == SPAN_STEP && s->count - s->step_first > s->step_most)
        s->step_most = s->count - s->step_first;
}

void cuda_op_begin(struct cuda_device *dev, const char *op, const struct cuda_span_text *span)
{
    range_push(op);
    if (dev->spans->operators && !dev->capturing)
        push(dev, SPAN_OP, op, span);
}

void cuda_op_end(struct cuda_device *dev)
{
    range_pop();
    if (dev->spans->operators && !dev->capturing)
        pop(dev);
}

void cuda_span_begin(struct ops *ops, enum span_level level, const char *name)
{
    struct cuda_device *dev = cuda_device(ops);
    struct cuda_spans *s = dev->spans;
    range_push(name);
    if (level == SPAN_STEP && !dev->planning) {
        make_room(s, s->step_most + DEPTH);
        s->step_first = s->count;
    }
    push(dev, level, name, nullptr);
}

void cuda_span_end(struct ops *ops)
{
    range_pop();
    pop(cuda_device(ops));
}

void cuda_spans_operators(struct ops *ops, int wanted)
{
    cuda_device(ops)->spans->operators = wanted;
}

int cuda_spans_operators_wanted(const struct cuda_device *dev) { return dev->spans->operators; }

/* ---- reading ------------------------------------------------------------------------------ */

static status since_base(const struct cuda_spans *s, cudaEvent_t event, double *out)
{
    float ms;
    TRY(cuda_check(cudaEventElapsedTime(&ms, s->base, event), "event"));
    *out = s->base_ms + (double)ms;
    return STATUS_OK;
}

static status make_read(struct cuda_spans *s)
{
    if (s->read_cap >= s->count)
        return STATUS_OK;
    struct span *more = (struct span *)realloc(s->read, s->cap * sizeof *more);
    if (!more)
        return status_fail(STATUS_NO_MEMORY, "spans: no memory");
    s->read = more;
    s->read_cap = s->cap;
    return STATUS_OK;
}

status cuda_spans_read(struct ops *ops, const struct span **spans, size_t *count)
{
    struct cuda_device *dev = cuda_device(ops);
    struct cuda_spans *s = dev->spans;
    *spans = nullptr;
    *count = 0;
    TRY(make_read(s));
    TRY(cuda_check(cudaStreamSynchronize(dev->stream), "spans"));
    for (size_t i = 0; i < s->count; i++) {
        const struct record *r = record_at(s, i);
        struct span *out = &s->read[i];
        out->level = r->level;
        out->name = r->name;
        out->shape = r->shape;
        out->flops = r->flops;
        out->bytes = r->bytes;
        TRY(since_base(s, r->begin, &out->begin_ms));
        TRY(since_base(s, r->end, &out->end_ms));
    }
    *spans = s->read;
    *count = s->count;
    return STATUS_OK;
}

/* Spans still open keep their events, which move to the front of the pool. */
void cuda_spans_clear(struct ops *ops)
{
    struct cuda_device *dev = cuda_device(ops);
    struct cuda_spans *s = dev->spans;
    size_t kept = 0;
    for (int i = 0; i < s->depth && i < DEPTH; i++)
        for (size_t at = kept; s->open[i].kept && at < s->taken; at++)
            if (s->event[at] == s->open[i].begin) {
                s->event[at] = s->event[kept];
                s->event[kept++] = s->open[i].begin;
                break;
            }
    s->count = s->step_first = 0;
    s->taken = kept;
    if (kept == 0)
        (void)set_base(dev); /* or times lose digits over hours; a failure surfaces at a sync */
}

/* ---- a profiler ---------------------------------------------------------------------------- */

static void profile(struct ops *ops, int wanted)
{
    (void)cudaStreamSynchronize(cuda_device(ops)->stream); /* a failure surfaces at the next sync */
    profiler_record(wanted);
}

void cuda_profile_begin(struct ops *ops) { profile(ops, 1); }
void cuda_profile_end(struct ops *ops) { profile(ops, 0); }
