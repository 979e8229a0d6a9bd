/* weights/lora_names.c - key endings, and module names in underscore form.
 *
 * A kohya key cannot be parsed (an underscore may stand for a dot or for itself), so names are
 * built from the model's and looked up. */
#include "weights/lora_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys -------------------------------------------------------------------------------- */

/* Of two endings that fit, the earlier counts. */
static const struct {
    const char *text;
    enum lora_part part;
} endings[] = {
    { ".lora_up.weight", LORA_UP },
    { ".lora_down.weight", LORA_DOWN },
    { ".lora_mid.weight", LORA_MID },
    { ".lora_B.weight", LORA_UP },
    { ".lora_A.weight", LORA_DOWN },
    { ".lora_B.default.weight", LORA_UP },
    { ".lora_A.default.weight", LORA_DOWN },
    { "_lora.up.weight", LORA_UP },
    { "_lora.down.weight", LORA_DOWN },
    { ".lora.up.weight", LORA_UP },
    { ".lora.down.weight", LORA_DOWN },
    { ".lora_linear_layer.up.weight", LORA_UP },
    { ".lora_linear_layer.down.weight", LORA_DOWN },
    { "_lora.alpha", LORA_ALPHA },
    { ".lora.alpha", LORA_ALPHA },
    { ".lora_linear_layer.alpha", LORA_ALPHA },
    { ".alpha", LORA_ALPHA },
    { ".scale", LORA_SCALE },
    { ".hada_w1_a", LOHA_W1A },
    { ".hada_w1_b", LOHA_W1B },
    { ".hada_w2_a", LOHA_W2A },
    { ".hada_w2_b", LOHA_W2B },
    { ".hada_t1", LOHA_T1 },
    { ".hada_t2", LOHA_T2 },
    { ".lokr_w1", LOKR_W1 },
    { ".lokr_w1_a", LOKR_W1A },
    { ".lokr_w1_b", LOKR_W1B },
    { ".lokr_w2", LOKR_W2 },
    { ".lokr_w2_a", LOKR_W2A },
    { ".lokr_w2_b", LOKR_W2B },
    { ".lokr_t2", LOKR_T2 },
    { ".diff", FULL_DIFF },
    { ".diff_b", FULL_DIFF_B },
    { ".w_norm", NORM_W },
    { ".b_norm", NORM_B },
    { ".on_input", IA3_ON_INPUT },
    { ".weight", IA3_WEIGHT },
};

/* What dotted names begin with, and what that is in kohya's names. */
static const struct {
    const char *text, *instead;
} beginnings[] = {
    { "lora_unet_", "lora_unet_" },
    { "lora_te_", "lora_te_" },
    { "unet.", "lora_unet_" },
    { "model.diffusion_model.", "lora_unet_" },
    { "diffusion_model.", "lora_unet_" },
    { "down_blocks.", "lora_unet_down_blocks." },
    { "mid_block.", "lora_unet_mid_block." },
    { "up_blocks.", "lora_unet_up_blocks." },
    { "text_encoder.", "lora_te_" },
    { "cond_stage_model.transformer.", "lora_te_" },
    { "clip_l.transformer.", "lora_te_" },
    { "text_model.", "lora_te_text_model." },
};

/* What diffusers calls projections inside its attention processors. */
static const struct {
    const char *text, *instead;
} tails[] = {
    { ".self_attn.to_q", ".self_attn.q_proj" }, { ".self_attn.to_k", ".self_attn.k_proj" },
    { ".self_attn.to_v", ".self_attn.v_proj" }, { ".self_attn.to_out", ".self_attn.out_proj" },
    { ".attn1.to_out", ".attn1.to_out.0" },     { ".attn2.to_out", ".attn2.to_out.0" },
};

static const char *skip(const char *text, const char *what)
{
    const size_t length = strlen(what);
    return strncmp(text, what, length) == 0 ? text + length : text;
}

static int ends(const char *text, size_t length, const char *with)
{
    const size_t tail = strlen(with);
    return length > tail && memcmp(text + length - tail, with, tail) == 0;
}

/* Puts `instead` at the end of a text that ends in `tail`. */
static int replace_tail(char *text, const char *tail, const char *instead)
{
    const size_t length = strlen(text), at = length - strlen(tail);
    if (!ends(text, length, tail) || at + strlen(instead) >= LORA_NAME_CAP)
        return 0;
    memcpy(text + at, instead, strlen(instead) + 1);
    return 1;
}

static void underscore(char *module)
{
    static const char processor[] = ".processor";
    char *at = strstr(module, ".processor.");
    if (at != NULL)
        memmove(at, at + strlen(processor), strlen(at + strlen(processor)) + 1);
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++)
        if (replace_tail(module, tails[i].text, tails[i].instead))
            break;
    for (char *p = module; *p != 0; p++)
        if (*p == '.')
            *p = '_';
}

