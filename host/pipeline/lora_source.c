/* host/pipeline/lora_source.c - tensors and deltas, row by row. */
#include "host/pipeline/lora_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/pipeline/request.h" /* text_copy() */

/* ---- what a layer is built from ---------------------------------------------------------- */

static void done(void *context)
{
    struct lora_source *s = context;
    for (int r = 0; r < s->rows; r++) {
        for (int i = 0; i < s->count; i++)
            lora_delta_free(&s->delta[r][i]);
        for (int k = 0; k < 2; k++) {
            free(s->vector[r][k]);
            s->vector[r][k] = NULL;
        }
    }
    s->rows = 0;
}

/* A copy of a tensor in f32, for a change that is no delta of a matrix. */
static status widen(const struct tensor *tensor, float **out)
{
    const size_t count = tensor->bytes / dtype_size(tensor->dtype);
    *out = malloc((count > 0 ? count : 1) * sizeof **out);
    if (*out == NULL)
        return status_fail(STATUS_NO_MEMORY, "lora: %zu bytes asked", count * sizeof **out);
    dtype_to_f32(tensor->data, tensor->dtype, count, *out);
    return STATUS_OK;
}

/* The deltas of one row of every LoRA in use. Matrices get theirs on the device; norms, and biases,
 * are added to here. */
static status add_loras(struct lora_source *s, const struct module_row *row,
                        const struct module_tensors *tensors, struct weight_part *part)
{
    const size_t at = (size_t)(row - s->modules->rows);
    const int r = s->rows++;
    s->lent_count[r] = 0;
    for (int i = 0; i < s->count; i++) {
        struct lora_delta *delta = &s->delta[r][i];
        float *base = NULL;
        *delta = (struct lora_delta){ 0 };
        if (!lora_touches(s->used[i].lora, at))
            continue;
        if (lora_needs_base(s->used[i].lora, at)) {
            TRY(widen(tensors->weight, &base));
            for (int k = 0; k < i; k++)
                lora_delta_add(&s->delta[r][k], row, base, NULL);
        }
        const status result = lora_delta(s->used[i].lora, at, &s->used[i].use, base, delta);
        free(base);
        TRY(result);
        if (delta->bias != NULL && tensors->bias != NULL && s->vector[r][1] == NULL)
            TRY(widen(tensors->bias, &s->vector[r][1]));
        if (row->kind == MODULE_NORM && s->vector[r][0] == NULL)
            TRY(widen(tensors->weight, &s->vector[r][0]));
        if (row->kind == MODULE_NORM)
            lora_delta_add(delta, row, s->vector[r][0], s->vector[r][1]);
        else if (s->vector[r][1] != NULL && delta->bias != NULL)
            for (int k = 0; k < row->out; k++)
                s->vector[r][1][k] += delta->scale * delta->bias[k];
        if (row->kind != MODULE_NORM && delta->scale != 0 &&
            (delta->full != NULL || delta->up != NULL))
            s->lent[r][s->lent_count[r]++] = (struct weight_delta){ .scale = delta->scale,
                                                                    .rank = delta->rank,
                                                                    .up = delta->up,
                                                                    .down = delta->down,
                                                                    .full = delta->full };
    }
    if (s->vector[r][0] != NULL)
        part->data = s->vector[r][0], part->dtype = DTYPE_F32;
    if (s->vector[r][1] != NULL)
        part->bias = s->vector[r][1], part->bias_dtype = DTYPE_F32;
    return STATUS_OK;
}

static status get(void *context, const struct module_row *row, struct weight_part *part)
{
    struct lora_source *s = context;
    struct module_tensors tensors;
    if (s->file == NULL)
        return STATUS_OK; /* no data: synthetic */
    TRY(checkpoint_module(s->file, row, &tensors));
    part->data = tensors.weight->data;
    part->dtype = tensors.weight->dtype;
    if (tensors.bias != NULL) {
        part->bias = tensors.bias->data;
        part->bias_dtype = tensors.bias->dtype;
    }
    return s->count == 0 ? STATUS_OK : add_loras(s, row, &tensors, part);
}

