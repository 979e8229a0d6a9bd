/* host/cpu/attention_amx.c - attention_bf16.c with both products in AMX tiles of 16x16 sums.
 *
 * Layout     A tiles are rows of keys, or of channels of v, along which the sum runs; B tiles are
 *            the pairs of q and of exponentials as attention.h has them. So here
 *              k  [keys][d], v  [d][keys], both filled up with zeros to 16 rows and 32 along the
 * sum Roofline   exponentials: with d = 40 a score is 80 products, 2.5 cycles for 16 of them,
 * against some 8 for what the softmax does to it.
 */
#include "host/cpu/attention.h"

#if defined ATTENTION_AMX

#include <stdatomic.h>

enum { SUMS = 16 }; /* rows and columns of a tile; a sum advances by 2 * SUMS */

static void tiles_begin(void)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = { .palette = 1 };
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = SUMS;
    }
    _tile_loadconfig(&config);
}

/* sum[SUMS][TILE_Q] (+)= a b over `length` places of the sum, a multiple of 2 * SUMS. Rows of a are
 * a_stride elements apart. Tiles 0 to 2 are the sums, 3 is of a, 4 to 6 are of b. */
static void multiply(const bf16 *a, size_t a_stride, const bf16 *b, int length, int onto,
                     float *sum)
{
    const size_t row = TILE_Q * sizeof(float), across = SUMS * sizeof(float);
    char *to = (char *)(void *)sum;
    if (onto) {
        _tile_loadd(0, to, row);
        _tile_loadd(1, to + across, row);
        _tile_loadd(2, to + 2 * across, row);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
    }
    for (int i = 0; i < length; i += 2 * SUMS) {
        const char *from = (const char *)(b + (size_t)i * TILE_Q);
        _tile_loadd(3, a + i, a_stride * sizeof *a);
        _tile_loadd(4, from, row);
        _tile_loadd(5, from + across, row);
        _tile_loadd(6, from + 2 * across, row);
        _tile_dpbf16ps(0, 3, 4);
        _tile_dpbf16ps(1, 3, 5);
        _tile_dpbf16ps(2, 3, 6);
    }
    _tile_stored(0, to, row);
    _tile_stored(1, to + across, row);
    _tile_stored(2, to + 2 * across, row);
}

static void fade_result(float *o, size_t d, const lanes fade[ACROSS])
{
    for (size_t i = 0; i < d; i++)
        for (int r = 0; r < ACROSS; r++) {
            float *at = o + i * TILE_Q + (size_t)r * LANES;
            lanes_store(at, lanes_mul(lanes_load(at), fade[r]));
        }
}

/* Zeros behind the last pair of exponentials, up to a whole step of the sum. */
static void fill_up(bf16 *p, int keys)
{
    for (int j = attention_up(keys, 2); j < attention_up(keys, 2 * SUMS); j += 2)
        memset(p + (size_t)j * TILE_Q, 0, 2 * TILE_Q * sizeof *p);
}

void attention_pack_amx(const struct attention_head *head, bf16 *k, bf16 *v)
{
    const size_t d_sum = (size_t)attention_up(head->d, 2 * SUMS);
    for (int key = head->first; key < head->last; key++) {
        const int there = key < head->keys;
        const bf16 *from_k = (const bf16 *)head->k + (size_t)key * head->stride;
        const bf16 *from_v = (const bf16 *)head->v + (size_t)key * head->stride;
        for (int i = 0; i < (int)d_sum; i++)
            k[(size_t)key * d_sum + (size_t)i] = there && i < head->d ? from_k[i] : 0;
        for (int i = 0; i < attention_up(head->d, SUMS); i++)
            v[(size_t)i * (size_t)head->keys_packed + (size_t)key] =
                there && i < head->d ? from_v[i] : 0;
    }
}

void attention_tile_amx(const struct attention_tile *tile)
{
    const size_t d_sum = (size_t)attention_up(tile->d, 2 * SUMS);
    const size_t width = (size_t)attention_up(tile->d, SUMS);
    struct attention_softmax soft;
    attention_begin(tile, width, &soft);
    tiles_begin();

    for (int first = 0; first < tile->keys; first += BLOCK) {
        const int keys = tile->keys - first < BLOCK ? tile->keys - first : BLOCK;
        const bf16 *k = (const bf16 *)tile->k + (size_t)first * d_sum;
        const bf16 *v = (const bf16 *)tile->v + (size_t)first;
        bf16 *p = (bf16 *)(void *)tile->score;
        lanes fade[ACROSS];

        /* The compiler does not know that tile loads read memory: nothing may move past these. */
        atomic_signal_fence(memory_order_seq_cst);
        for (int j = 0; j < keys; j += SUMS)
            multiply(k + (size_t)j * d_sum, d_sum, tile->q, (int)d_sum, 0,
                     tile->score + (size_t)j * TILE_Q);
        if (tile->first_query >= 0 && first + keys - 1 > tile->first_query)
            attention_mask(tile, first, keys);
        attention_shift(tile, keys, &soft, fade);
        attention_exponentials_bf16(tile, keys, &soft);
        fill_up(p, keys);
        if (first > 0)
            fade_result(tile->o, width, fade);
        atomic_signal_fence(memory_order_seq_cst);
        for (size_t i = 0; i < width; i += SUMS)
            multiply(v + i * (size_t)tile->keys_packed, (size_t)tile->keys_packed, p,
                     attention_up(keys, 2 * SUMS), first > 0, tile->o + i * TILE_Q);
    }
    _tile_release();
    attention_end(tile, &soft);
}

#else

/* A translation unit may not be empty. */
typedef int attention_amx_is_not_built;

#endif
