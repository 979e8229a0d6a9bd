/* host/prompt/bpe.c */
#include "host/prompt/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "host/prompt/unicode.h"

static const uint16_t merges[BPE_MERGES][2] = {
#include "bpe_merges.inc" /* made by vocab/merges.c */
};

enum { SLOTS = 1 << 17, NO_RANK = 0x7fffffff, NONE = -1 };

struct bpe {
    int32_t rank[SLOTS]; /* open addressing by the pair of ids; -1 is free */
};

/* A word is a list of symbols; the heap has rank << 32 | symbol for each pair that may merge. An
 * entry whose rank is no longer its symbol's is stale and passed over. */
struct bpe_work {
    int32_t *id, *next, *prev, *rank;
    uint64_t *heap;
    size_t room, heaped;
};

/* ---- ranks ------------------------------------------------------------------------------- */

static uint32_t slot_of(int32_t left, int32_t right)
{
    return ((uint32_t)left * 65536u + (uint32_t)right) * 2654435761u >> 15;
}

status bpe_create(struct bpe **out)
{
    *out = malloc(sizeof **out);
    if (*out == NULL)
        return status_fail(STATUS_NO_MEMORY, "tokenizer: no memory for %zu bytes", sizeof **out);
    memset((*out)->rank, 0xff, sizeof(*out)->rank);
    for (int32_t r = 0; r < BPE_MERGES; r++) {
        uint32_t slot = slot_of(merges[r][0], merges[r][1]);
        while ((*out)->rank[slot] != NONE)
            slot = (slot + 1) % SLOTS;
        (*out)->rank[slot] = r;
    }
    return STATUS_OK;
}

void bpe_destroy(struct bpe *bpe) { free(bpe); }

static int32_t rank_of(const struct bpe *bpe, int32_t left, int32_t right)
{
    for (uint32_t slot = slot_of(left, right);; slot = (slot + 1) % SLOTS) {
        const int32_t r = bpe->rank[slot];
        if (r == NONE)
            return NO_RANK;
        if (merges[r][0] == left && merges[r][1] == right)
            return r;
    }
}

/* ---- scratch ----------------------------------------------------------------------------- */

status bpe_work_create(struct bpe_work **out)
{
    *out = calloc(1, sizeof **out);
    return *out != NULL ? STATUS_OK : status_fail(STATUS_NO_MEMORY, "tokenizer: no memory");
}

static void drop_arrays(struct bpe_work *work)
{
    free(work->id);
    free(work->next);
    free(work->prev);
    free(work->rank);
    free(work->heap);
    *work = (struct bpe_work){ 0 };
}

void bpe_work_destroy(struct bpe_work *work)
{
    if (work == NULL)
        return;
    drop_arrays(work);
    free(work);
}

static status reserve(struct bpe_work *work, size_t symbols)
{
    if (symbols <= work->room)
        return STATUS_OK;
    drop_arrays(work);
    const size_t room = symbols + symbols / 2 + 64;
    work->id = malloc(room * sizeof *work->id);
    work->next = malloc(room * sizeof *work->next);
    work->prev = malloc(room * sizeof *work->prev);
    work->rank = malloc(room * sizeof *work->rank);
    work->heap = malloc(3 * room * sizeof *work->heap); /* a pair a symbol, two a merge */
    if (work->id == NULL || work->next == NULL || work->prev == NULL || work->rank == NULL ||
        work->heap == NULL) {
        drop_arrays(work);
        return status_fail(STATUS_NO_MEMORY, "tokenizer: no memory for a word of %zu bytes",
                           symbols);
    }
    work->room = room;
    return STATUS_OK;
}

/* ---- heap -------------------------------------------------------------------------------- */

static void heap_push(struct bpe_work *work, uint64_t entry)
{
    size_t i = work->heaped++;
    for (; i > 0 && work->heap[(i - 1) / 2] > entry; i = (i - 1) / 2)
        work->heap[i] = work->heap[(i - 1) / 2];
    work->heap[i] = entry;
}

