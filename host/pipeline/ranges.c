/* host/pipeline/ranges.c - every span of the device is opened here, and closed in pairs. */
#include "host/pipeline/ranges.h"

#include <stdlib.h>
#include <string.h>

#include "host/base/clock.h"

/* ---- the profiler's bounds --------------------------------------------------------------- */

static int is_profiled(struct ranges *r, enum span_level level, const char *name)
{
    const struct miku_callbacks *c = r->callbacks;
    if (c->profile_stage == NULL)
        return 0;
    if (level == SPAN_STAGE) {
        r->steps = 0;
        r->in_stage = strcmp(name, c->profile_stage) == 0;
        return r->in_stage && c->profile_step == 0;
    }
    return level == SPAN_STEP && r->in_stage && ++r->steps == c->profile_step;
}

static void profile_begin(struct ranges *r)
{
    r->profiled = r->depth + 1;
    r->profile_ms = clock_now_ms();
    if (r->callbacks->profile != NULL)
        r->callbacks->profile(r->callbacks->user, 1);
    if (r->ops->profile_begin != NULL)
        r->ops->profile_begin(r->ops);
}

static void profile_end(struct ranges *r)
{
    r->profiled = 0;
    if (r->ops->profile_end != NULL)
        r->ops->profile_end(r->ops);
    if (r->callbacks->profile != NULL)
        r->callbacks->profile(r->callbacks->user, 0);
    r->bounds = (struct miku_span){ .level = MIKU_SPAN_PROFILE,
                                    .name = r->callbacks->profile_stage,
                                    .shape = "",
                                    .begin_ms = r->profile_ms,
                                    .end_ms = clock_now_ms() };
}

/* ---- spans ------------------------------------------------------------------------------- */

void ranges_begin(struct ranges *r, enum span_level level, const char *name)
{
    if (r->ops->planning(r->ops))
        return;
    if (is_profiled(r, level, name))
        profile_begin(r);
    r->ops->span_begin(r->ops, level, name);
    r->depth++;
}

void ranges_end(struct ranges *r)
{
    if (r->depth == 0 || r->ops->planning(r->ops))
        return;
    r->ops->span_end(r->ops);
    if (r->profiled == r->depth)
        profile_end(r);
    r->depth--;
}

void ranges_close(struct ranges *r)
{
    while (r->depth > 0)
        ranges_end(r);
}

/* ---- telling ----------------------------------------------------------------------------- */

static struct miku_span told(const struct span *span)
{
    static const enum miku_span_level level[] = { MIKU_SPAN_CASE, MIKU_SPAN_STAGE, MIKU_SPAN_STEP,
                                                  MIKU_SPAN_OPERATOR };
    return (struct miku_span){ .level = level[span->level],
                               .name = span->name,
                               .shape = span->shape,
                               .begin_ms = span->begin_ms,
                               .end_ms = span->end_ms,
                               .flops = span->flops,
                               .bytes = span->bytes };
}

static status tell(struct ranges *r)
{
    const struct span *span;
    size_t count, all = 0;
    TRY(r->ops->spans_read(r->ops, &span, &count));
    struct miku_span *list = malloc((count + 1) * sizeof *list);
    if (list == NULL)
        return status_fail(STATUS_NO_MEMORY, "spans: no memory for %zu", count);
    for (size_t i = 0; i < count; i++)
        list[all++] = told(&span[i]);
    if (r->bounds.end_ms > 0)
        list[all++] = r->bounds;
    if (all > 0)
        r->callbacks->spans(r->callbacks->user, list, all);
    free(list);
    return STATUS_OK;
}

status ranges_tell(struct ranges *r)
{
    const status result = r->callbacks->spans == NULL ? STATUS_OK : tell(r);
    r->bounds.end_ms = 0;
    r->ops->spans_clear(r->ops);
    return result;
}
