/* host/model/unet.c - the denoising network: time path, down, middle, up. See unet.h. */
#include "host/model/unet.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/model/res_block.h"
#include "host/model/transformer.h"

#define PREFIX "model.diffusion_model."

enum {
    BLOCKS = 3 * SD1_LEVELS, /* input blocks, and output blocks; the first input block is conv_in */
    DEEPEST = SD1_LEVELS - 1,
    NAME_BYTES = 96
};

static const float RES_EPS = 1e-5f;

static const struct res_names names = { "in_layers.0", "in_layers.2", "out_layers.0",
                                        "out_layers.3", "skip_connection" };

struct unet_block {
    struct res_block res;
    struct layer emb; /* of the ResBlock: projects the time embedding */
    struct feature_add add;
    struct transformer transformer; /* not on the deepest level */
    struct layer resample;          /* downsampling (alone in its block), or upsampling behind */
    int has_res, has_transformer, has_resample;
    int level, c; /* channels out */
};

struct unet {
    struct runner run;
    struct layer_list layers;
    int c_latent;
    struct layer time0, time2, conv_in, norm_out, conv_out;
    struct unet_block down[BLOCKS]; /* [0] is conv_in's, and empty */
    struct unet_block middle[2];    /* ResBlock and transformer, ResBlock */
    struct unet_block up[BLOCKS];
    struct unet_job job; /* .n is 0 before unet_prepare() */
    struct context_shape context;
};

/* ---- building --------------------------------------------------------------------------- */

static status create_res(struct unet *unet, struct unet_block *block, const char *prefix, int c,
                         int c2, int level)
{
    TRY(res_block_create(&unet->layers, prefix, &names, c, c2, 1.0f, RES_EPS, &block->res));
    TRY(layer_add(&unet->layers, &block->emb, NULL, prefix, "emb_layers.1"));
    block->has_res = 1;
    block->level = level;
    block->c = block->res.conv1.out;
    return STATUS_OK;
}

static status create_transformer(struct unet *unet, struct unet_block *block, const char *prefix)
{
    block->has_transformer = 1;
    return transformer_create(&unet->layers, prefix, &block->transformer);
}

static status create_down(struct unet *unet, int i)
{
    struct unet_block *block = &unet->down[i];
    const int level = (i - 1) / 3;
    char p[NAME_BYTES];
    if (i % 3 == 0) {
        snprintf(p, sizeof p, PREFIX "input_blocks.%d.0.", i);
        block->has_resample = 1;
        block->level = level + 1;
        TRY(layer_add(&unet->layers, &block->resample, &(struct layer_form){ .stride = 2 }, p,
                      "op"));
        block->c = block->resample.out;
        return STATUS_OK;
    }
    snprintf(p, sizeof p, PREFIX "input_blocks.%d.0.", i);
    TRY(create_res(unet, block, p, unet->down[i - 1].c, 0, level));
    snprintf(p, sizeof p, PREFIX "input_blocks.%d.1.", i);
    return level < DEEPEST ? create_transformer(unet, block, p) : STATUS_OK;
}

static status create_middle(struct unet *unet)
{
    const int c = unet->down[BLOCKS - 1].c;
    TRY(create_res(unet, &unet->middle[0], PREFIX "middle_block.0.", c, 0, DEEPEST));
    TRY(create_transformer(unet, &unet->middle[0], PREFIX "middle_block.1."));
    return create_res(unet, &unet->middle[1], PREFIX "middle_block.2.", c, 0, DEEPEST);
}

static status create_up(struct unet *unet, int i, int c)
{
    struct unet_block *block = &unet->up[i];
    const int level = DEEPEST - i / 3, skip = unet->down[BLOCKS - 1 - i].c;
    char p[NAME_BYTES];
    snprintf(p, sizeof p, PREFIX "output_blocks.%d.0.", i);
    TRY(create_res(unet, block, p, c, skip, level));
    snprintf(p, sizeof p, PREFIX "output_blocks.%d.1.", i);
    if (level < DEEPEST)
        TRY(create_transformer(unet, block, p));
    if (i % 3 != 2 || level == 0)
        return STATUS_OK;
    snprintf(p, sizeof p, PREFIX "output_blocks.%d.%d.", i, block->has_transformer ? 2 : 1);
    block->has_resample = 1;
    return layer_add(&unet->layers, &block->resample, &(struct layer_form){ .upsample = 2 }, p,
                     "conv");
}

