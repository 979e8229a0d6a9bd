/* host/cpu/linear.c - linear layers, an image at a time.
 *
 * Algorithm  A linear layer is a 1x1 convolution of an image of one row of s pixels. Plain and two
 *            inputs run as conv2d's do. GEGLU is two products over a block of rows at a time:
 *            values and gelu(gates) in f32, multiplied as they are stored. (Blocks that fit a
 *            core's cache cost more in waiting for the other threads than they save.)
 * Order      oneDNN's, of one image; blocks of rows are cut by s alone. */
#include "host/cpu/store.h"
#include "host/cpu/weight.h"

enum { STAGED_ROWS = 1024 }; /* at most 10 MB of values and gates at the first level of SD 1.x */

struct linear_plan {
    int staged;           /* through f32 scratch */
    int block, blocks;    /* rows of one product, and how many; the last may be short */
    enum dtype acc_dtype; /* of scratch, or of y */
    struct cpu_prepared *product[2], *last[2]; /* the last: for the short block */
    size_t work_bytes, acc_bytes;
};

static status check(const struct cpu_device *dev, const struct linear_args *a)
{
    const struct weight *w = a->weight;
    if (!w || w->kind != WEIGHT_LINEAR)
        return status_fail(STATUS_BAD_SHAPE, "linear: not a linear layer's weight");
    if (a->dtype != dev->dtype)
        return status_fail(STATUS_UNSUPPORTED, "linear: %s on a device opened for %s",
                           dtype_name(a->dtype), dtype_name(dev->dtype));
    if (a->n < 1 || a->n_x < 1 || a->s < 1 || a->in2 < 0 || (a->in2 > 0 && a->n_x2 < 1) ||
        (a->residual && a->n_residual < 1) || (a->residual == a->y && a->n_residual != a->n) ||
        a->in2 != w->in2 || a->in != w->in - w->in2 || a->out != (w->geglu ? w->out / 2 : w->out) ||
        (int)a->act < 0 || a->act > ACT_QUICK_GELU || (w->geglu && a->act != ACT_NONE))
        return status_fail(STATUS_BAD_SHAPE, "linear %s: n=%d s=%d %d+%d -> %d, weight %d -> %d",
                           w->name, a->n, a->s, a->in, a->in2, a->out, w->in, w->out);
    return STATUS_OK;
}

static struct cpu_product product_of(const struct linear_args *a, const struct linear_plan *plan,
                                     int matrix, int rows)
{
    const struct weight *w = a->weight;
    const int last = matrix == w->matrices - 1;
    const int act = w->geglu ? matrix == 1 ? ACT_GELU : ACT_NONE : last ? (int)a->act : ACT_NONE;
    const int residual = a->residual != NULL && !plan->staged;
    return (struct cpu_product){
        .x = (int)a->dtype,
        .y = (int)plan->acc_dtype,
        .h = 1,
        .w = rows,
        .h_out = 1,
        .w_out = rows,
        .stride = 1,
        .sum = w->in2 > 0 && matrix == 1 ? 1 : residual,
        .act = act,
    };
}

/* Weights are const to callers; their layout is the device's to change while planning. */
static struct weight *ours(const struct weight *w) { return (struct weight *)(size_t)w; }

/* Rows of a block: the fewest blocks that are all alike, if up to twice as many are needed for it.
 * Weights are laid out for the rows of the first block, and for others oneDNN may have no kernel
 * for that layout but its reference, which is hundreds of times slower. */
static int block_rows(int s)
{
    const int least = (s + STAGED_ROWS - 1) / STAGED_ROWS;
    for (int blocks = least; blocks <= 2 * least; blocks++)
        if (s % blocks == 0)
            return s / blocks;
    return STAGED_ROWS;
}

static status make_plan(struct cpu_device *dev, const struct linear_args *a,
                        struct linear_plan *plan)
{
    const struct weight *w = a->weight;
    /* An activation stands between product and residual: it cannot be summed onto. */
    const int after = a->residual && a->act != ACT_NONE;
    const int wide = w->in2 > 0 && a->dtype != DTYPE_F32;
    *plan = (struct linear_plan){ .staged = w->geglu || wide || after };
    plan->acc_dtype = plan->staged ? DTYPE_F32 : a->dtype;
    plan->block = plan->staged ? block_rows(a->s) : a->s;
    plan->blocks = (a->s + plan->block - 1) / plan->block;
    const int short_rows = a->s - (plan->blocks - 1) * plan->block;
    for (int i = 0; i < w->matrices; i++) {
        const struct cpu_product product = product_of(a, plan, i, plan->block);
        const struct cpu_product last = product_of(a, plan, i, short_rows);
        TRY(cpu_product_prepare(dev, &product, &ours(w)->matrix[i], &plan->product[i],
                                &plan->work_bytes));
        TRY(cpu_product_prepare(dev, &last, &ours(w)->matrix[i], &plan->last[i],
                                &plan->work_bytes));
    }
    plan->work_bytes = cpu_align(plan->work_bytes);
    if (plan->staged)
        plan->acc_bytes =
            cpu_align((size_t)plan->block * (size_t)a->out * sizeof(float)) * (w->geglu ? 2 : 1);
    return STATUS_OK;
}

