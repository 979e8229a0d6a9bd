/* host/model/transformer.c - see transformer.h. */
#include "host/model/transformer.h"

#include <math.h>

enum { HEADS = 8, QKV = 3, KV = 2, FF = 4 };

static const float NORM_EPS = 1e-6f; /* not the ResBlocks' 1e-5 */

status transformer_create(struct layer_list *list, const char *prefix,
                          struct transformer *transformer)
{
    struct transformer *t = transformer;
    const struct layer_form geglu = { .geglu = 1 };
    TRY(layer_add(list, &t->norm, NULL, prefix, "norm"));
    TRY(layer_add(list, &t->proj_in, NULL, prefix, "proj_in"));
    TRY(layer_add(list, &t->norm1, NULL, prefix, "transformer_blocks.0.norm1"));
    TRY(layer_add(list, &t->qkv, NULL, prefix,
                  "transformer_blocks.0.attn1.to_q transformer_blocks.0.attn1.to_k "
                  "transformer_blocks.0.attn1.to_v"));
    TRY(layer_add(list, &t->out1, NULL, prefix, "transformer_blocks.0.attn1.to_out.0"));
    TRY(layer_add(list, &t->norm2, NULL, prefix, "transformer_blocks.0.norm2"));
    TRY(layer_add(list, &t->q, NULL, prefix, "transformer_blocks.0.attn2.to_q"));
    TRY(layer_add(list, &t->kv, NULL, prefix,
                  "transformer_blocks.0.attn2.to_k transformer_blocks.0.attn2.to_v"));
    TRY(layer_add(list, &t->out2, NULL, prefix, "transformer_blocks.0.attn2.to_out.0"));
    TRY(layer_add(list, &t->norm3, NULL, prefix, "transformer_blocks.0.norm3"));
    TRY(layer_add(list, &t->ff_in, &geglu, prefix, "transformer_blocks.0.ff.net.0.proj"));
    TRY(layer_add(list, &t->ff_out, NULL, prefix, "transformer_blocks.0.ff.net.2"));
    return layer_add(list, &t->proj_out, NULL, prefix, "proj_out");
}

size_t transformer_context_elements(const struct transformer *transformer,
                                    const struct context_shape *shape)
{
    return (size_t)shape->contexts * shape->parts * shape->tokens * transformer->kv.out;
}

status transformer_prepare(const struct runner *run, struct transformer *transformer,
                           const struct context_shape *shape, const void *context, void *memory)
{
    transformer->context = memory;
    const int n = shape->contexts * shape->parts;
    return token_linear(run, &(struct token_linear){ .layer = &transformer->kv,
                                                     .x = context,
                                                     .n_x = n,
                                                     .y = memory,
                                                     .n = n,
                                                     .s = shape->tokens });
}

/* ---- the three branches ----------------------------------------------------------------- */

/* Tokens of one transformer, and room for its branches. */
struct tokens {
    void *x;      /* [n_x, s, c] ahead of the cross-attention */
    void *y;      /* [n, s, c] behind it; x itself if n_x is n */
    void *normed; /* [n, s, c] */
    void *wide;   /* [n, s, 4 c]: q, k, v and what attention gives; the feed-forward's middle */
    int n_x, n, s, c;
};

static status self_attention(const struct runner *run, const struct transformer *t,
                             const struct tokens *a)
{
    const size_t c = (size_t)a->c, rows = (size_t)a->n_x * a->s;
    TRY(token_norm(run, &t->norm1, a->x, a->n_x * a->s, a->normed));
    TRY(token_linear(run, &(struct token_linear){ .layer = &t->qkv,
                                                  .x = a->normed,
                                                  .n_x = a->n_x,
                                                  .y = a->wide,
                                                  .n = a->n_x,
                                                  .s = a->s }));
    void *mixed = (void *)element(run, a->wide, rows * QKV * c);
    TRY(run->ops->attention(
        run->ops, &(struct attention_args){ .q = a->wide,
                                            .k = element(run, a->wide, c),
                                            .v = element(run, a->wide, 2 * c),
                                            .y = mixed,
                                            .dtype = run->dtype,
                                            .n = a->n_x,
                                            .n_q = a->n_x,
                                            .n_kv = a->n_x,
                                            .heads = HEADS,
                                            .d = a->c / HEADS,
                                            .s_q = a->s,
                                            .s_kv = a->s,
                                            .q_stride = QKV * c,
                                            .kv_stride = QKV * c,
                                            .scale = 1.0f / sqrtf((float)(a->c / HEADS)) }));
    return token_linear(run, &(struct token_linear){ .layer = &t->out1,
                                                     .x = mixed,
                                                     .n_x = a->n_x,
                                                     .residual = a->x,
                                                     .n_residual = a->n_x,
                                                     .y = a->x,
                                                     .n = a->n_x,
                                                     .s = a->s });
}

