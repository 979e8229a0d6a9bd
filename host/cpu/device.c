/* host/cpu/device.c - the CPU device: its table of functions, memory, step table and graphs. */
#include "host/cpu/device.h"

#include <stdlib.h>
#include <string.h>

#include "host/cpu/cpu.h"
#include "host/cpu/engine.h"
#include "host/cpu/memory.h"

struct graph {
    struct graph *next;
    status (*work)(void *);
    void *arg;
};

/* ---- memory ----------------------------------------------------------------------------- */

void cpu_count_peak(struct cpu_device *dev)
{
    const size_t now = dev->weight_bytes + dev->arena.cap + dev->scratch_cap + dev->staging_cap;
    if (now > dev->peak_bytes)
        dev->peak_bytes = now;
}

void cpu_copy(const struct cpu_device *dev, void *to, const void *from, size_t bytes)
{
    enum { CHUNK = 1 << 18 };
    const long chunks = (long)((bytes + CHUNK - 1) / CHUNK);
#pragma omp parallel for num_threads(dev->threads) if (chunks > 1)
    for (long i = 0; i < chunks; i++) {
        const size_t at = (size_t)i * CHUNK, left = bytes - at;
        memcpy((char *)to + at, (const char *)from + at, left < CHUNK ? left : CHUNK);
    }
}

/* Gives *memory at least `bytes`; what it held is lost. */
static status resize(struct cpu_device *dev, unsigned char **memory, size_t *cap, size_t bytes)
{
    bytes = cpu_align(bytes);
    if (*cap >= bytes && *cap / 2 <= bytes)
        return STATUS_OK;
    free(*memory);
    *cap = 0;
    *memory = NULL;
    if (bytes == 0)
        return STATUS_OK;
    *memory = cpu_memory_take(bytes);
    if (!*memory)
        return status_fail(STATUS_NO_MEMORY, "cpu: %zu bytes asked, not to be had", bytes);
    *cap = bytes;
    cpu_count_peak(dev);
    return STATUS_OK;
}

status cpu_scratch(struct cpu_device *dev, size_t bytes, void **out)
{
    *out = NULL;
    if (bytes > SIZE_MAX / 4)
        return status_fail(STATUS_NO_MEMORY, "cpu: %zu bytes of scratch asked", bytes);
    if (dev->planning) {
        if (bytes > dev->scratch_wanted)
            dev->scratch_wanted = bytes;
        *out = (void *)(uintptr_t)ARENA_ALIGN; /* in the first page, which is never mapped */
        return STATUS_OK;
    }
    if (bytes > dev->scratch_cap)
        return status_fail(STATUS_NO_MEMORY, "cpu: %zu bytes of scratch asked, %zu planned for",
                           bytes, dev->scratch_cap);
    *out = dev->scratch ? (void *)dev->scratch : (void *)(uintptr_t)ARENA_ALIGN;
    return STATUS_OK;
}

status cpu_staging(struct cpu_device *dev, size_t bytes, void **out)
{
    *out = NULL;
    if (bytes > dev->staging_cap)
        TRY(resize(dev, &dev->staging, &dev->staging_cap, bytes));
    *out = dev->staging;
    return STATUS_OK;
}

static status plan_begin(struct ops *ops)
{
    struct cpu_device *dev = cpu_device(ops);
    if (dev->planning)
        return status_fail(STATUS_MISUSE, "cpu: already planning");
    dev->planning = 1;
    dev->arena.planning = 1;
    dev->arena.used = dev->arena.peak = 0;
    dev->scratch_wanted = 0;
    cpu_engine_plan(dev);
    return STATUS_OK;
}

