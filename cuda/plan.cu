/* cuda/plan.cu - which variant runs: forced or preferred by the caller, or named by a plan.
 *
 * A plan is text, a line a call: `operator | key | variant`, the key being what the operator's file
 * spells of per-image shape and dtype; # begins a comment. Order of sums may not depend on it
 * (variant.cuh), so a plan changes speed alone. */
#include "cuda/plan.cuh"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/cuda.h"
#include "cuda/vendor.cuh"

/* ---- the operators' tables, without their types ------------------------------------------- */

struct table_view {
    const char *op;
    int rows;
    const char *(*name)(int row);
};

template <const auto &table> static const char *row_name(int row) { return table.row[row].name; }
template <const auto &table> static table_view view()
{
    return { table.op, table.count, row_name<table> };
}

enum { OPERATORS = 11 };

static const table_view *views(void)
{
    static const table_view all[OPERATORS] = {
        view<cuda_conv2d_table>(),     view<cuda_linear_table>(),
        view<cuda_group_norm_table>(), view<cuda_layer_norm_table>(),
        view<cuda_attention_table>(),  view<cuda_embed_table>(),
        view<cuda_time_embed_table>(), view<cuda_sampler_step_table>(),
        view<cuda_noise_table>(),      view<cuda_scale_table>(),
        view<cuda_to_rgb8_table>()
    };
    return all;
}

static int find_op(const char *op, size_t length)
{
    for (int i = 0; i < OPERATORS; i++)
        if (strlen(views()[i].op) == length && memcmp(views()[i].op, op, length) == 0)
            return i;
    return -1;
}

static int find_row(int op, const char *name, size_t length)
{
    for (int i = 0; i < views()[op].rows; i++) {
        const char *row = views()[op].name(i);
        if (strlen(row) == length && memcmp(row, name, length) == 0)
            return i;
    }
    return -1;
}

const char *cuda_variant_name(const char *op, int i)
{
    const int found = find_op(op, strlen(op));
    return found >= 0 && i >= 0 && i < views()[found].rows ? views()[found].name(i) : nullptr;
}

/* ---- a device's choices -------------------------------------------------------------------- */

enum { ROWS_MOST = 64, CUDA_KEY = 128 };

struct line {
    int op, row;
    char *key;
};

struct cuda_plan {
    struct line *line; /* by operator and key */
    size_t lines;
    char hash[65]; /* "none" where there is no plan */
    struct cuda_choice asked[OPERATORS];
    char *left; /* "op key: why", a line each: what the vendor engine did not take */
    long runs[OPERATORS][ROWS_MOST];
    char last_key[OPERATORS][CUDA_KEY];
};

static int by_op_and_key(const void *a, const void *b)
{
    const struct line *x = (const struct line *)a, *y = (const struct line *)b;
    return x->op != y->op ? x->op - y->op : strcmp(x->key, y->key);
}

struct cuda_choice cuda_choose(const struct cuda_device *dev, const char *op, const char *key)
{
    const struct cuda_plan *plan = dev->plan;
    struct line wanted = { find_op(op, strlen(op)), -1, (char *)key };
    if (wanted.op < 0)
        return { -1, 0, -1 };
    if (plan->asked[wanted.op].row >= 0)
        return plan->asked[wanted.op];
    const void *found =
        plan->lines ? bsearch(&wanted, plan->line, plan->lines, sizeof wanted, by_op_and_key)
                    : nullptr;
    const int planned = found ? ((const struct line *)found)->row : -1;
    const int vendor = dev->vendor_preferred ? find_row(wanted.op, "vendor", 6) : -1;
    return vendor >= 0 ? cuda_choice{ vendor, 0, planned } : cuda_choice{ planned, 0, -1 };
}

status cuda_vendor_left(struct cuda_device *dev, const char *op, const char *key)
{
    struct cuda_plan *plan = dev->plan;
    char line[sizeof dev->vendor->why + 2 * CUDA_KEY];
    snprintf(line, sizeof line, "%s %s: %s\n", op, key, dev->vendor->why);
    const size_t had = plan->left ? strlen(plan->left) : 0;
    if (had && strstr(plan->left, line))
        return STATUS_OK;
    char *more = (char *)realloc(plan->left, had + strlen(line) + 1);
    if (!more)
        return status_fail(STATUS_NO_MEMORY, "cuda: no host memory");
    strcpy(more + had, line);
    plan->left = more;
    dev->ops.engine_left = more;
    return STATUS_OK;
}

void cuda_count_run(struct cuda_device *dev, const char *op, int row, const char *key)
{
    const int found = find_op(op, strlen(op));
    if (found < 0 || row >= ROWS_MOST)
        return;
    dev->plan->runs[found][row]++;
    snprintf(dev->plan->last_key[found], CUDA_KEY, "%s", key);
}

const char *cuda_last_key(struct ops *ops, const char *op)
{
    const int found = find_op(op, strlen(op));
    return found >= 0 ? cuda_device(ops)->plan->last_key[found] : "";
}

