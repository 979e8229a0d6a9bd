/* tests/emulator/report.cpp - what a failure is said to be, and where. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/emulator/internal.h"

extern "C" char __executable_start;

void emu_fail(const char *format, ...)
{
    worker *w = emu_worker;
    char text[800], head[200];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    const emu_place &p = *emu_here;
    snprintf(head, sizeof head, "%s: block (%u,%u,%u) thread %d (warp %d lane %d): ", w->grid->name,
             p.block.x, p.block.y, p.block.z, emu_now->tid, emu_now->warp->index, emu_now->lane);
    if (!w->grid->failed.exchange(1))
        w->grid->report = std::string(head) + text;
    emu_leave();
}

/* "file:line" of a program counter, by binutils; only after a failure. */
std::string emu_source_line(void *pc)
{
    char command[200], line[300] = "?";
    snprintf(command, sizeof command, "addr2line -e /proc/%d/exe 0x%zx", (int)getpid(),
             (size_t)((char *)pc - &__executable_start - 1));
    FILE *f = popen(command, "r");
    if (f && fgets(line, sizeof line, f))
        line[strcspn(line, "\n ")] = 0;
    if (f)
        pclose(f);
    const char *name = strrchr(line, '/');
    return name ? name + 1 : line;
}

std::string emu_describe(const void *p)
{
    char text[200];
    const unsigned char *u = (const unsigned char *)p;
    const worker *w = emu_worker;
    for (int i = 0; w && i < w->block_count; i++) {
        const block *b = w->blocks[(size_t)i];
        if (u < b->arena - PAGE || u >= b->arena + ARENA_BYTES + PAGE)
            continue;
        snprintf(text, sizeof text, "offset %zd of %zu bytes of shared memory", u - b->shared,
                 b->shared_bytes);
        return text;
    }
    if (w && u >= w->stacks && u < w->stacks + (size_t)w->stack_count * STACK_BYTES)
        return "a thread's own stack (overflow, or a local array's bounds)";
    if (emu_heap && u >= emu_heap && u < emu_heap + emu_heap_bytes)
        return emu_describe_heap(u);
    snprintf(text, sizeof text, "%p, which is not device memory", p);
    return text;
}
