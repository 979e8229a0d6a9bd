/* host/pipeline/loaded.c - files to networks, and from one selection to the next. */
#include "host/pipeline/loaded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/pipeline/lora_source.h"
#include "host/pipeline/request.h" /* text_copy() */

struct loaded {
    struct ops *ops;
    enum dtype dtype;

    int ready, synthetic;
    char *checkpoint_path, *vae_path; /* null: synthetic; null: the checkpoint's own */
    struct checkpoint *checkpoint, *vae_file;
    struct modules *modules;     /* whose text encoder and UNet rows are used */
    struct modules *vae_modules; /* whose VAE rows are used */
    struct text_encoder *text;
    struct unet *unet;
    struct vae_decoder *vae;
    enum dtype vae_dtype;
    float alphas[SD1_TIMESTEPS];
    int own_alphas;
    struct lora_source loras; /* the LoRAs in the networks now */
};

static void tell(const struct loaded_log *log, const char *path, const char *what)
{
    char line[1024];
    if (log == NULL || log->line == NULL)
        return;
    snprintf(line, sizeof line, "%s: %s", path, what);
    log->line(log->user, MIKU_LOG_WARNING, line);
}

/* ---- taking down ------------------------------------------------------------------------- */

static void drop_vae(struct loaded *l)
{
    vae_decoder_destroy(l->vae);
    modules_destroy(l->vae_modules);
    checkpoint_close(l->vae_file);
    free(l->vae_path);
    l->vae = NULL, l->vae_modules = NULL, l->vae_file = NULL, l->vae_path = NULL;
}

static void drop_all(struct loaded *l)
{
    lora_source_clear(&l->loras);
    drop_vae(l);
    text_encoder_destroy(l->text);
    unet_destroy(l->unet);
    modules_destroy(l->modules);
    checkpoint_close(l->checkpoint);
    free(l->checkpoint_path);
    *l = (struct loaded){ .ops = l->ops, .dtype = l->dtype };
}

status loaded_create(struct ops *ops, enum dtype dtype, struct loaded **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return status_fail(STATUS_NO_MEMORY, "model: %zu bytes asked", sizeof **out);
    (*out)->ops = ops;
    (*out)->dtype = dtype;
    return STATUS_OK;
}

void loaded_destroy(struct loaded *l)
{
    if (l == NULL)
        return;
    drop_all(l);
    free(l);
}

/* ---- building ---------------------------------------------------------------------------- */

static status refuse_too_large(const struct loaded *l, const struct modules *modules,
                               size_t memory_limit)
{
    const size_t bytes = dtype_size(l->dtype) * (modules_parameters(modules, MODULE_TEXT) +
                                                 modules_parameters(modules, MODULE_UNET) +
                                                 modules_parameters(modules, MODULE_VAE));
    if (memory_limit == 0 || bytes <= memory_limit)
        return STATUS_OK;
    enum { MEGA = 1000000 };
    return status_fail(STATUS_NO_MEMORY,
                       "the weights need %zu MB of memory as %s, and %zu MB are to be had%s",
                       bytes / MEGA + 1, dtype_name(l->dtype), memory_limit / MEGA,
                       l->dtype == DTYPE_F32 ? "; --precision fp16 or bf16 needs less" : "");
}

/* How many rows stand before the first of a part. */
static size_t rows_before(const struct modules *modules, enum module_part part)
{
    size_t i = 0;
    while (i < modules->count && modules->rows[i].part != part)
        i++;
    return i;
}

static status copy_path(const char *path, char **out)
{
    *out = path == NULL ? NULL : text_copy(path);
    return path == NULL || *out != NULL ? STATUS_OK
                                        : status_fail(STATUS_NO_MEMORY, "model: no memory");
}

static status build_decoder(struct loaded *l, enum dtype dtype)
{
    struct lora_source plain = { .file = l->vae_file != NULL ? l->vae_file : l->checkpoint,
                                 .modules = l->vae_modules };
    const struct model_source source = lora_source_of(&plain);
    const struct vae_decoder_args args = { .dtype = dtype,
                                           .shift = dtype == DTYPE_F16 ? VAE_SHIFT_F16 : 0 };
    l->vae_dtype = dtype;
    return vae_decoder_create(l->ops, l->vae_modules, &source, &args, &l->vae);
}

