/* host/cpu/attention.h - how attention is cut, and the kernels that work on one cut.
 *
 * A tile is TILE_Q queries of one head, which lie across the lanes: scores are kept as
 * [key][query], so the softmax's largest and sum are lane by lane, and nothing is padded but the
 * queries of the last tile. Keys come BLOCK at a time, in ascending order; d, keys and queries
 * alone decide the order of every sum.
 *
 *   q   [d][TILE_Q]               one tile, transposed
 *   k   [keys / GROUP][d][GROUP]  one head, the last group filled up with zeros
 *   v   [d / GROUP][keys][GROUP]  likewise, by channels
 *   o   [d][TILE_Q]               the result, transposed, not yet divided by its sum
 *
 * (attention_amx.c has its own k and v.) With bf16 two neighbours along the sum (channels of q and
 * k, keys of the scores and v) share a 32-bit place.
 */
#ifndef HOST_CPU_ATTENTION_H
#define HOST_CPU_ATTENTION_H

#include <stddef.h>

#include "host/cpu/lanes.h"

#if defined LANES_AVX512
enum { GROUP = 8 }; /* 3 x 8 registers of sums, 3 of loads, 1 broadcast: 28 of 32 */
#else
enum { GROUP = 4 }; /* 3 x 4 registers of sums, 3 of loads, 1 broadcast: 16 of 16 */
#endif
enum {
    ACROSS = 3, /* registers across a tile */
    TILE_Q = ACROSS * LANES,
    BLOCK = 128 /* keys at a time: their scores are 24 KiB, half of the first cache */
};

#if defined LANES_AVX512 && defined __AVX512BF16__
#define ATTENTION_BF16 /* products of bf16 pairs in one instruction */
#if defined __AMX_TILE__ && defined __AMX_BF16__
#define ATTENTION_AMX /* products of bf16 tiles; asked for at run time, for a kernel may refuse */
#endif
#endif

struct attention_tile {
    const void *q, *k, *v;
    int d;
    int keys;        /* that the tile's last query sees */
    int keys_packed; /* rows of v from one channel group to the next */
    int first_query; /* causal: query i of the tile sees keys 0 .. first_query + i; else -1 */
    float slope;     /* scale * log2 e */
    float *score;    /* [BLOCK][TILE_Q] of work */
    float *o;        /* out */
    float *sum;      /* out: [TILE_Q] */
};

static inline int attention_up(int count, int multiple)
{
    return (count + multiple - 1) / multiple * multiple;
}

void attention_tile_f32(const struct attention_tile *tile);
#if defined ATTENTION_BF16
void attention_tile_bf16(const struct attention_tile *tile);
#endif

#if defined ATTENTION_AMX
enum { AMX_ROWS = 16, AMX_SUM = 32 }; /* of a tile; how far a sum advances with one */

struct attention_head {
    const void *k, *v; /* the head's first elements */
    size_t stride;     /* elements between keys */
    int d, keys;
    int first, last; /* keys to pack; those from `keys` on are zeros */
    int keys_packed;
};

void attention_pack_amx(const struct attention_head *head, bf16 *k, bf16 *v);
void attention_tile_amx(const struct attention_tile *tile);
#endif

/* ---- what the two kernels share ---------------------------------------------------------- */

/* A score that counts for nothing; finite, so that no NaN comes of it. */
#define ATTENTION_MASKED (-1e30f)

/* Hides from each query of the tile the keys behind it. */
static inline void attention_mask(const struct attention_tile *tile, int first_key, int keys)
{
    for (int j = 0; j < keys; j++)
        for (int i = 0; i < TILE_Q && first_key + j > tile->first_query + i; i++)
            tile->score[j * TILE_Q + i] = ATTENTION_MASKED;
}

/* How far a score is below the shift, and one shift below another, as powers of 2. With a fused
 * product the shift is slope * largest, rounded; any shift will do as long as all use the same. The
 * plain build would round slope * score too, so it keeps the largest score itself. */
