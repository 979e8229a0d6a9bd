/* weights/checkpoint.h - a Stable Diffusion 1.x checkpoint, or a VAE file, under canonical names.
 */
#ifndef WEIGHTS_CHECKPOINT_H
#define WEIGHTS_CHECKPOINT_H

#include "host/base/module.h"
#include "weights/tensor_file.h"

#ifdef __cplusplus
extern "C" {
#endif

struct checkpoint;

/* Opens a checkpoint and reads its sizes from the shapes of its tensors.
 *
 * Canonical names are those of sd-v1-4: `state_dict` is entered if there is one,
 * `cond_stage_model.transformer.` without `text_model.` gets it, and model_ema.*, loss* and the
 * optimiser's state are passed over. A checkpoint without a VAE opens; its decoder widths are 0.
 *
 * memory   the file stays open until checkpoint_close()
 * returns  what tensor_file_open() returns, and
 *          STATUS_WRONG_KIND  it is something else; the text says what
 *          STATUS_BAD_FILE    a tensor that the sizes are read from is missing, or sizes that
 *                             contradict each other or the topology; the text has the tensor
 * source   sd_models.py: get_state_dict_from_checkpoint, transform_checkpoint_dict_key
 */
status checkpoint_open(const char *path, struct checkpoint **out);

/* Opens a VAE file (names with or without first_stage_model.); a checkpoint that holds a VAE serves
 * too. Of its sizes only the VAE's are set, unless it is a checkpoint.
 * source   sd_vae.py: load_vae_dict, vae_ignore_keys */
status checkpoint_open_vae(const char *path, struct checkpoint **out);

void checkpoint_close(struct checkpoint *checkpoint); /* null is fine */

const struct sd1_sizes *checkpoint_sizes(const struct checkpoint *checkpoint);
const char *checkpoint_path(const struct checkpoint *checkpoint);
int checkpoint_has_vae(const struct checkpoint *checkpoint);

/* The tensor of a canonical name ("first_stage_model.decoder.conv_in.weight"), lent; null if there
 * is none. Its shape may be [out, in] for a 1x1 convolution, or [out, in, 1, 1] for a matrix. */
const struct tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name);

struct module_tensors {
    const struct tensor *weight;
    const struct tensor *bias; /* null without has_bias */
};

/* Weight and bias of one row, their shapes checked: elements lie as the row says.
 * returns  STATUS_BAD_FILE  a tensor is missing, wrongly shaped or not of floats; the text names
 * it, what was found and what was wanted */
status checkpoint_module(const struct checkpoint *checkpoint, const struct module_row *row,
                         struct module_tensors *out);

/* Checks all rows before anything is loaded; the text names the first that fails, and how many
 * more do. */
status checkpoint_check(const struct checkpoint *checkpoint, const struct module_row *rows,
                        size_t count);

/* Calls `extra` with each tensor that belongs to no row and to nothing that is known to be passed
 * over (EMA, schedule buffers, the encoder, losses); returns how many there are. */
size_t checkpoint_extra(const struct checkpoint *checkpoint, const struct module_row *rows,
                        size_t count, void (*extra)(void *user, const char *name), void *user);

/* The first tensor of the rows that holds NaN or infinity; null if all are finite. Reads every
 * value: meant for saying why a picture failed. */
const struct tensor *checkpoint_not_finite(const struct checkpoint *checkpoint,
                                           const struct module_row *rows, size_t count);

/* ---- the schedule and the positions that a checkpoint brings ------------------------------ */

enum { SD1_TIMESTEPS = 1000 };

enum alphas_found {
    ALPHAS_ABSENT,  /* not in the file: the configuration's serve */
    ALPHAS_FILE,    /* used */
    ALPHAS_UNUSABLE /* in the file but not strictly inside (0, 1) and falling (as bf16 makes
                       them): the configuration's serve; worth a warning */
};

/* alphas_cumprod as stored, widened to f32. `out` is written only for ALPHAS_FILE. */
enum alphas_found checkpoint_alphas(const struct checkpoint *checkpoint, float out[SD1_TIMESTEPS]);

/* The position row of each slot, out[sizes.positions]: the file's position_ids truncated toward
 * zero, or 0, 1, 2 ... where it has none. *plain is 1 if they are 0, 1, 2 ...; otherwise worth a
 * warning (merging tools damage them).
 * returns  STATUS_BAD_FILE  wrongly shaped, or a value outside the table */
status checkpoint_positions(const struct checkpoint *checkpoint, int *out, int *plain);

/* STATUS_BAD_FILE if the file changed since it was opened: see tensor_file_unchanged(). */
status checkpoint_unchanged(const struct checkpoint *checkpoint);

#ifdef __cplusplus
}
#endif

#endif
