/* host/model/text_encoder.h - CLIP's text transformer. */
#ifndef HOST_MODEL_TEXT_ENCODER_H
#define HOST_MODEL_TEXT_ENCODER_H

#include "host/model/modules.h"
#include "host/model/source.h"

#ifdef __cplusplus
extern "C" {
#endif

struct text_encoder;

struct text_encoder_args {
    const int32_t *position_ids; /* [positions], the checkpoint's, truncated to integers; null: 0,
                                    1, 2, ... A merged checkpoint may repeat or skip one */
    enum dtype dtype;            /* of the run */
};

/* Builds the encoder. `modules` and `ops` are lent until text_encoder_destroy().
 * returns  STATUS_BAD_FILE  a position id that is no row; or what source and device return */
status text_encoder_create(struct ops *ops, const struct modules *modules,
                           const struct model_source *source, const struct text_encoder_args *args,
                           struct text_encoder **out);
void text_encoder_destroy(struct text_encoder *encoder); /* null is fine */

/* Rebuilds, from the pristine tensors and the deltas the source has now, the layers that hold a row
 * i with touched[i] not 0; `touched` is [modules->count]. Others keep their bytes. */
status text_encoder_fuse(struct text_encoder *encoder, const struct model_source *source,
                         const unsigned char *touched);

struct text_run_args {
    const int32_t *ids;              /* host, [n, positions] */
    const struct embed_patch *patch; /* host; row is a chunk, at counts the start token as 0 */
    int patches;
    int n;         /* chunks */
    int clip_skip; /* k: layers - (k - 1) layers run, then the final norm; 1 to layers */
    void *y;       /* out: [n, positions, width] in the run's dtype, device */
};

/* y = final_norm(the last layer that runs). Scratch is taken from the device and given back.
 * returns  STATUS_MISUSE  clip_skip is below 1 or above the number of layers */
status text_encoder_run(struct text_encoder *encoder, const struct text_run_args *args);

#ifdef __cplusplus
}
#endif

#endif
