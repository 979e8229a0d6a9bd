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
 * With bf16 two neighbours along the sum (channels of q and k, keys of the scores and v) share a
 * 32-bit place.
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

/* The running softmax of a tile: `shift` is slope * the largest score so far. */
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
        const lanes shift = lanes_mul(largest, lanes_set(tile->slope));
        fade[r] = lanes_exp2_below(lanes_sub(soft->shift[r], shift));
        soft->largest[r] = largest;
        soft->shift[r] = shift;
        soft->sum[r] = lanes_mul(soft->sum[r], fade[r]);
    }
}

#endif
