/* host/cpu/attention.c - softmax(scale q k^T) v per head: checks, packing, and who does what.
 *
 * Algorithm  An image's keys and values are packed once for its head (attention.h has the layouts),
 *            then each tile of queries goes through them by itself. Threads take tiles as they
 *            come: no sum crosses a tile.
 * Scratch    one part's keys and values, and per thread a tile of q, of o and a block of scores.
 */
#include <math.h>
#include <string.h>
#if defined _OPENMP
#include <omp.h>
#endif

#include "host/cpu/attention.h"
#include "host/cpu/device.h"
#include "host/cpu/engine.h"

/* Which products. */
enum path { PATH_F32, PATH_BF16, PATH_AMX };

/* How a call is cut. */
struct cut {
    enum path path;
    size_t size;                         /* bytes of a packed element */
    int key_step;                        /* keys packed at a time */
    int keys_packed;                     /* s_kv up to whole steps */
    int d_across;                        /* d as rows of o and channels of v */
    int d_sum;                           /* d as rows of q and k */
    int tiles;                           /* of queries, per head */
    size_t k_bytes, v_bytes;             /* per head */
    size_t q_bytes, o_bytes, tile_bytes; /* per thread */
};

static enum path path_of(const struct attention_args *a)
{
    if (a->dtype != DTYPE_BF16)
        return PATH_F32;
#if defined ATTENTION_AMX
    if (strstr(cpu_engine_isa(), "AMX")) /* oneDNN has asked the kernel for it */
        return PATH_AMX;
#endif
#if defined ATTENTION_BF16
    return PATH_BF16;
#else
    return PATH_F32;
#endif
}

static size_t line_up(size_t bytes) { return (bytes + 63) / 64 * 64; }

static struct cut cut_of(const struct attention_args *a)
{
    struct cut c = { .path = path_of(a) };
    /* What channels and keys are filled up to: along a sum, and across. */
    int d_sum = 1, d_across = GROUP, keys = GROUP;
    if (c.path == PATH_BF16)
        d_sum = 2;
#if defined ATTENTION_AMX
    if (c.path == PATH_AMX) {
        d_sum = keys = AMX_SUM;
        d_across = AMX_ROWS;
    }
#endif

    c.size = c.path == PATH_F32 ? sizeof(float) : sizeof(bf16);
    c.key_step = keys;
    c.keys_packed = attention_up(a->s_kv, keys);
    c.d_across = attention_up(a->d, d_across);
    c.d_sum = attention_up(a->d, d_sum);
    c.tiles = (a->s_q + TILE_Q - 1) / TILE_Q;
    c.k_bytes = line_up((size_t)c.keys_packed * (size_t)c.d_sum * c.size);
    c.v_bytes = line_up((size_t)c.keys_packed * (size_t)c.d_across * c.size);
    c.q_bytes = line_up((size_t)c.d_sum * TILE_Q * c.size);
    c.o_bytes = (size_t)c.d_across * TILE_Q * sizeof(float);
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
    const int keys = a->key_len[(a->len_contexts > 0 ? context * a->n_kv : 0) + part];
    return keys >= 1 && keys <= a->s_kv ? keys : 0;
}

/* ---- packing ----------------------------------------------------------------------------- */

static float as_f32(const void *x, enum dtype dtype, size_t at)
{
    return dtype == DTYPE_F32 ? ((const float *)x)[at] : bf16_to_f32(((const bf16 *)x)[at]);
}

/* Keys first .. first + GROUP - 1 (those from `keys` on are zeros) of the head whose first element
 * is `head`. */
static void pack_group_f32(const struct attention_args *a, const struct cut *c, size_t head,
                           int keys, int first, float *k, float *v)
{
    const size_t d = (size_t)a->d;
    for (size_t j = 0; j < GROUP; j++) {
        const size_t key = (size_t)first + j, at = head + key * a->kv_stride;
        const int there = (int)key < keys;
        float *to_k = k + (size_t)first * d + j, *to_v = v + key * GROUP;
        for (size_t i = 0; i < d; i++)
            to_k[i * GROUP] = there ? as_f32(a->k, a->dtype, at + i) : 0;
        for (size_t i = 0; i < (size_t)c->d_across; i++)
            to_v[i / GROUP * GROUP * (size_t)c->keys_packed + i % GROUP] =
                there && i < d ? as_f32(a->v, a->dtype, at + i) : 0;
    }
}

