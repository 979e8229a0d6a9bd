/* host/model/vae.h - the decoder of the autoencoder. */
#ifndef HOST_MODEL_VAE_H
#define HOST_MODEL_VAE_H

#include "host/model/modules.h"
#include "host/model/source.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vae_decoder;

struct vae_decoder_args {
    enum dtype dtype; /* of the run */
    int shift; /* k: the residual stream is carried at 2^-k, so that fp16 does not overflow; 0
                  otherwise. Exact but for subnormals */
};

enum { VAE_SHIFT_F16 = 6 }; /* 2^-6: a stream of 2 million still fits */

/* Builds the decoder. `modules` and `ops` are lent until vae_decoder_destroy(). */
status vae_decoder_create(struct ops *ops, const struct modules *modules,
                          const struct model_source *source, const struct vae_decoder_args *args,
                          struct vae_decoder **out);
void vae_decoder_destroy(struct vae_decoder *decoder); /* null is fine */

struct vae_decode_args {
    const float *latent; /* [n, h, w, 4], the sampler's: divided by 0.18215 here */
    void *y;             /* out: [n, 8h, 8w, 3] in the run's dtype, before clamping */
    int n, h, w;
    int at_once; /* pictures decoded together; 0: as many as keep the largest feature map small */
};

/* Scratch is taken from the device and given back. The bytes do not depend on at_once. */
status vae_decode(struct vae_decoder *decoder, const struct vae_decode_args *args);

#ifdef __cplusplus
}
#endif

#endif