int lora_key_split(const char *key, enum lora_part *part, char module[LORA_NAME_CAP])
{
    key = skip(skip(key, "state_dict/"), "base_model.model.");
    const size_t length = strlen(key);
    size_t rest = 0;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0] && rest == 0; i++)
        if (ends(key, length, endings[i].text)) {
            rest = length - strlen(endings[i].text);
            *part = endings[i].part;
        }
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0] && rest > 0; i++) {
        const size_t begin = strlen(beginnings[i].text);
        if (rest <= begin || memcmp(key, beginnings[i].text, begin) != 0)
            continue;
        const int used = snprintf(module, LORA_NAME_CAP, "%s%.*s", beginnings[i].instead,
                                  (int)(rest - begin), key + begin);
        if (used < 0 || used >= LORA_NAME_CAP)
            return 0;
        underscore(module);
        return 1;
    }
    return 0;
}

/* ---- the model's modules ----------------------------------------------------------------- */

static const struct {
    const char *ldm, *diffusers;
} resnet_tails[] = {
    { "in_layers.0", "norm1" },          { "in_layers.2", "conv1" },
    { "emb_layers.1", "time_emb_proj" }, { "out_layers.0", "norm2" },
    { "out_layers.3", "conv2" },         { "skip_connection", "conv_shortcut" },
};

static const struct {
    const char *ldm, *diffusers;
} whole_names[] = {
    { "input_blocks.0.0", "conv_in" },
    { "out.0", "conv_norm_out" },
    { "out.2", "conv_out" },
    { "time_embed.0", "time_embedding.linear_1" },
    { "time_embed.2", "time_embedding.linear_2" },
};

/* The number that text begins with, and the text behind the dot that follows; null if there is
 * none.
 */
static const char *take_number(const char *text, int *number)
{
    char *end;
    if (*text < '0' || *text > '9')
        return NULL;
    const long value = strtol(text, &end, 10);
    if (value > 99 || (*end != '.' && *end != 0))
        return NULL;
    *number = (int)value;
    return *end == '.' ? end + 1 : end;
}

static int resnet_name(char *out, size_t cap, const char *block, int number, const char *tail)
{
    for (size_t i = 0; i < sizeof resnet_tails / sizeof resnet_tails[0]; i++)
        if (strcmp(tail, resnet_tails[i].ldm) == 0)
            return snprintf(out, cap, "%s.resnets.%d.%s", block, number,
                            resnet_tails[i].diffusers) > 0;
    return 0;
}

/* diffusers' name of a UNet module, from LDM's behind "model.diffusion_model.".
 * returns  0 if there is none
 * source   lora.py: convert_diffusers_name_to_compvis, turned round */
static int diffusers_name(const char *ldm, char *out, size_t cap)
{
    int i, j;
    char block[32];
    const char *tail;
    for (size_t k = 0; k < sizeof whole_names / sizeof whole_names[0]; k++)
        if (strcmp(ldm, whole_names[k].ldm) == 0)
            return snprintf(out, cap, "%s", whole_names[k].diffusers) > 0;

    if ((tail = skip(ldm, "middle_block.")) != ldm) {
        if ((tail = take_number(tail, &i)) == NULL)
            return 0;
        return i == 1 ? snprintf(out, cap, "mid_block.attentions.0.%s", tail) > 0
                      : resnet_name(out, cap, "mid_block", i / 2, tail);
    }
    const int down = (tail = skip(ldm, "input_blocks.")) != ldm;
    if (!down && (tail = skip(ldm, "output_blocks.")) == ldm)
        return 0;
    if ((tail = take_number(tail, &i)) == NULL || (tail = take_number(tail, &j)) == NULL)
        return 0;
    if (down)
        i--; /* block 0 is conv_in */
    if (i < 0)
        return 0;
    snprintf(block, sizeof block, "%s.%d", down ? "down_blocks" : "up_blocks", i / 3);
    if (strcmp(tail, "op") == 0)
        return snprintf(out, cap, "%s.downsamplers.0.conv", block) > 0;
    if (strcmp(tail, "conv") == 0)
        return snprintf(out, cap, "%s.upsamplers.0.conv", block) > 0;
    return j == 0 ? resnet_name(out, cap, block, i % 3, tail)
                  : snprintf(out, cap, "%s.attentions.%d.%s", block, i % 3, tail) > 0;
}

static status add(struct name_map *map, const char *prefix, const char *module, long number)
{
    char name[LORA_NAME_CAP + 16];
    snprintf(name, sizeof name, "%s%s", prefix, module);
    for (char *p = name; *p != 0; p++)
        if (*p == '.')
            *p = '_';
    return name_map_add(map, name, number);
}

status lora_names_add(struct name_map *map, const struct module_row *row, long number)
{
    if (row->part == MODULE_TEXT)
        return add(map, "lora_te_", skip(row->name, "cond_stage_model.transformer."), number);
    if (row->part != MODULE_UNET)
        return STATUS_OK;
    char name[LORA_NAME_CAP];
    const char *ldm = skip(row->name, "model.diffusion_model.");
    TRY(add(map, "lora_unet_", ldm, number));
    return diffusers_name(ldm, name, sizeof name) ? add(map, "lora_unet_", name, number)
                                                  : STATUS_OK;
}
