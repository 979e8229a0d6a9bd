/* tests/emulator/memory.cpp - device and pinned memory. An allocation ends at a guard page, is far
 * from its neighbours, is NaN when new, and is never used again when freed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <map>
#include <mutex>

#include "tests/emulator/internal.h"

const size_t emu_heap_bytes = (size_t)64 << 30; /* of addresses */
unsigned char *emu_heap, *emu_heap_state;
uint32_t *emu_heap_writer, *emu_heap_reader;

enum { GAP = 1 << 20 }; /* a wild index has to miss by more than this to hit a neighbour */
static size_t heap_used, bytes_in_use;
static std::map<const unsigned char *, size_t> allocations, freed, pinned;

/* ---- device memory ---------------------------------------------------------------------- */

/* In small pages: allocations lie far apart, and a huge page for each would have to be cleared. */
static unsigned char *reserve(size_t bytes, int protection)
{
    void *p = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        perror("emulator: address space for device memory");
        abort();
    }
    madvise(p, bytes, MADV_NOHUGEPAGE);
    return (unsigned char *)p;
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    EMU_ENTER("cudaMalloc");
    *p = nullptr;
    if (emu_capturing())
        return emu_keep(cudaErrorStreamCaptureUnsupported);
    if (bytes == 0)
        return cudaSuccess;
    if (!emu_heap) {
        emu_heap = reserve(emu_heap_bytes, PROT_NONE);
        emu_heap_state = reserve(emu_heap_bytes, PROT_READ | PROT_WRITE);
        emu_heap_writer = (uint32_t *)reserve(emu_heap_bytes * 2, PROT_READ | PROT_WRITE);
        emu_heap_reader = (uint32_t *)reserve(emu_heap_bytes * 2, PROT_READ | PROT_WRITE);
    }
    const size_t room = (bytes + 255) & ~(size_t)255, pages = (room + PAGE - 1) / PAGE * PAGE;
    if (bytes > ((size_t)emu_set.memory_mb << 20) - bytes_in_use ||
        heap_used + GAP + pages > emu_heap_bytes)
        return emu_keep(cudaErrorMemoryAllocation);
    unsigned char *start = emu_heap + heap_used + GAP;
    heap_used += GAP + pages;
    if (mprotect(start, pages, PROT_READ | PROT_WRITE) != 0)
        return emu_keep(cudaErrorMemoryAllocation);
    unsigned char *at = start + pages - room;
    memset(at, 0xff, room);
    memset(emu_heap_state + (at - emu_heap), GLOBAL_UNWRITTEN, bytes);
    allocations[at] = bytes;
    bytes_in_use += bytes;
    *p = at;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    EMU_ENTER("cudaFree");
    if (!p)
        return cudaSuccess;
    emu_run_everything(); /* it waits for the device */
    const auto it = allocations.find((unsigned char *)p);
    if (it == allocations.end())
        return emu_keep(cudaErrorInvalidValue);
    const uintptr_t first = (uintptr_t)p / PAGE * PAGE, last = (uintptr_t)p + it->second;
    madvise((void *)first, last - first, MADV_DONTNEED);
    mprotect((void *)first, last - first, PROT_NONE);
    memset(emu_heap_state + ((unsigned char *)p - emu_heap), GLOBAL_NONE, it->second);
    bytes_in_use -= it->second;
    freed.insert(*it);
    allocations.erase(it);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    EMU_ENTER("cudaMemGetInfo");
    *total_bytes = (size_t)emu_set.memory_mb << 20;
    *free_bytes = *total_bytes - bytes_in_use;
    return cudaSuccess;
}

/* Launches' numbers begin again. */
void emu_forget_blocks(void)
{
    if (!emu_heap)
        return;
    madvise(emu_heap_writer, heap_used * 2, MADV_DONTNEED);
    madvise(emu_heap_reader, heap_used * 2, MADV_DONTNEED);
}

void emu_mark_written(const void *p, size_t bytes)
{
    const size_t at = (size_t)((const unsigned char *)p - emu_heap);
    if (emu_heap && at < emu_heap_bytes)
        memset(emu_heap_state + at, GLOBAL_WRITTEN, bytes);
}

/* The allocation that begins last before p. */
static const std::pair<const unsigned char *const, size_t> *
before(const std::map<const unsigned char *, size_t> &map, const unsigned char *p)
{
    auto it = map.upper_bound(p);
    return it == map.begin() ? nullptr : &*--it;
}

std::string emu_describe_heap(const unsigned char *p)
{
    char text[120];
    const auto *live = before(allocations, p), *gone = before(freed, p);
    if (gone && p < gone->first + gone->second)
        snprintf(text, sizeof text, "byte %zd of a device allocation of %zu bytes, freed",
                 p - gone->first, gone->second);
    else if (live)
        snprintf(text, sizeof text, "byte %zd of a device allocation of %zu bytes", p - live->first,
                 live->second);
    else if (!allocations.empty())
        snprintf(text, sizeof text, "byte %zd of a device allocation of %zu bytes",
                 p - allocations.begin()->first, allocations.begin()->second);
    else
        return "device memory that is not allocated";
    return text;
}

size_t emu_held(void) { return bytes_in_use + pinned.size() + emu_objects(); }

/* ---- pinned host memory ----------------------------------------------------------------- */

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned)
{
    EMU_ENTER("cudaHostAlloc");
    *p = nullptr;
    if (emu_capturing())
        return emu_keep(cudaErrorStreamCaptureUnsupported);
    if (posix_memalign(p, PAGE, bytes ? bytes : 1) != 0)
        return emu_keep(cudaErrorMemoryAllocation);
    pinned[(unsigned char *)*p] = bytes;
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t bytes, unsigned flags)
{
    return cudaHostAlloc(p, bytes, flags);
}

cudaError_t cudaFreeHost(void *p)
{
    EMU_ENTER("cudaFreeHost");
    if (!p)
        return cudaSuccess;
    if (!pinned.erase((unsigned char *)p))
        return emu_keep(cudaErrorInvalidValue);
    emu_run_everything();
    free(p);
    return cudaSuccess;
}

cudaError_t cudaHostRegister(void *p, size_t bytes, unsigned)
{
    EMU_ENTER("cudaHostRegister");
    if (!p || !bytes || emu_is_pinned(p))
        return emu_keep(cudaErrorInvalidValue);
    pinned[(unsigned char *)p] = bytes;
    return cudaSuccess;
}

cudaError_t cudaHostUnregister(void *p)
{
    EMU_ENTER("cudaHostUnregister");
    return emu_keep(pinned.erase((unsigned char *)p) ? cudaSuccess : cudaErrorInvalidValue);
}

int emu_is_pinned(const void *p)
{
    std::lock_guard<std::recursive_mutex> hold(emu_lock);
    const auto *in = before(pinned, (const unsigned char *)p);
    return in && (const unsigned char *)p < in->first + in->second;
}