static status build(struct unet *unet)
{
    struct layer_list *list = &unet->layers;
    TRY(layer_add(list, &unet->time0, NULL, PREFIX, "time_embed.0"));
    TRY(layer_add(list, &unet->time2, NULL, PREFIX, "time_embed.2"));
    TRY(layer_add(list, &unet->conv_in, NULL, PREFIX, "input_blocks.0.0"));
    unet->down[0].c = unet->conv_in.out;
    for (int i = 1; i < BLOCKS; i++)
        TRY(create_down(unet, i));
    TRY(create_middle(unet));
    for (int i = 0; i < BLOCKS; i++)
        TRY(create_up(unet, i, i == 0 ? unet->middle[1].c : unet->up[i - 1].c));
    TRY(layer_add(list, &unet->norm_out, NULL, PREFIX, "out.0"));
    return layer_add(list, &unet->conv_out, NULL, PREFIX, "out.2");
}

status unet_create(struct ops *ops, const struct modules *modules,
                   const struct model_source *source, enum dtype dtype, struct unet **out)
{
    *out = NULL;
    struct unet *unet = calloc(1, sizeof *unet);
    if (unet == NULL)
        return status_fail(STATUS_NO_MEMORY, "unet: no memory for its layers");
    unet->run = (struct runner){ ops, dtype };
    unet->layers =
        (struct layer_list){ .ops = ops, .modules = modules, .source = source, .dtype = dtype };
    unet->c_latent = modules->sizes.unet_in;
    const status code = build(unet);
    unet->layers.source = NULL;
    if (code != STATUS_OK) {
        unet_destroy(unet);
        return code;
    }
    *out = unet;
    return STATUS_OK;
}

void unet_destroy(struct unet *unet)
{
    if (unet == NULL)
        return;
    layers_free(&unet->layers);
    free(unet);
}

status unet_fuse(struct unet *unet, const struct model_source *source, const unsigned char *touched)
{
    return layers_fuse(&unet->layers, source, touched);
}

/* ---- once a batch ----------------------------------------------------------------------- */

/* Calls `visit` for each block in the order of running. */
static status each_block(struct unet *unet,
                         status (*visit)(struct unet *, struct unet_block *, const void *),
                         const void *arg)
{
    for (int i = 1; i < BLOCKS; i++)
        TRY(visit(unet, &unet->down[i], arg));
    for (int i = 0; i < 2; i++)
        TRY(visit(unet, &unet->middle[i], arg));
    for (int i = 0; i < BLOCKS; i++)
        TRY(visit(unet, &unet->up[i], arg));
    return STATUS_OK;
}

static status alloc_block(struct unet *unet, struct unet_block *block, const void *arg)
{
    struct ops *ops = unet->run.ops;
    (void)arg;
    if (block->has_res) {
        void *add;
        TRY(ops->alloc(ops, feature_bytes(&unet->run, 1, unet->job.rows, 1, block->c), &add));
        block->add = (struct feature_add){ add, (size_t)block->c };
    }
    if (block->has_transformer) {
        const size_t count = transformer_context_elements(&block->transformer, &unet->context);
        void *memory;
        TRY(ops->alloc(ops, count * dtype_size(unet->run.dtype), &memory));
        block->transformer.context = memory;
    }
    return STATUS_OK;
}

static status fill_block(struct unet *unet, struct unet_block *block, const void *emb)
{
    if (block->has_res)
        TRY(token_linear(&unet->run, &(struct token_linear){ .layer = &block->emb,
                                                             .x = emb,
                                                             .n_x = 1,
                                                             .y = (void *)block->add.data,
                                                             .n = 1,
                                                             .s = unet->job.rows }));
    if (block->has_transformer)
        TRY(transformer_prepare(&unet->run, &block->transformer, &unet->context, unet->job.context,
                                (void *)block->transformer.context));
    return STATUS_OK;
}

/* SiLU(MLP(sinusoid(t))) for every row: each ResBlock takes the embedding through SiLU, so it is
 * applied once here. */
