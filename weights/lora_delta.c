/* weights/lora_delta.c - the arithmetic of the LoRA family.
 *
 * Every tensor is seen as a matrix: the first axis, and all others as one. A convolution's kernel
 * positions ("taps") are the innermost axis throughout. Sums run in ascending order, in f32. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "weights/lora_open.h"

/* ---- matrices ---------------------------------------------------------------------------- */

/* Room for a by b by c floats; zeroed. */
static status floats(size_t a, size_t b, size_t c, float **out)
{
    const size_t most = SIZE_MAX / sizeof(float);
    *out = NULL;
    if (a > 0 && b > 0 && c > 0 && a <= most / b && a * b <= most / c)
        *out = calloc(a * b * c, sizeof(float));
    return *out != NULL
               ? STATUS_OK
               : status_fail(STATUS_NO_MEMORY, "no memory for %zu by %zu by %zu floats", a, b, c);
}

static status load(const struct tensor *tensor, float **out)
{
    TRY(floats(tensor_elements(tensor), 1, 1, out));
    tensor_to_f32(tensor, *out);
    return STATUS_OK;
}

static size_t first_axis(const struct tensor *tensor)
{
    return tensor->rank == 0 ? 1 : tensor->shape[0];
}

/* y [m, n] += a [m, r] b [r, n] */
static void multiply(const float *a, const float *b, size_t m, size_t r, size_t n, float *y)
{
    for (size_t i = 0; i < m; i++)
        for (size_t k = 0; k < r; k++) {
            const float factor = a[i * r + k];
            for (size_t j = 0; j < n; j++)
                y[i * n + j] += factor * b[k * n + j];
        }
}

/* y [m, n] += a^T b, a being [r, m] */
static void multiply_turned(const float *a, const float *b, size_t m, size_t r, size_t n, float *y)
{
    for (size_t i = 0; i < m; i++)
        for (size_t k = 0; k < r; k++) {
            const float factor = a[k * m + i];
            for (size_t j = 0; j < n; j++)
                y[i * n + j] += factor * b[k * n + j];
        }
}

/* y [r, in, taps] = sum over s of t [r, s, taps] b [s, in] */
static void spread(const float *t, const float *b, size_t r, size_t s, size_t in, size_t taps,
                   float *y)
{
    for (size_t i = 0; i < r; i++)
        for (size_t k = 0; k < s; k++)
            for (size_t j = 0; j < in; j++)
                for (size_t tap = 0; tap < taps; tap++)
                    y[(i * in + j) * taps + tap] += t[(i * s + k) * taps + tap] * b[k * in + j];
}

/* ---- families ---------------------------------------------------------------------------- */

/* W = up . down; with mid, the inner product comes first, so that it stays of low rank. */
static status plain(const struct lora_module *module, struct lora_delta *out)
{
    const struct tensor *up = module->part[LORA_UP], *down = module->part[LORA_DOWN];
    const struct tensor *mid = module->part[LORA_MID];
    const size_t rank = tensor_elements(up) / module->out;
    out->rank = (int)rank;
    TRY(load(up, &out->up));
    if (mid == NULL)
        return load(down, &out->down);
    float *core = NULL, *outer = NULL;
    status result = load(mid, &core);
    if (result == STATUS_OK)
        result = load(down, &outer);
    if (result == STATUS_OK)
        result = floats(rank, module->in, module->taps, &out->down);
    if (result == STATUS_OK)
        spread(core, outer, rank, first_axis(down), module->in, module->taps, out->down);
    free(core);
    free(outer);
    return result;
}

/* y [out, in, taps] += a . b, or the sum over r, s of a [r, out] t [r, s, taps] b [s, in]. */
static status product(const struct tensor *a, const struct tensor *b, const struct tensor *t,
                      size_t out, size_t in, size_t taps, float *y)
{
    float *left = NULL, *right = NULL, *core = NULL, *inner = NULL;
    status result = load(a, &left);
    if (result == STATUS_OK)
        result = load(b, &right);
    if (result == STATUS_OK && t == NULL)
        multiply(left, right, out, first_axis(b), in * taps, y);
    if (result == STATUS_OK && t != NULL) {
        const size_t r = first_axis(a);
        result = load(t, &core);
        if (result == STATUS_OK)
            result = floats(r, in, taps, &inner);
        if (result == STATUS_OK) {
            spread(core, right, r, first_axis(b), in, taps, inner);
            multiply_turned(left, inner, out, r, in * taps, y);
        }
    }
    free(left);
    free(right);
    free(core);
    free(inner);
    return result;
}