static status plan_end(struct ops *ops, size_t limit_bytes, size_t *bytes)
{
    struct cpu_device *dev = cpu_device(ops);
    if (!dev->planning)
        return status_fail(STATUS_MISUSE, "cpu: not planning");
    const size_t arena = dev->arena.peak, total = arena + cpu_align(dev->scratch_wanted);
    dev->planning = 0;
    dev->arena.planning = 0;
    dev->arena.used = dev->arena.peak = 0;
    if (bytes)
        *bytes = total;
    if (limit_bytes > 0 && total > limit_bytes)
        return status_fail(STATUS_NO_MEMORY, "cpu: %zu bytes are needed, %zu may be used", total,
                           limit_bytes);
    TRY(resize(dev, &dev->staging, &dev->staging_cap, 0));
    TRY(resize(dev, &dev->arena.base, &dev->arena.cap, arena));
    return resize(dev, &dev->scratch, &dev->scratch_cap, dev->scratch_wanted);
}

static int planning(const struct ops *ops) { return ((const struct cpu_device *)ops)->planning; }

static status alloc(struct ops *ops, size_t bytes, void **out)
{
    return arena_alloc(&cpu_device(ops)->arena, bytes, out);
}

static size_t mark(const struct ops *ops)
{
    return arena_mark(&((const struct cpu_device *)ops)->arena);
}

static void release(struct ops *ops, size_t to) { arena_release(&cpu_device(ops)->arena, to); }

static size_t peak_bytes(const struct ops *ops)
{
    return ((const struct cpu_device *)ops)->peak_bytes;
}

static status upload(struct ops *ops, void *to, const void *from_host, size_t bytes)
{
    if (!cpu_device(ops)->planning)
        cpu_copy(cpu_device(ops), to, from_host, bytes);
    return STATUS_OK;
}

static status copy(struct ops *ops, void *to, const void *from, size_t bytes)
{
    return upload(ops, to, from, bytes);
}

static status download(struct ops *ops, void *to_host, const void *from, size_t bytes)
{
    return upload(ops, to_host, from, bytes);
}

/* Every call has finished its work when it returns. */
static status finish(struct ops *ops)
{
    (void)ops;
    return STATUS_OK;
}

static status pace(struct ops *ops, int *running)
{
    *running = 0;
    return finish(ops);
}

/* The machine's memory, which it shares. */
static size_t free_bytes(struct ops *ops)
{
    (void)ops;
    return 0;
}

/* ---- the step table ---------------------------------------------------------------------- */

static status steps_begin(struct ops *ops, const struct step_row *rows, int count)
{
    struct cpu_steps *steps = &cpu_device(ops)->steps;
    if (count < 1)
        return status_fail(STATUS_BAD_SHAPE, "steps_begin: %d rows", count);
    if (count > steps->cap) {
        struct step_row *more = realloc(steps->row, (size_t)count * sizeof *more);
        if (!more)
            return status_fail(STATUS_NO_MEMORY, "steps_begin: %d rows", count);
        steps->row = more;
        steps->cap = count;
    }
    memcpy(steps->row, rows, (size_t)count * sizeof *rows);
    steps->count = count;
    steps->at = 0;
    return STATUS_OK;
}

const struct step_row *cpu_step(const struct cpu_device *dev)
{
    static const struct step_row none = { .draw = -1, .h_slot = -1 };
    return dev->steps.count > 0 ? &dev->steps.row[dev->steps.at] : &none;
}

void cpu_step_advance(struct cpu_device *dev)
{
    if (dev->steps.at + 1 < dev->steps.count)
        dev->steps.at++;
}

/* ---- graphs ------------------------------------------------------------------------------- */

static status capture(struct ops *ops, status (*work)(void *), void *arg, struct graph **out)
{
    struct cpu_device *dev = cpu_device(ops);
    *out = NULL;
    struct graph *graph = calloc(1, sizeof *graph);
    if (!graph)
        return status_fail(STATUS_NO_MEMORY, "capture: no memory");
    const status result = work(arg);
    if (result != STATUS_OK) {
        free(graph);
        return result;
    }
    *graph = (struct graph){ .next = dev->graphs, .work = work, .arg = arg };
    dev->graphs = graph;
    *out = graph;
    return STATUS_OK;
}

static status replay(struct ops *ops, struct graph *graph)
{
    (void)ops;
    return graph->work(graph->arg);
}

