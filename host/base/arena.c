/* host/base/arena.c - an offset that moves up and jumps back. */
#include "host/base/arena.h"

#include <stdint.h>

status arena_alloc(struct arena *arena, size_t bytes, void **out)
{
    *out = NULL;
    if (bytes > SIZE_MAX / 4)
        return status_fail(STATUS_NO_MEMORY, "arena: %zu bytes asked", bytes);
    const size_t take = (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (!arena->planning && take > arena->cap - arena->used)
        return status_fail(STATUS_NO_MEMORY, "arena: %zu bytes asked, %zu left", take,
                           arena->cap - arena->used);
    /* The first page is never mapped, so a planning address that is used by mistake faults. */
    *out = arena->planning ? (void *)(uintptr_t)(ARENA_ALIGN + arena->used)
                           : (void *)(arena->base + arena->used);
    arena->used += take;
    if (arena->used > arena->peak)
        arena->peak = arena->used;
    return STATUS_OK;
}

size_t arena_mark(const struct arena *arena) { return arena->used; }
void arena_release(struct arena *arena, size_t mark) { arena->used = mark; }
