/* host/prompt/schedule.c - the texts of a prompt over the steps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/prompt/brackets.h"
#include "host/prompt/bytes.h"
#include "host/prompt/prompt.h"

enum {
    MOST_STEPS = 100000,
    MOST_BYTES = 1 << 28, /* of different texts, kept */
    MOST_MADE = 1 << 30   /* of all texts, equal ones included */
};

struct text_block { /* a text that one or more entries share */
    char *data;
    size_t bytes;
    uint64_t hash;
};

struct owner {
    struct prompt_schedule schedule; /* first, so that the public pointer is the owner's */
    struct text_block *block;
    size_t blocks, block_room, total, made;
};

struct segment { /* a part of a bracket that is being copied */
    size_t end, resume;
};

struct maker {
    const char *text;
    size_t bytes;
    int steps;
    const struct prompt_rules *rules;
    struct brackets brackets;
    struct segment *open; /* nested parts */
    size_t depth, room;
    struct bytes out;
};

/* ---- when -------------------------------------------------------------------------------- */

/* The step a bracket changes after: at most `steps`; -1 for all below 0. */
static int change_step(const struct maker *maker, const struct bracket *bracket)
{
    double when = bracket->when;
    const int fraction =
        maker->rules->schedule_point_fraction ? bracket->point : bracket->when < 1.0;
    if (fraction)
        when *= maker->steps;
    when = trunc(when);
    return when > maker->steps ? maker->steps : when < 0 ? -1 : (int)when;
}

/* ---- the text of one step ---------------------------------------------------------------- */

/* Part k of a bracket lies between its separators k - 1 and k. */
static void part_of(const struct maker *maker, const struct bracket *bracket, size_t k,
                    size_t *from, size_t *end)
{
    const size_t *separator = maker->brackets.separator + bracket->first;
    *from = k == 0 ? bracket->open + 1 : separator[k - 1] + 1;
    *end = k == bracket->count ? bracket->close : separator[k];
}

/* The part that step `step` reads; empty for what [to:when] has before its time. */
static void choose(const struct maker *maker, const struct bracket *bracket, int step, size_t *from,
                   size_t *end)
{
    *from = *end = bracket->close;
    if (bracket->alternates) {
        const size_t options = bracket->count + 1;
        const size_t k = ((size_t)(step % (int)options) + options - 1) % options;
        part_of(maker, bracket, k, from, end);
    } else if (step > change_step(maker, bracket)) {
        part_of(maker, bracket, bracket->count - 1, from, end);
    } else if (bracket->count == 2) {
        part_of(maker, bracket, 0, from, end);
    }
}

static status enter(struct maker *maker, const struct bracket *bracket, int step, size_t *at)
{
    void *grown = maker->open;
    TRY(array_grow(&grown, &maker->room, maker->depth, sizeof *maker->open));
    maker->open = grown;
    size_t from, end;
    choose(maker, bracket, step, &from, &end);
    maker->open[maker->depth++] = (struct segment){ end, bracket->close + 1 };
    *at = from;
    return STATUS_OK;
}

static status make_text(struct maker *maker, int step)
{
    maker->out.count = maker->depth = 0;
    for (size_t at = 0, from = 0;;) {
        const size_t end = maker->depth > 0 ? maker->open[maker->depth - 1].end : maker->bytes;
        while (at < end && maker->brackets.at[at] == BRACKETS_NONE)
            at++;
        TRY(bytes_append(&maker->out, maker->text + from, at - from));
        if (at < end)
            TRY(enter(maker, &maker->brackets.bracket[maker->brackets.at[at]], step, &at));
        else if (maker->depth > 0)
            at = maker->open[--maker->depth].resume;
        else
            return STATUS_OK;
        from = at;
    }
}

/* ---- entries ----------------------------------------------------------------------------- */

static uint64_t hash_of(const char *text, size_t bytes)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    return hash;
}

