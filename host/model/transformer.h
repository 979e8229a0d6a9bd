/* host/model/transformer.h - the UNet's spatial transformer: self-attention, attention to the
 * context, feed-forward.
 *
 *   t = proj_in(norm(x));  t += attn1(norm1(t));  t += attn2(norm2(t), context)
 *   t += ff(norm3(t));     y = x + proj_out(t) */
#ifndef HOST_MODEL_TRANSFORMER_H
#define HOST_MODEL_TRANSFORMER_H

#include "host/model/feature.h"

struct transformer {
    struct layer norm, proj_in, proj_out;
    struct layer norm1, qkv, out1; /* self-attention */
    struct layer norm2, q, kv, out2;
    struct layer norm3, ff_in, ff_out;
    const void *context; /* the job's keys and values, [contexts, parts, tokens, 2, c]; set by
                            transformer_prepare() */
};

/* What the cross-attentions of a job share. */
struct context_shape {
    int contexts, parts, tokens;
    const int *len; /* host, [contexts, parts]; null: all */
};

status transformer_create(struct layer_list *list, const char *prefix,
                          struct transformer *transformer);

/* Elements of a job's keys and values. */
size_t transformer_context_elements(const struct transformer *transformer,
                                    const struct context_shape *shape);

/* Keys and values of all contexts, into memory of that size. */
status transformer_prepare(const struct runner *run, struct transformer *transformer,
                           const struct context_shape *shape, const void *context, void *memory);

/* y has n images, and x as many or, ahead of the first cross-attention, n / parts. */
status transformer_run(const struct runner *run, const struct transformer *transformer,
                       const struct context_shape *shape, const struct feature *x,
                       const struct feature *y);

#endif
