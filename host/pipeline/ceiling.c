/* host/pipeline/ceiling.c - what a device reaches: a large product of matrices, a large copy.
 *
 * Both go through the contract, so that a percentage of them compares like with like, on a device
 * opened for the purpose: the memory is not counted among the pictures'. Products of several sizes
 * are tried, the best counts: on a busy machine a long call is never alone. */
#include <stdlib.h>

#include "host/base/clock.h"
#include "host/pipeline/memory.h"
#include "host/pipeline/miku.h"

enum {
    SIDE_FIRST = 512,
    SIDE_MOST = 8192,
    CALLS = 5,       /* at least */
    TIMED_MS = 300,  /* at least: a busy machine has its good moments */
    PRODUCT_MS = 30, /* larger products than one of these tell nothing new */
    COPY_MS = 2,     /* long enough for a copy to be timed */
};
static const size_t COPY_LEAST = (size_t)1 << 24, COPY_FIRST = (size_t)1 << 28, /* past any cache */
    COPY_MOST = (size_t)1 << 30;

/* What is timed: planned, run once, then timed. */
struct work {
    struct ops *ops;
    enum dtype dtype;
    struct weight *weight;
    size_t side;  /* of the matrices */
    size_t bytes; /* of each of the two buffers */
    void *from, *to;
};

static status multiply(const struct work *w)
{
    const int side = (int)w->side;
    const struct linear_args args = { .weight = w->weight,
                                      .x = w->from,
                                      .y = w->to,
                                      .dtype = w->dtype,
                                      .n = 1,
                                      .n_x = 1,
                                      .s = side,
                                      .in = side,
                                      .out = side };
    return w->ops->linear(w->ops, &args);
}

static status copy(const struct work *w) { return w->ops->copy(w->ops, w->to, w->from, w->bytes); }

/* Values of both signs below 1: zeros would be easier on a card's power than pictures are. */
static status fill(const struct work *w)
{
    const size_t count = w->bytes / dtype_size(w->dtype);
    float *value = malloc(count * sizeof *value);
    void *stored = malloc(w->bytes);
    status result = value == NULL || stored == NULL
                        ? status_fail(STATUS_NO_MEMORY, "ceiling: %zu bytes asked", w->bytes)
                        : STATUS_OK;
    if (result == STATUS_OK) {
        for (size_t i = 0; i < count; i++)
            value[i] = (float)(i * 2654435761u % 2001) / 1000.0f - 1.0f;
        dtype_from_f32(value, count, w->dtype, stored);
        result = w->ops->upload(w->ops, w->from, stored, w->bytes);
    }
    if (result == STATUS_OK)
        result = w->ops->sync(w->ops);
    free(value);
    free(stored);
    return result;
}

static status prepare(struct work *w, status (*call)(const struct work *))
{
    TRY(w->ops->alloc(w->ops, w->bytes, &w->from));
    TRY(w->ops->alloc(w->ops, w->bytes, &w->to));
    if (!w->ops->planning(w->ops))
        TRY(fill(w));
    return call(w);
}

/* Milliseconds of the fastest call. */
static status best_of(struct work *w, status (*call)(const struct work *), double *best_ms)
{
    struct ops *ops = w->ops;
    size_t bytes;
    TRY(ops->plan_begin(ops));
    const size_t mark = ops->mark(ops);
    const status planned = prepare(w, call);
    ops->release(ops, mark);
    const status ended = ops->plan_end(ops, memory_available() / 10 * 9, &bytes);
    TRY(planned);
    TRY(ended);
    TRY(prepare(w, call));
    const double first_ms = clock_now_ms();
    for (int i = 0; i < CALLS || clock_now_ms() - first_ms < TIMED_MS; i++) {
        TRY(ops->sync(ops));
        const double begun = clock_now_ms();
        TRY(call(w));
        TRY(ops->sync(ops));
        const double ms = clock_now_ms() - begun;
        if (i == 0 || ms < *best_ms)
            *best_ms = ms;
    }
    ops->release(ops, mark);
    return STATUS_OK;
}

static status measure_product(struct work *w, struct miku_ceiling *out)
{
    double ms = 0;
    for (w->side = SIDE_FIRST; ms < PRODUCT_MS && w->side <= SIDE_MOST; w->side *= 2) {
        const int side = (int)w->side;
        const struct weight_args args = { .kind = WEIGHT_LINEAR,
                                          .part = { { .out = side } },
                                          .parts = 1,
                                          .in = side,
                                          .kernel = 1,
                                          .stride = 1,
                                          .upsample = 1,
                                          .scale = 1,
                                          .dtype = w->dtype,
                                          .name = "ceiling" };
        TRY(w->ops->weight_create(w->ops, &args, &w->weight));
        w->bytes = w->side * w->side * dtype_size(w->dtype);
        const status result = best_of(w, multiply, &ms);
        w->ops->weight_destroy(w->ops, w->weight);
        TRY(result);
        const double gflops = 2.0 * side * side * side / (ms * 1e6);
        if (gflops > out->matrix_gflops) {
            out->matrix_gflops = gflops;
            out->rows = out->inputs = out->outputs = side;
        }
    }
    return STATUS_OK;
}

static status measure_copy(struct work *w, struct miku_ceiling *out)
{
    double ms = 0;
    const size_t available = memory_available();
    w->bytes = COPY_FIRST;
    while (w->bytes > COPY_LEAST && available < 8 * w->bytes)
        w->bytes /= 2;
    for (; ms < COPY_MS && w->bytes <= COPY_MOST; w->bytes *= 2) {
        TRY(best_of(w, copy, &ms));
        out->copy_gbytes = 2.0 * (double)w->bytes / (ms * 1e6);
        out->copy_bytes = w->bytes;
    }
    return STATUS_OK;
}

status miku_ceiling(const struct miku_options *options, struct miku_ceiling *out)
{
    struct work work = { .ops = NULL };
    *out = (struct miku_ceiling){ 0 };
    TRY(miku_open_device(options, &work.dtype, &work.ops));
    status result = measure_product(&work, out);
    if (result == STATUS_OK)
        result = measure_copy(&work, out);
    work.ops->destroy(work.ops);
    return result;
}
