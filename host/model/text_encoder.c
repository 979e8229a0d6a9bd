/* host/model/text_encoder.c - see text_encoder.h. */
#include "host/model/text_encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/model/feature.h"

#define PREFIX "cond_stage_model.transformer.text_model."

struct text_layer {
    struct layer norm1, qkv, out, norm2, fc1, fc2;
};

struct text_encoder {
    struct runner run;
    struct layer_list list;
    struct layer token, position, final_norm;
    struct text_layer *layer; /* [layers] */
    int layers, heads, positions, width, ff;
    int32_t *position_ids; /* [positions]; null: in order */
};

/* ---- building --------------------------------------------------------------------------- */

/* The source with the position table's rows put in the order of position_ids. */
struct ordered_source {
    const struct model_source *inner;
    const struct text_encoder *encoder;
    void *rows;
};

static status ordered_get(void *context, const struct module_row *row, struct weight_part *part)
{
    struct ordered_source *source = context;
    const struct text_encoder *encoder = source->encoder;
    TRY(source->inner->get(source->inner->context, row, part));
    const char *name = PREFIX "embeddings.position_embedding";
    if (encoder->position_ids == NULL || part->data == NULL || strcmp(row->name, name) != 0)
        return STATUS_OK;
    const size_t bytes = (size_t)row->in * dtype_size(part->dtype);
    unsigned char *rows = malloc(bytes * (size_t)row->out);
    if (rows == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for %d rows", row->name, row->out);
    for (int i = 0; i < row->out; i++)
        memcpy(rows + i * bytes,
               (const unsigned char *)part->data + (size_t)encoder->position_ids[i] * bytes, bytes);
    part->data = source->rows = rows;
    return STATUS_OK;
}

static status ordered_deltas(void *context, const struct module_row *row,
                             const struct weight_delta **deltas, int *count)
{
    const struct ordered_source *source = context;
    *count = 0;
    if (source->inner->deltas == NULL)
        return STATUS_OK;
    return source->inner->deltas(source->inner->context, row, deltas, count);
}

static void ordered_done(void *context)
{
    struct ordered_source *source = context;
    free(source->rows);
    source->rows = NULL;
    if (source->inner->done != NULL)
        source->inner->done(source->inner->context);
}

static status create_layer(struct text_encoder *encoder, int i)
{
    struct text_layer *layer = &encoder->layer[i];
    struct layer_list *list = &encoder->list;
    char p[96];
    snprintf(p, sizeof p, PREFIX "encoder.layers.%d.", i);
    TRY(layer_add(list, &layer->norm1, NULL, p, "layer_norm1"));
    TRY(layer_add(list, &layer->qkv, NULL, p,
                  "self_attn.q_proj self_attn.k_proj self_attn.v_proj"));
    TRY(layer_add(list, &layer->out, NULL, p, "self_attn.out_proj"));
    TRY(layer_add(list, &layer->norm2, NULL, p, "layer_norm2"));
    TRY(layer_add(list, &layer->fc1, NULL, p, "mlp.fc1"));
    return layer_add(list, &layer->fc2, NULL, p, "mlp.fc2");
}

static status build(struct text_encoder *encoder)
{
    struct layer_list *list = &encoder->list;
    TRY(layer_add(list, &encoder->token, NULL, PREFIX, "embeddings.token_embedding"));
    TRY(layer_add(list, &encoder->position, NULL, PREFIX, "embeddings.position_embedding"));
    for (int i = 0; i < encoder->layers; i++)
        TRY(create_layer(encoder, i));
    return layer_add(list, &encoder->final_norm, NULL, PREFIX, "final_layer_norm");
}

static status keep_position_ids(struct text_encoder *encoder, const int32_t *ids)
{
    if (ids == NULL)
        return STATUS_OK;
    for (int i = 0; i < encoder->positions; i++)
        if (ids[i] < 0 || ids[i] >= encoder->positions)
            return status_fail(STATUS_BAD_FILE,
                               "text encoder: position_ids[%d] is %d, wanted 0 to %d", i,
                               (int)ids[i], encoder->positions - 1);
    const size_t bytes = (size_t)encoder->positions * sizeof *ids;
    encoder->position_ids = malloc(bytes);
    if (encoder->position_ids == NULL)
        return status_fail(STATUS_NO_MEMORY, "text encoder: no memory for %d position ids",
                           encoder->positions);
    memcpy(encoder->position_ids, ids, bytes);
    return STATUS_OK;
}

static status create(struct text_encoder *encoder, const struct model_source *source,
                     const int32_t *position_ids)
{
    encoder->layer = calloc((size_t)encoder->layers, sizeof *encoder->layer);
    if (encoder->layer == NULL)
        return status_fail(STATUS_NO_MEMORY, "text encoder: no memory for %d layers",
                           encoder->layers);
    TRY(keep_position_ids(encoder, position_ids));
    struct ordered_source ordered = { source, encoder, NULL };
    const struct model_source wrapped = { &ordered, ordered_get, ordered_deltas, ordered_done };
    encoder->list.source = &wrapped;
    const status code = build(encoder);
    encoder->list.source = NULL;
    return code;
}

status text_encoder_create(struct ops *ops, const struct modules *modules,
                           const struct model_source *source, const struct text_encoder_args *args,
                           struct text_encoder **out)
{
    *out = NULL;
    const struct sd1_sizes *z = &modules->sizes;
    struct text_encoder *encoder = malloc(sizeof *encoder);
    if (encoder == NULL)
        return status_fail(STATUS_NO_MEMORY, "text encoder: no memory");
    *encoder =
        (struct text_encoder){ .run = { ops, args->dtype },
                               .list = { .ops = ops, .modules = modules, .dtype = args->dtype },
                               .layers = z->text_layers,
                               .heads = z->text_heads,
                               .positions = z->positions,
                               .width = z->text_width,
                               .ff = z->text_ff };
    const status code = create(encoder, source, args->position_ids);
    if (code != STATUS_OK) {
        text_encoder_destroy(encoder);
        return code;
    }
    *out = encoder;
    return STATUS_OK;
}

void text_encoder_destroy(struct text_encoder *encoder)
{
    if (encoder == NULL)
        return;
    layers_free(&encoder->list);
    free(encoder->layer);
    free(encoder->position_ids);
    free(encoder);
}

status text_encoder_fuse(struct text_encoder *encoder, const struct model_source *source,
                         const unsigned char *touched)
{
    struct ordered_source ordered = { source, encoder, NULL };
    const struct model_source wrapped = { &ordered, ordered_get, ordered_deltas, ordered_done };
    return layers_fuse(&encoder->list, &wrapped, touched);
}

/* ---- running ---------------------------------------------------------------------------- */

struct text_memory {
    void *x;      /* [n, s, width], the residual stream */
    void *normed; /* [n, s, width] */
    void *wide;   /* [n, s, max(4 width, ff)] */
};

static status run_attention(const struct text_encoder *encoder, const struct text_layer *layer,
                            int n, const struct text_memory *m)
{
    const struct runner *run = &encoder->run;
    const int s = encoder->positions, d = encoder->width / encoder->heads;
    const size_t c = (size_t)encoder->width;
    void *mixed = (void *)element(run, m->wide, (size_t)n * s * 3 * c);
    TRY(token_norm(run, &layer->norm1, m->x, n * s, m->normed));
    TRY(token_linear(
        run, &(struct token_linear){
                 .layer = &layer->qkv, .x = m->normed, .n_x = n, .y = m->wide, .n = n, .s = s }));
    TRY(run->ops->attention(run->ops, &(struct attention_args){ .q = m->wide,
                                                                .k = element(run, m->wide, c),
                                                                .v = element(run, m->wide, 2 * c),
                                                                .y = mixed,
                                                                .dtype = run->dtype,
                                                                .n = n,
                                                                .n_q = n,
                                                                .n_kv = n,
                                                                .heads = encoder->heads,
                                                                .d = d,
                                                                .s_q = s,
                                                                .s_kv = s,
                                                                .q_stride = 3 * c,
                                                                .kv_stride = 3 * c,
                                                                .causal = 1,
                                                                .scale = 1.0f / sqrtf((float)d) }));
    return token_linear(run, &(struct token_linear){ .layer = &layer->out,
                                                     .x = mixed,
                                                     .n_x = n,
                                                     .residual = m->x,
                                                     .n_residual = n,
                                                     .y = m->x,
                                                     .n = n,
                                                     .s = s });
}

static status run_feed_forward(const struct text_encoder *encoder, const struct text_layer *layer,
                               int n, const struct text_memory *m)
{
    const struct runner *run = &encoder->run;
    const int s = encoder->positions;
    TRY(token_norm(run, &layer->norm2, m->x, n * s, m->normed));
    TRY(token_linear(run, &(struct token_linear){ .layer = &layer->fc1,
                                                  .x = m->normed,
                                                  .n_x = n,
                                                  .y = m->wide,
                                                  .n = n,
                                                  .s = s,
                                                  .act = ACT_QUICK_GELU }));
    return token_linear(run, &(struct token_linear){ .layer = &layer->fc2,
                                                     .x = m->wide,
                                                     .n_x = n,
                                                     .residual = m->x,
                                                     .n_residual = n,
                                                     .y = m->x,
                                                     .n = n,
                                                     .s = s });
}

static status run_alloc(const struct text_encoder *encoder, int n, struct text_memory *m)
{
    const struct runner *run = &encoder->run;
    struct ops *ops = run->ops;
    const int c = encoder->width, s = encoder->positions;
    const int wide = encoder->ff > 4 * c ? encoder->ff : 4 * c;
    TRY(ops->alloc(ops, feature_bytes(run, n, s, 1, c), &m->x));
    TRY(ops->alloc(ops, feature_bytes(run, n, s, 1, c), &m->normed));
    return ops->alloc(ops, feature_bytes(run, n, s, 1, wide), &m->wide);
}

status text_encoder_run(struct text_encoder *encoder, const struct text_run_args *args)
{
    const struct runner *run = &encoder->run;
    struct ops *ops = run->ops;
    const int n = args->n, s = encoder->positions;
    if (args->clip_skip < 1 || args->clip_skip > encoder->layers)
        return status_fail(STATUS_MISUSE,
                           "clip skip is %d, but this model's text encoder takes 1 to %d",
                           args->clip_skip, encoder->layers);
    const size_t mark = ops->mark(ops);
    struct text_memory m;
    TRY(run_alloc(encoder, n, &m));
    TRY(ops->embed(ops, &(struct embed_args){ .token = encoder->token.weight,
                                              .position = encoder->position.weight,
                                              .ids = args->ids,
                                              .patch = args->patch,
                                              .patches = args->patches,
                                              .y = m.x,
                                              .dtype = run->dtype,
                                              .n = n,
                                              .s = s,
                                              .c = encoder->width }));
    for (int i = 0; i < encoder->layers - (args->clip_skip - 1); i++) {
        TRY(run_attention(encoder, &encoder->layer[i], n, &m));
        TRY(run_feed_forward(encoder, &encoder->layer[i], n, &m));
    }
    TRY(token_norm(run, &encoder->final_norm, m.x, n * s, args->y));
    ops->release(ops, mark);
    return STATUS_OK;
}