static void spanned(struct cpu_device *dev, const struct linear_args *a)
{
    const struct weight *w = a->weight;
    const double rows = (double)a->n * a->s, in = w->in;
    const double read = ((double)a->n_x * a->in + (double)a->n_x2 * a->in2) * a->s;
    const double moved = read + rows * a->out * (a->residual ? 2 : 1) + in * w->out;
    cpu_op_begin(dev, "linear", 2 * rows * in * w->out, moved * (double)dtype_size(a->dtype),
                 "%sn%d s%d %d->%d", w->geglu ? "geglu " : "", a->n, a->s, w->in, a->out);
}

static const char *image(const void *base, int i, int n, size_t elements, enum dtype dtype)
{
    return (const char *)base + (size_t)(i % n) * elements * dtype_size(dtype);
}

struct rows {
    const char *x[2];     /* of both inputs; GEGLU: twice the one */
    const char *residual; /* null: none */
    char *y;
    int count;
};

static void unstage(const struct cpu_device *dev, const struct linear_args *a,
                    const struct rows *rows, const float *acc, const float *gate)
{
    const size_t out = (size_t)a->out, size = dtype_size(a->dtype);
#pragma omp parallel for num_threads(dev->threads)
    for (int r = 0; r < rows->count; r++) {
        const size_t at = (size_t)r * out;
        cpu_store_row(&(struct cpu_store){
            .from_dtype = DTYPE_F32,
            .dtype = a->dtype,
            .from = acc + at,
            .gate = gate ? gate + at : NULL,
            .residual = rows->residual ? rows->residual + at * size : NULL,
            .to = rows->y + at * size,
            .count = out,
        });
    }
}

static status run_rows(struct cpu_device *dev, const struct linear_args *a,
                       const struct linear_plan *plan, struct cpu_prepared *const product[2],
                       const struct rows *rows, char *work)
{
    const struct weight *w = a->weight;
    float *acc = (float *)(void *)(work + plan->work_bytes);
    float *gate = w->geglu ? acc + plan->acc_bytes / 2 / sizeof *acc : NULL;
    void *to = plan->staged ? (void *)acc : rows->y;
    if (!plan->staged && rows->residual && rows->residual != rows->y)
        cpu_copy(dev, rows->y, rows->residual,
                 (size_t)rows->count * (size_t)a->out * dtype_size(a->dtype));
    TRY(cpu_product_run(dev, product[0], &w->matrix[0], w->bias, rows->x[0], to, work));
    if (w->geglu)
        TRY(cpu_product_run(dev, product[1], &w->matrix[1], w->bias + a->out, rows->x[1], gate,
                            work));
    else if (w->in2 > 0)
        TRY(cpu_product_run(dev, product[1], &w->matrix[1], w->bias + a->out, rows->x[1], to,
                            work));
    if (plan->staged)
        unstage(dev, a, rows, acc, gate);
    return STATUS_OK;
}

static status run_image(struct cpu_device *dev, const struct linear_args *a,
                        const struct linear_plan *plan, int i, char *work)
{
    const struct weight *w = a->weight;
    const size_t s = (size_t)a->s, in = (size_t)a->in, in2 = (size_t)a->in2, out = (size_t)a->out;
    const size_t size = dtype_size(a->dtype);
    char *y = (char *)a->y + (size_t)i * s * out * size;
    const char *x = image(a->x, i, a->n_x, s * in, a->dtype);
    const char *x2 = w->in2 > 0 ? image(a->x2, i, a->n_x2, s * in2, a->dtype) : x;
    const char *residual =
        a->residual ? image(a->residual, i, a->n_residual, s * out, a->dtype) : NULL;
    for (int b = 0; b < plan->blocks; b++) {
        const int last = b == plan->blocks - 1;
        const size_t first = (size_t)b * (size_t)plan->block;
        const struct rows rows = {
            .x = { x + first * in * size, x2 + first * (w->in2 > 0 ? in2 : in) * size },
            .residual = residual ? residual + first * out * size : NULL,
            .y = y + first * out * size,
            .count = last ? a->s - (int)first : plan->block,
        };
        TRY(run_rows(dev, a, plan, last ? plan->last : plan->product, &rows, work));
    }
    if (a->stats)
        cpu_stats(dev, y, a->dtype, a->s, a->out,
                  a->stats + (size_t)i * (size_t)stats_tiles(a->s) * out * 2);
    return STATUS_OK;
}

status cpu_linear(struct ops *ops, const struct linear_args *args)
{
    struct cpu_device *dev = cpu_device(ops);
    struct linear_plan plan;
    void *work = NULL;
    TRY(check(dev, args));
    TRY(make_plan(dev, args, &plan));
    TRY(cpu_scratch(dev, plan.work_bytes + plan.acc_bytes, &work));
    if (dev->planning)
        return STATUS_OK;
    spanned(dev, args);
    status result = STATUS_OK;
    for (int i = 0; i < args->n && result == STATUS_OK; i++)
        result = run_image(dev, args, &plan, i, work);
    cpu_op_end(dev);
    return result;
}