#if defined LANES_AVX512 || defined LANES_AVX2
static inline lanes attention_shift_of(lanes largest, lanes slope)
{
    return lanes_mul(largest, slope);
}
static inline lanes attention_below(lanes score, lanes slope, lanes shift)
{
    return lanes_fma(score, slope, lanes_sub(lanes_set(0), shift));
}
static inline lanes attention_step(lanes from, lanes to, lanes slope)
{
    (void)slope;
    return lanes_sub(from, to);
}
#else
static inline lanes attention_shift_of(lanes largest, lanes slope)
{
    (void)slope;
    return largest;
}
static inline lanes attention_below(lanes score, lanes slope, lanes shift)
{
    return lanes_mul(lanes_sub(score, shift), slope);
}
static inline lanes attention_step(lanes from, lanes to, lanes slope)
{
    return lanes_mul(lanes_sub(from, to), slope);
}
#endif

/* The running softmax of a tile. */
struct attention_softmax {
    lanes largest[ACROSS], shift[ACROSS], sum[ACROSS];
};

/* Takes in the scores of a block; fade[] is what older sums have to be multiplied by. */
static inline void attention_shift(const struct attention_tile *tile, int keys,
                                   struct attention_softmax *soft, lanes fade[ACROSS])
{
    for (int r = 0; r < ACROSS; r++) {
        lanes largest = soft->largest[r];
        for (int j = 0; j < keys; j++) /* in this order of operands a NaN is not lost */
            largest = lanes_max(largest, lanes_load(tile->score + j * TILE_Q + r * LANES));
        const lanes slope = lanes_set(tile->slope), shift = attention_shift_of(largest, slope);
        fade[r] = lanes_exp2_below(attention_step(soft->shift[r], shift, slope));
        soft->largest[r] = largest;
        soft->shift[r] = shift;
        soft->sum[r] = lanes_mul(soft->sum[r], fade[r]);
    }
}

static inline void attention_begin(const struct attention_tile *tile, size_t d,
                                   struct attention_softmax *soft)
{
    for (int r = 0; r < ACROSS; r++) {
        soft->largest[r] = soft->shift[r] = lanes_set(ATTENTION_MASKED);
        soft->sum[r] = lanes_set(0);
    }
    for (size_t i = 0; i < d * TILE_Q; i += LANES)
        lanes_store(tile->o + i, lanes_set(0));
}

static inline void attention_end(const struct attention_tile *tile,
                                 const struct attention_softmax *soft)
{
    for (int r = 0; r < ACROSS; r++)
        lanes_store(tile->sum + r * LANES, soft->sum[r]);
}

static inline lanes attention_exponential(const float *score, lanes slope, lanes shift)
{
    return lanes_exp2_below(attention_below(lanes_load(score), slope, shift));
}

#if defined ATTENTION_BF16

/* Scores become pairs of exponentials, in the place of the first of the two: [keys / 2][TILE_Q][2].
 * A last key without a neighbour gets a 0. */
static inline void attention_exponentials_bf16(const struct attention_tile *tile, int keys,
                                               struct attention_softmax *soft)
{
    const lanes slope = lanes_set(tile->slope);
    const __m512i mix = _mm512_set_epi32(0x1f000f, 0x1e000e, 0x1d000d, 0x1c000c, 0x1b000b, 0x1a000a,
                                         0x190009, 0x180008, 0x170007, 0x160006, 0x150005, 0x140004,
                                         0x130003, 0x120002, 0x110001, 0x100000);
    bf16 *to = (bf16 *)(void *)tile->score;
    for (int j = 0; j < keys; j += 2, to += 2 * TILE_Q)
        for (int r = 0; r < ACROSS; r++) {
            const float *at = tile->score + j * TILE_Q + r * LANES;
            const lanes p0 = attention_exponential(at, slope, soft->shift[r]);
            const lanes p1 = j + 1 < keys
                                 ? attention_exponential(at + TILE_Q, slope, soft->shift[r])
                                 : lanes_set(0);
            soft->sum[r] = lanes_add(lanes_add(soft->sum[r], p0), p1);
            const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(p1, p0);
            _mm512_storeu_si512((void *)(to + 2 * r * LANES), _mm512_permutexvar_epi16(mix, both));
        }
}

#endif

#endif