static uint64_t heap_pop(struct bpe_work *work)
{
    const uint64_t top = work->heap[0], last = work->heap[--work->heaped];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < work->heaped; i = child) {
        if (child + 1 < work->heaped && work->heap[child + 1] < work->heap[child])
            child++;
        if (work->heap[child] >= last)
            break;
        work->heap[i] = work->heap[child];
    }
    work->heap[i] = last;
    return top;
}

/* ---- merging ----------------------------------------------------------------------------- */

static int32_t byte_id(unsigned char b)
{
    if (b >= 33 && b <= 126)
        return b - 33;
    if (b >= 161 && b <= 172)
        return b - 161 + 94;
    if (b >= 174)
        return b - 174 + 106;
    return b <= 32 ? 188 + b : b <= 160 ? 188 + 33 + b - 127 : 255; /* the rest, 173 last */
}

static void rank_pair(const struct bpe *bpe, struct bpe_work *work, int32_t at)
{
    const int32_t next = work->next[at];
    work->rank[at] = next == NONE ? NO_RANK : rank_of(bpe, work->id[at], work->id[next]);
    if (work->rank[at] != NO_RANK)
        heap_push(work, (uint64_t)work->rank[at] << 32 | (uint32_t)at);
}

static void merge_at(const struct bpe *bpe, struct bpe_work *work, int32_t at, int32_t rank)
{
    const int32_t gone = work->next[at], next = work->next[gone];
    work->id[at] = BPE_BASE + rank;
    work->rank[gone] = NO_RANK;
    work->next[at] = next;
    if (next != NONE)
        work->prev[next] = at;
    rank_pair(bpe, work, at);
    if (work->prev[at] != NONE)
        rank_pair(bpe, work, work->prev[at]);
}

status bpe_encode(const struct bpe *bpe, struct bpe_work *work, const char *word, size_t bytes,
                  const int32_t **ids, size_t *count)
{
    if (bytes > INT32_MAX / 4)
        return status_fail(STATUS_NO_MEMORY, "tokenizer: a word of %zu bytes", bytes);
    TRY(reserve(work, bytes));
    const int32_t n = (int32_t)bytes;
    work->heaped = 0;
    for (int32_t i = 0; i < n; i++) {
        work->id[i] = byte_id((unsigned char)word[i]) + (i == n - 1 ? 256 : 0);
        work->prev[i] = i - 1;
        work->next[i] = i == n - 1 ? NONE : i + 1;
    }
    for (int32_t i = 0; i < n; i++)
        rank_pair(bpe, work, i);
    while (work->heaped > 0) {
        const uint64_t top = heap_pop(work);
        const int32_t at = (int32_t)(top & 0xffffffff), rank = (int32_t)(top >> 32);
        if (work->rank[at] == rank)
            merge_at(bpe, work, at, rank);
    }
    size_t kept = 0;
    for (int32_t i = 0; i != NONE; i = work->next[i])
        work->id[kept++] = work->id[i];
    *ids = work->id;
    *count = kept;
    return STATUS_OK;
}

/* ---- back to text ------------------------------------------------------------------------ */

/* The code point that stands for byte id 0 to 255 in CLIP's alphabet. */
static uint32_t letter_of(int32_t id)
{
    const uint32_t c = (uint32_t)id;
    return c < 94 ? c + 33 : c < 106 ? c - 94 + 161 : c < 188 ? c - 106 + 174 : c - 188 + 256;
}

size_t bpe_piece(int32_t id, char *out, size_t room)
{
    int32_t stack[64]; /* a merge is at most some dozen deep: each is longer than its halves */
    size_t depth = 0, used = 0;
    stack[depth++] = id;
    while (depth > 0) {
        const int32_t top = stack[--depth];
        if (top >= BPE_BASE) {
            if (depth + 2 > sizeof stack / sizeof stack[0])
                return 0;
            stack[depth++] = merges[top - BPE_BASE][1];
            stack[depth++] = merges[top - BPE_BASE][0];
            continue;
        }
        if (room - used < 8)
            return 0;
        used += utf8_put(letter_of(top & 255), out + used);
        if (top >= 256) {
            memcpy(out + used, "</w>", 4);
            used += 4;
        }
    }
    return used;
}
