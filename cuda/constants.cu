/* cuda/constants.cu - small host arrays that operators read: token ids, key lengths, seeds.
 *
 * They are copied once per job, not once per call, and never by a node of a graph: a call under
 * capture copies on the side stream and waits for it there. The host keeps what it has copied, in
 * pinned memory, and so finds bytes that are there already. */
#include <stdlib.h>
#include <string.h>

#include "cuda/memory.cuh"

struct entry {
    size_t at, bytes;
};

struct cuda_constants {
    void *host, *device; /* the same bytes, pinned and on the device */
    size_t host_cap, device_cap, used, wanted;
    size_t largest; /* room behind `used` for an array that turns out to be there already */
    struct entry *entry;
    size_t entries, entries_cap, entries_wanted;
};

status cuda_constants_create(struct cuda_device *dev)
{
    dev->constants = (struct cuda_constants *)calloc(1, sizeof *dev->constants);
    return dev->constants ? STATUS_OK : status_fail(STATUS_NO_MEMORY, "cuda: no host memory");
}

void cuda_constants_destroy(struct cuda_device *dev)
{
    struct cuda_constants *c = dev->constants;
    if (!c)
        return;
    if (c->host)
        (void)cudaFreeHost(c->host);
    cuda_memory_free(dev, c->device, c->device_cap);
    free(c->entry);
    free(c);
    dev->constants = nullptr;
}

/* ---- room --------------------------------------------------------------------------------- */

void cuda_constants_plan(struct cuda_device *dev)
{
    struct cuda_constants *c = dev->constants;
    c->wanted = c->entries_wanted = c->largest = 0;
    c->used = c->entries = 0;
}

size_t cuda_constants_wanted(const struct cuda_device *dev) { return dev->constants->wanted; }

static status provide_host(struct cuda_constants *c)
{
    const size_t bytes = c->wanted + c->largest;
    if (c->host_cap >= bytes)
        return STATUS_OK;
    if (c->host)
        (void)cudaFreeHost(c->host);
    c->host = nullptr;
    c->host_cap = 0;
    TRY(cuda_check(cudaMallocHost(&c->host, bytes), "pinned memory"));
    c->host_cap = bytes;
    return STATUS_OK;
}

status cuda_constants_provide(struct cuda_device *dev)
{
    struct cuda_constants *c = dev->constants;
    TRY(cuda_memory_resize(dev, &c->device, &c->device_cap, c->wanted));
    TRY(provide_host(c));
    if (c->entries_cap >= c->entries_wanted)
        return STATUS_OK;
    struct entry *more = (struct entry *)realloc(c->entry, c->entries_wanted * sizeof *more);
    if (!more)
        return status_fail(STATUS_NO_MEMORY, "cuda: no host memory");
    c->entry = more;
    c->entries_cap = c->entries_wanted;
    return STATUS_OK;
}

void cuda_constants_forget(struct cuda_device *dev)
{
    if (dev->constants->used >
        0) /* work may still read them; a failure surfaces at the next sync */
        (void)cudaStreamSynchronize(dev->stream);
    dev->constants->used = dev->constants->entries = 0;
}

/* ---- arrays ------------------------------------------------------------------------------- */

static status no_room(const struct cuda_constants *c, size_t bytes)
{
    return status_fail(STATUS_NO_MEMORY,
                       "cuda: %zu bytes of constants asked, %zu of %zu planned for are left", bytes,
                       c->device_cap - c->used, c->device_cap);
}

status cuda_constant_open(struct cuda_device *dev, size_t bytes, void **host)
{
    struct cuda_constants *c = dev->constants;
    *host = nullptr;
    if (dev->planning)
        return STATUS_OK;
    if (cuda_align(bytes) > c->host_cap - c->used)
        return no_room(c, bytes);
    *host = (unsigned char *)c->host + c->used;
    return STATUS_OK;
}

static const struct entry *find(const struct cuda_constants *c, const void *data, size_t bytes)
{
    for (size_t i = 0; i < c->entries; i++)
        if (c->entry[i].bytes == bytes &&
            memcmp((unsigned char *)c->host + c->entry[i].at, data, bytes) == 0)
            return &c->entry[i];
    return nullptr;
}

static status copy(struct cuda_device *dev, void *to, const void *from, size_t bytes)
{
    cudaStream_t stream = dev->capturing ? dev->side : dev->stream;
    TRY(cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "constants"));
    return dev->capturing ? cuda_check(cudaStreamSynchronize(stream), "constants") : STATUS_OK;
}

status cuda_constant_close(struct cuda_device *dev, size_t bytes, const void **out)
{
    struct cuda_constants *c = dev->constants;
    *out = nullptr;
    if (dev->planning) {
        c->wanted += cuda_align(bytes);
        c->largest = c->largest < cuda_align(bytes) ? cuda_align(bytes) : c->largest;
        c->entries_wanted++;
        *out = (const void *)(uintptr_t)ARENA_ALIGN; /* in the first page, which is never mapped */
        return STATUS_OK;
    }
    unsigned char *host = (unsigned char *)c->host, *device = (unsigned char *)c->device;
    const struct entry *same = find(c, host + c->used, bytes);
    if (!same) {
        if (c->entries == c->entries_cap || cuda_align(bytes) > c->device_cap - c->used)
            return no_room(c, bytes);
        TRY(copy(dev, device + c->used, host + c->used, bytes));
        c->entry[c->entries] = { c->used, bytes };
        same = &c->entry[c->entries++];
        c->used += cuda_align(bytes);
    }
    *out = device + same->at;
    return STATUS_OK;
}

status cuda_constant(struct cuda_device *dev, const void *host, size_t bytes, const void **out)
{
    void *room;
    *out = nullptr;
    TRY(cuda_constant_open(dev, bytes, &room));
    if (room)
        memcpy(room, host, bytes);
    return cuda_constant_close(dev, bytes, out);
}
