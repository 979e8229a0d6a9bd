/* host/cpu/attention_bf16.c - attention_f32.c with both products in AVX512-BF16: one instruction
 * multiplies 16 pairs and adds them to f32 sums. The softmax is the same, in f32; exponentials are
 * rounded to bf16 for the second product, their sum is not. */
#include "host/cpu/attention.h"

#if defined ATTENTION_BF16

static inline __m512bh pairs(const bf16 *at)
{
    return (__m512bh)_mm512_loadu_si512((const void *)at);
}

/* One pair in every lane. */
static inline __m512bh pair_set(const bf16 *at)
{
    int both;
    memcpy(&both, at, sizeof both);
    return (__m512bh)_mm512_set1_epi32(both);
}

/* sum += x y over `count` pairs: x is [count][TILE_Q][2], y is [count][GROUP][2]. */
static inline void multiply(const bf16 *x, const bf16 *y, int count, lanes sum[GROUP][ACROSS])
{
    for (int i = 0; i < count; i++) {
        __m512bh a[ACROSS];
        for (int r = 0; r < ACROSS; r++)
            a[r] = pairs(x + 2 * r * LANES);
        for (int j = 0; j < GROUP; j++) {
            const __m512bh b = pair_set(y + 2 * j);
            for (int r = 0; r < ACROSS; r++)
                sum[j][r] = _mm512_dpbf16_ps(sum[j][r], a[r], b);
        }
        x += 2 * TILE_Q;
        y += 2 * GROUP;
    }
}

static void scores_of_group(const bf16 *q, const bf16 *k, int d_pairs, float *score)
{
    lanes sum[GROUP][ACROSS];
    for (int j = 0; j < GROUP; j++)
        for (int r = 0; r < ACROSS; r++)
            sum[j][r] = lanes_set(0);
    multiply(q, k, d_pairs, sum);
    for (int j = 0; j < GROUP; j++)
        for (int r = 0; r < ACROSS; r++)
            lanes_store(score + j * TILE_Q + r * LANES, sum[j][r]);
}

static void add_values(const bf16 *p, const bf16 *v, int pairs_of_keys, const lanes fade[ACROSS],
                       float *o)
{
    lanes sum[GROUP][ACROSS];
    for (int i = 0; i < GROUP; i++)
        for (int r = 0; r < ACROSS; r++)
            sum[i][r] = lanes_mul(lanes_load(o + i * TILE_Q + r * LANES), fade[r]);
    multiply(p, v, pairs_of_keys, sum);
    for (int i = 0; i < GROUP; i++)
        for (int r = 0; r < ACROSS; r++)
            lanes_store(o + i * TILE_Q + r * LANES, sum[i][r]);
}

void attention_tile_bf16(const struct attention_tile *tile)
{
    const size_t d = (size_t)attention_up(tile->d, 2), width = (size_t)attention_up(tile->d, GROUP);
    struct attention_softmax soft;
    attention_begin(tile, width, &soft);

    for (int first = 0; first < tile->keys; first += BLOCK) {
        const int keys = tile->keys - first < BLOCK ? tile->keys - first : BLOCK;
        const bf16 *k = (const bf16 *)tile->k + (size_t)first * d;
        const bf16 *v = (const bf16 *)tile->v + (size_t)first * GROUP;
        lanes fade[ACROSS];

        for (int j = 0; j < keys; j += GROUP)
            scores_of_group(tile->q, k + (size_t)j * d, (int)d / 2, tile->score + j * TILE_Q);
        if (tile->first_query >= 0 && first + keys - 1 > tile->first_query)
            attention_mask(tile, first, keys);
        attention_shift(tile, keys, &soft, fade);
        attention_exponentials_bf16(tile, keys, &soft);
        for (size_t i = 0; i < width; i += GROUP)
            add_values((const bf16 *)(const void *)tile->score, v + i * (size_t)tile->keys_packed,
                       (keys + 1) / 2, fade, tile->o + i * TILE_Q);
    }
    attention_end(tile, &soft);
}

#else

/* A translation unit may not be empty. */
typedef int attention_bf16_is_not_built;

#endif
