/* host/model/res_block.h - the residual block, of the UNet and of the VAE.
 *
 *   y = conv2(silu(norm2(conv1(silu(norm1(x))) + add))) + shortcut(x)
 *
 * x may be two features side by side; the UNet adds the time embedding, the VAE nothing. */
#ifndef HOST_MODEL_RES_BLOCK_H
#define HOST_MODEL_RES_BLOCK_H

#include "host/model/feature.h"

struct res_block {
    struct layer norm1, conv1, norm2, conv2;
    struct layer shortcut; /* weight null: the identity */
    float eps_stream;      /* of norm1, which sees the residual stream and its scale */
    float eps;             /* of norm2 */
};

/* Where the rows are, by the UNet's names or the VAE's. */
struct res_names {
    const char *norm1, *conv1, *norm2, *conv2, *shortcut;
};

/* c, c2   channels of x and x2
 * stream  what the residual stream is scaled by (the fp16 decoder); 1 mostly */
status res_block_create(struct layer_list *list, const char *prefix, const struct res_names *names,
                        int c, int c2, float stream, float eps, struct res_block *block);

/* consume: x's memory may be overwritten (and x2 is null). Then y may be x itself where the block
 * keeps its width. */
status res_block_run(const struct runner *run, const struct res_block *block,
                     const struct feature *x, const struct feature *x2,
                     const struct feature_add *add, int consume, const struct feature *y);

#endif
