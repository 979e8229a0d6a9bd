/* host/cpu/memory.c - large blocks on huge pages. */
#define _DEFAULT_SOURCE /* madvise() */
#include "host/cpu/memory.h"

#include <stdint.h>
#include <stdlib.h>

#include <sys/mman.h>

enum { LINE = 64, HUGE = 2 << 20 };

void *cpu_memory_take(size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    const size_t align = bytes >= HUGE ? HUGE : LINE;
    /* Room up to a whole line, not to a whole huge page: the rest stays on small pages. */
    void *block = NULL;
    if (posix_memalign(&block, align, (bytes + LINE - 1) / LINE * LINE) != 0)
        return NULL;
#if defined MADV_HUGEPAGE
    if (bytes >= HUGE)
        (void)madvise(block, bytes / HUGE * HUGE, MADV_HUGEPAGE); /* only ever a wish */
#endif
    return block;
}
