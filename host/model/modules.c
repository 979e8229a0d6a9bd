/* host/model/modules.c - the table of modules. See modules.h. */
#include "host/model/modules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_BYTES = 96,     /* longest canonical name and its end */
    FIXED_ROWS = 560,    /* all but the text encoder's layers: 515 in a file with both VAE halves */
    ROWS_A_LAYER = 8,    /* of the text encoder */
    MAX_WIDTH = 1 << 14, /* four times what any SD 1.x has */
    MAX_LAYERS = 64,
    MAX_ROWS_TABLE = 1 << 20
};

#define TEXT "cond_stage_model.transformer.text_model."
#define UNET "model.diffusion_model."
#define VAE "first_stage_model."

/* ---- rows ------------------------------------------------------------------------------- */

struct build {
    struct modules *table;
    enum module_part part;
};

static void add(struct build *b, enum module_kind kind, int out, int in, int kernel, int has_bias,
                const char *format, ...)
{
    struct modules *table = b->table;
    char *name = table->names + table->names_used;
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(name, NAME_BYTES, format, args);
    va_end(args);
    table->names_used += (size_t)length + 1;
    table->rows[table->count++] = (struct module_row){ .name = name,
                                                       .part = b->part,
                                                       .kind = kind,
                                                       .has_bias = has_bias,
                                                       .out = out,
                                                       .in = in,
                                                       .kernel = kernel };
}

static void add_norm(struct build *b, int c, const char *prefix, const char *name)
{
    add(b, MODULE_NORM, c, 1, 1, 1, "%s%s", prefix, name);
}

static void add_linear(struct build *b, int out, int in, int bias, const char *prefix,
                       const char *name)
{
    add(b, MODULE_LINEAR, out, in, 1, bias, "%s%s", prefix, name);
}

static void add_conv(struct build *b, int out, int in, int kernel, const char *prefix,
                     const char *name)
{
    add(b, MODULE_CONV2D, out, in, kernel, 1, "%s%s", prefix, name);
}

/* ---- text encoder ----------------------------------------------------------------------- */

static void add_text(struct build *b, const struct sd1_sizes *z)
{
    const int c = z->text_width;
    add(b, MODULE_EMBEDDING, z->vocabulary, c, 1, 0, TEXT "embeddings.token_embedding");
    add(b, MODULE_EMBEDDING, z->positions, c, 1, 0, TEXT "embeddings.position_embedding");
    for (int i = 0; i < z->text_layers; i++) {
        char p[NAME_BYTES];
        snprintf(p, sizeof p, TEXT "encoder.layers.%d.", i);
        add_norm(b, c, p, "layer_norm1");
        add_linear(b, c, c, 1, p, "self_attn.q_proj");
        add_linear(b, c, c, 1, p, "self_attn.k_proj");
        add_linear(b, c, c, 1, p, "self_attn.v_proj");
        add_linear(b, c, c, 1, p, "self_attn.out_proj");
        add_norm(b, c, p, "layer_norm2");
        add_linear(b, z->text_ff, c, 1, p, "mlp.fc1");
        add_linear(b, c, z->text_ff, 1, p, "mlp.fc2");
    }
    add_norm(b, c, TEXT, "final_layer_norm");
}

/* ---- UNet ------------------------------------------------------------------------------- */

static void add_res(struct build *b, const char *p, int c_in, int c, int time)
{
    add_norm(b, c_in, p, "in_layers.0");
    add_conv(b, c, c_in, 3, p, "in_layers.2");
    add_linear(b, c, time, 1, p, "emb_layers.1");
    add_norm(b, c, p, "out_layers.0");
    add_conv(b, c, c, 3, p, "out_layers.3");
    if (c_in != c)
        add_conv(b, c, c_in, 1, p, "skip_connection");
}