/* The VAE of a selection has sizes of its own, so its rows come from a table of their own. */
static status build_vae(struct loaded *l, const struct wanted *wanted)
{
    struct sd1_sizes sizes = l->modules->sizes;
    struct checkpoint *file = l->checkpoint;
    if (wanted->vae != NULL) {
        TRY(checkpoint_open_vae(wanted->vae, &l->vae_file));
        TRY(copy_path(wanted->vae, &l->vae_path));
        file = l->vae_file;
    }
    if (file != NULL) {
        if (!checkpoint_has_vae(file))
            return status_fail(STATUS_NOT_FOUND, "%s holds no VAE; name one with --vae",
                               l->checkpoint_path);
        const struct sd1_sizes *own = checkpoint_sizes(file);
        sizes.vae_z = own->vae_z;
        memcpy(sizes.decoder_width, own->decoder_width, sizeof sizes.decoder_width);
        memcpy(sizes.encoder_width, own->encoder_width, sizeof sizes.encoder_width);
    }
    TRY(modules_create(&sizes, &l->vae_modules));
    const size_t first = rows_before(l->vae_modules, MODULE_VAE);
    if (file != NULL)
        TRY(checkpoint_check(file, l->vae_modules->rows + first,
                             l->vae_modules->encoder_first - first));
    return build_decoder(l, l->dtype);
}

static void note_first(void *user, const char *name)
{
    const char **first = user;
    if (*first == NULL)
        *first = name;
}

static void tell_extra(const struct loaded *l, const struct loaded_log *log)
{
    const char *first = NULL;
    char line[512];
    const size_t extra =
        checkpoint_extra(l->checkpoint, l->modules->rows, l->modules->count, note_first, &first);
    if (extra == 0)
        return;
    snprintf(line, sizeof line, "%zu of its tensors are of no use, the first: %s", extra, first);
    tell(log, l->checkpoint_path, line);
}

static status read_positions(struct loaded *l, const struct loaded_log *log, int32_t **out)
{
    const int count = checkpoint_sizes(l->checkpoint)->positions;
    int plain;
    *out = malloc((size_t)count * sizeof **out);
    if (*out == NULL)
        return status_fail(STATUS_NO_MEMORY, "model: no memory");
    TRY(checkpoint_positions(l->checkpoint, *out, &plain));
    if (!plain)
        tell(log, l->checkpoint_path, "its position_ids are damaged; they are used as they are");
    return STATUS_OK;
}

static status build_networks(struct loaded *l, const struct wanted *wanted, size_t memory_limit,
                             const struct loaded_log *log)
{
    struct sd1_sizes sizes = modules_sd1_sizes();
    int32_t *positions = NULL;
    if (!l->synthetic) {
        TRY(checkpoint_open(wanted->checkpoint, &l->checkpoint));
        TRY(copy_path(wanted->checkpoint, &l->checkpoint_path));
        const struct sd1_sizes usual = sizes;
        sizes = *checkpoint_sizes(l->checkpoint);
        if (!checkpoint_has_vae(l->checkpoint)) { /* the table has to have some */
            sizes.vae_z = sizes.unet_in;
            memcpy(sizes.decoder_width, usual.decoder_width, sizeof sizes.decoder_width);
        }
    }
    TRY(modules_create(&sizes, &l->modules));
    TRY(refuse_too_large(l, l->modules, memory_limit));
    if (!l->synthetic) {
        TRY(checkpoint_check(l->checkpoint, l->modules->rows, rows_before(l->modules, MODULE_VAE)));
        tell_extra(l, log);
        const enum alphas_found found = checkpoint_alphas(l->checkpoint, l->alphas);
        l->own_alphas = found == ALPHAS_FILE;
        if (found == ALPHAS_UNUSABLE)
            tell(log, l->checkpoint_path, "its alphas_cumprod are unusable; the usual ones serve");
        const status result = read_positions(l, log, &positions);
        if (result != STATUS_OK) {
            free(positions);
            return result;
        }
    }
    l->loras.file = l->checkpoint;
    l->loras.modules = l->modules;
    const struct model_source source = lora_source_of(&l->loras);
    const struct text_encoder_args text = { .position_ids = positions, .dtype = l->dtype };
    const status result = text_encoder_create(l->ops, l->modules, &source, &text, &l->text);
    free(positions);
    TRY(result);
    return unet_create(l->ops, l->modules, &source, l->dtype, &l->unet);
}