/* Keeps a copy of `text`, once. */
static status share(struct owner *owner, const char *text, size_t bytes, struct prompt_text *out)
{
    owner->made += bytes;
    if (owner->made > MOST_MADE)
        return status_fail(STATUS_NO_MEMORY, "prompt: its steps come to more than %d bytes of text",
                           MOST_MADE);
    const uint64_t hash = hash_of(text, bytes);
    for (size_t i = 0; i < owner->blocks; i++) {
        const struct text_block *block = &owner->block[i];
        if (block->hash == hash && block->bytes == bytes && memcmp(block->data, text, bytes) == 0) {
            *out = (struct prompt_text){ block->data, bytes };
            return STATUS_OK;
        }
    }
    owner->total += bytes;
    if (owner->total > MOST_BYTES)
        return status_fail(STATUS_NO_MEMORY, "prompt: its steps come to more than %d bytes of text",
                           MOST_BYTES);
    void *grown = owner->block;
    TRY(array_grow(&grown, &owner->block_room, owner->blocks, sizeof *owner->block));
    owner->block = grown;
    char *data = malloc(bytes + 1);
    if (data == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory for %zu bytes", bytes);
    if (bytes > 0)
        memcpy(data, text, bytes);
    data[bytes] = '\0';
    owner->block[owner->blocks++] = (struct text_block){ data, bytes, hash };
    *out = (struct prompt_text){ data, bytes };
    return STATUS_OK;
}

/* Marks the steps that have an entry. */
static void mark_steps(const struct maker *maker, unsigned char *wanted)
{
    const int least = maker->rules->schedule_skip_zero ? 1 : 0;
    wanted[maker->steps] = 1;
    for (size_t i = 0; i < maker->brackets.count; i++) {
        const struct bracket *bracket = &maker->brackets.bracket[i];
        if (bracket->alternates) {
            memset(wanted + 1, 1, (size_t)maker->steps);
        } else {
            const int step = change_step(maker, bracket);
            if (step >= least)
                wanted[step] = 1;
        }
    }
}

static status make_entries(struct maker *maker, struct owner *owner, const unsigned char *wanted)
{
    struct prompt_schedule *schedule = &owner->schedule;
    for (int step = 0; step <= maker->steps; step++)
        schedule->count += wanted[step];
    schedule->entry = calloc(schedule->count, sizeof *schedule->entry);
    if (schedule->entry == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory for %zu steps", schedule->count);
    struct prompt_entry *entry = schedule->entry;
    for (int step = 0; step <= maker->steps; step++) {
        if (!wanted[step])
            continue;
        TRY(make_text(maker, step));
        entry->last_step = step;
        TRY(share(owner, maker->out.count > 0 ? maker->out.at : "", maker->out.count,
                  &entry->text));
        entry++;
    }
    return STATUS_OK;
}

static status make(struct maker *maker, struct owner *owner)
{
    TRY(brackets_find(maker->text, maker->bytes, maker->rules, &maker->brackets));
    if (!maker->brackets.accepted) {
        maker->brackets.count = 0;
        for (size_t i = 0; i <= maker->bytes; i++)
            maker->brackets.at[i] = BRACKETS_NONE;
    }
    unsigned char *wanted = calloc((size_t)maker->steps + 1, 1);
    if (wanted == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory for %d steps", maker->steps);
    mark_steps(maker, wanted);
    const status s = make_entries(maker, owner, wanted);
    free(wanted);
    return s;
}

status prompt_schedule(const char *text, size_t bytes, int steps, const struct prompt_rules *rules,
                       struct prompt_schedule **out)
{
    *out = NULL;
    if (steps < 1 || steps > MOST_STEPS)
        return status_fail(STATUS_MISUSE, "prompt: %d steps, wanted 1 to %d", steps, MOST_STEPS);
    struct owner *owner = calloc(1, sizeof *owner);
    if (owner == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory");
    struct maker maker = { .text = text, .bytes = bytes, .steps = steps, .rules = rules };
    const status s = make(&maker, owner);
    brackets_free(&maker.brackets);
    bytes_free(&maker.out);
    free(maker.open);
    if (s != STATUS_OK)
        prompt_schedule_free(&owner->schedule);
    else
        *out = &owner->schedule;
    return s;
}

void prompt_schedule_free(struct prompt_schedule *schedule)
{
    if (schedule == NULL)
        return;
    struct owner *owner = (struct owner *)schedule;
    for (size_t i = 0; i < owner->blocks; i++)
        free(owner->block[i].data);
    free(owner->block);
    free(schedule->entry);
    free(owner);
}

size_t prompt_schedule_at(const struct prompt_schedule *schedule, int counter)
{
    for (size_t i = 0; i < schedule->count; i++)
        if (counter <= schedule->entry[i].last_step)
            return i;
    return 0;
}
