/* weights/checkpoint.c - canonical names over a file of tensors, and what stands under them. */
#include "weights/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights/checkpoint_sizes.h"
#include "weights/kind.h"
#include "weights/name_map.h"

enum { NAME_CAP = 512 };

struct checkpoint {
    struct tensor_file *file;
    struct name_map names; /* canonical name to index in the file */
    struct sd1_sizes sizes;
    int inside;   /* the tensors stand below state_dict/ */
    int only_vae; /* a VAE file: names may lack first_stage_model. */
};

/* ---- names ------------------------------------------------------------------------------- */

static int starts(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static int starts_any(const char *name, const char *const *with, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (starts(name, with[i]))
            return 1;
    return 0;
}

/* Writes the canonical form of a name in the file.
 * returns 0 if the tensor is no part of the network's state: outside state_dict, or too long */
static int canonical(const struct checkpoint *checkpoint, const char *name, char out[NAME_CAP])
{
    static const char state[] = "state_dict/", clip[] = "cond_stage_model.transformer.";
    static const char *const short_clip[] = { "embeddings.", "encoder.", "final_layer_norm." };
    static const char *const short_vae[] = { "encoder.", "decoder.", "quant_conv.",
                                             "post_quant_conv." };
    if (checkpoint->inside && !starts(name, state))
        return 0;
    if (checkpoint->inside)
        name += strlen(state);
    int used;
    if (starts(name, clip) && starts_any(name + strlen(clip), short_clip, 3))
        used = snprintf(out, NAME_CAP, "%stext_model.%s", clip, name + strlen(clip));
    else if (checkpoint->only_vae && starts_any(name, short_vae, 4))
        used = snprintf(out, NAME_CAP, "first_stage_model.%s", name);
    else
        used = snprintf(out, NAME_CAP, "%s", name);
    return used >= 0 && used < NAME_CAP;
}

static status index_names(struct checkpoint *checkpoint)
{
    char name[NAME_CAP];
    for (size_t i = 0; i < tensor_file_count(checkpoint->file); i++)
        checkpoint->inside |= starts(tensor_file_at(checkpoint->file, i)->name, "state_dict/");
    for (size_t i = 0; i < tensor_file_count(checkpoint->file); i++)
        if (canonical(checkpoint, tensor_file_at(checkpoint->file, i)->name, name))
            TRY(name_map_add(&checkpoint->names, name, (long)i));
    return STATUS_OK;
}

const struct tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name)
{
    const long at = name_map_find(&checkpoint->names, name);
    return at == NAME_ABSENT ? NULL : tensor_file_at(checkpoint->file, (size_t)at);
}

/* ---- opening ----------------------------------------------------------------------------- */

static status open_model(struct checkpoint *checkpoint)
{
    TRY(weights_kind_expect(checkpoint->file, WEIGHTS_CHECKPOINT));
    TRY(index_names(checkpoint));
    TRY(checkpoint_text_sizes(checkpoint, &checkpoint->sizes));
    TRY(checkpoint_unet_sizes(checkpoint, &checkpoint->sizes));
    return checkpoint_has_vae(checkpoint) ? checkpoint_vae_sizes(checkpoint, &checkpoint->sizes)
                                          : STATUS_OK;
}

static status open_vae(struct checkpoint *checkpoint)
{
    if (weights_kind_of(checkpoint->file) == WEIGHTS_CHECKPOINT) {
        TRY(open_model(checkpoint));
        if (checkpoint_has_vae(checkpoint))
            return STATUS_OK;
    }
    TRY(weights_kind_expect(checkpoint->file, WEIGHTS_VAE));
    checkpoint->only_vae = 1;
    TRY(index_names(checkpoint));
    return checkpoint_vae_sizes(checkpoint, &checkpoint->sizes);
}

static status open_as(const char *path, status (*read)(struct checkpoint *),
                      struct checkpoint **out)
{
    *out = NULL;
    struct checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    if (checkpoint == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for %zu bytes", path,
                           sizeof *checkpoint);
    status result = tensor_file_open(path, &checkpoint->file);
    if (result == STATUS_OK)
        result = read(checkpoint);
    if (result != STATUS_OK)
        checkpoint_close(checkpoint);
    else
        *out = checkpoint;
    return result;
}

status checkpoint_open(const char *path, struct checkpoint **out)
{
    return open_as(path, open_model, out);
}

status checkpoint_open_vae(const char *path, struct checkpoint **out)
{
    return open_as(path, open_vae, out);
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    name_map_release(&checkpoint->names);
    tensor_file_close(checkpoint->file);
    free(checkpoint);
}

