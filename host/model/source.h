/* host/model/source.h - where a network's parameters come from: callbacks of whoever has the files.
 */
#ifndef HOST_MODEL_SOURCE_H
#define HOST_MODEL_SOURCE_H

#include "host/base/module.h"
#include "host/base/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A layer on the device may be made of up to three rows (merged q, k, v). For each of them `get` is
 * called, then `deltas` if it is not null, then the device builds the layer, then `done`. What the
 * first two lend stays good until `done`. */
struct model_source {
    void *context;

    /* Fills data, dtype, bias and bias_dtype of `part` (out is set already). `data` null asks the
     * device for synthetic values. A NORM's gamma is `data` and its beta is `bias`. */
    status (*get)(void *context, const struct module_row *row, struct weight_part *part);

    /* Lends the deltas of this row's weight, delta->part being 0. Null, or *count 0: none. */
    status (*deltas)(void *context, const struct module_row *row,
                     const struct weight_delta **deltas, int *count);

    /* The layer is built, or failed: what was lent may go. Null is fine. */
    void (*done)(void *context);
};

#ifdef __cplusplus
}
#endif

#endif