static void graph_destroy(struct ops *ops, struct graph *graph)
{
    if (!graph)
        return;
    struct graph **link = &cpu_device(ops)->graphs;
    while (*link != graph)
        link = &(*link)->next;
    *link = graph->next;
    free(graph);
}

/* ---- the device --------------------------------------------------------------------------- */

static void destroy(struct ops *ops)
{
    struct cpu_device *dev = cpu_device(ops);
    while (dev->graphs)
        graph_destroy(ops, dev->graphs);
    while (dev->weights)
        cpu_weight_destroy(ops, dev->weights);
    cpu_engine_close(dev);
    cpu_spans_close(dev);
    free(dev->steps.row);
    free(dev->arena.base);
    free(dev->scratch);
    free(dev->staging);
    free(dev);
}

static const struct ops table = {
    .name = "cpu",
    .weight_create = cpu_weight_create,
    .weight_fuse = cpu_weight_fuse,
    .weight_destroy = cpu_weight_destroy,
    .plan_begin = plan_begin,
    .plan_end = plan_end,
    .planning = planning,
    .alloc = alloc,
    .mark = mark,
    .release = release,
    .peak_bytes = peak_bytes,
    .free_bytes = free_bytes,
    .upload = upload,
    .download = download,
    .copy = copy,
    .sync = finish,
    .pace = pace,
    .conv2d = cpu_conv2d,
    .linear = cpu_linear,
    .group_norm = cpu_group_norm,
    .layer_norm = cpu_layer_norm,
    .attention = cpu_attention,
    .embed = cpu_embed,
    .time_embed = cpu_time_embed,
    .sampler_step = cpu_sampler_step,
    .noise = cpu_noise,
    .scale = cpu_scale,
    .to_rgb8 = cpu_to_rgb8,
    .steps_begin = steps_begin,
    .capture = capture,
    .replay = replay,
    .graph_destroy = graph_destroy,
    .span_begin = cpu_span_begin,
    .span_end = cpu_span_end,
    .spans_operators = cpu_spans_operators,
    .spans_read = cpu_spans_read,
    .spans_clear = cpu_spans_clear,
    .destroy = destroy,
};

int cpu_computes(enum dtype dtype)
{
    return dtype == DTYPE_F32 || (dtype == DTYPE_BF16 && cpu_engine_has_bf16());
}

static status check_open(int threads, enum dtype dtype)
{
    enum { MOST_THREADS = 1024 };
    if (threads < 0 || threads > MOST_THREADS)
        return status_fail(STATUS_MISUSE, "cpu: %d threads, wanted 1 to %d, or 0 for all cores",
                           threads, MOST_THREADS);
    if (dtype != DTYPE_F32 && dtype != DTYPE_BF16)
        return status_fail(STATUS_UNSUPPORTED, "cpu: computes in f32 or bf16, not in %s",
                           dtype_name(dtype));
    if (!cpu_computes(dtype))
        return status_fail(STATUS_UNSUPPORTED,
                           "cpu: this CPU does not multiply bf16 natively (it has %s; wanted "
                           "AVX512-BF16 or AMX); use fp32",
                           cpu_engine_isa());
    return STATUS_OK;
}

status cpu_open(int threads, enum dtype dtype, struct ops **out)
{
    *out = NULL;
    TRY(check_open(threads, dtype));
    struct cpu_device *dev = calloc(1, sizeof *dev);
    if (!dev)
        return status_fail(STATUS_NO_MEMORY, "cpu: no memory for a device");
    dev->ops = table;
    dev->ops.summary = dev->summary;
    dev->dtype = dtype;
    dev->threads = threads > 0 ? threads : cpu_cores();
    cpu_describe(dev->threads, dev->summary, sizeof dev->summary);
    status result = cpu_engine_open(dev);
    if (result == STATUS_OK)
        result = cpu_spans_open(dev);
    if (result != STATUS_OK) {
        destroy(&dev->ops);
        return result;
    }
    *out = &dev->ops;
    return STATUS_OK;
}
