/* host/model/layer.h - layers of a network: which rows each is made of, and its weights on the
 * device. */
#ifndef HOST_MODEL_LAYER_H
#define HOST_MODEL_LAYER_H

#include "host/model/modules.h"
#include "host/model/source.h"

struct layer {
    struct weight *weight; /* a NORM's gamma */
    struct weight *beta;   /* NORM only */
    const struct module_row *row[WEIGHT_MAX_PARTS];
    int rows;
    int out, in, kernel; /* out: of all rows together */
    int stride, upsample, geglu, in2, linear;
    float scale, bias_scale;
};

/* What a layer is made of besides its rows; zeros are the plain layer. */
struct layer_form {
    int stride;   /* 0: 1 */
    int upsample; /* 0: 1 */
    int geglu;
    int in2;
    int linear;       /* 1x1 convolutions built as one matrix product */
    float scale;      /* of matrix and bias; 0: 1 */
    float bias_scale; /* of the bias besides; 0: 1 */
};

/* The layers of one network, in the order they were added. Layers must not move. */
struct layer_list {
    struct ops *ops;
    const struct modules *modules;
    const struct model_source *source; /* while building; null otherwise */
    enum dtype dtype;
    struct layer **layer;
    int count, cap;
};

/* Finds rows prefix + names[0], ..., and builds the layer of them.
 * names  separated by spaces: "to_q to_k to_v" */
status layer_add(struct layer_list *list, struct layer *layer, const struct layer_form *form,
                 const char *prefix, const char *names);

/* Rebuilds the layers of a row i with touched[i] not 0. */
status layers_fuse(struct layer_list *list, const struct model_source *source,
                   const unsigned char *touched);

/* Destroys the weights and the list's own memory. */
void layers_free(struct layer_list *list);

#endif
