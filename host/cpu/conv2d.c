/* host/cpu/conv2d.c - convolutions, an image at a time.
 *
 * Algorithm  One product of oneDNN for each matrix of the weight:
 *              plain      straight into y; a residual is put there first and summed onto
 *              two inputs one after the other, in f32 and summed onto; so the concatenation is
 *                         never made. A 16-bit y is rounded at the end, from scratch
 *              upsample   four 2x2 convolutions, each into scratch, and from there to the pixels
 *                         of its parity: 16 products in place of 36
 *              cropped    the natural size into scratch, and from there what is wanted
 *            `add` is one value per channel: it joins the bias.
 * Order      oneDNN's, of one image: neither n nor the place in the batch can change it. */
#include "host/cpu/blocked.h"
#include "host/cpu/store.h"
#include "host/cpu/weight.h"

#include <limits.h>
#include <string.h>

/* How a call will run. */
struct conv2d_plan {
    int h_full, w_full;   /* of one product, before cropping and interleaving */
    int staged;           /* products go to scratch, and from there to y */
    enum dtype acc_dtype; /* of scratch, or of y */
    struct cpu_prepared *product[WEIGHT_MAX_MATRICES]; /* null: in blocks, blocked.h */
    size_t work_bytes, bias_bytes, acc_bytes;
};

static int natural(const struct weight *w, int size, int pad_end)
{
    if (w->upsample == 2)
        return size <= INT_MAX / 2 ? 2 * size : 0;
    if (w->kernel == 1)
        return (size - 1) / w->stride + 1;
    return w->stride == 1 ? size : pad_end ? (size - 2) / 2 + 1 : (size - 1) / 2 + 1;
}

static int batches_fit(const struct conv2d_args *a)
{
    return a->n >= 1 && a->n_x >= 1 && (a->c2 == 0 || a->n_x2 >= 1) && (!a->add || a->n_add >= 1) &&
           (!a->residual || a->n_residual >= 1) && (a->residual != a->y || a->n_residual == a->n);
}

static status check(const struct cpu_device *dev, const struct conv2d_args *a)
{
    const struct weight *w = a->weight;
    if (!w || w->kind != WEIGHT_CONV2D)
        return status_fail(STATUS_BAD_SHAPE, "conv2d: not a convolution's weight");
    if (a->dtype != dev->dtype)
        return status_fail(STATUS_UNSUPPORTED, "conv2d: %s on a device opened for %s",
                           dtype_name(a->dtype), dtype_name(dev->dtype));
    if (!batches_fit(a) || a->h < 1 || a->w < 1 || a->c < 1 || a->c2 < 0 || a->c_out != w->out ||
        a->c2 != w->in2 || a->c != w->in - w->in2 || a->h_out < 1 || a->w_out < 1 ||
        (a->pad_end && w->stride != 2) || a->h_out > natural(w, a->h, a->pad_end) ||
        a->w_out > natural(w, a->w, a->pad_end))
        return status_fail(
            STATUS_BAD_SHAPE, "conv2d %s: n=%d h=%d w=%d c=%d+%d -> %dx%dx%d, weight %d -> %d",
            w->name, a->n, a->h, a->w, a->c, a->c2, a->h_out, a->w_out, a->c_out, w->in, w->out);
    return STATUS_OK;
}

static struct cpu_product product_of(const struct conv2d_args *a, const struct conv2d_plan *plan,
                                     int matrix)
{
    const struct weight *w = a->weight;
    const int folded = w->upsample == 2;
    const int pad = w->kernel == 3 && !a->pad_end ? 1 : 0;
    const int residual = a->residual != NULL && !plan->staged;
    return (struct cpu_product){
        .x = (int)a->dtype,
        .y = (int)plan->acc_dtype,
        .h = a->h,
        .w = a->w,
        .h_out = plan->h_full,
        .w_out = plan->w_full,
        .stride = w->stride,
        .pad_top = folded ? 1 - matrix / 2 : pad,
        .pad_left = folded ? 1 - matrix % 2 : pad,
        .sum = w->in2 > 0 && matrix == 1 ? 1 : residual,
    };
}