static status embed_time(struct unet *unet, void **emb)
{
    const struct runner *run = &unet->run;
    const int rows = unet->job.rows;
    void *wave, *hidden;
    TRY(run->ops->alloc(run->ops, feature_bytes(run, 1, rows, 1, unet->time0.in), &wave));
    TRY(run->ops->alloc(run->ops, feature_bytes(run, 1, rows, 1, unet->time0.out), &hidden));
    TRY(run->ops->alloc(run->ops, feature_bytes(run, 1, rows, 1, unet->time2.out), emb));
    TRY(run->ops->time_embed(
        run->ops,
        &(struct time_embed_args){
            .t = unet->job.t, .y = wave, .dtype = run->dtype, .rows = rows, .c = unet->time0.in }));
    TRY(token_linear(run, &(struct token_linear){ .layer = &unet->time0,
                                                  .x = wave,
                                                  .n_x = 1,
                                                  .y = hidden,
                                                  .n = 1,
                                                  .s = rows,
                                                  .act = ACT_SILU }));
    return token_linear(run, &(struct token_linear){ .layer = &unet->time2,
                                                     .x = hidden,
                                                     .n_x = 1,
                                                     .y = *emb,
                                                     .n = 1,
                                                     .s = rows,
                                                     .act = ACT_SILU });
}

static status check_job(const struct unet *unet, const struct unet_job *job)
{
    if (job->n < 1 || job->parts < 1 || job->h < 1 || job->w < 1 || job->rows < 1 ||
        job->contexts < 1 || job->tokens < 1)
        return status_fail(STATUS_BAD_SHAPE,
                           "unet: %d pictures of %dx%d in %d parts, %d rows, %d contexts of %d "
                           "tokens; each wanted at least 1",
                           job->n, job->w, job->h, job->parts, job->rows, job->contexts,
                           job->tokens);
    const size_t pixels = (size_t)job->h * job->w;
    const size_t widest = 8 * (size_t)unet->up[BLOCKS - 1].c;
    if ((size_t)job->h > INT_MAX / (size_t)job->w || pixels > INT_MAX / widest)
        return status_fail(STATUS_BAD_SHAPE, "unet: a latent of %dx%d is too large", job->w,
                           job->h);
    for (int i = 0; job->context_len != NULL && i < job->contexts * job->parts; i++)
        if (job->context_len[i] < 1 || job->context_len[i] > job->tokens)
            return status_fail(STATUS_BAD_SHAPE, "unet: a context of %d tokens, wanted 1 to %d",
                               job->context_len[i], job->tokens);
    return STATUS_OK;
}

status unet_prepare(struct unet *unet, const struct unet_job *job)
{
    struct ops *ops = unet->run.ops;
    TRY(check_job(unet, job));
    unet->job = *job;
    unet->context =
        (struct context_shape){ job->contexts, job->parts, job->tokens, job->context_len };
    TRY(each_block(unet, alloc_block, NULL));

    const size_t mark = ops->mark(ops);
    void *emb;
    TRY(embed_time(unet, &emb));
    TRY(each_block(unet, fill_block, emb));
    ops->release(ops, mark);
    return STATUS_OK;
}

/* ---- once a row ------------------------------------------------------------------------- */

/* The way up needs two feature maps at a time, one read and one written. */
struct pair {
    struct feature map[2];
    int next;
};

static struct feature *pair_next(struct pair *pair, int n, int h, int w, int c)
{
    struct feature *f = &pair->map[pair->next];
    pair->next = !pair->next;
    f->n = n;
    f->h = h;
    f->w = w;
    f->c = c;
    return f;
}

static status pair_alloc(const struct unet *unet, const struct feature *skip, struct pair *pair)
{
    const struct runner *run = &unet->run;
    const int n = unet->job.n * unet->job.parts;
    size_t data = 0, stats = 0;
    for (int i = 0; i < BLOCKS; i++) {
        const struct unet_block *block = &unet->up[i];
        const struct feature *in = &skip[BLOCKS - 1 - i];
        const struct feature *out = block->has_resample ? &skip[BLOCKS - 2 - i] : in;
        const size_t need = feature_bytes(run, n, out->h, out->w, block->c);
        const size_t need_stats = feature_stats_bytes(n, out->h, out->w, block->c);
        data = need > data ? need : data;
        stats = need_stats > stats ? need_stats : stats;
    }
    for (int i = 0; i < 2; i++) {
        void *memory;
        TRY(run->ops->alloc(run->ops, data, &pair->map[i].data));
        TRY(run->ops->alloc(run->ops, stats, &memory));
        pair->map[i].stats = memory;
    }
    pair->next = 0;
    return STATUS_OK;
}