static void add_transformer(struct build *b, const char *p, int c, int context)
{
    add_norm(b, c, p, "norm");
    add_conv(b, c, c, 1, p, "proj_in");
    add_norm(b, c, p, "transformer_blocks.0.norm1");
    add_linear(b, c, c, 0, p, "transformer_blocks.0.attn1.to_q");
    add_linear(b, c, c, 0, p, "transformer_blocks.0.attn1.to_k");
    add_linear(b, c, c, 0, p, "transformer_blocks.0.attn1.to_v");
    add_linear(b, c, c, 1, p, "transformer_blocks.0.attn1.to_out.0");
    add_norm(b, c, p, "transformer_blocks.0.norm2");
    add_linear(b, c, c, 0, p, "transformer_blocks.0.attn2.to_q");
    add_linear(b, c, context, 0, p, "transformer_blocks.0.attn2.to_k");
    add_linear(b, c, context, 0, p, "transformer_blocks.0.attn2.to_v");
    add_linear(b, c, c, 1, p, "transformer_blocks.0.attn2.to_out.0");
    add_norm(b, c, p, "transformer_blocks.0.norm3");
    add_linear(b, 8 * c, c, 1, p, "transformer_blocks.0.ff.net.0.proj");
    add_linear(b, c, 4 * c, 1, p, "transformer_blocks.0.ff.net.2");
    add_conv(b, c, c, 1, p, "proj_out");
}

static void add_unet_block(struct build *b, const struct sd1_sizes *z, const char *block, int c_in,
                           int level)
{
    char p[NAME_BYTES];
    snprintf(p, sizeof p, "%s.0.", block);
    add_res(b, p, c_in, z->unet_width[level], z->unet_time);
    if (level == SD1_LEVELS - 1)
        return;
    snprintf(p, sizeof p, "%s.1.", block);
    add_transformer(b, p, z->unet_width[level], z->text_width);
}

static void add_unet(struct build *b, const struct sd1_sizes *z)
{
    const int *width = z->unet_width, deepest = width[SD1_LEVELS - 1];
    int skips[3 * SD1_LEVELS], skip = 0, c = width[0];
    char p[NAME_BYTES];

    add_linear(b, z->unet_time, width[0], 1, UNET, "time_embed.0");
    add_linear(b, z->unet_time, z->unet_time, 1, UNET, "time_embed.2");
    add_conv(b, width[0], z->unet_in, 3, UNET, "input_blocks.0.0");
    skips[skip++] = c;
    for (int level = 0; level < SD1_LEVELS; level++) {
        for (int i = 0; i < 2; i++) {
            snprintf(p, sizeof p, UNET "input_blocks.%d", skip);
            add_unet_block(b, z, p, c, level);
            skips[skip++] = c = width[level];
        }
        if (level < SD1_LEVELS - 1) {
            add(b, MODULE_CONV2D, c, c, 3, 1, UNET "input_blocks.%d.0.op", skip);
            skips[skip++] = c;
        }
    }
    add_res(b, UNET "middle_block.0.", deepest, deepest, z->unet_time);
    add_transformer(b, UNET "middle_block.1.", deepest, z->text_width);
    add_res(b, UNET "middle_block.2.", deepest, deepest, z->unet_time);
    for (int block = 0; block < 3 * SD1_LEVELS; block++) {
        const int level = SD1_LEVELS - 1 - block / 3;
        snprintf(p, sizeof p, UNET "output_blocks.%d", block);
        add_unet_block(b, z, p, c + skips[--skip], level);
        c = width[level];
        if (block % 3 == 2 && level > 0)
            add(b, MODULE_CONV2D, c, c, 3, 1, "%s.%d.conv", p, level == SD1_LEVELS - 1 ? 1 : 2);
    }
    add_norm(b, c, UNET, "out.0");
    add_conv(b, z->unet_out, c, 3, UNET, "out.2");
}

/* ---- VAE -------------------------------------------------------------------------------- */

static void add_vae_res(struct build *b, const char *p, int c_in, int c)
{
    add_norm(b, c_in, p, "norm1");
    add_conv(b, c, c_in, 3, p, "conv1");
    add_norm(b, c, p, "norm2");
    add_conv(b, c, c, 3, p, "conv2");
    if (c_in != c)
        add_conv(b, c, c_in, 1, p, "nin_shortcut");
}

