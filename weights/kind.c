/* weights/kind.c - a file's kind from the names and shapes of its tensors. */
#include "weights/kind.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *phrase;
} kinds[WEIGHTS_KIND_COUNT] = {
    [WEIGHTS_OTHER] = { "other", "nothing that this program knows" },
    [WEIGHTS_CHECKPOINT] = { "checkpoint", "a Stable Diffusion 1.x checkpoint" },
    [WEIGHTS_VAE] = { "vae", "a VAE" },
    [WEIGHTS_EMBEDDING] = { "embedding", "a Textual Inversion" },
    [WEIGHTS_LORA] = { "lora", "a LoRA" },
    [WEIGHTS_SD2] = { "sd2", "a Stable Diffusion 2 checkpoint" },
    [WEIGHTS_SDXL] = { "sdxl", "a Stable Diffusion XL checkpoint" },
    [WEIGHTS_SD3] = { "sd3", "a Stable Diffusion 3 or Flux checkpoint" },
    [WEIGHTS_INPAINTING] = { "inpainting", "an inpainting checkpoint (9 input channels)" },
    [WEIGHTS_PIX2PIX] = { "pix2pix", "an instruct-pix2pix checkpoint (8 input channels)" },
    [WEIGHTS_UNET] = { "unet", "a bare UNet, without a text encoder" },
    [WEIGHTS_TEXT_ENCODER] = { "text-encoder", "a bare text encoder" },
    [WEIGHTS_DIFFUSERS_VAE] = { "diffusers-vae", "a VAE under diffusers' names" },
    [WEIGHTS_SDXL_EMBEDDING] = { "sdxl-embedding",
                                 "a Textual Inversion for Stable Diffusion XL or 3" },
    [WEIGHTS_CONTROLNET] = { "controlnet", "a ControlNet" },
    [WEIGHTS_HYPERNETWORK] = { "hypernetwork", "a hypernetwork" },
};

const char *weights_kind_name(enum weights_kind kind)
{
    return (unsigned)kind < WEIGHTS_KIND_COUNT ? kinds[kind].name : "other";
}

const char *weights_kind_phrase(enum weights_kind kind)
{
    return (unsigned)kind < WEIGHTS_KIND_COUNT ? kinds[kind].phrase : kinds[WEIGHTS_OTHER].phrase;
}

