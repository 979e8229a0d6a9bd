/* weights/lora_names.h - what the keys of a LoRA mean: which module, and which part of it. */
#ifndef WEIGHTS_LORA_NAMES_H
#define WEIGHTS_LORA_NAMES_H

#include "host/base/module.h"
#include "weights/name_map.h"

enum lora_part {
    LORA_UP, /* [out, r] or [out, r, 1, 1] */
    LORA_DOWN,
    LORA_MID,
    LORA_ALPHA,
    LORA_SCALE,
    LOHA_W1A,
    LOHA_W1B,
    LOHA_W2A,
    LOHA_W2B,
    LOHA_T1,
    LOHA_T2,
    LOKR_W1,
    LOKR_W1A,
    LOKR_W1B,
    LOKR_W2,
    LOKR_W2A,
    LOKR_W2B,
    LOKR_T2,
    FULL_DIFF,
    FULL_DIFF_B,
    NORM_W,
    NORM_B,
    IA3_WEIGHT,
    IA3_ON_INPUT,
    LORA_PARTS
};

enum { LORA_NAME_CAP = 512 };

/* Splits a key into the part that it ends in and its module, the latter in the underscore form that
 * lora_names_add() uses: "lora_unet_down_blocks_0_attentions_0_proj_in".
 * returns  0 if it is no key of this family */
int lora_key_split(const char *key, enum lora_part *part, char module[LORA_NAME_CAP]);

/* Adds every name that a LoRA may have for row number `number`: LDM's and diffusers' module name in
 * underscore form behind lora_unet_ or lora_te_. The VAE's rows have none. */
status lora_names_add(struct name_map *map, const struct module_row *row, long number);

#endif
