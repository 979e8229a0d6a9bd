/* host/pipeline/conditioning.c - prompts to contexts.
 *
 * A `call` is what the web UI encodes in one go: the texts of one schedule. They are filled up to
 * the same number of chunks, and chunk i of all of them shares one mean. */
#include "host/pipeline/conditioning.h"

#include <stdlib.h>
#include <string.h>

struct call {
    struct prompt_schedule *schedule;
    struct prompt_chunks **texts; /* [schedule->count] */
    int chunks;                   /* of each text, filled up */
    int first;                    /* row of its first chunk among all: text by text */
};

struct conditioning {
    struct conditioning_args args;
    struct prompt_parts *parts_text;
    struct call *call; /* the parts in order, the negative last */
    int calls, chunks;
    int32_t *ids;  /* [chunks, 77] */
    float *weight; /* [chunks, 77] */
    struct embed_patch *patch;
    int patches;
    float *hidden; /* [chunks, 77, width] */
    int *entry;    /* [contexts, calls]: which text of each call */
    int *len, *row_context;
    double *part_weight;
    float *context;
    int contexts, tokens;
};

void conditioning_destroy(struct conditioning *c)
{
    if (c == NULL)
        return;
    for (int i = 0; i < c->calls; i++) {
        for (size_t t = 0; c->call[i].texts != NULL && t < c->call[i].schedule->count; t++)
            prompt_chunks_free(c->call[i].texts[t]);
        free(c->call[i].texts);
        prompt_schedule_free(c->call[i].schedule);
    }
    prompt_parts_free(c->parts_text);
    free(c->call);
    free(c->ids);
    free(c->weight);
    free(c->patch);
    free(c->hidden);
    free(c->entry);
    free(c->len);
    free(c->row_context);
    free(c->part_weight);
    free(c->context);
    free(c);
}

static status take(void **out, size_t count, size_t size)
{
    *out = calloc(count > 0 ? count : 1, size);
    return *out != NULL ? STATUS_OK
                        : status_fail(STATUS_NO_MEMORY, "prompt: %zu bytes asked", count * size);
}

/* ---- texts and chunks -------------------------------------------------------------------- */

static status lay_out_call(struct conditioning *c, struct call *call, const char *text,
                           size_t bytes)
{
    const struct conditioning_args *a = &c->args;
    const struct prompt_rules rules = prompt_rules_of(&a->compat);
    void *memory;
    TRY(prompt_schedule(text, bytes, a->steps * a->timeline, &rules, &call->schedule));
    TRY(take(&memory, call->schedule->count, sizeof *call->texts));
    call->texts = memory;
    call->first = c->chunks;
    for (size_t t = 0; t < call->schedule->count; t++) {
        const struct prompt_text *entry = &call->schedule->entry[t].text;
        TRY(prompt_chunks(a->tokenizer, entry->data, entry->bytes, a->embeddings, &rules,
                          &call->texts[t]));
        if ((int)call->texts[t]->count > call->chunks)
            call->chunks = (int)call->texts[t]->count;
    }
    c->chunks += call->chunks * (int)call->schedule->count;
    return STATUS_OK;
}

static void put_chunk(struct conditioning *c, int row, const struct prompt_chunk *chunk)
{
    memcpy(c->ids + (size_t)row * PROMPT_CHUNK, chunk->ids, sizeof chunk->ids);
    memcpy(c->weight + (size_t)row * PROMPT_CHUNK, chunk->weight, sizeof chunk->weight);
    for (size_t f = 0; f < chunk->fixes; f++) {
        /* Never over the last row of a chunk, as the web UI clips it. */
        const int at = chunk->fix[f].offset + 1, room = PROMPT_CHUNK - 1 - at;
        const int count = c->args.vector_count[chunk->fix[f].embedding];
        if (room > 0)
            c->patch[c->patches++] =
                (struct embed_patch){ .row = row,
                                      .at = at,
                                      .count = count < room ? count : room,
                                      .vector = c->args.vectors[chunk->fix[f].embedding] };
    }
}