/* W = (w1a . w1b) * (w2a . w2b), value by value */
static status loha(const struct lora_module *module, struct lora_delta *out)
{
    const struct tensor *const *part = module->part;
    const size_t count = module->out * module->in * module->taps;
    float *other = NULL;
    TRY(floats(module->out, module->in, module->taps, &out->full));
    status result = product(part[LOHA_W1A], part[LOHA_W1B], part[LOHA_T1], module->out, module->in,
                            module->taps, out->full);
    if (result == STATUS_OK)
        result = floats(module->out, module->in, module->taps, &other);
    if (result == STATUS_OK)
        result = product(part[LOHA_W2A], part[LOHA_W2B], part[LOHA_T2], module->out, module->in,
                         module->taps, other);
    for (size_t i = 0; result == STATUS_OK && other != NULL && i < count; i++)
        out->full[i] *= other[i];
    free(other);
    return result;
}

/* A factor of LoKr, given whole or as a product. */
static status factor(const struct tensor *whole, const struct tensor *a, const struct tensor *b,
                     const struct tensor *t, size_t out, size_t in, size_t taps, float **y)
{
    if (whole != NULL)
        return load(whole, y);
    TRY(floats(out, in, taps, y));
    return product(a, b, t, out, in, taps, *y);
}

/* W = kron(w1, w2) */
static status lokr(const struct lora_module *module, struct lora_delta *out)
{
    const struct tensor *const *part = module->part;
    const struct tensor *rows = part[LOKR_W1] != NULL ? part[LOKR_W1] : part[LOKR_W1A];
    const struct tensor *columns = part[LOKR_W1] != NULL ? part[LOKR_W1] : part[LOKR_W1B];
    const size_t o1 = first_axis(rows);
    const size_t i1 = tensor_elements(columns) / first_axis(columns);
    const size_t o2 = module->out / o1, width = module->in / i1 * module->taps;
    float *w1 = NULL, *w2 = NULL;
    status result = factor(part[LOKR_W1], part[LOKR_W1A], part[LOKR_W1B], NULL, o1, i1, 1, &w1);
    if (result == STATUS_OK)
        result = factor(part[LOKR_W2], part[LOKR_W2A], part[LOKR_W2B], part[LOKR_T2], o2,
                        module->in / i1, module->taps, &w2);
    if (result == STATUS_OK)
        result = floats(module->out, module->in, module->taps, &out->full);
    float *y = out->full;
    for (size_t a = 0; result == STATUS_OK && w1 != NULL && w2 != NULL && y != NULL && a < o1; a++)
        for (size_t b = 0; b < o2; b++)
            for (size_t c = 0; c < i1; c++)
                for (size_t d = 0; d < width; d++)
                    *y++ = w1[a * i1 + c] * w2[b * width + d];
    free(w1);
    free(w2);
    return result;
}

/* W = base * w along outputs or inputs */
static status ia3(const struct lora_module *module, const float *base, struct lora_delta *out)
{
    float *w = NULL, *y;
    if (base == NULL)
        return status_fail(STATUS_MISUSE, "lora: the weight that IA3 scales was not given");
    TRY(load(module->part[IA3_WEIGHT], &w));
    const status result = floats(module->out, module->in, module->taps, &out->full);
    y = out->full;
    for (size_t o = 0; result == STATUS_OK && w != NULL && y != NULL && o < module->out; o++)
        for (size_t i = 0; i < module->in; i++)
            for (size_t tap = 0; tap < module->taps; tap++)
                *y++ = *base++ * w[module->on_input ? i : o];
    free(w);
    return result;
}

static status weight_and_bias(const struct tensor *weight, const struct tensor *bias,
                              struct lora_delta *out)
{
    if (weight != NULL)
        TRY(load(weight, &out->full));
    return bias == NULL ? STATUS_OK : load(bias, &out->bias);
}

static status compute(const struct lora_module *module, const float *base, struct lora_delta *out)
{
    const struct tensor *const *part = module->part;
    switch (module->family) {
    case LORA_PLAIN:
        return plain(module, out);
    case LORA_LOHA:
        return loha(module, out);
    case LORA_LOKR:
        return lokr(module, out);
    case LORA_FULL:
        return weight_and_bias(part[FULL_DIFF], part[FULL_DIFF_B], out);
    case LORA_NORM:
        return weight_and_bias(part[NORM_W], part[NORM_B], out);
    case LORA_IA3:
        return ia3(module, base, out);
    case LORA_NONE:
        break;
    }
    return STATUS_OK;
}