static status cross_attention(const struct runner *run, const struct transformer *t,
                              const struct context_shape *shape, const struct tokens *a)
{
    const size_t c = (size_t)a->c, rows = (size_t)a->n_x * a->s;
    const int many = shape->contexts > 1;
    TRY(token_norm(run, &t->norm2, a->x, a->n_x * a->s, a->normed));
    TRY(token_linear(
        run,
        &(struct token_linear){
            .layer = &t->q, .x = a->normed, .n_x = a->n_x, .y = a->wide, .n = a->n_x, .s = a->s }));
    void *mixed = (void *)element(run, a->wide, rows * c);
    const size_t stride = (size_t)shape->parts * shape->tokens * KV * c;
    TRY(run->ops->attention(
        run->ops,
        &(struct attention_args){ .q = a->wide,
                                  .k = t->context,
                                  .v = element(run, t->context, c),
                                  .y = mixed,
                                  .key_len = shape->len,
                                  .dtype = run->dtype,
                                  .n = a->n,
                                  .n_q = a->n_x,
                                  .n_kv = shape->parts,
                                  .heads = HEADS,
                                  .d = a->c / HEADS,
                                  .s_q = a->s,
                                  .s_kv = shape->tokens,
                                  .q_stride = c,
                                  .kv_stride = KV * c,
                                  .kv_context_stride = many ? stride : 0,
                                  .len_contexts = many && shape->len != NULL ? shape->contexts : 0,
                                  .scale = 1.0f / sqrtf((float)(a->c / HEADS)) }));
    return token_linear(run, &(struct token_linear){ .layer = &t->out2,
                                                     .x = mixed,
                                                     .n_x = a->n,
                                                     .residual = a->x,
                                                     .n_residual = a->n_x,
                                                     .y = a->y,
                                                     .n = a->n,
                                                     .s = a->s });
}

static status feed_forward(const struct runner *run, const struct transformer *t,
                           const struct tokens *a)
{
    TRY(token_norm(run, &t->norm3, a->y, a->n * a->s, a->normed));
    TRY(token_linear(
        run,
        &(struct token_linear){
            .layer = &t->ff_in, .x = a->normed, .n_x = a->n, .y = a->wide, .n = a->n, .s = a->s }));
    return token_linear(run, &(struct token_linear){ .layer = &t->ff_out,
                                                     .x = a->wide,
                                                     .n_x = a->n,
                                                     .residual = a->y,
                                                     .n_residual = a->n,
                                                     .y = a->y,
                                                     .n = a->n,
                                                     .s = a->s });
}

/* ---- the block -------------------------------------------------------------------------- */

static status alloc_tokens(const struct runner *run, struct tokens *a)
{
    struct ops *ops = run->ops;
    TRY(ops->alloc(ops, feature_bytes(run, a->n_x, a->s, 1, a->c), &a->x));
    a->y = a->x;
    if (a->n != a->n_x)
        TRY(ops->alloc(ops, feature_bytes(run, a->n, a->s, 1, a->c), &a->y));
    TRY(ops->alloc(ops, feature_bytes(run, a->n, a->s, 1, a->c), &a->normed));
    return ops->alloc(ops, feature_bytes(run, a->n, a->s, 1, FF * a->c), &a->wide);
}

status transformer_run(const struct runner *run, const struct transformer *transformer,
                       const struct context_shape *shape, const struct feature *x,
                       const struct feature *y)
{
    struct ops *ops = run->ops;
    const size_t mark = ops->mark(ops);
    struct tokens a = { .n_x = x->n, .n = y->n, .s = x->h * x->w, .c = x->c };
    TRY(alloc_tokens(run, &a));

    struct feature normed = { .data = a.normed };
    const struct feature projected = { a.x, NULL, x->n, x->h, x->w, x->c };
    TRY(feature_norm(run, &transformer->norm, x, NULL, 0, NORM_EPS, &normed));
    TRY(feature_conv(run, &transformer->proj_in, &normed, NULL, NULL, NULL, &projected));

    TRY(self_attention(run, transformer, &a));
    TRY(cross_attention(run, transformer, shape, &a));
    TRY(feed_forward(run, transformer, &a));

    const struct feature mixed = { a.y, NULL, y->n, y->h, y->w, y->c };
    TRY(feature_conv(run, &transformer->proj_out, &mixed, NULL, NULL, x, y));
    ops->release(ops, mark);
    return STATUS_OK;
}