static status gather_chunks(struct conditioning *c)
{
    struct prompt_chunk empty;
    size_t fixes = 0;
    void *memory;
    for (int i = 0; i < c->calls; i++)
        for (size_t t = 0; t < c->call[i].schedule->count; t++)
            for (size_t k = 0; k < c->call[i].texts[t]->count; k++)
                fixes += c->call[i].texts[t]->chunk[k].fixes;
    TRY(take(&memory, (size_t)c->chunks * PROMPT_CHUNK, sizeof *c->ids));
    c->ids = memory;
    TRY(take(&memory, (size_t)c->chunks * PROMPT_CHUNK, sizeof *c->weight));
    c->weight = memory;
    TRY(take(&memory, fixes, sizeof *c->patch));
    c->patch = memory;

    prompt_chunk_empty(&empty);
    for (int i = 0, row = 0; i < c->calls; i++)
        for (size_t t = 0; t < c->call[i].schedule->count; t++)
            for (int k = 0; k < c->call[i].chunks; k++, row++)
                put_chunk(c, row,
                          k < (int)c->call[i].texts[t]->count ? &c->call[i].texts[t]->chunk[k]
                                                              : &empty);
    return STATUS_OK;
}

/* ---- contexts ---------------------------------------------------------------------------- */

/* Tokens of a call's context as it is read; DDIM gives the negative the prompt's length. */
static int call_tokens(const struct conditioning *c, int i)
{
    const int last = c->calls - 1;
    int chunks = c->call[i].chunks;
    if (i == last && c->args.guided) {
        if (c->args.same_size)
            chunks = c->call[0].chunks;
    } else { /* parts of one AND prompt are filled up to the longest */
        for (int k = 0; k < (c->args.guided ? last : c->calls); k++)
            if (c->call[k].chunks > chunks)
                chunks = c->call[k].chunks;
    }
    return chunks * PROMPT_CHUNK;
}

/* One context for each combination of texts that an evaluation meets. */
static status lay_out_contexts(struct conditioning *c)
{
    const size_t calls = (size_t)c->calls, rows = (size_t)c->args.rows;
    void *memory;
    TRY(take(&memory, rows, sizeof *c->row_context));
    c->row_context = memory;
    TRY(take(&memory, rows * calls, sizeof *c->entry));
    c->entry = memory;
    for (int r = 0; r < c->args.rows; r++) {
        int *entry = c->entry + (size_t)c->contexts * calls, known = 0;
        for (int i = 0; i < c->calls; i++)
            entry[i] = (int)prompt_schedule_at(c->call[i].schedule, r);
        while (memcmp(c->entry + (size_t)known * calls, entry, calls * sizeof *entry) != 0)
            known++; /* ends at `entry` itself */
        c->row_context[r] = known;
        c->contexts += known == c->contexts;
    }
    TRY(take(&memory, (size_t)c->contexts * calls, sizeof *c->len));
    c->len = memory;
    for (int i = 0; i < c->calls; i++) {
        const int tokens = call_tokens(c, i);
        c->tokens = tokens > c->tokens ? tokens : c->tokens;
        for (int q = 0; q < c->contexts; q++)
            c->len[q * c->calls + i] = tokens;
    }
    return STATUS_OK;
}

static status lay_out(struct conditioning *c)
{
    const struct conditioning_args *a = &c->args;
    void *memory;
    TRY(prompt_parts(a->prompt, strlen(a->prompt), &c->parts_text));
    const size_t parts = c->parts_text->count;
    if (a->same_size && parts > 1)
        return status_fail(STATUS_UNSUPPORTED, "DDIM takes no prompt with AND");
    TRY(take(&memory, parts + 1, sizeof *c->call));
    c->call = memory;
    TRY(take(&memory, parts, sizeof *c->part_weight));
    c->part_weight = memory;
    for (size_t i = 0; i < parts; i++) {
        const struct prompt_part *part = &c->parts_text->part[i];
        c->part_weight[i] = part->weight;
        c->calls++;
        TRY(lay_out_call(c, &c->call[i], part->text.data, part->text.bytes));
    }
    if (a->guided) {
        c->calls++;
        TRY(lay_out_call(c, &c->call[parts], a->negative, strlen(a->negative)));
    }
    TRY(gather_chunks(c));
    return lay_out_contexts(c);
}

