/* host/model/vae.c - the decoder: latent to picture. See vae.h. */
#include "host/model/vae.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/model/res_block.h"

#define PREFIX "first_stage_model."

enum {
    UP_BLOCKS = 3, /* a level */
    NAME_BYTES = 96,
    SCALE_DOWN = 8 /* pixels of the picture per latent pixel, each way */
};

static const float EPS = 1e-6f;
static const float UNSCALE = (float)(1.0 / 0.18215); /* ldm's scale_factor, undone */

/* Pictures are decoded together up to this many pixels: more would gain nothing and cost memory. */
static const size_t PIXELS_AT_ONCE = 512 * 512;

static const struct res_names names = { "norm1", "conv1", "norm2", "conv2", "nin_shortcut" };

struct vae_attention {
    struct layer norm, qkv, out;
};

struct vae_decoder {
    struct runner run;
    struct layer_list layers;
    float stream; /* the residual stream is carried at this scale */
    int c_latent;
    struct layer post_quant, conv_in, norm_out, conv_out;
    struct res_block middle[2];
    struct vae_attention attention;
    struct res_block up[SD1_LEVELS][UP_BLOCKS];
    struct layer upsample[SD1_LEVELS]; /* [0] is not used */
};

/* ---- building --------------------------------------------------------------------------- */

static status create_middle(struct vae_decoder *d, int c)
{
    struct layer_list *list = &d->layers;
    const struct layer_form scaled = { .scale = d->stream, .linear = 1 };
    const struct layer_form linear = { .linear = 1 };
    TRY(res_block_create(list, PREFIX "decoder.mid.block_1.", &names, c, 0, d->stream, EPS,
                         &d->middle[0]));
    TRY(layer_add(list, &d->attention.norm, NULL, PREFIX, "decoder.mid.attn_1.norm"));
    TRY(layer_add(list, &d->attention.qkv, &linear, PREFIX "decoder.mid.attn_1.", "q k v"));
    TRY(layer_add(list, &d->attention.out, &scaled, PREFIX, "decoder.mid.attn_1.proj_out"));
    return res_block_create(list, PREFIX "decoder.mid.block_2.", &names, c, 0, d->stream, EPS,
                            &d->middle[1]);
}

static status create_level(struct vae_decoder *d, int level, int *c)
{
    char p[NAME_BYTES];
    for (int i = 0; i < UP_BLOCKS; i++) {
        snprintf(p, sizeof p, PREFIX "decoder.up.%d.block.%d.", level, i);
        TRY(res_block_create(&d->layers, p, &names, *c, 0, d->stream, EPS, &d->up[level][i]));
        *c = d->up[level][i].conv1.out;
    }
    if (level == 0)
        return STATUS_OK;
    snprintf(p, sizeof p, PREFIX "decoder.up.%d.upsample.", level);
    const struct layer_form form = { .upsample = 2, .bias_scale = d->stream };
    return layer_add(&d->layers, &d->upsample[level], &form, p, "conv");
}

static status build(struct vae_decoder *d)
{
    struct layer_list *list = &d->layers;
    const struct layer_form scaled = { .scale = d->stream };
    TRY(layer_add(list, &d->post_quant, NULL, PREFIX, "post_quant_conv"));
    TRY(layer_add(list, &d->conv_in, &scaled, PREFIX, "decoder.conv_in"));
    int c = d->conv_in.out;
    TRY(create_middle(d, c));
    for (int level = SD1_LEVELS - 1; level >= 0; level--)
        TRY(create_level(d, level, &c));
    TRY(layer_add(list, &d->norm_out, NULL, PREFIX, "decoder.norm_out"));
    return layer_add(list, &d->conv_out, NULL, PREFIX, "decoder.conv_out");
}

status vae_decoder_create(struct ops *ops, const struct modules *modules,
                          const struct model_source *source, const struct vae_decoder_args *args,
                          struct vae_decoder **out)
{
    *out = NULL;
    if (args->shift < 0 || args->shift > 14)
        return status_fail(STATUS_MISUSE, "vae: a shift of %d, wanted 0 to 14", args->shift);
    struct vae_decoder *d = calloc(1, sizeof *d);
    if (d == NULL)
        return status_fail(STATUS_NO_MEMORY, "vae: no memory for its layers");
    d->run = (struct runner){ ops, args->dtype };
    d->layers = (struct layer_list){
        .ops = ops, .modules = modules, .source = source, .dtype = args->dtype
    };
    d->stream = ldexpf(1.0f, -args->shift);
    d->c_latent = modules->sizes.vae_z;
    const status code = build(d);
    d->layers.source = NULL;
    if (code != STATUS_OK) {
        vae_decoder_destroy(d);
        return code;
    }
    *out = d;
    return STATUS_OK;
}

