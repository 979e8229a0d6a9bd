/* tests/emulator/fibers.h - what the address sanitizer has to be told of coroutines. In other
 * builds nothing. */
#ifndef EMULATOR_FIBERS_H
#define EMULATOR_FIBERS_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define EMU_FIBERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMU_FIBERS 1
#endif
#endif

#ifdef EMU_FIBERS
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

struct fiber {
    void *kept; /* the sanitizer's, while it waits */
    const void *stack;
    size_t bytes;
};

/* The stack of the calling OS thread. */
static inline fiber fiber_here(void)
{
    fiber f = {};
#ifdef EMU_FIBERS
    pthread_attr_t attr;
    void *stack = nullptr;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstack(&attr, &stack, &f.bytes);
        pthread_attr_destroy(&attr);
    }
    f.stack = stack;
#endif
    return f;
}

/* Before the switch; `from` is null if nobody will come back to it. */
static inline void fiber_leave(fiber *from, const fiber *to)
{
#ifdef EMU_FIBERS
    __sanitizer_start_switch_fiber(from ? &from->kept : nullptr, to->stack, to->bytes);
#else
    (void)from, (void)to;
#endif
}

/* After it; null the first time. */
static inline void fiber_arrive(const fiber *f)
{
#ifdef EMU_FIBERS
    __sanitizer_finish_switch_fiber(f ? f->kept : nullptr, nullptr, nullptr);
#else
    (void)f;
#endif
}

/* Nothing of what ran on these bytes is left. */
static inline void fiber_forget(void *stack, size_t bytes)
{
#ifdef EMU_FIBERS
    __asan_unpoison_memory_region(stack, bytes);
#else
    (void)stack, (void)bytes;
#endif
}

#endif
