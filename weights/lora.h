/* weights/lora.h - a LoRA, LoCon, LoHa, LoKr, full difference or IA3, and what it adds to a model.
 *
 *     lora_open(path, rows, count, &lora);
 *     for each row: if (lora_touches(lora, row)) lora_delta(lora, row, &use, base, &delta);
 */
#ifndef WEIGHTS_LORA_H
#define WEIGHTS_LORA_H

#include "host/base/compat.h"
#include "host/base/module.h"
#include "weights/tensor_file.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lora;

/* Opens a file of the LoRA family and finds the row that each of its modules belongs to.
 *
 * Names: kohya's (lora_unet_..., lora_te_...) over diffusers' or LDM's module names, and dotted
 * names (unet....to_q_lora.up.weight, ....lora_A.weight,
 * text_encoder.....lora_linear_layer.up.weight, diffusion_model.....lora_up.weight). Keys that
 * nothing is known of, and modules that the model does not have, are listed by lora_unused_at(),
 * never an error here.
 *
 * memory   rows are used during the call alone; the file stays open until lora_close()
 * returns  what tensor_file_open() returns, and
 *          STATUS_WRONG_KIND  it is something else; the text says what
 *          STATUS_BAD_FILE    a module's tensors do not fit each other
 *          STATUS_BAD_SHAPE   they do not fit the model's (a LoRA made for another kind of model)
 *          On failure *out is null.
 * source   extensions-builtin/Lora/lora.py (to v1.4), networks.py and network_*.py (from v1.5)
 */
status lora_open(const char *path, const struct module_row *rows, size_t count, struct lora **out);
void lora_close(struct lora *lora); /* null is fine */

size_t lora_module_count(const struct lora *lora); /* rows that it touches */
int lora_touches(const struct lora *lora, size_t row);
int lora_has_text(
    const struct lora *lora); /* touches the text encoder: prompts must be encoded anew */

struct lora_unused {
    const char *key;
    const char *why; /* "unknown key", "no such module in this model", ... */
};
size_t lora_unused_count(const struct lora *lora);
const struct lora_unused *lora_unused_at(const struct lora *lora, size_t i);

/* How a prompt uses it. */
struct lora_use {
    double te, unet;      /* multipliers; 0 means: leave those modules alone */
    struct compat compat; /* alpha 0 scales by 1 before v1.5, by 0 from then on */
};

/* What one row gets: weight += scale * up . down, or scale * full; bias += bias.
 * The pointers go straight into a device's weight_delta. */
struct lora_delta {
    float scale;
    int rank;    /* 0: `full` is used; if that is null too, the weight stays as it is */
    float *up;   /* [out, rank] */
    float *down; /* [rank, in * kernel * kernel] */
    float *full; /* [out, in * kernel * kernel]; NORM: [out] */
    float *bias; /* [out], scaled already, or null: the bias stays as it is */
};

/* numerics  f32, sums in a fixed order; scale = multiplier * alpha / rank, rounded once
 * memory    one row's; free with lora_delta_free(). All zero, and OK, if the multiplier is 0 or
 *           the row is not touched
 * base      [out, in * kernel * kernel] the row's present weight, read only where
 *           lora_needs_base(); null elsewhere
 * returns   STATUS_NOT_FINITE  a value is NaN or infinite; the text names the module */
status lora_delta(const struct lora *lora, size_t row, const struct lora_use *use,
                  const float *base, struct lora_delta *out);
void lora_delta_free(struct lora_delta *delta); /* all zero afterwards */

int lora_needs_base(const struct lora *lora, size_t row); /* IA3 scales what is there */

/* weight += all that the delta says, and bias likewise (null: left alone), in f32. */
void lora_delta_add(const struct lora_delta *delta, const struct module_row *row, float *weight,
                    float *bias);

#ifdef __cplusplus
}
#endif

#endif