void vae_decoder_destroy(struct vae_decoder *decoder)
{
    if (decoder == NULL)
        return;
    layers_free(&decoder->layers);
    free(decoder);
}

/* ---- decoding --------------------------------------------------------------------------- */

/* x += proj_out(attention(norm(x))), one head as wide as the stream. */
static status run_attention(const struct vae_decoder *d, const struct feature *x)
{
    const struct runner *run = &d->run;
    struct ops *ops = run->ops;
    const size_t mark = ops->mark(ops), c = (size_t)x->c;
    const int s = x->h * x->w;
    struct feature normed, qkv;
    TRY(feature_alloc(run, x->n, x->h, x->w, x->c, 0, &normed));
    TRY(feature_alloc(run, x->n, x->h, x->w, 3 * x->c, 0, &qkv));
    TRY(feature_norm(run, &d->attention.norm, x, NULL, 0, EPS * d->stream * d->stream, &normed));
    TRY(token_linear(run, &(struct token_linear){ .layer = &d->attention.qkv,
                                                  .x = normed.data,
                                                  .n_x = x->n,
                                                  .y = qkv.data,
                                                  .n = x->n,
                                                  .s = s }));
    TRY(ops->attention(ops, &(struct attention_args){ .q = qkv.data,
                                                      .k = element(run, qkv.data, c),
                                                      .v = element(run, qkv.data, 2 * c),
                                                      .y = normed.data,
                                                      .dtype = run->dtype,
                                                      .n = x->n,
                                                      .n_q = x->n,
                                                      .n_kv = x->n,
                                                      .heads = 1,
                                                      .d = x->c,
                                                      .s_q = s,
                                                      .s_kv = s,
                                                      .q_stride = 3 * c,
                                                      .kv_stride = 3 * c,
                                                      .scale = 1.0f / sqrtf((float)x->c) }));
    TRY(token_linear(run, &(struct token_linear){ .layer = &d->attention.out,
                                                  .x = normed.data,
                                                  .n_x = x->n,
                                                  .residual = x->data,
                                                  .n_residual = x->n,
                                                  .y = x->data,
                                                  .stats = x->stats,
                                                  .n = x->n,
                                                  .s = s }));
    ops->release(ops, mark);
    return STATUS_OK;
}

/* ---- the way up, from the picture's end: a level asks the one below for its input, so that
 * only the maps of one level are held while the largest are computed ---- */

static status run_level(const struct vae_decoder *d, int level, const struct feature *latent,
                        const struct feature *y);

static status run_bottom(const struct vae_decoder *d, const struct feature *latent,
                         const struct feature *y)
{
    const struct runner *run = &d->run;
    TRY(feature_conv(run, &d->conv_in, latent, NULL, NULL, NULL, y));
    TRY(res_block_run(run, &d->middle[0], y, NULL, NULL, 1, y));
    TRY(run_attention(d, y));
    return res_block_run(run, &d->middle[1], y, NULL, NULL, 1, y);
}

/* y = what the level's first block takes. `below` is the level below's result; null: there is none.
 */
static status run_input(const struct vae_decoder *d, int level, const struct feature *latent,
                        const struct feature *below, const struct feature *y)
{
    if (below == NULL)
        return run_bottom(d, latent, y);
    return feature_conv(&d->run, &d->upsample[level + 1], below, NULL, NULL, NULL, y);
}

static int fits(const struct runner *run, const struct feature *a, const struct feature *b)
{
    return feature_bytes(run, a->n, a->h, a->w, a->c) <=
               feature_bytes(run, b->n, b->h, b->w, b->c) &&
           feature_stats_bytes(a->n, a->h, a->w, a->c) <=
               feature_stats_bytes(b->n, b->h, b->w, b->c);
}

/* A level whose first block changes the channels: its input has memory of its own, and the level
 * below is computed before that is taken, into the memory of y, which is free until the block
 * writes it. */
static status run_narrowing(const struct vae_decoder *d, int level, const struct feature *latent,
                            const struct feature *y)
{
    struct ops *ops = d->run.ops;
    const struct res_block *first = &d->up[level][0];
    const size_t mark = ops->mark(ops);
    const int c = first->norm1.out, bottom = level == SD1_LEVELS - 1;
    struct feature below = { y->data, y->stats, y->n, y->h / 2, y->w / 2, c }, x;
    if (!bottom && !fits(&d->run, &below, y))
        TRY(feature_alloc(&d->run, below.n, below.h, below.w, c, 1, &below));
    if (!bottom)
        TRY(run_level(d, level + 1, latent, &below));
    TRY(feature_alloc(&d->run, y->n, y->h, y->w, c, 1, &x));
    TRY(run_input(d, level, latent, bottom ? NULL : &below, &x));
    TRY(res_block_run(&d->run, first, &x, NULL, NULL, 1, y));
    ops->release(ops, mark);
    return STATUS_OK;
}