static void add_vae_middle(struct build *b, const char *half, int c)
{
    char p[NAME_BYTES];
    snprintf(p, sizeof p, "%smid.block_1.", half);
    add_vae_res(b, p, c, c);
    snprintf(p, sizeof p, "%smid.attn_1.", half);
    add_norm(b, c, p, "norm");
    add_conv(b, c, c, 1, p, "q");
    add_conv(b, c, c, 1, p, "k");
    add_conv(b, c, c, 1, p, "v");
    add_conv(b, c, c, 1, p, "proj_out");
    snprintf(p, sizeof p, "%smid.block_2.", half);
    add_vae_res(b, p, c, c);
}

static void add_decoder(struct build *b, const struct sd1_sizes *z)
{
    int c = z->decoder_width[SD1_LEVELS - 1];
    char p[NAME_BYTES];
    add_conv(b, z->vae_z, z->vae_z, 1, VAE, "post_quant_conv");
    add_conv(b, c, z->vae_z, 3, VAE, "decoder.conv_in");
    add_vae_middle(b, VAE "decoder.", c);
    for (int level = SD1_LEVELS - 1; level >= 0; level--) {
        for (int i = 0; i < 3; i++) {
            snprintf(p, sizeof p, VAE "decoder.up.%d.block.%d.", level, i);
            add_vae_res(b, p, c, z->decoder_width[level]);
            c = z->decoder_width[level];
        }
        if (level > 0)
            add(b, MODULE_CONV2D, c, c, 3, 1, VAE "decoder.up.%d.upsample.conv", level);
    }
    add_norm(b, c, VAE, "decoder.norm_out");
    add_conv(b, 3, c, 3, VAE, "decoder.conv_out");
}

static void add_encoder(struct build *b, const struct sd1_sizes *z)
{
    int c = z->encoder_width[0];
    char p[NAME_BYTES];
    add_conv(b, c, 3, 3, VAE, "encoder.conv_in");
    for (int level = 0; level < SD1_LEVELS; level++) {
        for (int i = 0; i < 2; i++) {
            snprintf(p, sizeof p, VAE "encoder.down.%d.block.%d.", level, i);
            add_vae_res(b, p, c, z->encoder_width[level]);
            c = z->encoder_width[level];
        }
        if (level < SD1_LEVELS - 1)
            add(b, MODULE_CONV2D, c, c, 3, 1, VAE "encoder.down.%d.downsample.conv", level);
    }
    add_vae_middle(b, VAE "encoder.", c);
    add_norm(b, c, VAE, "encoder.norm_out");
    add_conv(b, 2 * z->vae_z, c, 3, VAE, "encoder.conv_out");
    add_conv(b, 2 * z->vae_z, 2 * z->vae_z, 1, VAE, "quant_conv");
}

/* ---- sizes ------------------------------------------------------------------------------ */

struct sd1_sizes modules_sd1_sizes(void)
{
    return (struct sd1_sizes){ .vocabulary = 49408,
                               .positions = 77,
                               .text_width = 768,
                               .text_layers = 12,
                               .text_heads = 12,
                               .text_ff = 3072,
                               .unet_in = 4,
                               .unet_out = 4,
                               .unet_width = { 320, 640, 1280, 1280 },
                               .unet_time = 1280,
                               .vae_z = 4,
                               .decoder_width = { 128, 256, 512, 512 },
                               .encoder_width = { 128, 256, 512, 512 } };
}

static status check_range(const char *what, int value, int most)
{
    if (value < 1 || value > most)
        return status_fail(STATUS_BAD_SHAPE, "model: %s is %d, wanted 1 to %d", what, value, most);
    return STATUS_OK;
}

