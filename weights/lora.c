/* weights/lora.c - the keys of a file, gathered into modules and matched with the model's rows. */
#include "weights/lora.h"

#include <stdlib.h>
#include <string.h>

#include "weights/kind.h"
#include "weights/lora_open.h"

/* ---- gathering --------------------------------------------------------------------------- */

static status list_unused(struct lora *lora, const char *key, const char *why)
{
    if (lora->unused_count == lora->unused_cap) {
        const size_t cap = lora->unused_cap == 0 ? 64 : 2 * lora->unused_cap;
        void *grown = realloc(lora->unused, cap * sizeof *lora->unused);
        if (grown == NULL)
            return status_fail(STATUS_NO_MEMORY, "no memory for %zu bytes",
                               cap * sizeof *lora->unused);
        lora->unused = grown;
        lora->unused_cap = cap;
    }
    lora->unused[lora->unused_count++] = (struct lora_unused){ key, why };
    return STATUS_OK;
}

static const char *why_unknown(const char *key)
{
    if (strstr(key, "bundle_emb") != NULL)
        return "bundled inversions are not read";
    if (strstr(key, "dora_scale") != NULL)
        return "DoRA came after the versions that are reproduced here";
    if (strstr(key, ".oft_") != NULL)
        return "OFT is not understood";
    return "unknown key";
}

static status place(struct lora *lora, const struct name_map *names, const struct tensor *tensor)
{
    char module[LORA_NAME_CAP];
    enum lora_part part;
    if (!lora_key_split(tensor->name, &part, module))
        return list_unused(lora, tensor->name, why_unknown(tensor->name));
    const long row = name_map_find(names, module);
    if (row == NAME_ABSENT)
        return list_unused(lora, tensor->name, "no such module in this model");
    const struct tensor **slot = &lora->modules[row].part[part];
    if (*slot != NULL)
        return list_unused(lora, tensor->name, "the module has this part already");
    *slot = tensor;
    return STATUS_OK;
}

/* Parts that the row has no place for are listed, and taken off. */
static status drop(struct lora *lora, struct lora_module *module, int part, const char *why)
{
    const struct tensor *tensor = module->part[part];
    module->part[part] = NULL;
    return tensor == NULL ? STATUS_OK : list_unused(lora, tensor->name, why);
}

static status settle(struct lora *lora, struct lora_module *module, const struct module_row *row)
{
    if (!row->has_bias)
        TRY(drop(lora, module, FULL_DIFF_B, "the layer has no bias"));
    TRY(lora_module_check(module, row));
    if (module->family == LORA_NONE)
        for (int i = 0; i < LORA_PARTS; i++)
            TRY(drop(lora, module, i, "the module has no weights that are understood"));
    return STATUS_OK;
}

static status gather(struct lora *lora, const struct name_map *names, const struct module_row *rows)
{
    for (size_t i = 0; i < tensor_file_count(lora->file); i++)
        TRY(place(lora, names, tensor_file_at(lora->file, i)));
    for (size_t i = 0; i < lora->count; i++)
        TRY(settle(lora, &lora->modules[i], &rows[i]));
    return STATUS_OK;
}

/* ---- opening ----------------------------------------------------------------------------- */

static status open_file(struct lora *lora, const char *path, const struct module_row *rows)
{
    struct name_map names = { 0 };
    TRY(tensor_file_open(path, &lora->file));
    TRY(weights_kind_expect(lora->file, WEIGHTS_LORA));
    status result = STATUS_OK;
    for (size_t i = 0; i < lora->count && result == STATUS_OK; i++)
        result = lora_names_add(&names, &rows[i], (long)i);
    if (result == STATUS_OK)
        result = gather(lora, &names, rows);
    name_map_release(&names);
    return result == STATUS_OK ? STATUS_OK : status_prefix(result, "%s", path);
}

status lora_open(const char *path, const struct module_row *rows, size_t count, struct lora **out)
{
    *out = NULL;
    struct lora *lora = calloc(1, sizeof *lora);
    if (lora != NULL)
        lora->modules = calloc(count == 0 ? 1 : count, sizeof *lora->modules);
    if (lora == NULL || lora->modules == NULL) {
        free(lora);
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for %zu modules", path, count);
    }
    lora->count = count;
    const status result = open_file(lora, path, rows);
    if (result != STATUS_OK)
        lora_close(lora);
    else
        *out = lora;
    return result;
}

void lora_close(struct lora *lora)
{
    if (lora == NULL)
        return;
    tensor_file_close(lora->file);
    free(lora->modules);
    free(lora->unused);
    free(lora);
}

/* ---- asking ------------------------------------------------------------------------------ */

int lora_touches(const struct lora *lora, size_t row)
{
    return row < lora->count && lora->modules[row].family != LORA_NONE;
}

size_t lora_module_count(const struct lora *lora)
{
    size_t touched = 0;
    for (size_t i = 0; i < lora->count; i++)
        touched += lora_touches(lora, i) != 0;
    return touched;
}

int lora_has_text(const struct lora *lora)
{
    for (size_t i = 0; i < lora->count; i++)
        if (lora_touches(lora, i) && lora->modules[i].where == MODULE_TEXT)
            return 1;
    return 0;
}

int lora_needs_base(const struct lora *lora, size_t row)
{
    return lora_touches(lora, row) && lora->modules[row].family == LORA_IA3;
}

size_t lora_unused_count(const struct lora *lora) { return lora->unused_count; }

const struct lora_unused *lora_unused_at(const struct lora *lora, size_t i)
{
    return i < lora->unused_count ? &lora->unused[i] : NULL;
}
