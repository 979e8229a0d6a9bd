/* host/cpu/attention.c - softmax(scale q k^T) v per head: checks, packing, and who does what.
 *
 * Algorithm  An image's keys and values are packed once for its head (attention.h has the layouts),
 *            then each tile of queries goes through them by itself. Threads take tiles as they
 *            come: no sum crosses a tile.
 * Scratch    one part's keys and values, and per thread a tile of q, of o and a block of scores.
 */
#include <math.h>
#if defined _OPENMP
#include <omp.h>
#endif

#include "host/cpu/attention.h"
#include "host/cpu/device.h"

/* How a call is cut. */
struct cut {
    int pair;                /* 2: neighbours along a sum share a place (bf16), else 1 */
    int keys_packed;         /* s_kv up to whole groups */
    int d_packed;            /* d up to whole groups: rows of o, channels of v */
    int d_pairs;             /* d up to whole pairs: rows of q and k */
    int tiles;               /* of queries, per head */
    size_t size;             /* bytes of a packed element */
    size_t k_bytes, v_bytes; /* per head */
    size_t q_bytes, o_bytes, tile_bytes; /* per thread */
};

static int uses_bf16(const struct attention_args *a)
{
#if defined ATTENTION_BF16
    return a->dtype == DTYPE_BF16;
#else
    (void)a;
    return 0;
#endif
}

static size_t line_up(size_t bytes) { return (bytes + 63) / 64 * 64; }

static struct cut cut_of(const struct attention_args *a)
{
    struct cut c = { .pair = uses_bf16(a) ? 2 : 1, .size = uses_bf16(a) ? 2 : 4 };
    c.keys_packed = attention_up(a->s_kv, GROUP);
    c.d_packed = attention_up(a->d, GROUP);
    c.d_pairs = attention_up(a->d, c.pair);
    c.tiles = (a->s_q + TILE_Q - 1) / TILE_Q;
    c.k_bytes = line_up((size_t)c.keys_packed * (size_t)c.d_pairs * c.size);
    c.v_bytes = line_up((size_t)c.keys_packed * (size_t)c.d_packed * c.size);
    c.q_bytes = line_up((size_t)c.d_pairs * TILE_Q * c.size);
    c.o_bytes = (size_t)c.d_packed * TILE_Q * sizeof(float);
    c.tile_bytes = c.q_bytes + c.o_bytes + (BLOCK + 1) * TILE_Q * sizeof(float);
    return c;
}

static status check(const struct attention_args *a)
{
    if (a->n < 1 || a->n_q < 1 || a->n_kv < 1 || a->n % a->n_kv != 0 || a->heads < 1 || a->d < 1 ||
        a->s_q < 1 || a->s_kv < 1)
        return status_fail(STATUS_BAD_SHAPE, "attention: n=%d,%d,%d heads=%d d=%d s_q=%d s_kv=%d",
                           a->n, a->n_q, a->n_kv, a->heads, a->d, a->s_q, a->s_kv);
    const size_t width = (size_t)a->heads * (size_t)a->d;
    if (a->q_stride < width || a->kv_stride < width)
        return status_fail(STATUS_BAD_SHAPE, "attention: rows of %zu and %zu hold %d heads of %d",
                           a->q_stride, a->kv_stride, a->heads, a->d);
    if (!(a->scale > 0) || isinf(a->scale))
        return status_fail(STATUS_BAD_SHAPE, "attention: scale %g", (double)a->scale);
    if (a->dtype != DTYPE_F32 && a->dtype != DTYPE_BF16)
        return status_fail(STATUS_UNSUPPORTED, "attention: no variant for %s",
                           dtype_name(a->dtype));
    return STATUS_OK;
}

/* Keys of part `part` now, or 0 if they are not 1 .. s_kv. */
static int keys_of(const struct attention_args *a, int part, int context)
{
    if (!a->key_len)
        return a->s_kv;
    const int keys = a->key_len[(a->context_lens ? context * a->n_kv : 0) + part];
    return keys >= 1 && keys <= a->s_kv ? keys : 0;
}

/* ---- packing ----------------------------------------------------------------------------- */

static float as_f32(const void *x, enum dtype dtype, size_t at)
{
    return dtype == DTYPE_F32 ? ((const float *)x)[at] : bf16_to_f32(((const bf16 *)x)[at]);
}

/* Element `at` of x, or 0, to place `to` of a packed array. */
static inline void place(const struct attention_args *a, const struct cut *c, const void *x,
                         size_t at, int there, void *packed, size_t to)
{
    if (c->pair == 2)
        ((bf16 *)packed)[to] = there ? ((const bf16 *)x)[at] : 0;
    else
        ((float *)packed)[to] = there ? as_f32(x, a->dtype, at) : 0;
}

/* Rows first .. first + GROUP - 1 (those from `keys` on are zeros) of one head; x is its first
 * element. */
static void pack_group(const struct attention_args *a, const struct cut *c, size_t head, int keys,
                       int first, void *k, void *v)
{
    const size_t pair = (size_t)c->pair;
    for (size_t j = 0; j < GROUP; j++) {
        const size_t key = (size_t)first + j, at = head + key * a->kv_stride;
        const int there = (int)key < keys;
        const size_t to_k = (size_t)first * (size_t)c->d_pairs + j * pair;
        for (size_t i = 0; i < (size_t)c->d_pairs; i++)
            place(a, c, a->k, at + i, there && (int)i < a->d, k,
                  to_k + i / pair * GROUP * pair + i % pair);
        const size_t to_v = key / pair * GROUP * pair + key % pair;
        for (size_t i = 0; i < (size_t)c->d_packed; i++)
            place(a, c, a->v, at + i, there && (int)i < a->d, v,
                  i / GROUP * GROUP * (size_t)c->keys_packed + to_v + i % GROUP * pair);
    }
}

