/* host/prompt/chunks.c - weighted token ids in chunks of 75. */
#include <stdlib.h>
#include <string.h>

#include "host/prompt/bytes.h"
#include "host/prompt/embeddings.h"

/* The chunk that is being filled. Its ids are offset by the start token only when it closes. */
struct filler {
    const struct prompt_embeddings *embeddings;
    int backtrack;
    struct prompt_chunks *out;
    size_t room, fix_room;
    int32_t ids[PROMPT_CHUNK_TEXT];
    float weight[PROMPT_CHUNK_TEXT];
    int length, comma; /* position of the last comma, -1: none */
    struct prompt_fix *fix;
    size_t fixes;
};

void prompt_chunk_empty(struct prompt_chunk *chunk)
{
    *chunk = (struct prompt_chunk){ .ids = { TOKEN_START } };
    chunk->weight[0] = 1.0f;
    for (int i = 1; i < PROMPT_CHUNK; i++) {
        chunk->ids[i] = TOKEN_END;
        chunk->weight[i] = 1.0f;
    }
}

/* Closes the chunk and begins an empty one. */
static status close_chunk(struct filler *filler)
{
    struct prompt_chunks *out = filler->out;
    void *grown = out->chunk;
    TRY(array_grow(&grown, &filler->room, out->count, sizeof *out->chunk));
    out->chunk = grown;
    struct prompt_chunk *chunk = &out->chunk[out->count++];
    prompt_chunk_empty(chunk);
    memcpy(chunk->ids + 1, filler->ids, (size_t)filler->length * sizeof *chunk->ids);
    memcpy(chunk->weight + 1, filler->weight, (size_t)filler->length * sizeof *chunk->weight);
    chunk->fix = filler->fix;
    chunk->fixes = filler->fixes;
    out->tokens += (size_t)filler->length;
    filler->length = 0;
    filler->comma = -1;
    filler->fix = NULL;
    filler->fixes = filler->fix_room = 0;
    return STATUS_OK;
}

static void put(struct filler *filler, int32_t id, float weight)
{
    filler->ids[filler->length] = id;
    filler->weight[filler->length++] = weight;
    filler->out->all_ones &= weight == 1.0f;
}

/* Moves what stands behind the last comma into a new chunk. Fixes stay where they were, as in the
 * web UI: a moved embedding's vectors go over the old chunk's padding. */
static status move_tail(struct filler *filler)
{
    const int from = filler->comma + 1, moved = filler->length - from;
    filler->length = from;
    TRY(close_chunk(filler));
    memmove(filler->ids, filler->ids + from, (size_t)moved * sizeof *filler->ids);
    memmove(filler->weight, filler->weight + from, (size_t)moved * sizeof *filler->weight);
    filler->length = moved;
    return STATUS_OK;
}

static status put_embedding(struct filler *filler, const struct embedding_key *key, float weight)
{
    if (filler->length + key->vectors > PROMPT_CHUNK_TEXT)
        TRY(close_chunk(filler));
    void *grown = filler->fix;
    TRY(array_grow(&grown, &filler->fix_room, filler->fixes, sizeof *filler->fix));
    filler->fix = grown;
    filler->fix[filler->fixes++] = (struct prompt_fix){ filler->length, key->embedding };
    for (int i = 0; i < key->vectors; i++)
        put(filler, TOKEN_PLACEHOLDER, weight);
    return STATUS_OK;
}

static status put_ids(struct filler *filler, const int32_t *ids, size_t count, float weight)
{
    for (size_t i = 0; i < count;) {
        if (ids[i] == TOKEN_COMMA)
            filler->comma = filler->length;
        else if (filler->length == PROMPT_CHUNK_TEXT && filler->comma >= 0 &&
                 filler->length - filler->comma <= filler->backtrack)
            TRY(move_tail(filler));
        if (filler->length == PROMPT_CHUNK_TEXT)
            TRY(close_chunk(filler));
        const struct embedding_key *key = embeddings_at(filler->embeddings, ids + i, count - i);
        if (key != NULL) {
            TRY(put_embedding(filler, key, weight));
            i += key->length;
        } else {
            put(filler, ids[i++], weight);
        }
    }
    return STATUS_OK;
}

static status fill(struct filler *filler, const struct tokenizer *tokenizer,
                   const struct prompt_pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        const struct prompt_piece *piece = &pieces->piece[i];
        if (piece->is_break) {
            TRY(close_chunk(filler));
            continue;
        }
        int32_t *ids;
        size_t count;
        TRY(tokenizer_encode(tokenizer, piece->text.data, piece->text.bytes, &ids, &count));
        const status s = put_ids(filler, ids, count, (float)piece->weight);
        free(ids);
        TRY(s);
    }
    return filler->length > 0 || filler->out->count == 0 ? close_chunk(filler) : STATUS_OK;
}

status prompt_chunks(const struct tokenizer *tokenizer, const char *text, size_t bytes,
                     const struct prompt_embeddings *embeddings, const struct prompt_rules *rules,
                     struct prompt_chunks **out)
{
    *out = NULL;
    struct prompt_pieces *pieces;
    TRY(prompt_attention(text, bytes, rules, &pieces));
    struct prompt_chunks *chunks = calloc(1, sizeof *chunks);
    status s = STATUS_OK;
    if (chunks == NULL) {
        s = status_fail(STATUS_NO_MEMORY, "prompt: no memory");
    } else {
        chunks->all_ones = 1;
        struct filler filler = { .embeddings = embeddings,
                                 .backtrack = rules->comma_backtrack,
                                 .out = chunks,
                                 .comma = -1 };
        s = fill(&filler, tokenizer, pieces);
        free(filler.fix);
    }
    prompt_pieces_free(pieces);
    if (s != STATUS_OK)
        prompt_chunks_free(chunks);
    else
        *out = chunks;
    return s;
}

void prompt_chunks_free(struct prompt_chunks *chunks)
{
    if (chunks == NULL)
        return;
    for (size_t i = 0; i < chunks->count; i++)
        free(chunks->chunk[i].fix);
    free(chunks->chunk);
    free(chunks);
}