/* GroupNorm has 32 groups throughout, and the UNet 8 heads, which 32 covers. */
static status check_widths(const char *what, const int *width)
{
    for (int i = 0; i < SD1_LEVELS; i++)
        if (width[i] < 32 || width[i] > MAX_WIDTH || width[i] % 32 != 0)
            return status_fail(
                STATUS_BAD_SHAPE,
                "model: %s width of level %d is %d, wanted a multiple of 32 up to %d", what, i,
                width[i], (int)MAX_WIDTH);
    return STATUS_OK;
}

static status check_sizes(const struct sd1_sizes *z)
{
    TRY(check_range("the vocabulary", z->vocabulary, MAX_ROWS_TABLE));
    TRY(check_range("the number of positions", z->positions, MAX_WIDTH));
    TRY(check_range("the text width", z->text_width, MAX_WIDTH));
    TRY(check_range("the number of text layers", z->text_layers, MAX_LAYERS));
    TRY(check_range("the number of text heads", z->text_heads, z->text_width));
    TRY(check_range("the text feed-forward width", z->text_ff, MAX_WIDTH));
    TRY(check_range("the time embedding's width", z->unet_time, MAX_WIDTH));
    TRY(check_range("the number of latent channels", z->vae_z, 64));
    if (z->text_width % z->text_heads != 0)
        return status_fail(STATUS_BAD_SHAPE, "model: %d text heads do not divide a width of %d",
                           z->text_heads, z->text_width);
    if (z->unet_in != z->vae_z || z->unet_out != z->vae_z)
        return status_fail(STATUS_BAD_SHAPE,
                           "model: the UNet takes %d and gives %d channels, the VAE has %d",
                           z->unet_in, z->unet_out, z->vae_z);
    TRY(check_widths("UNet", z->unet_width));
    TRY(check_widths("VAE decoder", z->decoder_width));
    if (z->encoder_width[0] != 0)
        TRY(check_widths("VAE encoder", z->encoder_width));
    return STATUS_OK;
}

/* ---- the table -------------------------------------------------------------------------- */

status modules_create(const struct sd1_sizes *sizes, struct modules **out)
{
    *out = NULL;
    TRY(check_sizes(sizes));
    const size_t most = FIXED_ROWS + (size_t)ROWS_A_LAYER * sizes->text_layers;
    struct modules *table = calloc(1, sizeof *table);
    if (table != NULL) {
        table->rows = calloc(most, sizeof *table->rows);
        table->names = calloc(most, NAME_BYTES);
    }
    if (table == NULL || table->rows == NULL || table->names == NULL) {
        modules_destroy(table);
        return status_fail(STATUS_NO_MEMORY, "model: no memory for a table of %zu modules", most);
    }
    table->sizes = *sizes;
    add_text(&(struct build){ table, MODULE_TEXT }, sizes);
    add_unet(&(struct build){ table, MODULE_UNET }, sizes);
    add_decoder(&(struct build){ table, MODULE_VAE }, sizes);
    table->encoder_first = table->count;
    if (sizes->encoder_width[0] != 0)
        add_encoder(&(struct build){ table, MODULE_VAE }, sizes);
    *out = table;
    return STATUS_OK;
}

void modules_destroy(struct modules *modules)
{
    if (modules == NULL)
        return;
    free(modules->rows);
    free(modules->names);
    free(modules);
}

const struct module_row *modules_find(const struct modules *modules, const char *name)
{
    for (size_t i = 0; i < modules->count; i++)
        if (strcmp(modules->rows[i].name, name) == 0)
            return &modules->rows[i];
    return NULL;
}

size_t module_parameters(const struct module_row *row)
{
    const size_t each = (size_t)row->in * row->kernel * row->kernel;
    return (size_t)row->out * (each + (row->has_bias ? 1 : 0));
}

size_t modules_parameters(const struct modules *modules, enum module_part part)
{
    size_t sum = 0;
    for (size_t i = 0; i < modules->encoder_first; i++)
        if (modules->rows[i].part == part)
            sum += module_parameters(&modules->rows[i]);
    return sum;
}
