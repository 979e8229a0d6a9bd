/* weights/lora_module.c - a module's family, and whether its tensors fit. */
#include "weights/lora_module.h"

#include <math.h>
#include <string.h>

enum { RANK_MAX = 16384 };

/* A tensor seen as a matrix: the first axis, and all others as one. */
static size_t rows_of(const struct tensor *tensor)
{
    return tensor->rank == 0 ? 1 : tensor->shape[0];
}

static size_t columns_of(const struct tensor *tensor)
{
    const size_t rows = rows_of(tensor);
    return rows == 0 ? 0 : tensor_elements(tensor) / rows;
}

/* One tensor that has to be [rows, columns] when seen as a matrix. `model`: those sizes are the
 * model's, so that a difference means another kind of model. */
static status expect(const struct tensor *tensor, size_t rows, size_t columns, int model)
{
    if (rows_of(tensor) == rows && columns_of(tensor) == columns)
        return STATUS_OK;
    return status_fail(model ? STATUS_BAD_SHAPE : STATUS_BAD_FILE,
                       "\"%s\" is %zu by %zu, %zu by %zu is wanted%s", tensor->name,
                       rows_of(tensor), columns_of(tensor), rows, columns,
                       model ? " by this model" : "");
}

static status check_rank(const struct tensor *tensor, size_t rank)
{
    if (rank >= 1 && rank <= RANK_MAX)
        return STATUS_OK;
    return status_fail(STATUS_BAD_FILE, "\"%s\" has rank %zu, 1 to %d is wanted", tensor->name,
                       rank, (int)RANK_MAX);
}

static status missing(const struct lora_module *module, const char *what)
{
    for (int i = 0; i < LORA_PARTS; i++)
        if (module->part[i] != NULL)
            return status_fail(STATUS_BAD_FILE, "\"%s\" is there without its %s",
                               module->part[i]->name, what);
    return status_fail(STATUS_BAD_FILE, "a module without its %s", what);
}

/* up [out, n], down [n, in taps]; or up [out, n], mid [n, m, taps], down [m, in]. */
static status check_plain(const struct lora_module *module)
{
    const struct tensor *up = module->part[LORA_UP], *down = module->part[LORA_DOWN];
    const struct tensor *mid = module->part[LORA_MID];
    if (up == NULL || down == NULL)
        return missing(module, up == NULL ? "lora_up" : "lora_down");
    const size_t n = columns_of(up), m = rows_of(down);
    TRY(check_rank(up, n));
    TRY(check_rank(down, m));
    TRY(expect(up, module->out, n, 1));
    if (mid == NULL) {
        if (n != m)
            return expect(down, n, columns_of(down), 0);
        return expect(down, m, module->in * module->taps, 1);
    }
    TRY(expect(mid, n, m * module->taps, 0));
    return expect(down, m, module->in, 1);
}

/* A factor of LoHa: a [out, r], b [r, in taps]; or with t [r, s, taps]: a [r, out], b [s, in]. */
static status check_pair(const struct tensor *a, const struct tensor *b, const struct tensor *t,
                         size_t out, size_t in, size_t taps, int model)
{
    if (t == NULL) {
        const size_t r = rows_of(b);
        TRY(check_rank(b, r));
        TRY(expect(a, out, columns_of(a), model));
        TRY(expect(a, out, r, 0));
        return expect(b, r, in * taps, model);
    }
    const size_t r = rows_of(a), s = rows_of(b);
    TRY(check_rank(a, r));
    TRY(check_rank(b, s));
    TRY(expect(a, r, out, model));
    TRY(expect(b, s, in, model));
    return expect(t, r, s * taps, 0);
}

static status check_loha(const struct lora_module *module)
{
    const struct tensor *const *part = module->part;
    for (int i = LOHA_W1A; i <= LOHA_W2B; i++)
        if (part[i] == NULL)
            return missing(module, "hada_w1_a, hada_w1_b, hada_w2_a or hada_w2_b");
    if ((part[LOHA_T1] == NULL) != (part[LOHA_T2] == NULL))
        return missing(module, "other hada_t");
    TRY(check_pair(part[LOHA_W1A], part[LOHA_W1B], part[LOHA_T1], module->out, module->in,
                   module->taps, 1));
    return check_pair(part[LOHA_W2A], part[LOHA_W2B], part[LOHA_T2], module->out, module->in,
                      module->taps, 1);
}

