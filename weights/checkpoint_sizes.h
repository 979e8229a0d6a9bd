/* weights/checkpoint_sizes.h - the sizes of a network from the shapes in its file. */
#ifndef WEIGHTS_CHECKPOINT_SIZES_H
#define WEIGHTS_CHECKPOINT_SIZES_H

#include "weights/checkpoint.h"

/* Each fills its own part of the sizes and leaves the rest alone.
 * returns  STATUS_BAD_FILE  a tensor is missing, or its shape cannot be; the text names it */
status checkpoint_text_sizes(const struct checkpoint *checkpoint, struct sd1_sizes *sizes);
status checkpoint_unet_sizes(const struct checkpoint *checkpoint, struct sd1_sizes *sizes);
status checkpoint_vae_sizes(const struct checkpoint *checkpoint, struct sd1_sizes *sizes);

#endif
