/* host/model/layer.c - building and fusing layers. See layer.h. */
#include "host/model/layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 192 };

/* What one build borrows from the source, and what it makes itself. */
struct loan {
    struct weight_args args;
    struct weight_delta *deltas; /* of all parts */
    int delta_count;
    float *bias[WEIGHT_MAX_PARTS]; /* scaled copies */
};

static enum weight_kind weight_kind(const struct layer *layer)
{
    switch (layer->row[0]->kind) {
    case MODULE_CONV2D:
        return layer->linear ? WEIGHT_LINEAR : WEIGHT_CONV2D;
    case MODULE_LINEAR:
        return WEIGHT_LINEAR;
    case MODULE_NORM:
        return WEIGHT_VECTOR;
    case MODULE_EMBEDDING:
        break;
    }
    return WEIGHT_EMBEDDING;
}

/* ---- borrowing -------------------------------------------------------------------------- */

static status scale_bias(struct loan *loan, int i, float scale)
{
    struct weight_part *part = &loan->args.part[i];
    if (scale == 1.0f || part->bias == NULL)
        return STATUS_OK;
    float *copy = malloc((size_t)part->out * sizeof *copy);
    if (copy == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for a bias of %d", loan->args.name,
                           part->out);
    dtype_to_f32(part->bias, part->bias_dtype, (size_t)part->out, copy);
    for (int c = 0; c < part->out; c++)
        copy[c] *= scale;
    part->bias = loan->bias[i] = copy;
    part->bias_dtype = DTYPE_F32;
    return STATUS_OK;
}