static void pack_queries(const struct attention_args *a, const struct cut *c, size_t at,
                         int queries, void *q)
{
    const size_t pair = (size_t)c->pair;
    for (size_t j = 0; j < TILE_Q; j++)
        for (size_t i = 0; i < (size_t)c->d_pairs; i++)
            place(a, c, a->q, at + j * a->q_stride + i, (int)j < queries && (int)i < a->d, q,
                  i / pair * TILE_Q * pair + j * pair + i % pair);
}

/* ---- tiles ------------------------------------------------------------------------------- */

static int thread_now(void)
{
#if defined _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

static void store(const struct attention_args *a, const float *o, const float *sum, size_t at,
                  int queries)
{
    const size_t row = (size_t)a->heads * (size_t)a->d;
    for (size_t j = 0; j < (size_t)queries; j++) {
        const float per = 1.0f / sum[j];
        for (size_t i = 0; i < (size_t)a->d; i++) {
            const float y = o[i * TILE_Q + j] * per;
            if (a->dtype == DTYPE_F32)
                ((float *)a->y)[at + j * row + i] = y;
            else
                ((bf16 *)a->y)[at + j * row + i] = bf16_from_f32(y);
        }
    }
}

/* Tile `tile` of head `head` of image `img`; `work` is the thread's own. */
static void attend(const struct attention_args *a, const struct cut *c, const void *k,
                   const void *v, int keys, int img, int head, int tile, unsigned char *work)
{
    const int first = tile * TILE_Q;
    const int queries = a->s_q - first < TILE_Q ? a->s_q - first : TILE_Q;
    const int seen = a->causal && first + queries < keys ? first + queries : keys;
    const size_t from = ((size_t)(img % a->n_q) * (size_t)a->s_q + (size_t)first) * a->q_stride;
    const size_t to =
        ((size_t)img * (size_t)a->s_q + (size_t)first) * (size_t)a->heads * (size_t)a->d;
    float *o = (float *)(void *)(work + c->q_bytes);
    float *score = o + c->o_bytes / sizeof *o, *sum = score + BLOCK * TILE_Q;

    pack_queries(a, c, from + (size_t)head * (size_t)a->d, queries, work);
    const struct attention_tile t = {
        .q = work,
        .k = k,
        .v = v,
        .d = a->d,
        .keys = seen,
        .keys_packed = c->keys_packed,
        .first_query = a->causal ? first : -1,
        .slope = a->scale * 0x1.715476p0f,
        .score = score,
        .o = o,
        .sum = sum,
    };
#if defined ATTENTION_BF16
    if (c->pair == 2)
        attention_tile_bf16(&t);
    else
#endif
        attention_tile_f32(&t);
    store(a, o, sum, to + (size_t)head * (size_t)a->d, queries);
}

/* All images that read part `part`. */
static void attend_part(struct cpu_device *dev, const struct attention_args *a, const struct cut *c,
                        int part, int context, int keys, unsigned char *work)
{
    unsigned char *packed_k = work, *packed_v = work + (size_t)a->heads * c->k_bytes;
    unsigned char *own = packed_v + (size_t)a->heads * c->v_bytes;
    const size_t start =
        (size_t)context * a->kv_context_stride + (size_t)part * (size_t)a->s_kv * a->kv_stride;
    const int groups = attention_up(keys, GROUP) / GROUP, images = a->n / a->n_kv;
    const int items = images * a->heads * c->tiles;

#pragma omp parallel num_threads(dev->threads)
    {
#pragma omp for schedule(static)
        for (int i = 0; i < a->heads * groups; i++) {
            const size_t head = (size_t)(i / groups);
            pack_group(a, c, start + head * (size_t)a->d, keys, i % groups * GROUP,
                       packed_k + head * c->k_bytes, packed_v + head * c->v_bytes);
        }
#pragma omp for schedule(dynamic, 1)
        for (int i = 0; i < items; i++) {
            const int head = i / c->tiles % a->heads, img = part * images + i / c->tiles / a->heads;
            attend(a, c, packed_k + (size_t)head * c->k_bytes, packed_v + (size_t)head * c->v_bytes,
                   keys, img, head, i % c->tiles, own + (size_t)thread_now() * c->tile_bytes);
        }
    }
}

status cpu_attention(struct ops *ops, const struct attention_args *a)
{
    struct cpu_device *dev = cpu_device(ops);
    TRY(check(a));
    const struct cut c = cut_of(a);
    void *work;
    TRY(cpu_scratch(
        dev, (size_t)a->heads * (c.k_bytes + c.v_bytes) + (size_t)dev->threads * c.tile_bytes,
        &work));
    if (dev->planning)
        return STATUS_OK;

    const int context = a->kv_context_stride || a->context_lens ? cpu_step(dev)->context : 0;
    for (int part = 0; part < a->n_kv; part++)
        if (keys_of(a, part, context) == 0)
            return status_fail(STATUS_BAD_SHAPE, "attention: part %d has no keys, or beyond %d",
                               part, a->s_kv);

    const double rows = (double)a->n * a->s_q, width = (double)a->heads * a->d;
    cpu_op_begin(dev, "attention", 4 * rows * a->s_kv * width,
                 (2 * rows + 2.0 * a->n_kv * a->s_kv) * width * (double)dtype_size(a->dtype),
                 "%dx%dx%d d=%d x%d%s", a->n, a->s_q, a->s_kv, a->d, a->heads,
                 a->causal ? " causal" : "");
    for (int part = 0; part < a->n_kv; part++)
        attend_part(dev, a, &c, part, context, keys_of(a, part, context), work);
    cpu_op_end(dev);
    return STATUS_OK;
}
