/* tests/emulator/hooks.cpp - what the compiler calls in a checked kernel.
 *
 * Kernels are compiled with -fsanitize=thread -fsanitize=bounds,alignment and linked without those
 * runtimes: the calls that the compiler places before each access come here. An object compiled so
 * announces itself, which is what switches checking on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emulator/internal.h"

int emu_checking;

#define CALLER __builtin_return_address(0)

static inline void access(const void *p, size_t bytes, int aligned, emu_access a, void *pc)
{
    if (!emu_now)
        return; /* host code of the same file */
    emu_worker->count.checks++;
    if (aligned && (uintptr_t)p % bytes != 0)
        emu_fail("access at %s: %zu bytes at a misaligned address", emu_source_line(pc).c_str(),
                 bytes);
    if (emu_set.count_banks)
        emu_bank_access(p, bytes, pc);
    emu_check(p, bytes, a, a == ACCESS_READ ? "load" : "store", { "", 0 }, pc);
}

static inline void atomic(const volatile void *p, size_t bytes, void *pc)
{
    if (emu_now)
        emu_check_atomic((const void *)p, bytes, pc);
}

/* What -fsanitize=bounds,alignment reports begins with its source line. */
struct source_location {
    const char *file;
    uint32_t line, column;
};
static void undefined(const source_location *at, const char *what)
{
    if (emu_now)
        emu_fail("%s at %s:%u", what, at->file, at->line);
    fprintf(stderr, "%s:%u: %s\n", at->file, at->line, what);
    abort();
}

extern "C" {
void __ubsan_handle_out_of_bounds(source_location *at, void *)
{
    undefined(at, "index outside its array");
}
void __ubsan_handle_out_of_bounds_abort(source_location *at, void *)
{
    undefined(at, "index outside its array");
}
void __ubsan_handle_type_mismatch_v1(source_location *at, void *)
{
    undefined(at, "misaligned access");
}
void __ubsan_handle_type_mismatch_v1_abort(source_location *at, void *)
{
    undefined(at, "misaligned access");
}
void __tsan_init(void) { emu_checking = 1; }
void __tsan_func_entry(void *) {}
void __tsan_func_exit(void) {}
#define HOOKS(n)                                                                                   \
    void __tsan_read##n(void *p) { access(p, n, 1, ACCESS_READ, CALLER); }                         \
    void __tsan_write##n(void *p) { access(p, n, 1, ACCESS_WRITE, CALLER); }                       \
    void __tsan_unaligned_read##n(void *p) { access(p, n, 0, ACCESS_READ, CALLER); }               \
    void __tsan_unaligned_write##n(void *p) { access(p, n, 0, ACCESS_WRITE, CALLER); }             \
    void __tsan_read##n##_pc(void *p, void *pc) { access(p, n, 1, ACCESS_READ, pc); }              \
    void __tsan_write##n##_pc(void *p, void *pc) { access(p, n, 1, ACCESS_WRITE, pc); }            \
    void __tsan_volatile_read##n(void *p) { access(p, n, 1, ACCESS_READ, CALLER); }                \
    void __tsan_volatile_write##n(void *p) { access(p, n, 1, ACCESS_WRITE, CALLER); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
void __tsan_read_range(void *p, size_t n) { access(p, n, 0, ACCESS_READ, CALLER); }
void __tsan_write_range(void *p, size_t n) { access(p, n, 0, ACCESS_WRITE, CALLER); }

#define FETCH(bits, type, name)                                                                    \
    type __tsan_atomic##bits##_fetch_##name(volatile type *p, type v, int)                         \
    {                                                                                              \
        atomic(p, sizeof v, CALLER);                                                               \
        return __atomic_fetch_##name(p, v, __ATOMIC_SEQ_CST);                                      \
    }
#define ATOMICS(bits, type)                                                                        \
    FETCH(bits, type, add)                                                                         \
    FETCH(bits, type, sub)                                                                         \
    FETCH(bits, type, and)                                                                         \
    FETCH(bits, type, or)                                                                          \
    FETCH(bits, type, xor)                                                                         \
    type __tsan_atomic##bits##_load(const volatile type *p, int)                                   \
    {                                                                                              \
        atomic(p, sizeof *p, CALLER);                                                              \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                               \
    }                                                                                              \
    void __tsan_atomic##bits##_store(volatile type *p, type v, int)                                \
    {                                                                                              \
        atomic(p, sizeof v, CALLER);                                                               \
        __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                              \
    type __tsan_atomic##bits##_exchange(volatile type *p, type v, int)                             \
    {                                                                                              \
        atomic(p, sizeof v, CALLER);                                                               \
        return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type want, type v, int, int) \
    {                                                                                              \
        atomic(p, sizeof v, CALLER);                                                               \
        __atomic_compare_exchange_n(p, &want, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);           \
        return want;                                                                               \
    }                                                                                              \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *want, type v, int,   \
                                                      int)                                         \
    {                                                                                              \
        atomic(p, sizeof v, CALLER);                                                               \
        return __atomic_compare_exchange_n(p, want, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);     \
    }                                                                                              \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *p, type *want, type v, int,     \
                                                    int)                                           \
    {                                                                                              \
        atomic(p, sizeof v, CALLER);                                                               \
        return __atomic_compare_exchange_n(p, want, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);     \
    }
ATOMICS(8, uint8_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

void *__tsan_memcpy(void *to, const void *from, size_t n)
{
    access(from, n, 0, ACCESS_READ, CALLER);
    access(to, n, 0, ACCESS_WRITE, CALLER);
    return memcpy(to, from, n);
}
void *__tsan_memset(void *to, int byte, size_t n)
{
    access(to, n, 0, ACCESS_WRITE, CALLER);
    return memset(to, byte, n);
}
void __tsan_vptr_update(void **, void *) {}
void __tsan_vptr_read(void **) {}
}
