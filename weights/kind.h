/* weights/kind.h - what a weights file is, told by its tensors alone. */
#ifndef WEIGHTS_KIND_H
#define WEIGHTS_KIND_H

#include "weights/tensor_file.h"

#ifdef __cplusplus
extern "C" {
#endif

enum weights_kind {
    WEIGHTS_OTHER, /* nothing this program knows */
    /* what a picture is made of */
    WEIGHTS_CHECKPOINT, /* Stable Diffusion 1.x: text encoder, UNet and mostly a VAE */
    WEIGHTS_VAE,
    WEIGHTS_EMBEDDING, /* Textual Inversion */
    WEIGHTS_LORA,      /* LoRA, LoCon, LoHa, LoKr, full difference, IA3 */
    /* known, so that an error can say what was given instead */
    WEIGHTS_SD2,
    WEIGHTS_SDXL,
    WEIGHTS_SD3,
    WEIGHTS_INPAINTING,
    WEIGHTS_PIX2PIX,
    WEIGHTS_UNET, /* without a text encoder */
    WEIGHTS_TEXT_ENCODER,
    WEIGHTS_DIFFUSERS_VAE,
    WEIGHTS_SDXL_EMBEDDING,
    WEIGHTS_CONTROLNET,
    WEIGHTS_HYPERNETWORK,
    WEIGHTS_KIND_COUNT
};

enum weights_kind weights_kind_of(const struct tensor_file *file);

const char *weights_kind_name(enum weights_kind kind);   /* one word: "checkpoint", "lora" */
const char *weights_kind_phrase(enum weights_kind kind); /* "a LoRA", "an inpainting checkpoint (9
                                                             input channels)" */

/* The kind with this one-word name; WEIGHTS_OTHER for any other text. */
enum weights_kind weights_kind_named(const char *name);

/* STATUS_WRONG_KIND, with the file, what it is and what was wanted in the text, unless it is. */
status weights_kind_expect(const struct tensor_file *file, enum weights_kind wanted);

#ifdef __cplusplus
}
#endif

#endif