/* Weights are const to callers; their layout is the device's to change while planning. */
static struct weight *ours(const struct weight *w) { return (struct weight *)(size_t)w; }

static status make_plan(struct cpu_device *dev, const struct conv2d_args *a,
                        struct conv2d_plan *plan)
{
    const struct weight *w = a->weight;
    const int folded = w->upsample == 2;
    const int natural_h = natural(w, a->h, a->pad_end), natural_w = natural(w, a->w, a->pad_end);
    *plan = (struct conv2d_plan){ .h_full = folded ? a->h : natural_h,
                                  .w_full = folded ? a->w : natural_w };
    const int wide = w->in2 > 0 && a->dtype != DTYPE_F32;
    plan->staged = folded || wide || a->h_out < natural_h || a->w_out < natural_w;
    plan->acc_dtype = plan->staged && (wide || a->residual) ? DTYPE_F32 : a->dtype;
    for (int i = 0; i < w->matrices; i++) {
        const struct cpu_product product = product_of(a, plan, i);
        struct cpu_matrix *matrix = &ours(w)->matrix[i];
        if (cpu_blocked_wins(&product, matrix))
            TRY(cpu_blocked_prepare(dev, &product, matrix, &plan->work_bytes));
        else
            TRY(cpu_product_prepare(dev, &product, matrix, &plan->product[i], &plan->work_bytes));
    }
    plan->work_bytes = cpu_align(plan->work_bytes);
    plan->bias_bytes = a->add ? cpu_align((size_t)a->c_out * sizeof(float)) : 0;
    if (plan->staged)
        plan->acc_bytes = (size_t)plan->h_full * (size_t)plan->w_full * (size_t)a->c_out *
                          dtype_size(plan->acc_dtype);
    return STATUS_OK;
}

static void spanned(struct cpu_device *dev, const struct conv2d_args *a)
{
    const struct weight *w = a->weight;
    const double out = (double)a->n * a->h_out * a->w_out * a->c_out;
    const double taps = (double)w->in * w->kernel * w->kernel;
    const double in = ((double)a->n_x * a->c + (double)a->n_x2 * a->c2) * a->h * a->w;
    const double moved = in + out * (a->residual ? 2 : 1) + taps * w->out;
    cpu_op_begin(dev, "conv2d", 2 * out * taps, moved * (double)dtype_size(a->dtype),
                 "%dx%d%s%s n%d %dx%d %d->%d", w->kernel, w->kernel, w->stride == 2 ? " /2" : "",
                 w->upsample == 2 ? " up" : "", a->n, a->h_out, a->w_out, w->in, w->out);
}

static const char *image(const void *base, int i, int n, size_t elements, enum dtype dtype)
{
    return (const char *)base + (size_t)(i % n) * elements * dtype_size(dtype);
}

/* The bias of image i: the layer's, plus `add`'s row. */
static const float *bias_of(const struct cpu_device *dev, const struct conv2d_args *a, int i,
                            float *room)
{
    if (!a->add)
        return a->weight->bias;
    const size_t c = (size_t)a->c_out;
    const size_t row = (size_t)dev->steps.at * a->add_step_stride;
    const char *add =
        (const char *)a->add + (row + (size_t)(i % a->n_add) * c) * dtype_size(a->dtype);
    dtype_to_f32(add, a->dtype, c, room);
    for (size_t k = 0; k < c; k++)
        room[k] += a->weight->bias[k];
    return room;
}

