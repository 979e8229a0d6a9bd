/* host/model/unet.h - the denoising network of SD 1.x.
 *
 * A job runs unet_prepare() once a batch (time path of all step rows, keys and values of every
 * cross-attention), then unet_evaluate() once per row of the step table. Both are called twice:
 * while the device plans, and for real.
 */
#ifndef HOST_MODEL_UNET_H
#define HOST_MODEL_UNET_H

#include "host/model/modules.h"
#include "host/model/source.h"

#ifdef __cplusplus
extern "C" {
#endif

struct unet;

/* Builds the network. `modules` and `ops` are lent until unet_destroy(). */
status unet_create(struct ops *ops, const struct modules *modules,
                   const struct model_source *source, enum dtype dtype, struct unet **out);
void unet_destroy(struct unet *unet); /* null is fine */

/* Rebuilds the layers that hold a row i with touched[i] not 0; `touched` is [modules->count]. */
status unet_fuse(struct unet *unet, const struct model_source *source,
                 const unsigned char *touched);

struct unet_job {
    int n;     /* pictures */
    int parts; /* weighted parts in order, the negative last; 1 without guidance */
    int h, w;  /* of the latent, any size from 1 */

    const float *t; /* host, [rows]: t of each row of the step table */
    int rows;

    /* What the cross-attentions read: context (q, p) is rows 0 .. context_len[q * parts + p] - 1 of
     * context + (q * parts + p) * tokens * text_width. A step row's `context` is q. */
    const void *context;    /* device, [contexts, parts, tokens, text_width] in the run's dtype;
                               not read after unet_prepare(); rows behind the length: any finite */
    const int *context_len; /* host, [contexts, parts]; null: all have `tokens`. Must stay good as
                               long as the job is evaluated */
    int contexts, tokens;
};

/* Takes the job's lasting memory from the device (the caller marks and releases) and fills it.
 * returns  STATUS_BAD_SHAPE  a size below 1, or too large for an int's worth of elements */
status unet_prepare(struct unet *unet, const struct unet_job *job);

/* eps[p, i] = UNet(x[i], t of the current row, context p of the current row). What comes before the
 * first cross-attention runs once for all parts. Scratch is taken and given back, so the call can
 * be captured. Needs a prepared job. */
status unet_evaluate(struct unet *unet, const void *x /* [n, h, w, 4] in dtype, scaled by c_in */,
                     void *eps /* out: [parts * n, h, w, 4] in dtype */);

#ifdef __cplusplus
}
#endif

#endif