status conditioning_create(const struct conditioning_args *args, struct conditioning **out)
{
    *out = NULL;
    struct conditioning *c = calloc(1, sizeof *c);
    if (c == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: %zu bytes asked", sizeof *c);
    c->args = *args;
    const status result = lay_out(c);
    if (result != STATUS_OK) {
        conditioning_destroy(c);
        return result;
    }
    *out = c;
    return STATUS_OK;
}

/* ---- through the encoder ----------------------------------------------------------------- */

/* z <- z w, then scaled so that the mean over the whole group is what it was. The group is chunk k
 * of every text of a call. Sums in double: torch's in f32 are within 1e-6 of them. */
static void restore_mean(struct conditioning *c, const struct call *call, int k)
{
    const size_t width = (size_t)c->args.width;
    double before = 0, after = 0;
    int weighted = 0;
    for (size_t t = 0; t < call->schedule->count; t++) {
        const size_t row = (size_t)call->first + t * (size_t)call->chunks + (size_t)k;
        for (size_t p = row * PROMPT_CHUNK; p < (row + 1) * PROMPT_CHUNK; p++) {
            weighted |= c->weight[p] != 1.0f;
            for (size_t i = p * width; i < (p + 1) * width; i++) {
                before += c->hidden[i];
                c->hidden[i] *= c->weight[p];
                after += c->hidden[i];
            }
        }
    }
    if (!weighted)
        return;
    const float ratio = (float)(before / after);
    for (size_t t = 0; t < call->schedule->count; t++) {
        const size_t row = (size_t)call->first + t * (size_t)call->chunks + (size_t)k;
        float *z = c->hidden + row * PROMPT_CHUNK * width;
        for (size_t i = 0; i < PROMPT_CHUNK * width; i++)
            z[i] *= ratio;
    }
}

/* Context (q, part i): its text's rows, the last one repeated if the context is longer. */
static void place_context(struct conditioning *c, int q, int i)
{
    const struct call *call = &c->call[i];
    const size_t row = (size_t)c->args.width * sizeof(float);
    const int have = call->chunks * PROMPT_CHUNK, want = c->len[q * c->calls + i];
    const size_t text = (size_t)call->first + (size_t)c->entry[q * c->calls + i] * call->chunks;
    const char *from = (const char *)c->hidden + text * PROMPT_CHUNK * row;
    char *to = (char *)c->context + (size_t)(q * c->calls + i) * c->tokens * row;
    for (int p = 0; p < want; p++)
        memcpy(to + p * row, from + (size_t)(p < have ? p : have - 1) * row, row);
}

status conditioning_encode(struct conditioning *c, struct ops *ops, struct text_encoder *encoder,
                           enum dtype dtype)
{
    const size_t width = (size_t)c->args.width, count = (size_t)c->chunks * PROMPT_CHUNK * width;
    const size_t mark = ops->mark(ops);
    void *y, *memory;
    TRY(ops->alloc(ops, count * dtype_size(dtype), &y));
    TRY(text_encoder_run(encoder, &(struct text_run_args){ .ids = c->ids,
                                                           .patch = c->patch,
                                                           .patches = c->patches,
                                                           .n = c->chunks,
                                                           .clip_skip = c->args.clip_skip,
                                                           .y = y }));
    if (!ops->planning(ops)) {
        TRY(take(&memory, count, sizeof *c->hidden));
        c->hidden = memory;
        TRY(take(&memory, (size_t)c->contexts * c->calls * c->tokens * width, sizeof *c->context));
        c->context = memory;
        TRY(take(&memory, count, dtype_size(dtype)));
        const status result = ops->download(ops, memory, y, count * dtype_size(dtype));
        dtype_to_f32(memory, dtype, count, c->hidden);
        free(memory);
        TRY(result);
        for (int i = 0; i < c->calls; i++)
            for (int k = 0; k < c->call[i].chunks; k++)
                restore_mean(c, &c->call[i], k);
        for (int q = 0; q < c->contexts; q++)
            for (int i = 0; i < c->calls; i++)
                place_context(c, q, i);
    }
    ops->release(ops, mark);
    return STATUS_OK;
}

struct conditioning_result conditioning_get(const struct conditioning *c)
{
    return (struct conditioning_result){ .contexts = c->contexts,
                                         .parts = c->calls,
                                         .tokens = c->tokens,
                                         .context = c->context,
                                         .len = c->len,
                                         .row_context = c->row_context,
                                         .weight = c->part_weight };
}

int conditioning_uses(const struct conditioning *c, int embedding)
{
    for (int i = 0; i < c->patches; i++)
        if (c->patch[i].vector == c->args.vectors[embedding])
            return 1;
    return 0;
}

const int32_t *conditioning_tokens(const struct conditioning *c, int negative, int *chunks)
{
    const struct call *call = &c->call[negative ? c->calls - 1 : 0];
    *chunks = negative && !c->args.guided ? 0 : call->chunks;
    return c->ids + (size_t)call->first * PROMPT_CHUNK;
}
