/* host/model/res_block.c - see res_block.h. */
#include "host/model/res_block.h"

status res_block_create(struct layer_list *list, const char *prefix, const struct res_names *names,
                        int c, int c2, float stream, float eps, struct res_block *block)
{
    block->eps_stream = eps * stream * stream;
    block->eps = eps;
    TRY(layer_add(list, &block->norm1, NULL, prefix, names->norm1));
    TRY(layer_add(list, &block->conv1, NULL, prefix, names->conv1));
    TRY(layer_add(list, &block->norm2, NULL, prefix, names->norm2));
    TRY(layer_add(list, &block->conv2, &(struct layer_form){ .scale = stream }, prefix,
                  names->conv2));
    if (c + c2 != block->conv1.out)
        TRY(layer_add(list, &block->shortcut,
                      &(struct layer_form){ .in2 = c2, .bias_scale = stream }, prefix,
                      names->shortcut));
    return STATUS_OK;
}

/* The shortcut goes first: with `consume`, the first norm then overwrites x. */
status res_block_run(const struct runner *run, const struct res_block *block,
                     const struct feature *x, const struct feature *x2,
                     const struct feature_add *add, int consume, const struct feature *y)
{
    struct ops *ops = run->ops;
    const size_t mark = ops->mark(ops);
    const struct feature *residual = x;
    struct feature normed, hidden;

    if (block->shortcut.weight != NULL) {
        const struct feature bare = { y->data, NULL, y->n, y->h, y->w, y->c };
        TRY(feature_conv(run, &block->shortcut, x, x2, NULL, NULL, &bare));
        residual = y;
    }
    TRY(feature_alloc(run, y->n, y->h, y->w, y->c, 1, &hidden));
    if (consume && block->shortcut.weight != NULL)
        normed = *x;
    else
        TRY(feature_alloc(run, y->n, x->h, x->w, block->norm1.out, 0, &normed));
    TRY(feature_norm(run, &block->norm1, x, x2, 1, block->eps_stream, &normed));
    normed.stats = NULL;
    TRY(feature_conv(run, &block->conv1, &normed, NULL, add, NULL, &hidden));
    TRY(feature_norm(run, &block->norm2, &hidden, NULL, 1, block->eps, &hidden));
    hidden.stats = NULL;
    TRY(feature_conv(run, &block->conv2, &hidden, NULL, NULL, residual, y));
    ops->release(ops, mark);
    return STATUS_OK;
}