static status run_keeping(const struct vae_decoder *d, int level, const struct feature *latent,
                          const struct feature *y)
{
    struct ops *ops = d->run.ops;
    const size_t mark = ops->mark(ops);
    const int bottom = level == SD1_LEVELS - 1;
    struct feature below;
    if (!bottom) {
        TRY(feature_alloc(&d->run, y->n, y->h / 2, y->w / 2, y->c, 1, &below));
        TRY(run_level(d, level + 1, latent, &below));
    }
    TRY(run_input(d, level, latent, bottom ? NULL : &below, y));
    ops->release(ops, mark);
    return res_block_run(&d->run, &d->up[level][0], y, NULL, NULL, 1, y);
}

static status run_level(const struct vae_decoder *d, int level, const struct feature *latent,
                        const struct feature *y)
{
    if (d->up[level][0].shortcut.weight == NULL)
        TRY(run_keeping(d, level, latent, y));
    else
        TRY(run_narrowing(d, level, latent, y));
    for (int i = 1; i < UP_BLOCKS; i++)
        TRY(res_block_run(&d->run, &d->up[level][i], y, NULL, NULL, 1, y));
    return STATUS_OK;
}

/* `latent` and `out` are of one group of n pictures. */
static status decode_group(const struct vae_decoder *d, const float *latent, int n, int h, int w,
                           void *out)
{
    const struct runner *run = &d->run;
    struct ops *ops = run->ops;
    const size_t mark = ops->mark(ops);
    struct feature scaled, z, x;
    TRY(feature_alloc(run, n, h, w, d->c_latent, 0, &scaled));
    TRY(feature_alloc(run, n, h, w, d->c_latent, 0, &z));
    TRY(ops->scale(ops, &(struct scale_args){ .x = latent,
                                              .y = scaled.data,
                                              .dtype = run->dtype,
                                              .scale = UNSCALE,
                                              .count = (size_t)n * h * w * d->c_latent }));
    TRY(feature_conv(run, &d->post_quant, &scaled, NULL, NULL, NULL, &z));
    TRY(feature_alloc(run, n, SCALE_DOWN * h, SCALE_DOWN * w, d->norm_out.out, 1, &x));
    TRY(run_level(d, 0, &z, &x));

    const struct feature picture = { out, NULL, n, x.h, x.w, d->conv_out.out };
    TRY(feature_norm(run, &d->norm_out, &x, NULL, 1, EPS * d->stream * d->stream, &x));
    x.stats = NULL;
    TRY(feature_conv(run, &d->conv_out, &x, NULL, NULL, NULL, &picture));
    ops->release(ops, mark);
    return STATUS_OK;
}

static int group_size(const struct vae_decode_args *args)
{
    if (args->at_once > 0)
        return args->at_once;
    const size_t pixels = (size_t)SCALE_DOWN * args->h * SCALE_DOWN * args->w;
    return pixels < PIXELS_AT_ONCE ? (int)(PIXELS_AT_ONCE / pixels) : 1;
}

status vae_decode(struct vae_decoder *decoder, const struct vae_decode_args *args)
{
    const int h = args->h, w = args->w;
    if (args->n < 1 || h < 1 || w < 1 || h > INT_MAX / SCALE_DOWN || w > INT_MAX / SCALE_DOWN ||
        (size_t)h * w > INT_MAX / ((size_t)SCALE_DOWN * SCALE_DOWN * decoder->upsample[1].out))
        return status_fail(STATUS_BAD_SHAPE, "vae: %d latents of %dx%d cannot be decoded", args->n,
                           w, h);
    const size_t latent_step = (size_t)h * w * decoder->c_latent;
    const size_t out_step =
        feature_bytes(&decoder->run, 1, SCALE_DOWN * h, SCALE_DOWN * w, decoder->conv_out.out);
    const int group = group_size(args);
    for (int i = 0; i < args->n; i += group) {
        const int n = args->n - i < group ? args->n - i : group;
        TRY(decode_group(decoder, args->latent + i * latent_step, n, h, w,
                         (unsigned char *)args->y + i * out_step));
    }
    return STATUS_OK;
}
