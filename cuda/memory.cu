/* cuda/memory.cu - device memory of the three lifetimes.
 *
 * Weights come and go one by one, so they lie in slabs: a slab is handed out by moving an offset
 * and goes back when the last of its blocks does. (cudaMalloc() rounds up to 2 MiB: memory of its
 * own for each of 700 weights would cost a tenth more.) Activations lie in one arena and scratch in
 * one block, both as large as a plan said. */
#include "cuda/memory.cuh"

#include <stdlib.h>

static const size_t SLAB_FIRST = 1 << 20, SLAB_MOST = 32 << 20;

struct cuda_slab {
    struct cuda_slab *next;
    unsigned char *base;
    size_t cap, used;
    int live; /* blocks handed out and not given back */
};

size_t cuda_align(size_t bytes) { return (bytes + 255) / 256 * 256; }

/* ---- from the driver ---------------------------------------------------------------------- */

static status no_room(size_t wanted, size_t left)
{
    enum { MEGA = 1000000 };
    return status_fail(STATUS_NO_MEMORY,
                       "cuda: needs %zu MB more of GPU memory, has %zu MB; --precision fp16 or "
                       "bf16, a smaller size or batch needs less",
                       wanted / MEGA + 1, left / MEGA);
}

status cuda_memory_get(struct cuda_device *dev, size_t bytes, void **out)
{
    *out = nullptr;
    const cudaError_t error = cudaMalloc(out, bytes);
    if (error == cudaErrorMemoryAllocation) {
        size_t left = 0, all = 0;
        *out = nullptr;
        (void)cudaGetLastError();
        (void)cudaMemGetInfo(&left, &all);
        return no_room(bytes, left);
    }
    TRY(cuda_check(error, "memory"));
    dev->taken_bytes += bytes;
    if (dev->taken_bytes > dev->peak_bytes)
        dev->peak_bytes = dev->taken_bytes;
    return STATUS_OK;
}

void cuda_memory_free(struct cuda_device *dev, void *memory, size_t bytes)
{
    if (!memory)
        return;
    (void)cudaFree(memory); /* waits for the work that uses it */
    dev->taken_bytes -= bytes;
}

status cuda_memory_resize(struct cuda_device *dev, void **memory, size_t *cap, size_t bytes)
{
    bytes = cuda_align(bytes);
    if (*cap >= bytes && *cap / 2 <= bytes)
        return STATUS_OK;
    cuda_memory_free(dev, *memory, *cap);
    *memory = nullptr;
    *cap = 0;
    if (bytes == 0)
        return STATUS_OK;
    TRY(cuda_memory_get(dev, bytes, memory));
    *cap = bytes;
    return STATUS_OK;
}

/* ---- slabs -------------------------------------------------------------------------------- */

static status add_slab(struct cuda_device *dev, size_t bytes)
{
    size_t held = SLAB_FIRST; /* a small network makes small slabs */
    for (const struct cuda_slab *slab = dev->slabs; slab; slab = slab->next)
        held += slab->cap;
    const size_t usual = held < SLAB_MOST ? held : SLAB_MOST;
    struct cuda_slab *slab = (struct cuda_slab *)calloc(1, sizeof *slab);
    if (!slab)
        return status_fail(STATUS_NO_MEMORY, "cuda: no host memory");
    void *base;
    slab->cap = bytes > usual ? bytes : usual;
    const status result = cuda_memory_get(dev, slab->cap, &base);
    if (result != STATUS_OK) {
        free(slab);
        return result;
    }
    slab->base = (unsigned char *)base;
    slab->next = dev->slabs;
    dev->slabs = slab;
    return STATUS_OK;
}

status cuda_take(struct cuda_device *dev, size_t bytes, void **out)
{
    *out = nullptr;
    bytes = cuda_align(bytes ? bytes : 1);
    struct cuda_slab *slab = dev->slabs;
    while (slab && slab->cap - slab->used < bytes)
        slab = slab->next;
    if (!slab) {
        TRY(add_slab(dev, bytes));
        slab = dev->slabs;
    }
    *out = slab->base + slab->used;
    slab->used += bytes;
    slab->live++;
    return STATUS_OK;
}

void cuda_give(struct cuda_device *dev, void *memory)
{
    for (struct cuda_slab **link = &dev->slabs; memory && *link; link = &(*link)->next) {
        struct cuda_slab *slab = *link;
        const unsigned char *p = (const unsigned char *)memory;
        if (p < slab->base || p >= slab->base + slab->cap)
            continue;
        if (--slab->live > 0)
            return;
        *link = slab->next;
        cuda_memory_free(dev, slab->base, slab->cap);
        free(slab);
        return;
    }
}

/* ---- scratch and building ----------------------------------------------------------------- */

status cuda_scratch(struct cuda_device *dev, size_t bytes, void **out)
{
    *out = nullptr;
    if (bytes > SIZE_MAX / 4)
        return status_fail(STATUS_NO_MEMORY, "cuda: %zu bytes of scratch asked", bytes);
    if (dev->planning && bytes > dev->scratch_wanted)
        dev->scratch_wanted = bytes;
    if (!dev->planning && bytes > dev->scratch_cap)
        return status_fail(STATUS_NO_MEMORY, "cuda: %zu bytes of scratch asked, %zu planned for",
                           bytes, dev->scratch_cap);
    *out = dev->planning || !dev->scratch ? (void *)(uintptr_t)ARENA_ALIGN : dev->scratch;
    return STATUS_OK;
}