enum weights_kind weights_kind_named(const char *name)
{
    for (int i = 0; i < WEIGHTS_KIND_COUNT; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return (enum weights_kind)i;
    return WEIGHTS_OTHER;
}

/* ---- marks ------------------------------------------------------------------------------- */

/* The tensor of this name, at the top or inside state_dict. */
static const struct tensor *find(const struct tensor_file *file, const char *name)
{
    char inside[256];
    snprintf(inside, sizeof inside, "state_dict/%s", name);
    const struct tensor *tensor = tensor_file_find(file, inside);
    return tensor != NULL ? tensor : tensor_file_find(file, name);
}

static int has(const struct tensor_file *file, const char *name)
{
    return find(file, name) != NULL;
}

/* What the names have in common, gathered in one pass. */
struct marks {
    int lora, text, vae, hypernetwork, embedding, sd3, control;
};

static int starts(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static int is_lora_name(const char *name)
{
    static const char *const parts[] = {
        ".lora_up.",   ".lora_down.", ".lora_A.",     ".lora_B.",    "_lora.up.",
        "_lora.down.", ".lora.up.",   ".lora.down.",  ".hada_w1_a",  ".lokr_w1",
        ".lokr_w2",    "_layer.up.",  "_layer.down.", ".oft_blocks", ".oft_diag",
    };
    if (starts(name, "lora_unet_") || starts(name, "lora_te"))
        return 1;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(name, parts[i]) != NULL)
            return 1;
    return 0;
}

static struct marks marks_of(const struct tensor_file *file)
{
    struct marks marks = { 0 };
    for (size_t i = 0; i < tensor_file_count(file); i++) {
        const char *name = tensor_file_at(file, i)->name;
        if (starts(name, "state_dict/"))
            name += strlen("state_dict/");
        marks.lora |= is_lora_name(name);
        marks.text |= starts(name, "cond_stage_model.");
        marks.vae |= starts(name, "first_stage_model.decoder.");
        marks.embedding |= starts(name, "string_to_param");
        marks.hypernetwork |= strchr("123456789", name[0]) != NULL && strchr(name, '/') != NULL &&
                              strstr(name, "linear.0.weight") != NULL;
        marks.sd3 |=
            strstr(name, "joint_blocks.0.") != NULL || strstr(name, "double_blocks.0.") != NULL;
        marks.control |= starts(name, "control_model.") || strstr(name, "controlnet_") != NULL;
    }
    return marks;
}

static enum weights_kind checkpoint_kind(const struct tensor_file *file, const struct marks *marks,
                                         const struct tensor *conv_in)
{
    static const char cross[] =
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight";
    const struct tensor *to_k = find(file, cross);
    if (has(file, "model.diffusion_model.label_emb.0.0.weight") ||
        has(file, "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight") ||
        has(file, "conditioner.embedders.0.model.ln_final.weight"))
        return WEIGHTS_SDXL;
    if (has(file, "cond_stage_model.model.ln_final.weight") ||
        has(file, "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight") ||
        (!marks->text && to_k != NULL && to_k->rank == 2 && to_k->shape[1] == 1024))
        return WEIGHTS_SD2;
    if (conv_in->rank == 4 && conv_in->shape[1] == 9)
        return WEIGHTS_INPAINTING;
    if (conv_in->rank == 4 && conv_in->shape[1] == 8)
        return WEIGHTS_PIX2PIX;
    return marks->text ? WEIGHTS_CHECKPOINT : WEIGHTS_UNET;
}

static int is_one_table(const struct tensor_file *file)
{
    if (tensor_file_count(file) != 1)
        return 0;
    const struct tensor *tensor = tensor_file_at(file, 0);
    return (tensor->rank == 1 || tensor->rank == 2) && tensor_elements(tensor) > 0;
}

enum weights_kind weights_kind_of(const struct tensor_file *file)
{
    const struct marks marks = marks_of(file);
    const struct tensor *conv_in = find(file, "model.diffusion_model.input_blocks.0.0.weight");
    if (conv_in != NULL)
        return checkpoint_kind(file, &marks, conv_in);
    if (marks.sd3)
        return WEIGHTS_SD3;
    if (marks.control)
        return WEIGHTS_CONTROLNET;
    if (marks.lora)
        return WEIGHTS_LORA;
    if (marks.embedding)
        return WEIGHTS_EMBEDDING;
    if (marks.vae || (has(file, "decoder.conv_in.weight") && has(file, "decoder.norm_out.weight")))
        return WEIGHTS_VAE;
    if (has(file, "decoder.conv_in.weight") && has(file, "decoder.conv_norm_out.weight"))
        return WEIGHTS_DIFFUSERS_VAE;
    if (has(file, "input_blocks.0.0.weight") || has(file, "time_embedding.linear_1.weight"))
        return WEIGHTS_UNET;
    if (has(file, "text_model.embeddings.token_embedding.weight") || marks.text)
        return WEIGHTS_TEXT_ENCODER;
    if (has(file, "clip_g") || has(file, "clip_l"))
        return WEIGHTS_SDXL_EMBEDDING;
    if (marks.hypernetwork)
        return WEIGHTS_HYPERNETWORK;
    return is_one_table(file) ? WEIGHTS_EMBEDDING : WEIGHTS_OTHER;
}

status weights_kind_expect(const struct tensor_file *file, enum weights_kind wanted)
{
    const enum weights_kind kind = weights_kind_of(file);
    if (kind == wanted)
        return STATUS_OK;
    if (tensor_file_count(file) == 0)
        return status_fail(STATUS_WRONG_KIND, "%s: holds no tensors, %s is wanted",
                           tensor_file_path(file), weights_kind_phrase(wanted));
    return status_fail(STATUS_WRONG_KIND, "%s: is %s, %s is wanted", tensor_file_path(file),
                       weights_kind_phrase(kind), weights_kind_phrase(wanted));
}