long cuda_variant_runs(struct ops *ops, const char *op, int i)
{
    const int found = find_op(op, strlen(op));
    return found >= 0 && i >= 0 && i < ROWS_MOST ? cuda_device(ops)->plan->runs[found][i] : 0;
}

static status no_such(const char *what, const char *name, int op)
{
    char known[600] = "";
    const int count = op < 0 ? OPERATORS : views()[op].rows;
    for (int i = 0; i < count; i++) {
        const size_t at = strlen(known);
        snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "",
                 op < 0 ? views()[i].op : views()[op].name(i));
    }
    return status_fail(STATUS_MISUSE, "%s \"%s\" is not known; there are %s", what, name, known);
}

static status ask(struct ops *ops, const char *op, const char *variant, int only)
{
    const int found = find_op(op, strlen(op));
    if (found < 0)
        return no_such("operator", op, -1);
    const int row = variant ? find_row(found, variant, strlen(variant)) : -1;
    if (variant && row < 0)
        return no_such("variant", variant, found);
    if (row >= 0 && strcmp(variant, "vendor") == 0 && !cuda_device(ops)->vendor)
        return status_fail(STATUS_MISUSE, "variant \"vendor\" of %s: it needs --engine vendor", op);
    cuda_device(ops)->plan->asked[found] = { row, only, -1 };
    return STATUS_OK;
}

status cuda_force(struct ops *ops, const char *op, const char *variant)
{
    return ask(ops, op, variant, 1);
}

status cuda_prefer(struct ops *ops, const char *op, const char *variant)
{
    return ask(ops, op, variant, 0);
}

/* ---- reading a plan ------------------------------------------------------------------------ */

struct field {
    const char *text;
    size_t length;
};

/* The text up to `end`, or to the line's end, without blanks around it. */
static struct field take_field(const char **at, char end)
{
    const char *from = *at;
    size_t length = strcspn(from, end == '|' ? "|\n" : "\n");
    *at = from + length + (from[length] == end && end == '|');
    while (length > 0 && isspace((unsigned char)*from))
        from++, length--;
    while (length > 0 && isspace((unsigned char)from[length - 1]))
        length--;
    return { from, length };
}

static status add_line(struct cuda_plan *plan, struct field op, struct field key,
                       struct field variant)
{
    const int found = find_op(op.text, op.length);
    const int row = found < 0 ? -1 : find_row(found, variant.text, variant.length);
    if (row < 0)
        return status_fail(STATUS_BAD_FILE, "plan: %.*s has no variant \"%.*s\"", (int)op.length,
                           op.text, (int)variant.length, variant.text);
    struct line *more = (struct line *)realloc(plan->line, (plan->lines + 1) * sizeof *more);
    if (!more)
        return status_fail(STATUS_NO_MEMORY, "plan: no memory");
    plan->line = more;
    char *copy = (char *)calloc(1, key.length + 1);
    if (!copy)
        return status_fail(STATUS_NO_MEMORY, "plan: no memory");
    memcpy(copy, key.text, key.length);
    plan->line[plan->lines++] = { found, row, copy };
    return STATUS_OK;
}

static void drop_lines(struct cuda_plan *plan)
{
    for (size_t i = 0; i < plan->lines; i++)
        free(plan->line[i].key);
    free(plan->line);
    plan->line = nullptr;
    plan->lines = 0;
}

static status read_plan(struct cuda_plan *plan, const char *text)
{
    drop_lines(plan);
    while (*text) {
        const struct field op = take_field(&text, '|'), key = take_field(&text, '|'),
                           variant = take_field(&text, '\n');
        text += *text == '\n';
        if (op.length > 0 && op.text[0] != '#')
            TRY(add_line(plan, op, key, variant));
    }
    if (plan->lines)
        qsort(plan->line, plan->lines, sizeof *plan->line, by_op_and_key);
    return STATUS_OK;
}

status cuda_plan_use(struct ops *ops, const char *text)
{
    struct cuda_plan *plan = cuda_device(ops)->plan;
    snprintf(plan->hash, sizeof plan->hash, "given");
    ops->plan_hash = *text ? plan->hash : nullptr;
    return read_plan(plan, text);
}

status cuda_plan_create(struct cuda_device *dev)
{
    struct cuda_plan *plan = (struct cuda_plan *)calloc(1, sizeof *plan);
    dev->plan = plan;
    if (!plan)
        return status_fail(STATUS_NO_MEMORY, "cuda: no host memory");
    for (int i = 0; i < OPERATORS; i++)
        plan->asked[i].row = -1;
    snprintf(plan->hash, sizeof plan->hash, "none");
    for (const struct cuda_plan_source *s = cuda_plan_sources; s->arch; s++)
        if (s->arch == dev->arch) {
            snprintf(plan->hash, sizeof plan->hash, "%s", s->hash);
            dev->ops.plan_hash = plan->hash;
            return read_plan(plan, s->text);
        }
    return STATUS_OK;
}

void cuda_plan_destroy(struct cuda_device *dev)
{
    if (!dev->plan)
        return;
    drop_lines(dev->plan);
    free(dev->plan->left);
    free(dev->plan);
    dev->plan = nullptr;
}
