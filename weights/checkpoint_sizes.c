/* weights/checkpoint_sizes.c - every size is one axis of one tensor, held inside what the topology
 * and an int can bear. */
#include "weights/checkpoint_sizes.h"

#include <stdio.h>

#define TEXT "cond_stage_model.transformer.text_model."
#define UNET "model.diffusion_model."
#define VAE "first_stage_model."

enum {
    WIDTH_MAX = 16384, /* 51 times the real one; products of two still fit an int */
    ROWS_MAX = 1 << 20,
    LAYERS_MAX = 64,
    GROUPS = 32,         /* of every group norm; also covers the UNet's 8 heads */
    HEAD_WIDTH = 64,     /* of the text encoder */
    TOKENS = 49408,      /* ids that the tokenizer makes */
    CHUNK_POSITIONS = 77 /* slots of a chunk */
};

/* Axis `axis` of a tensor of `rank` dimensions, between least and most, a multiple of `step`. */
struct wanted {
    const char *name;
    int rank, axis, least, most, step;
};

static status read_size(const struct checkpoint *checkpoint, const struct wanted *wanted, int *out)
{
    const struct tensor *tensor = checkpoint_find(checkpoint, wanted->name);
    const char *path = checkpoint_path(checkpoint);
    if (tensor == NULL)
        return status_fail(STATUS_BAD_FILE, "%s: \"%s\" is missing", path, wanted->name);
    if (tensor->rank != wanted->rank)
        return status_fail(STATUS_BAD_FILE, "%s: \"%s\" has %d dimensions, %d are wanted", path,
                           wanted->name, tensor->rank, wanted->rank);
    const size_t size = tensor->shape[wanted->axis];
    if (size < (size_t)wanted->least || size > (size_t)wanted->most ||
        size % (size_t)wanted->step != 0)
        return status_fail(STATUS_BAD_FILE,
                           "%s: \"%s\" has size %zu on axis %d, %d to %d and a multiple of %d is "
                           "wanted",
                           path, wanted->name, size, wanted->axis, wanted->least, wanted->most,
                           wanted->step);
    *out = (int)size;
    return STATUS_OK;
}

static status read_all(const struct checkpoint *checkpoint, const struct wanted *wanted,
                       int *const *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        TRY(read_size(checkpoint, &wanted[i], out[i]));
    return STATUS_OK;
}

static int text_layers(const struct checkpoint *checkpoint)
{
    char name[128];
    int layers = 0;
    do
        snprintf(name, sizeof name, TEXT "encoder.layers.%d.mlp.fc1.weight", layers);
    while (checkpoint_find(checkpoint, name) != NULL && ++layers <= LAYERS_MAX);
    return layers;
}

status checkpoint_text_sizes(const struct checkpoint *checkpoint, struct sd1_sizes *sizes)
{
    static const struct wanted wanted[] = {
        { TEXT "embeddings.token_embedding.weight", 2, 0, TOKENS, ROWS_MAX, 1 },
        { TEXT "embeddings.token_embedding.weight", 2, 1, 1, WIDTH_MAX, 1 },
        { TEXT "embeddings.position_embedding.weight", 2, 0, CHUNK_POSITIONS, ROWS_MAX, 1 },
        { TEXT "encoder.layers.0.mlp.fc1.weight", 2, 0, 1, WIDTH_MAX, 1 },
    };
    int *const out[] = { &sizes->vocabulary, &sizes->text_width, &sizes->positions,
                         &sizes->text_ff };
    TRY(read_all(checkpoint, wanted, out, sizeof out / sizeof out[0]));
    sizes->text_layers = text_layers(checkpoint);
    if (sizes->text_layers > LAYERS_MAX)
        return status_fail(STATUS_BAD_FILE, "%s: more than %d text encoder layers",
                           checkpoint_path(checkpoint), (int)LAYERS_MAX);
    sizes->text_heads = sizes->text_width < HEAD_WIDTH ? 1 : sizes->text_width / HEAD_WIDTH;
    if (sizes->text_width % sizes->text_heads != 0)
        return status_fail(STATUS_BAD_FILE,
                           "%s: the text encoder is %d wide, a multiple of its %d heads is wanted",
                           checkpoint_path(checkpoint), sizes->text_width, sizes->text_heads);
    return STATUS_OK;
}

status checkpoint_unet_sizes(const struct checkpoint *checkpoint, struct sd1_sizes *sizes)
{
    static const struct wanted wanted[] = {
        { UNET "input_blocks.0.0.weight", 4, 1, 4, 4, 1 },
        { UNET "out.2.weight", 4, 0, 4, 4, 1 },
        { UNET "time_embed.0.weight", 2, 0, 1, WIDTH_MAX, 1 },
        { UNET "input_blocks.1.0.in_layers.2.weight", 4, 0, GROUPS, WIDTH_MAX, GROUPS },
        { UNET "input_blocks.4.0.in_layers.2.weight", 4, 0, GROUPS, WIDTH_MAX, GROUPS },
        { UNET "input_blocks.7.0.in_layers.2.weight", 4, 0, GROUPS, WIDTH_MAX, GROUPS },
        { UNET "input_blocks.10.0.in_layers.2.weight", 4, 0, GROUPS, WIDTH_MAX, GROUPS },
    };
    int *const out[] = { &sizes->unet_in,       &sizes->unet_out,      &sizes->unet_time,
                         &sizes->unet_width[0], &sizes->unet_width[1], &sizes->unet_width[2],
                         &sizes->unet_width[3] };
    TRY(read_all(checkpoint, wanted, out, sizeof out / sizeof out[0]));

    static const struct wanted cross = {
        UNET "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", 2, 1, 1, WIDTH_MAX, 1
    };
    int context = 0;
    TRY(read_size(checkpoint, &cross, &context));
    if (context != sizes->text_width)
        return status_fail(STATUS_BAD_FILE,
                           "%s: the UNet wants a context %d wide, the text encoder gives %d",
                           checkpoint_path(checkpoint), context, sizes->text_width);
    return STATUS_OK;
}

status checkpoint_vae_sizes(const struct checkpoint *checkpoint, struct sd1_sizes *sizes)
{
    static const struct wanted z = { VAE "post_quant_conv.weight", 4, 0, 4, 4, 1 };
    static const char conv1[] = VAE "%s.%d.block.0.conv1.weight";
    TRY(read_size(checkpoint, &z, &sizes->vae_z));
    const int encoder = checkpoint_find(checkpoint, VAE "encoder.conv_in.weight") != NULL;
    for (int level = 0; level < SD1_LEVELS; level++) {
        char name[128];
        struct wanted width = { name, 4, 0, GROUPS, WIDTH_MAX, GROUPS };
        snprintf(name, sizeof name, conv1, "decoder.up", level);
        TRY(read_size(checkpoint, &width, &sizes->decoder_width[level]));
        snprintf(name, sizeof name, conv1, "encoder.down", level);
        if (encoder)
            TRY(read_size(checkpoint, &width, &sizes->encoder_width[level]));
    }
    return STATUS_OK;
}