const struct sd1_sizes *checkpoint_sizes(const struct checkpoint *checkpoint)
{
    return &checkpoint->sizes;
}

const char *checkpoint_path(const struct checkpoint *checkpoint)
{
    return tensor_file_path(checkpoint->file);
}

int checkpoint_has_vae(const struct checkpoint *checkpoint)
{
    return checkpoint_find(checkpoint, "first_stage_model.decoder.conv_in.weight") != NULL;
}

status checkpoint_unchanged(const struct checkpoint *checkpoint)
{
    return tensor_file_unchanged(checkpoint->file);
}

/* ---- modules ----------------------------------------------------------------------------- */

static int is_float(enum dtype dtype)
{
    return dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16 || dtype == DTYPE_F64;
}

/* The shapes that a row's weight may stand in: the canonical one, and for a 1x1 or a matrix the
 * other of the two. A bias and a norm have one axis. */
static int fits(const struct tensor *tensor, const struct module_row *row, int bias)
{
    const size_t out = (size_t)row->out, in = (size_t)row->in, k = (size_t)row->kernel;
    const size_t *shape = tensor->shape;
    if (bias || row->kind == MODULE_NORM)
        return tensor->rank == 1 && shape[0] == out;
    if (tensor->rank == 2)
        return shape[0] == out && shape[1] == in && k == 1;
    if (tensor->rank == 4 && row->kind != MODULE_EMBEDDING)
        return shape[0] == out && shape[1] == in && shape[2] == k && shape[3] == k;
    return 0;
}

static void shape_text(const struct tensor *tensor, char *text, size_t cap)
{
    size_t used = (size_t)snprintf(text, cap, "[");
    for (int i = 0; i < tensor->rank && used < cap; i++)
        used +=
            (size_t)snprintf(text + used, cap - used, "%s%zu", i == 0 ? "" : ",", tensor->shape[i]);
    if (used < cap)
        snprintf(text + used, cap - used, "]");
}

static void wanted_text(const struct module_row *row, int bias, char *text, size_t cap)
{
    if (bias || row->kind == MODULE_NORM)
        snprintf(text, cap, "[%d]", row->out);
    else if (row->kind == MODULE_CONV2D)
        snprintf(text, cap, "[%d,%d,%d,%d]", row->out, row->in, row->kernel, row->kernel);
    else
        snprintf(text, cap, "[%d,%d]", row->out, row->in);
}

static status take(const struct checkpoint *checkpoint, const struct module_row *row, int bias,
                   const struct tensor **out)
{
    char name[NAME_CAP], found[200], wanted[64];
    snprintf(name, sizeof name, "%s.%s", row->name, bias ? "bias" : "weight");
    const struct tensor *tensor = checkpoint_find(checkpoint, name);
    const char *path = checkpoint_path(checkpoint);
    wanted_text(row, bias, wanted, sizeof wanted);
    if (tensor == NULL)
        return status_fail(STATUS_BAD_FILE, "%s: \"%s\" %s is missing", path, name, wanted);
    if (!fits(tensor, row, bias)) {
        shape_text(tensor, found, sizeof found);
        return status_fail(STATUS_BAD_FILE, "%s: \"%s\" is %s, %s is wanted", path, name, found,
                           wanted);
    }
    if (!is_float(tensor->dtype))
        return status_fail(STATUS_BAD_FILE, "%s: \"%s\" is of %s, floats are wanted", path, name,
                           dtype_name(tensor->dtype));
    *out = tensor;
    return STATUS_OK;
}

status checkpoint_module(const struct checkpoint *checkpoint, const struct module_row *row,
                         struct module_tensors *out)
{
    struct module_tensors found = { 0 };
    *out = found;
    TRY(take(checkpoint, row, 0, &found.weight));
    if (row->has_bias)
        TRY(take(checkpoint, row, 1, &found.bias));
    *out = found;
    return STATUS_OK;
}

status checkpoint_check(const struct checkpoint *checkpoint, const struct module_row *rows,
                        size_t count)
{
    struct module_tensors tensors;
    size_t bad = 0, first = 0;
    for (size_t i = count; i-- > 0;)
        if (checkpoint_module(checkpoint, &rows[i], &tensors) != STATUS_OK) {
            bad++;
            first = i;
        }
    if (bad == 0)
        return STATUS_OK;
    const status result = checkpoint_module(checkpoint, &rows[first], &tensors);
    return bad == 1 ? result
                    : status_fail(result, "%s (and %zu more modules are missing or wrong)",
                                  status_text(), bad - 1);
}

