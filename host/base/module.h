/* host/base/module.h - the modules of a network as plain rows, so that the files' side finds what
 * belongs to each without knowing the network, and the network's side needs no file. */
#ifndef HOST_BASE_MODULE_H
#define HOST_BASE_MODULE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What holds parameters: NAME.weight, and NAME.bias if has_bias. */
enum module_kind {
    MODULE_CONV2D,   /* weight [out, in, kernel, kernel]; a 1x1 may stand in a file as [out, in] */
    MODULE_LINEAR,   /* weight [out, in]; may stand in a file as [out, in, 1, 1] */
    MODULE_NORM,     /* weight [out], bias [out] */
    MODULE_EMBEDDING /* weight [out, in]: `out` rows of `in` values */
};

enum module_part { MODULE_TEXT, MODULE_UNET, MODULE_VAE };

struct module_row {
    const char *name; /* canonical LDM name with its full prefix:
                         "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1",
                         "model.diffusion_model.input_blocks.1.0.in_layers.2",
                         "first_stage_model.decoder.mid.attn_1.q" */
    enum module_part part;
    enum module_kind kind;
    int has_bias;
    int out;
    int in;     /* NORM: 1 */
    int kernel; /* CONV2D: 1 or 3; otherwise 1 */
};

enum { SD1_LEVELS = 4 };

/* All sizes of one Stable Diffusion 1.x, as read from the shapes in its file. The topology is
 * fixed: four levels, two (decoder: three) ResBlocks each, attention on the first three levels. */
struct sd1_sizes {
    /* text encoder; heads are text_width / 64, at least 1 */
    int vocabulary;  /* 49408 */
    int positions;   /* 77 */
    int text_width;  /* 768; also the width of the UNet's context */
    int text_layers; /* 12 */
    int text_heads;  /* 12 */
    int text_ff;     /* 3072 */
    /* UNet; heads are 8 everywhere */
    int unet_in, unet_out;      /* 4, 4 latent channels */
    int unet_width[SD1_LEVELS]; /* 320, 640, 1280, 1280; [0] is also the time sinusoid's width */
    int unet_time;              /* 1280 */
    /* VAE; txt2img runs the decoder alone, and a file may lack the encoder */
    int vae_z;                     /* 4 */
    int decoder_width[SD1_LEVELS]; /* 128, 256, 512, 512, outermost first */
    int encoder_width[SD1_LEVELS]; /* likewise; all 0 without an encoder */
};

#ifdef __cplusplus
}
#endif

#endif