static void pack_group_bf16(const struct attention_args *a, const struct cut *c, size_t head,
                            int keys, int first, bf16 *k, bf16 *v)
{
    const size_t d = (size_t)a->d;
    for (size_t j = 0; j < GROUP; j++) {
        const size_t key = (size_t)first + j, at = head + key * a->kv_stride;
        const int there = (int)key < keys;
        const bf16 *from_k = (const bf16 *)a->k + at, *from_v = (const bf16 *)a->v + at;
        bf16 *to_k = k + (size_t)first * (size_t)c->d_sum + 2 * j;
        bf16 *to_v = v + key / 2 * GROUP * 2 + key % 2;
        for (size_t i = 0; i < (size_t)c->d_sum; i++)
            to_k[i / 2 * GROUP * 2 + i % 2] = there && i < d ? from_k[i] : 0;
        for (size_t i = 0; i < (size_t)c->d_across; i++)
            to_v[i / GROUP * GROUP * (size_t)c->keys_packed + i % GROUP * 2] =
                there && i < d ? from_v[i] : 0;
    }
}

/* Keys first .. first + key_step - 1 of a head. */
static void pack_keys(const struct attention_args *a, const struct cut *c, size_t head, int keys,
                      int first, void *k, void *v)
{
#if defined ATTENTION_AMX
    if (c->path == PATH_AMX) {
        const struct attention_head h = { .k = (const bf16 *)a->k + head,
                                          .v = (const bf16 *)a->v + head,
                                          .stride = a->kv_stride,
                                          .d = a->d,
                                          .keys = keys,
                                          .first = first,
                                          .last = first + c->key_step,
                                          .keys_packed = c->keys_packed };
        attention_pack_amx(&h, k, v);
        return;
    }
#endif
    if (c->path == PATH_BF16)
        pack_group_bf16(a, c, head, keys, first, k, v);
    else
        pack_group_f32(a, c, head, keys, first, k, v);
}

/* Queries of a tile, across; those that are not there, and channels beyond d, are zeros. */
static void pack_queries(const struct attention_args *a, const struct cut *c, size_t at,
                         int queries, void *q)
{
    const size_t d = (size_t)a->d;
    if (queries < TILE_Q || c->d_sum > a->d)
        memset(q, 0, c->q_bytes);
    for (size_t j = 0; j < (size_t)queries; j++, at += a->q_stride) {
        if (c->path != PATH_F32)
            for (size_t i = 0; i < d; i++)
                ((bf16 *)q)[i / 2 * 2 * TILE_Q + 2 * j + i % 2] = ((const bf16 *)a->q)[at + i];
        else if (a->dtype == DTYPE_F32)
            for (size_t i = 0; i < d; i++)
                ((float *)q)[i * TILE_Q + j] = ((const float *)a->q)[at + i];
        else
            for (size_t i = 0; i < d; i++)
                ((float *)q)[i * TILE_Q + j] = bf16_to_f32(((const bf16 *)a->q)[at + i]);
    }
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

/* Query j of a tile is column j of o; it goes to y at element `at` + j rows. */
static void store(const struct attention_args *a, const float *o, const float *sum, size_t at,
                  int queries)
{
    const size_t row = (size_t)a->heads * (size_t)a->d;
    for (int j = 0; j < queries; j++, at += row) {
        const lanes per = lanes_set(1.0f / sum[j]);
        for (int i = 0; i < a->d; i += LANES) {
            const int count = a->d - i < LANES ? a->d - i : LANES;
            float part[LANES] = { 0 };
            for (int k = 0; k < count; k++)
                part[k] = o[(i + k) * TILE_Q + j];
            lanes_store_part(a->y, a->dtype, at + (size_t)i, count,
                             lanes_mul(lanes_load(part), per));
        }
    }
}

static void run_tile(enum path path, const struct attention_tile *tile)
{
    switch (path) {
    case PATH_AMX:
#if defined ATTENTION_AMX
        attention_tile_amx(tile);
#endif
        break;
    case PATH_BF16:
#if defined ATTENTION_BF16
        attention_tile_bf16(tile);
#endif
        break;
    case PATH_F32:
        attention_tile_f32(tile);
        break;
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
    run_tile(c->path, &t);
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
    const int groups = attention_up(keys, c->key_step) / c->key_step, images = a->n / a->n_kv;
    const int items = images * a->heads * c->tiles;

#pragma omp parallel num_threads(dev->threads)
    {
#pragma omp for schedule(static)
        for (int i = 0; i < a->heads * groups; i++) {
            const size_t head = (size_t)(i / groups);
            pack_keys(a, c, start + head * (size_t)a->d, keys, i % groups * c->key_step,
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

    const int context = a->kv_context_stride || a->len_contexts > 0 ? cpu_step(dev)->context : 0;
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