static status run_down(const struct unet *unet, const struct unet_block *block,
                       const struct feature *x, struct feature *y)
{
    const struct runner *run = &unet->run;
    struct ops *ops = run->ops;
    if (block->has_resample) {
        TRY(feature_alloc(run, x->n, (x->h + 1) / 2, (x->w + 1) / 2, block->c, 1, y));
        return feature_conv(run, &block->resample, x, NULL, NULL, NULL, y);
    }
    const int n = block->has_transformer ? unet->job.n * unet->job.parts : x->n;
    TRY(feature_alloc(run, n, x->h, x->w, block->c, 1, y));
    if (!block->has_transformer)
        return res_block_run(run, &block->res, x, NULL, &block->add, 0, y);

    const size_t mark = ops->mark(ops);
    struct feature middle;
    TRY(feature_alloc(run, x->n, x->h, x->w, block->c, 1, &middle));
    TRY(res_block_run(run, &block->res, x, NULL, &block->add, 0, &middle));
    TRY(transformer_run(run, &block->transformer, &unet->context, &middle, y));
    ops->release(ops, mark);
    return STATUS_OK;
}

/* One block of the middle or of the way up; *x becomes its output. `next` is the skip connection
 * that the block behind an upsampling will join: its size is the one wanted. */
static status run_up(const struct unet *unet, const struct unet_block *block,
                     const struct feature *skip, const struct feature *next, struct pair *pair,
                     const struct feature **x)
{
    const struct runner *run = &unet->run;
    const int n = unet->job.n * unet->job.parts, h = (*x)->h, w = (*x)->w;
    struct feature *y = pair_next(pair, n, h, w, block->c);
    TRY(res_block_run(run, &block->res, *x, skip, &block->add, 0, y));
    *x = y;
    if (block->has_transformer) {
        y = pair_next(pair, n, h, w, block->c);
        TRY(transformer_run(run, &block->transformer, &unet->context, *x, y));
        *x = y;
    }
    if (block->has_resample) {
        y = pair_next(pair, n, next->h, next->w, block->c);
        TRY(feature_conv(run, &block->resample, *x, NULL, NULL, NULL, y));
        *x = y;
    }
    return STATUS_OK;
}

static status run_out(const struct unet *unet, const struct feature *x, void *eps)
{
    const struct runner *run = &unet->run;
    struct feature normed;
    const struct feature y = { eps, NULL, x->n, x->h, x->w, unet->c_latent };
    TRY(feature_alloc(run, x->n, x->h, x->w, x->c, 0, &normed));
    TRY(feature_norm(run, &unet->norm_out, x, NULL, 1, RES_EPS, &normed));
    return feature_conv(run, &unet->conv_out, &normed, NULL, NULL, NULL, &y);
}

status unet_evaluate(struct unet *unet, const void *x, void *eps)
{
    const struct runner *run = &unet->run;
    const struct unet_job *job = &unet->job;
    struct ops *ops = run->ops;
    if (job->n < 1)
        return status_fail(STATUS_MISUSE, "unet: evaluated without a prepared job");

    const size_t mark = ops->mark(ops);
    const struct feature input = { (void *)x, NULL, job->n, job->h, job->w, unet->c_latent };
    struct feature skip[BLOCKS];
    TRY(feature_alloc(run, job->n, job->h, job->w, unet->down[0].c, 1, &skip[0]));
    TRY(feature_conv(run, &unet->conv_in, &input, NULL, NULL, NULL, &skip[0]));
    for (int i = 1; i < BLOCKS; i++)
        TRY(run_down(unet, &unet->down[i], &skip[i - 1], &skip[i]));

    struct pair pair;
    TRY(pair_alloc(unet, skip, &pair));
    const struct feature *h = &skip[BLOCKS - 1];
    for (int i = 0; i < 2; i++)
        TRY(run_up(unet, &unet->middle[i], NULL, NULL, &pair, &h));
    for (int i = 0; i < BLOCKS; i++)
        TRY(run_up(unet, &unet->up[i], &skip[BLOCKS - 1 - i],
                   i < BLOCKS - 1 ? &skip[BLOCKS - 2 - i] : NULL, &pair, &h));
    TRY(run_out(unet, h, eps));
    ops->release(ops, mark);
    return STATUS_OK;
}