status cuda_building(struct cuda_device *dev, size_t bytes, void **out)
{
    *out = nullptr;
    if (bytes > dev->building_cap)
        TRY(cuda_memory_resize(dev, &dev->building, &dev->building_cap, bytes));
    *out = dev->building;
    return STATUS_OK;
}

/* ---- planning ----------------------------------------------------------------------------- */

status cuda_plan_begin(struct ops *ops)
{
    struct cuda_device *dev = cuda_device(ops);
    if (dev->planning)
        return status_fail(STATUS_MISUSE, "cuda: already planning");
    dev->planning = 1;
    dev->arena.planning = 1;
    dev->arena.used = dev->arena.peak = 0;
    dev->scratch_wanted = 0;
    cuda_constants_plan(dev);
    return STATUS_OK;
}

/* What is too small, or far too large, goes before anything new is asked for. */
static void drop_unfit(struct cuda_device *dev, void **memory, size_t *cap, size_t bytes)
{
    if (*cap >= bytes && *cap / 2 <= bytes)
        return;
    cuda_memory_free(dev, *memory, *cap);
    *memory = nullptr;
    *cap = 0;
}

static status check_room(size_t wanted, size_t limit)
{
    size_t left = 0, all = 0;
    TRY(cuda_check(cudaMemGetInfo(&left, &all), "memory left"));
    if (limit > 0 && limit < left)
        left = limit;
    return wanted <= left ? STATUS_OK : no_room(wanted, left);
}

static status provide(struct cuda_device *dev, size_t arena, size_t scratch, size_t limit)
{
    void *base = dev->arena.base, *work = dev->scratch;
    drop_unfit(dev, &dev->building, &dev->building_cap, 0);
    drop_unfit(dev, &base, &dev->arena.cap, arena);
    drop_unfit(dev, &work, &dev->scratch_cap, scratch);
    const size_t new_arena = base ? 0 : arena, new_scratch = work ? 0 : scratch;
    status result = check_room(new_arena + new_scratch, limit);
    if (result == STATUS_OK)
        result = cuda_memory_resize(dev, &base, &dev->arena.cap, arena);
    if (result == STATUS_OK)
        result = cuda_memory_resize(dev, &work, &dev->scratch_cap, scratch);
    dev->arena.base = (unsigned char *)base;
    dev->scratch = (unsigned char *)work;
    return result == STATUS_OK ? cuda_constants_provide(dev) : result;
}

status cuda_plan_end(struct ops *ops, size_t limit_bytes, size_t *bytes)
{
    struct cuda_device *dev = cuda_device(ops);
    if (!dev->planning)
        return status_fail(STATUS_MISUSE, "cuda: not planning");
    const size_t arena = cuda_align(dev->arena.peak), scratch = cuda_align(dev->scratch_wanted);
    dev->planning = 0;
    dev->arena.planning = 0;
    dev->arena.used = dev->arena.peak = 0;
    if (bytes)
        *bytes = arena + scratch + cuda_constants_wanted(dev);
    if (limit_bytes > 0 && arena + scratch > limit_bytes)
        return check_room(arena + scratch, limit_bytes);
    TRY(cuda_check(cudaStreamSynchronize(dev->stream), "work before the plan"));
    return provide(dev, arena, scratch, limit_bytes);
}

int cuda_planning(const struct ops *ops) { return ((const struct cuda_device *)ops)->planning; }

/* ---- the arena ---------------------------------------------------------------------------- */

status cuda_alloc(struct ops *ops, size_t bytes, void **out)
{
    return arena_alloc(&cuda_device(ops)->arena, bytes, out);
}

size_t cuda_mark(const struct ops *ops)
{
    return arena_mark(&((const struct cuda_device *)ops)->arena);
}

void cuda_release(struct ops *ops, size_t mark)
{
    struct cuda_device *dev = cuda_device(ops);
    arena_release(&dev->arena, mark);
    if (mark == 0 && !dev->planning) /* the job is over */
        cuda_constants_forget(dev);
}

size_t cuda_peak_bytes(const struct ops *ops)
{
    return ((const struct cuda_device *)ops)->peak_bytes;
}

size_t cuda_free_bytes(struct ops *ops)
{
    size_t left = 0, all = 0;
    (void)ops;
    return cudaMemGetInfo(&left, &all) == cudaSuccess ? left : 0;
}

void cuda_memory_close(struct cuda_device *dev)
{
    cuda_memory_free(dev, dev->arena.base, dev->arena.cap);
    cuda_memory_free(dev, dev->scratch, dev->scratch_cap);
    cuda_memory_free(dev, dev->building, dev->building_cap);
    while (dev->slabs) {
        struct cuda_slab *slab = dev->slabs;
        dev->slabs = slab->next;
        cuda_memory_free(dev, slab->base, slab->cap);
        free(slab);
    }
}