/* ---- selecting --------------------------------------------------------------------------- */

static int same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static status file_unchanged(const struct loaded *l)
{
    return l->synthetic ? STATUS_OK : checkpoint_unchanged(l->checkpoint);
}

/* The LoRAs that the networks are to be made with, before the networks are. */
static status fuse(struct loaded *l)
{
    const struct model_source source = lora_source_of(&l->loras);
    TRY(text_encoder_fuse(l->text, &source, l->loras.touched));
    return unet_fuse(l->unet, &source, l->loras.touched);
}

static int differs_in_networks(const struct loaded *l, const struct wanted *wanted)
{
    return !l->ready || l->synthetic != wanted->synthetic ||
           !same(l->checkpoint_path, wanted->checkpoint);
}

int loaded_differs(const struct loaded *l, const struct wanted *wanted)
{
    return differs_in_networks(l, wanted) || !same(l->vae_path, wanted->vae);
}

int loaded_differs_in_loras(const struct loaded *l, const struct wanted *wanted)
{
    return lora_source_differs(&l->loras, wanted);
}

static status load(struct loaded *l, const struct wanted *wanted, size_t memory_limit,
                   const struct loaded_log *log)
{
    if (differs_in_networks(l, wanted)) {
        drop_all(l);
        l->synthetic = wanted->synthetic;
        TRY(build_networks(l, wanted, memory_limit, log));
        return build_vae(l, wanted);
    }
    if (same(l->vae_path, wanted->vae))
        return STATUS_OK;
    drop_vae(l);
    return build_vae(l, wanted);
}

static status settle(struct loaded *l, status result)
{
    l->ready = result == STATUS_OK;
    if (result != STATUS_OK)
        drop_all(l);
    return result;
}

status loaded_select(struct loaded *l, const struct wanted *wanted, size_t memory_limit,
                     const struct loaded_log *log)
{
    return settle(l, load(l, wanted, memory_limit, log));
}

static status fuse_wanted(struct loaded *l, const struct wanted *wanted, int strict,
                          const struct loaded_log *log)
{
    if (lora_source_differs(&l->loras, wanted)) {
        TRY(file_unchanged(l));
        TRY(lora_source_set(&l->loras, wanted, strict, log));
        TRY(fuse(l));
    }
    return file_unchanged(l);
}

status loaded_fuse(struct loaded *l, const struct wanted *wanted, int strict,
                   const struct loaded_log *log)
{
    return settle(l, fuse_wanted(l, wanted, strict, log));
}

status loaded_widen_vae(struct loaded *l)
{
    vae_decoder_destroy(l->vae);
    l->vae = NULL;
    const status result = build_decoder(l, DTYPE_BF16);
    return result == STATUS_OK ? STATUS_OK : settle(l, result);
}

struct loaded_model loaded_get(const struct loaded *l)
{
    return (struct loaded_model){ .sizes = &l->modules->sizes,
                                  .text = l->text,
                                  .unet = l->unet,
                                  .vae = l->vae,
                                  .vae_dtype = l->vae_dtype,
                                  .alphas = l->own_alphas ? l->alphas : NULL };
}

char *loaded_not_finite(const struct loaded *l)
{
    const struct tensor *bad = NULL;
    const size_t vae = rows_before(l->modules, MODULE_VAE);
    const struct checkpoint *file = l->vae_file != NULL ? l->vae_file : l->checkpoint;
    if (l->checkpoint != NULL)
        bad = checkpoint_not_finite(l->checkpoint, l->modules->rows, vae);
    if (bad == NULL && file != NULL)
        bad = checkpoint_not_finite(file, l->vae_modules->rows + vae,
                                    l->vae_modules->encoder_first - vae);
    return text_copy(bad == NULL ? "" : bad->name);
}