static status borrow_deltas(struct loan *loan, const struct model_source *source,
                            const struct module_row *row, int part)
{
    if (source->deltas == NULL)
        return STATUS_OK;
    const struct weight_delta *deltas = NULL;
    int count = 0;
    TRY(source->deltas(source->context, row, &deltas, &count));
    if (count < 1)
        return STATUS_OK;
    const size_t all = (size_t)loan->delta_count + (size_t)count;
    struct weight_delta *grown = realloc(loan->deltas, all * sizeof *grown);
    if (grown == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for %zu deltas", row->name, all);
    loan->deltas = grown;
    for (int i = 0; i < count; i++) {
        grown[loan->delta_count] = deltas[i];
        grown[loan->delta_count++].part = part;
    }
    return STATUS_OK;
}

static status borrow(struct loan *loan, const struct layer *layer, const struct layer_list *list,
                     const struct model_source *source)
{
    *loan = (struct loan){ .args = { .kind = weight_kind(layer),
                                     .parts = layer->rows,
                                     .in = layer->in,
                                     .in2 = layer->in2,
                                     .kernel = layer->kernel,
                                     .stride = layer->stride,
                                     .upsample = layer->upsample,
                                     .geglu = layer->geglu,
                                     .scale = layer->scale,
                                     .dtype = list->dtype,
                                     .name = layer->row[0]->name } };
    for (int i = 0; i < layer->rows; i++) {
        struct weight_part *part = &loan->args.part[i];
        part->out = layer->row[i]->out;
        TRY(source->get(source->context, layer->row[i], part));
        TRY(scale_bias(loan, i, layer->bias_scale));
        TRY(borrow_deltas(loan, source, layer->row[i], i));
    }
    return STATUS_OK;
}

static void give_back(struct loan *loan, const struct model_source *source)
{
    free(loan->deltas);
    for (int i = 0; i < WEIGHT_MAX_PARTS; i++)
        free(loan->bias[i]);
    if (source->done != NULL)
        source->done(source->context);
}

/* A norm's row holds two vectors; the second is its bias. */
static struct weight_args beta_args(const struct weight_args *gamma)
{
    struct weight_args beta = *gamma;
    beta.part[0].data = gamma->part[0].bias;
    beta.part[0].dtype = gamma->part[0].bias_dtype;
    beta.part[0].bias = NULL;
    return beta;
}

static struct weight_args gamma_args(const struct weight_args *both)
{
    struct weight_args gamma = *both;
    gamma.part[0].bias = NULL;
    return gamma;
}

/* ---- building --------------------------------------------------------------------------- */

static status create_weights(struct layer_list *list, struct layer *layer, const struct loan *loan)
{
    struct ops *ops = list->ops;
    const int norm = loan->args.kind == WEIGHT_VECTOR;
    const struct weight_args main = norm ? gamma_args(&loan->args) : loan->args;
    TRY(ops->weight_create(ops, &main, &layer->weight));
    if (loan->delta_count > 0)
        TRY(ops->weight_fuse(ops, layer->weight, &main, loan->deltas, loan->delta_count));
    if (!norm)
        return STATUS_OK;
    const struct weight_args beta = beta_args(&loan->args);
    return ops->weight_create(ops, &beta, &layer->beta);
}

static status build(struct layer_list *list, struct layer *layer)
{
    struct loan loan;
    status code = borrow(&loan, layer, list, list->source);
    if (code == STATUS_OK)
        code = create_weights(list, layer, &loan);
    give_back(&loan, list->source);
    return code;
}

static status fuse(struct layer_list *list, struct layer *layer, const struct model_source *source)
{
    struct ops *ops = list->ops;
    struct loan loan;
    status code = borrow(&loan, layer, list, source);
    if (code == STATUS_OK) {
        const int norm = loan.args.kind == WEIGHT_VECTOR;
        const struct weight_args main = norm ? gamma_args(&loan.args) : loan.args;
        code = ops->weight_fuse(ops, layer->weight, &main, loan.deltas, loan.delta_count);
        if (code == STATUS_OK && norm) {
            const struct weight_args beta = beta_args(&loan.args);
            code = ops->weight_fuse(ops, layer->beta, &beta, NULL, 0);
        }
    }
    give_back(&loan, source);
    return code;
}

static status list_append(struct layer_list *list, struct layer *layer)
{
    if (list->count == list->cap) {
        const int cap = list->cap ? 2 * list->cap : 64;
        struct layer **grown = realloc(list->layer, (size_t)cap * sizeof *grown);
        if (grown == NULL)
            return status_fail(STATUS_NO_MEMORY, "model: no memory for %d layers", cap);
        list->layer = grown;
        list->cap = cap;
    }
    list->layer[list->count++] = layer;
    return STATUS_OK;
}

/* ---- the public part -------------------------------------------------------------------- */

static status find_rows(const struct modules *modules, struct layer *layer, const char *prefix,
                        const char *names)
{
    layer->rows = layer->out = 0;
    while (*names != '\0') {
        const int length = (int)strcspn(names, " ");
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%s%.*s", prefix, length, names);
        const struct module_row *row = modules_find(modules, name);
        if (row == NULL || layer->rows == WEIGHT_MAX_PARTS)
            return status_fail(STATUS_NOT_FOUND, "model: no module %s in the table", name);
        layer->row[layer->rows++] = row;
        layer->out += row->out;
        names += length;
        names += strspn(names, " ");
    }
    layer->in = layer->row[0]->in;
    layer->kernel = layer->row[0]->kernel;
    return STATUS_OK;
}

status layer_add(struct layer_list *list, struct layer *layer, const struct layer_form *form,
                 const char *prefix, const char *names)
{
    static const struct layer_form plain = { 0 };
    if (form == NULL)
        form = &plain;
    *layer = (struct layer){ .stride = form->stride ? form->stride : 1,
                             .upsample = form->upsample ? form->upsample : 1,
                             .geglu = form->geglu,
                             .in2 = form->in2,
                             .linear = form->linear,
                             .scale = form->scale != 0.0f ? form->scale : 1.0f,
                             .bias_scale = form->bias_scale != 0.0f ? form->bias_scale : 1.0f };
    TRY(find_rows(list->modules, layer, prefix, names));
    TRY(list_append(list, layer));
    return build(list, layer);
}

status layers_fuse(struct layer_list *list, const struct model_source *source,
                   const unsigned char *touched)
{
    for (int i = 0; i < list->count; i++) {
        struct layer *layer = list->layer[i];
        int any = 0;
        for (int r = 0; r < layer->rows; r++)
            any |= touched[layer->row[r] - list->modules->rows];
        if (any)
            TRY(fuse(list, layer, source));
    }
    return STATUS_OK;
}

void layers_free(struct layer_list *list)
{
    for (int i = 0; i < list->count; i++) {
        list->ops->weight_destroy(list->ops, list->layer[i]->weight);
        list->ops->weight_destroy(list->ops, list->layer[i]->beta);
    }
    free(list->layer);
    *list = (struct layer_list){ 0 };
}