static status deltas(void *context, const struct module_row *row, const struct weight_delta **out,
                     int *count)
{
    struct lora_source *s = context;
    (void)row; /* the row that get() was asked for last */
    const int r = s->rows - 1;
    *out = r < 0 ? NULL : s->lent[r];
    *count = r < 0 ? 0 : s->lent_count[r];
    return STATUS_OK;
}

struct model_source lora_source_of(struct lora_source *source)
{
    return (struct model_source){ .context = source, .get = get, .deltas = deltas, .done = done };
}

/* ---- which LoRAs ------------------------------------------------------------------------- */

int lora_source_differs(const struct lora_source *s, const struct wanted *wanted)
{
    if (s->count != wanted->loras)
        return 1;
    for (int i = 0; i < s->count; i++) {
        const struct lora_use *use = &s->used[i].use;
        const int v15 = compat_at_least(&use->compat, 1, 5);
        if (strcmp(s->used[i].path, wanted->lora[i].path) != 0 || use->te != wanted->lora[i].te ||
            use->unet != wanted->lora[i].unet || v15 != compat_at_least(&wanted->compat, 1, 5))
            return 1;
    }
    return 0;
}

static void close_loras(struct lora_source *s)
{
    for (int i = 0; i < s->count; i++) {
        lora_close(s->used[i].lora);
        free(s->used[i].path);
    }
    s->count = 0;
}

static void mark(struct lora_source *s)
{
    for (int i = 0; i < s->count; i++)
        for (size_t row = 0; row < s->modules->count; row++)
            s->touched[row] |= (unsigned char)(lora_touches(s->used[i].lora, row) != 0);
}

static status report_unused(const struct lora *lora, const char *path, int strict,
                            const struct loaded_log *log)
{
    const size_t unused = lora_unused_count(lora);
    if (unused == 0)
        return STATUS_OK;
    if (strict)
        return status_fail(STATUS_BAD_FILE, "%s: %zu keys were of no use, the first: %s (%s)", path,
                           unused, lora_unused_at(lora, 0)->key, lora_unused_at(lora, 0)->why);
    for (size_t i = 0; log != NULL && log->line != NULL && i < unused; i++) {
        char line[1024];
        snprintf(line, sizeof line, "%s: key %s was of no use: %s", path,
                 lora_unused_at(lora, i)->key, lora_unused_at(lora, i)->why);
        log->line(log->user, MIKU_LOG_WARNING, line);
    }
    return STATUS_OK;
}

status lora_source_set(struct lora_source *s, const struct wanted *wanted, int strict,
                       const struct loaded_log *log)
{
    if (s->touched == NULL && (s->touched = malloc(s->modules->count)) == NULL)
        return status_fail(STATUS_NO_MEMORY, "lora: %zu bytes asked", s->modules->count);
    memset(s->touched, 0, s->modules->count);
    mark(s);
    close_loras(s);
    for (int i = 0; i < wanted->loras; i++) {
        const struct wanted_lora *lora = &wanted->lora[i];
        struct lora_used *used = &s->used[i];
        TRY(lora_open(lora->path, s->modules->rows, s->modules->count, &used->lora));
        used->path = text_copy(lora->path);
        if (used->path == NULL) {
            lora_close(used->lora);
            return status_fail(STATUS_NO_MEMORY, "lora: no memory");
        }
        used->use =
            (struct lora_use){ .te = lora->te, .unet = lora->unet, .compat = wanted->compat };
        s->count++;
        TRY(report_unused(used->lora, lora->path, strict, log));
    }
    mark(s);
    return STATUS_OK;
}

void lora_source_clear(struct lora_source *s)
{
    done(s);
    close_loras(s);
    free(s->touched);
    s->touched = NULL;
}