static int is_passed_over(const char *name)
{
    static const char *const known[] = {
        "model_ema.",
        "alphas_cumprod",
        "betas",
        "sqrt_",
        "log_one_minus_alphas",
        "posterior_",
        "lvlb_weights",
        "logvar",
        "loss",
        "scale_factor",
        "first_stage_model.loss",
        "first_stage_model.encoder.",
        "first_stage_model.quant_conv.",
        "cond_stage_model.transformer.text_model.embeddings.position_ids",
    };
    return starts_any(name, known, sizeof known / sizeof known[0]);
}

size_t checkpoint_extra(const struct checkpoint *checkpoint, const struct module_row *rows,
                        size_t count, void (*extra)(void *user, const char *name), void *user)
{
    struct name_map known = { 0 };
    char name[NAME_CAP];
    size_t found = 0;
    for (size_t i = 0; i < 2 * count; i++) {
        snprintf(name, sizeof name, "%s.%s", rows[i / 2].name, i % 2 ? "bias" : "weight");
        if ((i % 2 == 0 || rows[i / 2].has_bias) && name_map_add(&known, name, 0) != STATUS_OK)
            break; /* no memory: more is listed than need be */
    }
    for (size_t i = 0; i < tensor_file_count(checkpoint->file); i++) {
        const struct tensor *tensor = tensor_file_at(checkpoint->file, i);
        if (!canonical(checkpoint, tensor->name, name) || is_passed_over(name) ||
            name_map_find(&known, name) != NAME_ABSENT)
            continue;
        found++;
        if (extra != NULL)
            extra(user, tensor->name);
    }
    name_map_release(&known);
    return found;
}

static int is_finite(const struct tensor *tensor)
{
    const size_t count = tensor_elements(tensor);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(dtype_value(tensor->data, tensor->dtype, i)))
            return 0;
    return 1;
}

const struct tensor *checkpoint_not_finite(const struct checkpoint *checkpoint,
                                           const struct module_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct module_tensors tensors;
        if (checkpoint_module(checkpoint, &rows[i], &tensors) != STATUS_OK ||
            tensors.weight == NULL)
            continue;
        if (!is_finite(tensors.weight))
            return tensors.weight;
        if (tensors.bias != NULL && !is_finite(tensors.bias))
            return tensors.bias;
    }
    return NULL;
}

/* ---- schedule and positions -------------------------------------------------------------- */

enum alphas_found checkpoint_alphas(const struct checkpoint *checkpoint, float out[SD1_TIMESTEPS])
{
    const struct tensor *tensor = checkpoint_find(checkpoint, "alphas_cumprod");
    if (tensor == NULL)
        return ALPHAS_ABSENT;
    if (tensor_elements(tensor) != SD1_TIMESTEPS || !is_float(tensor->dtype))
        return ALPHAS_UNUSABLE;
    double before = 1;
    for (size_t i = 0; i < SD1_TIMESTEPS; i++) {
        const double alpha = dtype_value(tensor->data, tensor->dtype, i);
        if (!(alpha > 0 && alpha < 1 && alpha <= before))
            return ALPHAS_UNUSABLE;
        before = alpha;
    }
    tensor_to_f32(tensor, out);
    return ALPHAS_FILE;
}

status checkpoint_positions(const struct checkpoint *checkpoint, int *out, int *plain)
{
    static const char name[] = "cond_stage_model.transformer.text_model.embeddings.position_ids";
    const struct tensor *tensor = checkpoint_find(checkpoint, name);
    const int positions = checkpoint->sizes.positions;
    *plain = 1;
    if (tensor != NULL && tensor_elements(tensor) != (size_t)positions)
        return status_fail(STATUS_BAD_FILE, "%s: \"%s\" has %zu values, %d are wanted",
                           checkpoint_path(checkpoint), name, tensor_elements(tensor), positions);
    for (int i = 0; i < positions; i++) {
        const double at =
            tensor == NULL ? i : trunc(dtype_value(tensor->data, tensor->dtype, (size_t)i));
        if (!(at >= 0 && at < positions))
            return status_fail(STATUS_BAD_FILE,
                               "%s: \"%s\" asks for position %g, 0 to %d are there",
                               checkpoint_path(checkpoint), name, at, positions - 1);
        out[i] = (int)at;
        *plain &= out[i] == i;
    }
    return STATUS_OK;
}
