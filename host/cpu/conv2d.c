/* host/cpu/conv2d.c - convolutions, an image at a time.
 *
 * Algorithm  One product of oneDNN for each matrix of the weight:
 *              plain      straight into y; a residual is put there first and summed onto
 *              two inputs one after the other, in f32 and summed onto; so the concatenation is
 *                         never made. A 16-bit y is rounded at the end, from scratch
 *              upsample   four 2x2 convolutions, a band of rows at a time into scratch, and from
 *                         there to the pixels of their parity: 16 products in place of 36
 *              cropped    the natural size into scratch likewise, and from there what is wanted
 *            `add` is one value per channel: it joins the bias.
 * Order      oneDNN's, of one image: neither n nor the place in the batch can change it. */
#include "host/cpu/band.h"
#include "host/cpu/blocked.h"
#include "host/cpu/store.h"
#include "host/cpu/weight.h"

#include <limits.h>
#include <string.h>

/* How a call will run. */
struct conv2d_plan {
    int h_full, w_full;   /* of one product, before cropping and interleaving */
    int staged;           /* bands go to scratch, and from there to y */
    enum dtype acc_dtype; /* of scratch, or of y */
    size_t work_bytes, bias_bytes, acc_bytes;
};

static int natural(const struct weight *w, int size, int pad_end)
{
    if (w->upsample == 2)
        return size <= INT_MAX / 2 ? 2 * size : 0;
    if (w->kernel == 1)
        return (size - 1) / w->stride + 1;
    return w->stride == 1 ? size : pad_end ? size / 2 : (size - 1) / 2 + 1;
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

static status prepare(struct cpu_device *dev, const struct cpu_product *product,
                      struct cpu_matrix *matrix, size_t *work_bytes)
{
    struct cpu_prepared *prepared = NULL;
    if (cpu_blocked_wins(product, matrix))
        return cpu_blocked_prepare(dev, product, matrix, work_bytes);
    return cpu_product_prepare(dev, product, matrix, &prepared, work_bytes);
}

static status prepare_matrix(struct cpu_device *dev, const struct conv2d_args *a,
                             struct conv2d_plan *plan, int i)
{
    struct cpu_matrix *matrix = &ours(a->weight)->matrix[i];
    const struct cpu_product product = product_of(a, plan, i);
    if (!plan->staged)
        return prepare(dev, &product, matrix, &plan->work_bytes);
    for (int first = 0; first < product.h_out; first += cpu_band_rows(&product)) {
        const struct cpu_band band = cpu_band_at(&product, matrix->kh, first);
        TRY(prepare(dev, &band.product, matrix, &plan->work_bytes));
    }
    return STATUS_OK;
}

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
    for (int i = 0; i < w->matrices; i++)
        TRY(prepare_matrix(dev, a, plan, i));
    plan->work_bytes = cpu_align(plan->work_bytes);
    plan->bias_bytes = a->add ? cpu_align((size_t)a->c_out * sizeof(float)) : 0;
    if (plan->staged) {
        const struct cpu_product product = product_of(a, plan, 0);
        plan->acc_bytes = (size_t)cpu_band_rows(&product) * (size_t)plan->w_full *
                          (size_t)a->c_out * dtype_size(plan->acc_dtype);
    }
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

static const char *image_at(const void *base, int i, int n, size_t elements, enum dtype dtype)
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

/* One image's tensors. */
struct conv2d_image {
    const char *x, *x2, *residual; /* the last two may be null */
    const float *bias;
    char *y;
};

/* Rows first .. first + rows - 1 of a product, in scratch, to the pixels of y that are `step`
 * apart, from (top, left) on. */
static void unstage(const struct cpu_device *dev, const struct conv2d_args *a,
                    const struct conv2d_plan *plan, const char *acc, int first, int rows, int step,
                    int top, int left, const struct conv2d_image *image)
{
    const size_t c = (size_t)a->c_out, size = dtype_size(a->dtype);
    const size_t acc_size = dtype_size(plan->acc_dtype);
    const int wanted = (a->h_out - top + step - 1) / step - first; /* the rest is cropped */
    const int columns = (a->w_out - left + step - 1) / step;
    const int run = step == 1 ? columns : 1; /* pixels that lie together in y */
    if (rows > wanted)
        rows = wanted;
#pragma omp parallel for num_threads(dev->threads)
    for (int r = 0; r < rows; r++)
        for (int q = 0; q < columns; q += run) {
            const size_t from = ((size_t)r * (size_t)plan->w_full + (size_t)q) * c;
            const size_t to = ((size_t)((first + r) * step + top) * (size_t)a->w_out +
                               (size_t)(q * step + left)) *
                              c;
            cpu_store_row(&(struct cpu_store){
                .from_dtype = plan->acc_dtype,
                .dtype = a->dtype,
                .from = acc + from * acc_size,
                .residual = image->residual ? image->residual + to * size : NULL,
                .to = image->y + to * size,
                .count = (size_t)run * c,
            });
        }
}

/* Matrix m's product: the whole, or a band that begins at input row `from`. */
static status run_product(struct cpu_device *dev, const struct conv2d_args *a,
                          const struct conv2d_image *image, int m,
                          const struct cpu_product *product, int from, void *y, void *work)
{
    const struct weight *w = a->weight;
    struct cpu_matrix *matrix = &ours(w)->matrix[m];
    const int second = w->in2 > 0 && m == 1;
    const float *bias = second ? w->bias + a->c_out : image->bias;
    const void *x = (second ? image->x2 : image->x) +
                    (size_t)from * (size_t)a->w * (size_t)matrix->in * dtype_size(a->dtype);
    if (cpu_blocked_wins(product, matrix))
        return cpu_blocked_run(dev, product, matrix, bias, x, y, work);
    struct cpu_prepared *prepared = NULL;
    size_t work_bytes = 0;
    TRY(cpu_product_prepare(dev, product, matrix, &prepared, &work_bytes));
    return cpu_product_run(dev, prepared, matrix, bias, x, y, work);
}

static status run_direct(struct cpu_device *dev, const struct conv2d_args *a,
                         const struct conv2d_plan *plan, const struct conv2d_image *image,
                         void *work)
{
    if (image->residual && image->residual != image->y)
        cpu_copy(dev, image->y, image->residual,
                 (size_t)a->h_out * (size_t)a->w_out * (size_t)a->c_out * dtype_size(a->dtype));
    for (int m = 0; m < a->weight->matrices; m++) {
        const struct cpu_product product = product_of(a, plan, m);
        TRY(run_product(dev, a, image, m, &product, 0, image->y, work));
    }
    return STATUS_OK;
}

static status run_staged(struct cpu_device *dev, const struct conv2d_args *a,
                         const struct conv2d_plan *plan, const struct conv2d_image *image,
                         char *work)
{
    const struct weight *w = a->weight;
    char *acc = work + plan->work_bytes + plan->bias_bytes;
    int rows = 0;
    for (int first = 0; first < plan->h_full; first += rows) {
        for (int m = 0; m < w->matrices; m++) {
            const struct cpu_product product = product_of(a, plan, m);
            const struct cpu_band band = cpu_band_at(&product, w->matrix[m].kh, first);
            rows = band.product.h_out;
            TRY(run_product(dev, a, image, m, &band.product, band.from, acc, work));
            if (w->upsample == 2)
                unstage(dev, a, plan, acc, first, rows, 2, m / 2, m % 2, image);
        }
        if (w->upsample != 2)
            unstage(dev, a, plan, acc, first, rows, 1, 0, 0, image);
    }
    return STATUS_OK;
}

static status run_image(struct cpu_device *dev, const struct conv2d_args *a,
                        const struct conv2d_plan *plan, int i, char *work)
{
    const size_t in = (size_t)a->h * (size_t)a->w;
    const size_t out = (size_t)a->h_out * (size_t)a->w_out;
    const size_t y_count = out * (size_t)a->c_out;
    const struct conv2d_image image = {
        .x = image_at(a->x, i, a->n_x, in * (size_t)a->c, a->dtype),
        .x2 = a->c2 > 0 ? image_at(a->x2, i, a->n_x2, in * (size_t)a->c2, a->dtype) : NULL,
        .residual = a->residual ? image_at(a->residual, i, a->n_residual, y_count, a->dtype) : NULL,
        .bias = bias_of(dev, a, i, (float *)(void *)(work + plan->work_bytes)),
        .y = (char *)a->y + (size_t)i * y_count * dtype_size(a->dtype),
    };
    TRY(plan->staged ? run_staged(dev, a, plan, &image, work)
                     : run_direct(dev, a, plan, &image, work));
    if (a->stats)
        cpu_stats(dev, image.y, a->dtype, (int)out, a->c_out,
                  a->stats + (size_t)i * (size_t)stats_tiles((int)out) * (size_t)a->c_out * 2);
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