/* ---- scale ------------------------------------------------------------------------------- */

/* The rank that alpha is divided by; 0 where the web UI knows none and leaves alpha aside. */
static size_t rank_of(const struct lora_module *module)
{
    const struct tensor *const *part = module->part;
    if (part[LORA_UP] != NULL)
        return tensor_elements(part[LORA_UP]) / module->out;
    if (part[LOHA_W1B] != NULL)
        return first_axis(part[LOHA_W1B]);
    if (part[LOKR_W2B] != NULL)
        return first_axis(part[LOKR_W2B]);
    return part[LOKR_W1B] != NULL ? first_axis(part[LOKR_W1B]) : 0;
}

static double scalar(const struct tensor *tensor)
{
    return dtype_value(tensor->data, tensor->dtype, 0);
}

/* source  lora.py: lora_calc_updown; network.py: NetworkModule.calc_scale */
static double scale_of(const struct lora_module *module, const struct compat *compat)
{
    const size_t rank = rank_of(module);
    if (module->part[LORA_SCALE] != NULL)
        return scalar(module->part[LORA_SCALE]);
    if (module->part[LORA_ALPHA] == NULL || rank == 0)
        return 1;
    const double alpha = scalar(module->part[LORA_ALPHA]);
    if (alpha == 0 && !compat_at_least(compat, 1, 5))
        return 1;
    return alpha / (double)rank;
}

/* ---- results ----------------------------------------------------------------------------- */

static int all_finite(const float *values, size_t count)
{
    for (size_t i = 0; values != NULL && i < count; i++)
        if (!isfinite(values[i]))
            return 0;
    return 1;
}

static status check_finite(const struct lora_module *module, const struct lora_delta *delta)
{
    const size_t width = module->in * module->taps, rank = (size_t)delta->rank;
    if (isfinite(delta->scale) && all_finite(delta->up, module->out * rank) &&
        all_finite(delta->down, rank * width) && all_finite(delta->full, module->out * width) &&
        all_finite(delta->bias, module->out))
        return STATUS_OK;
    for (int i = 0; i < LORA_PARTS; i++)
        if (module->part[i] != NULL)
            return status_fail(STATUS_NOT_FINITE, "module of \"%s\" gives NaN or infinity",
                               module->part[i]->name);
    return status_fail(STATUS_NOT_FINITE, "a module gives NaN or infinity");
}

status lora_delta(const struct lora *lora, size_t row, const struct lora_use *use,
                  const float *base, struct lora_delta *out)
{
    *out = (struct lora_delta){ 0 };
    if (!lora_touches(lora, row))
        return STATUS_OK;
    const struct lora_module *module = &lora->modules[row];
    const double multiplier = module->where == MODULE_TEXT ? use->te : use->unet;
    if (multiplier == 0)
        return STATUS_OK;

    out->scale = (float)(multiplier * scale_of(module, &use->compat));
    status result = compute(module, base, out);
    for (size_t i = 0; result == STATUS_OK && out->bias != NULL && i < module->out; i++)
        out->bias[i] *= (float)multiplier; /* alpha is no affair of a bias */
    if (result == STATUS_OK)
        result = check_finite(module, out);
    if (result != STATUS_OK) {
        lora_delta_free(out);
        status_prefix(result, "%s", tensor_file_path(lora->file));
    }
    return result;
}

void lora_delta_free(struct lora_delta *delta)
{
    free(delta->up);
    free(delta->down);
    free(delta->full);
    free(delta->bias);
    *delta = (struct lora_delta){ 0 };
}

void lora_delta_add(const struct lora_delta *delta, const struct module_row *row, float *weight,
                    float *bias)
{
    const size_t rows = (size_t)row->out, rank = (size_t)delta->rank;
    const size_t width =
        row->kind == MODULE_NORM ? 1 : (size_t)row->in * (size_t)row->kernel * (size_t)row->kernel;
    for (size_t i = 0; weight != NULL && i < rows * width && delta->full != NULL; i++)
        weight[i] += delta->scale * delta->full[i];
    for (size_t o = 0; weight != NULL && delta->up != NULL && o < rows; o++)
        for (size_t k = 0; k < rank; k++) {
            const float factor = delta->scale * delta->up[o * rank + k];
            for (size_t i = 0; i < width; i++)
                weight[o * width + i] += factor * delta->down[k * width + i];
        }
    for (size_t o = 0; bias != NULL && delta->bias != NULL && o < rows; o++)
        bias[o] += delta->bias[o];
}
