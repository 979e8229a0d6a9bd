/* host/pipeline/loaded.h - the model that is loaded: checkpoint, VAE and LoRAs, as networks. */
#ifndef HOST_PIPELINE_LOADED_H
#define HOST_PIPELINE_LOADED_H

#include "host/base/compat.h"
#include "host/base/ops.h"
#include "host/mikubench.h"
#include "host/model/text_encoder.h"
#include "host/model/unet.h"
#include "host/model/vae.h"
#include "weights/checkpoint.h"
#include "weights/store.h"

enum { LOADED_LORAS_MAX = 32 };

struct wanted_lora {
    const char *path;
    double te, unet;
};

/* What a request asks for, as files. */
struct wanted {
    int synthetic;          /* full-size random weights; no files */
    const char *checkpoint; /* path */
    const char *vae;        /* path; null: the checkpoint's own */
    struct wanted_lora lora[LOADED_LORAS_MAX];
    int loras;
    struct compat compat; /* of the LoRAs' scales */
};

struct loaded; /* opaque; empty until something is selected */

/* What a job needs of it; lent until the next selection. */
struct loaded_model {
    const struct sd1_sizes *sizes;
    struct text_encoder *text;
    struct unet *unet;
    struct vae_decoder *vae;
    enum dtype vae_dtype; /* of its arithmetic: the run's, unless it was widened */
    const float *alphas;  /* [SD1_TIMESTEPS], the checkpoint's; null: the configuration's */
};

/* Tells what a person should know: a position table that was damaged, keys that nothing used. */
struct loaded_log {
    void (*line)(void *user, enum miku_log level, const char *line);
    void *user;
};

status loaded_create(struct ops *ops, enum dtype dtype, struct loaded **out);
void loaded_destroy(struct loaded *loaded); /* null is fine; before the device */

/* Whether loading, or fusing after it, has anything to do. */
int loaded_differs(const struct loaded *loaded, const struct wanted *wanted);
int loaded_differs_in_loras(const struct loaded *loaded, const struct wanted *wanted);

/* Loads what is wanted and not loaded yet: nothing, the VAE alone, or all.
 * memory_limit  bytes that weights may take on the device; 0: no limit
 * On failure, here or while fusing, nothing of the old model is promised: the next selection loads
 * anew. */
status loaded_select(struct loaded *loaded, const struct wanted *wanted, size_t memory_limit,
                     const struct loaded_log *log);

/* After loaded_select(): rebuilds the layers that the LoRAs touch, or no longer touch.
 * strict  a LoRA with keys that nothing used is STATUS_BAD_FILE */
status loaded_fuse(struct loaded *loaded, const struct wanted *wanted, int strict,
                   const struct loaded_log *log);

/* Makes the decoder anew in bf16, whose range is f32's, until another VAE is selected.
 * On failure as loaded_select(). */
status loaded_widen_vae(struct loaded *loaded);

struct loaded_model loaded_get(const struct loaded *loaded);

/* Names the first weight that is not finite, for the error that a picture of NaNs becomes; "" if
 * all are finite. free() it. */
char *loaded_not_finite(const struct loaded *loaded);

#endif