/* kron(w1 [o1, i1], w2 [o2, i2 taps]): o1 o2 = out, i1 i2 = in. */
static status check_lokr(const struct lora_module *module)
{
    const struct tensor *const *part = module->part;
    if (part[LOKR_W1] == NULL && (part[LOKR_W1A] == NULL || part[LOKR_W1B] == NULL))
        return missing(module, "lokr_w1");
    if (part[LOKR_W2] == NULL && (part[LOKR_W2A] == NULL || part[LOKR_W2B] == NULL))
        return missing(module, "lokr_w2");
    const struct tensor *rows = part[LOKR_W1] != NULL ? part[LOKR_W1] : part[LOKR_W1A];
    const struct tensor *columns = part[LOKR_W1] != NULL ? part[LOKR_W1] : part[LOKR_W1B];
    const size_t o1 = rows_of(rows), i1 = columns_of(columns);
    if (o1 == 0 || i1 == 0 || module->out % o1 != 0 || module->in % i1 != 0)
        return status_fail(STATUS_BAD_SHAPE,
                           "\"%s\": a factor of %zu by %zu does not divide %zu by %zu", rows->name,
                           o1, i1, module->out, module->in);
    const size_t o2 = module->out / o1, i2 = module->in / i1;
    if (part[LOKR_W1] == NULL)
        TRY(check_pair(part[LOKR_W1A], part[LOKR_W1B], NULL, o1, i1, 1, 0));
    if (part[LOKR_W2] != NULL)
        return expect(part[LOKR_W2], o2, i2 * module->taps, 1);
    return check_pair(part[LOKR_W2A], part[LOKR_W2B], part[LOKR_T2], o2, i2, module->taps, 1);
}

static status check_full(const struct lora_module *module)
{
    if (module->part[FULL_DIFF] != NULL)
        TRY(expect(module->part[FULL_DIFF], module->out, module->in * module->taps, 1));
    return module->part[FULL_DIFF_B] == NULL ? STATUS_OK
                                             : expect(module->part[FULL_DIFF_B], module->out, 1, 1);
}

static status check_norm(const struct lora_module *module, const struct module_row *row)
{
    const struct tensor *first =
        module->part[NORM_W] != NULL ? module->part[NORM_W] : module->part[NORM_B];
    if (row->kind != MODULE_NORM)
        return status_fail(STATUS_BAD_SHAPE, "\"%s\": %s is no norm", first->name, row->name);
    for (int i = NORM_W; i <= NORM_B; i++)
        if (module->part[i] != NULL)
            TRY(expect(module->part[i], module->out, 1, 1));
    return STATUS_OK;
}

static status check_ia3(struct lora_module *module)
{
    const struct tensor *weight = module->part[IA3_WEIGHT], *on = module->part[IA3_ON_INPUT];
    if (weight == NULL)
        return missing(module, "weight");
    if (on == NULL || tensor_elements(on) != 1)
        return missing(module, "on_input");
    module->on_input = dtype_value(on->data, on->dtype, 0) != 0;
    const size_t wanted = module->on_input ? module->in : module->out;
    if (tensor_elements(weight) != wanted)
        return status_fail(STATUS_BAD_SHAPE, "\"%s\" has %zu values, %zu are wanted by this model",
                           weight->name, tensor_elements(weight), wanted);
    return STATUS_OK;
}

static int any(const struct lora_module *module, int first, int last)
{
    for (int i = first; i <= last; i++)
        if (module->part[i] != NULL)
            return 1;
    return 0;
}

static status check_scalars(const struct lora_module *module)
{
    for (int i = LORA_ALPHA; i <= LORA_SCALE; i++) {
        const struct tensor *tensor = module->part[i];
        if (tensor == NULL)
            continue;
        if (tensor_elements(tensor) != 1)
            return status_fail(STATUS_BAD_FILE, "\"%s\" has %zu values, one is wanted",
                               tensor->name, tensor_elements(tensor));
        if (!isfinite(dtype_value(tensor->data, tensor->dtype, 0)))
            return status_fail(STATUS_NOT_FINITE, "\"%s\" is NaN or infinity", tensor->name);
    }
    return STATUS_OK;
}

status lora_module_check(struct lora_module *module, const struct module_row *row)
{
    module->where = row->part;
    module->out = (size_t)row->out;
    module->in = (size_t)(row->kind == MODULE_NORM ? 1 : row->in);
    module->taps = row->kind == MODULE_CONV2D ? (size_t)row->kernel * (size_t)row->kernel : 1;
    TRY(check_scalars(module));
    if (any(module, LORA_UP, LORA_MID)) {
        module->family = LORA_PLAIN;
        return check_plain(module);
    }
    if (any(module, LOHA_W1A, LOHA_T2)) {
        module->family = LORA_LOHA;
        return check_loha(module);
    }
    if (any(module, LOKR_W1, LOKR_T2)) {
        module->family = LORA_LOKR;
        return check_lokr(module);
    }
    if (any(module, FULL_DIFF, FULL_DIFF_B)) {
        module->family = LORA_FULL;
        return check_full(module);
    }
    if (any(module, NORM_W, NORM_B)) {
        module->family = LORA_NORM;
        return check_norm(module, row);
    }
    module->family = any(module, IA3_WEIGHT, IA3_ON_INPUT) ? LORA_IA3 : LORA_NONE;
    return module->family == LORA_IA3 ? check_ia3(module) : STATUS_OK;
}
