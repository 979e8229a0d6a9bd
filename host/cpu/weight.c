/* host/cpu/weight.c - weights made, rebuilt and released.
 *
 * A layer is built a slab of rows at a time, f32 in the device's staging memory, and packed by
 * oneDNN into the run's dtype: rounded once, and never a second copy of the whole. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/weight_args.h"
#include "host/cpu/memory.h"
#include "host/cpu/weight.h"

/* ---- arguments -------------------------------------------------------------------------- */

static int is_matrix(enum weight_kind kind)
{
    return kind == WEIGHT_CONV2D || kind == WEIGHT_LINEAR;
}

static int same_layer(const struct weight *w, const struct weight_args *args, int out)
{
    return w->kind == args->kind && w->out == out && w->in == args->in && w->in2 == args->in2 &&
           w->kernel == args->kernel && w->dtype == args->dtype &&
           (w->kind != WEIGHT_CONV2D ||
            (w->stride == args->stride && w->upsample == args->upsample)) &&
           w->geglu == (args->geglu != 0);
}

/* ---- memory ----------------------------------------------------------------------------- */

static void *plain(struct weight *w, size_t count, size_t size)
{
    const size_t bytes = (count * size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    void *p = cpu_memory_take(bytes);
    if (!p)
        return NULL;
    w->plain_bytes += bytes;
    w->dev->weight_bytes += bytes;
    cpu_count_peak(w->dev);
    return p;
}

static status take_matrices(struct weight *w)
{
    const int k = w->upsample == 2 ? 2 : w->kernel;
    w->matrices = w->upsample == 2 ? 4 : w->geglu || w->in2 > 0 ? 2 : 1;
    for (int i = 0; i < w->matrices; i++) {
        w->matrix[i] = (struct cpu_matrix){
            .dtype = w->dtype,
            .out = w->geglu ? w->out / 2 : w->out,
            .in = w->in2 == 0 ? w->in
                  : i == 0    ? w->in - w->in2
                              : w->in2,
            .kh = k,
            .kw = k,
        };
        TRY(cpu_matrix_create(w->dev, &w->matrix[i], w->stride));
    }
    w->bias = plain(w, 2 * (size_t)w->out, sizeof *w->bias);
    if (!w->bias)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory", w->name);
    memset(w->bias + w->out, 0, (size_t)w->out * sizeof *w->bias);
    return STATUS_OK;
}

/* A table stays as the file has it if that is 16 bits wide; else it takes the run's dtype. */
static status take_plain(struct weight *w, const struct weight_args *args)
{
    const size_t count = (size_t)w->out * (size_t)w->in;
    const enum dtype stored = args->part[0].data ? args->part[0].dtype : w->dtype;
    w->table_dtype = stored == DTYPE_F16 || stored == DTYPE_BF16 ? stored : w->dtype;
    if (w->kind == WEIGHT_VECTOR)
        w->vector = plain(w, count, sizeof *w->vector);
    else
        w->table = plain(w, count, dtype_size(w->table_dtype));
    return w->vector || w->table ? STATUS_OK
                                 : status_fail(STATUS_NO_MEMORY, "%s: no memory", w->name);
}

/* ---- building --------------------------------------------------------------------------- */

enum { SLAB_FLOATS = 4 << 20 }; /* 16 MiB of f32 rows, or MATRIX_PACK rows if those are more */

static size_t width_of(const struct weight *w)
{
    return (size_t)w->in * (size_t)w->kernel * (size_t)w->kernel;
}

static int slab_rows(const struct weight *w)
{
    const size_t fit = SLAB_FLOATS / width_of(w) / MATRIX_PACK * MATRIX_PACK;
    return fit < MATRIX_PACK ? MATRIX_PACK : fit > INT_MAX ? INT_MAX : (int)fit;
}

/* Rows of the layer to rows `first` on of the matrices they belong to. `piece` has room for the
 * part of the rows that one matrix takes. */
static status pack(struct weight *w, int geglu_half, int first, int rows, const float *slab,
                   float *piece)
{
    if (w->upsample == 2) {
        for (int parity = 0; parity < 4; parity++) {
            cpu_weight_fold(w->dev, slab, rows, w->in, parity, piece);
            TRY(cpu_matrix_pack(w->dev, &w->matrix[parity], first, rows, piece));
        }
        return STATUS_OK;
    }
    if (w->in2 > 0) {
        const size_t split = (size_t)(w->in - w->in2) * (size_t)(w->kernel * w->kernel);
        cpu_weight_slice(w->dev, slab, rows, width_of(w), 0, split, piece);
        TRY(cpu_matrix_pack(w->dev, &w->matrix[0], first, rows, piece));
        cpu_weight_slice(w->dev, slab, rows, width_of(w), split, width_of(w) - split, piece);
        return cpu_matrix_pack(w->dev, &w->matrix[1], first, rows, piece);
    }
    return cpu_matrix_pack(w->dev, &w->matrix[geglu_half], first, rows, slab);
}

static status build_matrices(struct weight *w, const struct weight_args *args,
                             const struct weight_delta *deltas, int n)
{
    const int most = slab_rows(w), halves = w->geglu ? 2 : 1, per_half = w->out / halves;
    const size_t floats = (size_t)(most < per_half ? most : per_half) * width_of(w);
    float *slab = NULL;
    TRY(cpu_staging(w->dev, 2 * floats * sizeof *slab, (void **)&slab));
    for (int half = 0; half < halves; half++)
        for (int first = 0; first < per_half; first += most) {
            const int rows = per_half - first < most ? per_half - first : most;
            cpu_weight_rows(w->dev, args, deltas, n, half * per_half + first, rows, slab);
            TRY(pack(w, half, first, rows, slab, slab + floats));
        }
    cpu_weight_bias(args, w->bias);
    return STATUS_OK;
}

static status build_table(struct weight *w, const struct weight_args *args,
                          const struct weight_delta *deltas, int n)
{
    const size_t width = width_of(w), size = dtype_size(w->table_dtype);
    if (n == 0 && args->scale == 1.0f && args->part[0].data &&
        args->part[0].dtype == w->table_dtype) {
        memcpy(w->table, args->part[0].data, (size_t)w->out * width * size);
        return STATUS_OK;
    }
    const int most = slab_rows(w);
    float *slab = NULL;
    TRY(cpu_staging(w->dev, (size_t)(most < w->out ? most : w->out) * width * sizeof *slab,
                    (void **)&slab));
    for (int first = 0; first < w->out; first += most) {
        const int rows = w->out - first < most ? w->out - first : most;
        cpu_weight_rows(w->dev, args, deltas, n, first, rows, slab);
        dtype_from_f32(slab, (size_t)rows * width, w->table_dtype,
                       (unsigned char *)w->table + (size_t)first * width * size);
    }
    return STATUS_OK;
}

static status build(struct weight *w, const struct weight_args *args,
                    const struct weight_delta *deltas, int n)
{
    TRY(weight_deltas_check(args, deltas, n));
    if (is_matrix(w->kind))
        return build_matrices(w, args, deltas, n);
    if (w->kind == WEIGHT_EMBEDDING)
        return build_table(w, args, deltas, n);
    cpu_weight_rows(w->dev, args, deltas, n, 0, w->out, w->vector);
    return STATUS_OK;
}

/* ---- the operators ---------------------------------------------------------------------- */

static void release(struct weight *w)
{
    for (int i = 0; i < w->matrices; i++)
        cpu_matrix_destroy(w->dev, &w->matrix[i]);
    w->dev->weight_bytes -= w->plain_bytes;
    free(w->bias);
    free(w->vector);
    free(w->table);
    free(w);
}

status cpu_weight_create(struct ops *ops, const struct weight_args *args, struct weight **out)
{
    struct cpu_device *dev = cpu_device(ops);
    int total = 0;
    *out = NULL;
    TRY(weight_args_check(args, dev->dtype, &total));
    struct weight *w = calloc(1, sizeof *w);
    if (!w)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory", weight_args_name(args));
    const int conv = args->kind == WEIGHT_CONV2D;
    *w = (struct weight){ .dev = dev,
                          .kind = args->kind,
                          .dtype = args->dtype,
                          .out = total,
                          .in = args->in,
                          .in2 = args->in2,
                          .kernel = args->kernel,
                          .stride = conv ? args->stride : 1,
                          .upsample = conv ? args->upsample : 1,
                          .geglu = args->geglu != 0,
                          .name = weight_args_name(args) };
    status result = is_matrix(w->kind) ? take_matrices(w) : take_plain(w, args);
    if (result == STATUS_OK)
        result = build(w, args, NULL, 0);
    if (result != STATUS_OK) {
        release(w);
        return result;
    }
    w->next = dev->weights;
    dev->weights = w;
    *out = w;
    return STATUS_OK;
}

status cpu_weight_fuse(struct ops *ops, struct weight *weight, const struct weight_args *args,
                       const struct weight_delta *deltas, int n)
{
    int total = 0;
    TRY(weight_args_check(args, cpu_device(ops)->dtype, &total));
    if (!same_layer(weight, args, total))
        return status_fail(STATUS_BAD_SHAPE, "%s: fused as another layer than it was created as",
                           weight->name);
    return build(weight, args, deltas, n);
}

void cpu_weight_destroy(struct ops *ops, struct weight *weight)
{
    if (!weight)
        return;
    struct weight **link = &cpu_device(ops)->weights;
    while (*link != weight)
        link = &(*link)->next;
    *link = weight->next;
    release(weight);
}

const float *cpu_weight_vector(const struct weight *weight, int *count)
{
    if (!weight || weight->kind != WEIGHT_VECTOR)
        return NULL;
    *count = weight->out;
    return weight->vector;
}

const void *cpu_weight_table(const struct weight *weight, enum dtype *dtype, int *rows, int *c)
{
    if (!weight || weight->kind != WEIGHT_EMBEDDING)
        return NULL;
    *dtype = weight->table_dtype;
    *rows = weight->out;
    *c = weight->in;
    return weight->table;
}
