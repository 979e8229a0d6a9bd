/* host/cpu/attention_f32.c - one tile of queries against the keys of its head, in f32.
 *
 * Algorithm  Online softmax, a block of keys at a time: scores, their largest, exponentials, then
 *            the block's share of the result onto the faded one.
 * Roofline   arithmetic: 4 d flop a score in fused products, about 11 instructions for its
 *            exponential. Both products keep 24 sums in registers (12 with AVX2) for 11 loads.
 */
#include "host/cpu/attention.h"

/* scores[GROUP][TILE_Q] of GROUP keys. */
static void scores_of_group(const float *q, const float *k, int d, float *score)
{
    lanes sum[GROUP][ACROSS];
    for (int j = 0; j < GROUP; j++)
        for (int r = 0; r < ACROSS; r++)
            sum[j][r] = lanes_set(0);

    for (int i = 0; i < d; i++) {
        lanes x[ACROSS];
        for (int r = 0; r < ACROSS; r++)
            x[r] = lanes_load(q + r * LANES);
        for (int j = 0; j < GROUP; j++) {
            const lanes y = lanes_set(k[j]);
            for (int r = 0; r < ACROSS; r++)
                sum[j][r] = lanes_fma(x[r], y, sum[j][r]);
        }
        q += TILE_Q;
        k += GROUP;
    }
    for (int j = 0; j < GROUP; j++)
        for (int r = 0; r < ACROSS; r++)
            lanes_store(score + j * TILE_Q + r * LANES, sum[j][r]);
}

/* Scores become exponentials, and are added up. */
static void exponentials(const struct attention_tile *tile, int keys,
                         struct attention_softmax *soft)
{
    const lanes slope = lanes_set(tile->slope);
    for (int j = 0; j < keys; j++)
        for (int r = 0; r < ACROSS; r++) {
            float *at = tile->score + j * TILE_Q + r * LANES;
            const lanes p = attention_exponential(at, slope, soft->shift[r]);
            lanes_store(at, p);
            soft->sum[r] = lanes_add(soft->sum[r], p);
        }
}

/* o[GROUP][TILE_Q] = fade * o + sum over keys of p v, for GROUP channels. */
static void add_values(const float *p, const float *v, int keys, const lanes fade[ACROSS], float *o)
{
    lanes sum[GROUP][ACROSS];
    for (int i = 0; i < GROUP; i++)
        for (int r = 0; r < ACROSS; r++)
            sum[i][r] = lanes_mul(lanes_load(o + i * TILE_Q + r * LANES), fade[r]);

    for (int j = 0; j < keys; j++) {
        lanes x[ACROSS];
        for (int r = 0; r < ACROSS; r++)
            x[r] = lanes_load(p + r * LANES);
        for (int i = 0; i < GROUP; i++) {
            const lanes y = lanes_set(v[i]);
            for (int r = 0; r < ACROSS; r++)
                sum[i][r] = lanes_fma(x[r], y, sum[i][r]);
        }
        p += TILE_Q;
        v += GROUP;
    }
    for (int i = 0; i < GROUP; i++)
        for (int r = 0; r < ACROSS; r++)
            lanes_store(o + i * TILE_Q + r * LANES, sum[i][r]);
}

void attention_tile_f32(const struct attention_tile *tile)
{
    const size_t d = (size_t)tile->d, width = (size_t)attention_up(tile->d, GROUP);
    struct attention_softmax soft;
    attention_begin(tile, width, &soft);

    for (int first = 0; first < tile->keys; first += BLOCK) {
        const int keys = tile->keys - first < BLOCK ? tile->keys - first : BLOCK;
        const float *k = (const float *)tile->k + (size_t)first * d;
        const float *v = (const float *)tile->v + (size_t)first * GROUP;
        lanes fade[ACROSS];

        for (int j = 0; j < keys; j += GROUP)
            scores_of_group(tile->q, k + (size_t)j * d, tile->d, tile->score + j * TILE_Q);
        if (tile->first_query >= 0 && first + keys - 1 > tile->first_query)
            attention_mask(tile, first, keys);
        attention_shift(tile, keys, &soft, fade);
        exponentials(tile, keys, &soft);
        for (size_t i = 0; i < width; i += GROUP)
            add_values(tile->score, v + i * (size_t)tile->keys_packed, keys, fade,
                       tile->o + i * TILE_Q);
    }
    attention_end(tile, &soft);
}