/* From scratch to the pixels of y that are `step` apart, from (top, left) on. */
static void unstage(const struct cpu_device *dev, const struct conv2d_args *a,
                    const struct conv2d_plan *plan, const char *acc, int step, int top, int left,
                    const char *residual, char *y)
{
    const size_t c = (size_t)a->c_out, size = dtype_size(a->dtype);
    const size_t acc_size = dtype_size(plan->acc_dtype);
    const int rows = (a->h_out - top + step - 1) / step;
    const int columns = (a->w_out - left + step - 1) / step;
    const int run = step == 1 ? columns : 1; /* pixels that lie together in y */
#pragma omp parallel for num_threads(dev->threads)
    for (int r = 0; r < rows; r++)
        for (int q = 0; q < columns; q += run) {
            const size_t from = ((size_t)r * (size_t)plan->w_full + (size_t)q) * c;
            const size_t to =
                ((size_t)(r * step + top) * (size_t)a->w_out + (size_t)(q * step + left)) * c;
            cpu_store_row(&(struct cpu_store){
                .from_dtype = plan->acc_dtype,
                .dtype = a->dtype,
                .from = acc + from * acc_size,
                .residual = residual ? residual + to * size : NULL,
                .to = y + to * size,
                .count = (size_t)run * c,
            });
        }
}

static status run_product(struct cpu_device *dev, const struct conv2d_args *a,
                          const struct conv2d_plan *plan, int m, const float *bias, const void *x,
                          void *y, void *work)
{
    struct cpu_matrix *matrix = &ours(a->weight)->matrix[m];
    if (plan->product[m])
        return cpu_product_run(dev, plan->product[m], matrix, bias, x, y, work);
    const struct cpu_product product = product_of(a, plan, m);
    return cpu_blocked_run(dev, &product, matrix, bias, x, y, work);
}

static status run_image(struct cpu_device *dev, const struct conv2d_args *a,
                        const struct conv2d_plan *plan, int i, char *work)
{
    const struct weight *w = a->weight;
    const size_t in_pixels = (size_t)a->h * (size_t)a->w;
    const size_t y_count = (size_t)a->h_out * (size_t)a->w_out * (size_t)a->c_out;
    const float *bias = bias_of(dev, a, i, (float *)(void *)(work + plan->work_bytes));
    char *acc = work + plan->work_bytes + plan->bias_bytes;
    char *y = (char *)a->y + (size_t)i * y_count * dtype_size(a->dtype);
    const char *x = image(a->x, i, a->n_x, in_pixels * (size_t)a->c, a->dtype);
    const char *residual =
        a->residual ? image(a->residual, i, a->n_residual, y_count, a->dtype) : NULL;

    if (!plan->staged && residual && residual != y)
        cpu_copy(dev, y, residual, y_count * dtype_size(a->dtype));
    for (int m = 0; m < w->matrices; m++) {
        const int second = w->in2 > 0 && m == 1;
        const char *from =
            second ? image(a->x2, i, a->n_x2, in_pixels * (size_t)a->c2, a->dtype) : x;
        TRY(run_product(dev, a, plan, m, second ? w->bias + a->c_out : bias, from,
                        plan->staged ? acc : y, work));
        if (w->upsample == 2)
            unstage(dev, a, plan, acc, 2, m / 2, m % 2, residual, y);
    }
    if (plan->staged && w->upsample != 2)
        unstage(dev, a, plan, acc, 1, 0, 0, residual, y);
    if (a->stats)
        cpu_stats(dev, y, a->dtype, a->h_out * a->w_out, a->c_out,
                  a->stats +
                      (size_t)i * (size_t)stats_tiles(a->h_out * a->w_out) * (size_t)a->c_out * 2);
    return STATUS_OK;
}

status cpu_conv2d(struct ops *ops, const struct conv2d_args *args)
{
    struct cpu_device *dev = cpu_device(ops);
    struct conv2d_plan plan;
    void *work = NULL;
    TRY(check(dev, args));
    TRY(make_plan(dev, args, &plan));
    TRY(cpu_scratch(dev, plan.work_bytes + plan.bias_bytes + plan.acc_bytes, &work));
    if (dev->planning)
        return STATUS_OK;
    spanned(dev, args);
    status result = STATUS_OK;
    for (int i = 0; i < args->n && result == STATUS_OK; i++)
        result = run_image(dev, args, &plan, i, work);
    cpu_op_end(dev);
    return result;
}
