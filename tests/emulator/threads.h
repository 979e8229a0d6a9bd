/* tests/emulator/threads.h - what threads do with each other: barriers, shuffles, votes, atomics.
 */
#ifndef EMULATOR_THREADS_H
#define EMULATOR_THREADS_H

#include <string.h>

#include <type_traits>

#include "tests/emulator/language.h"

/* ---- barriers --------------------------------------------------------------------------- */

enum emu_vote { EMU_VOTE_NONE, EMU_VOTE_COUNT };

void emu_barrier(int id, int threads, emu_site site); /* threads 0: all that have not exited */
void emu_barrier_arrive(int id, int threads, emu_site site);
int emu_barrier_count(int predicate, emu_site site);
void emu_syncwarp(uint32_t mask, emu_site site);
void emu_threadfence(void);
void emu_yield(void); /* lets the others go on */
int emu_lane(void);

static inline void __syncthreads(emu_site site = EMU_SITE) { emu_barrier(0, 0, site); }
static inline int __syncthreads_count(int p, emu_site site = EMU_SITE)
{
    return emu_barrier_count(p, site);
}
static inline int __syncthreads_or(int p, emu_site site = EMU_SITE)
{
    return emu_barrier_count(p, site) != 0;
}
static inline int __syncthreads_and(int p, emu_site site = EMU_SITE)
{
    return emu_barrier_count(!p, site) == 0;
}
static inline void __syncwarp(uint32_t mask = ~0u, emu_site site = EMU_SITE)
{
    emu_syncwarp(mask, site);
}
static inline void __threadfence(void) { emu_threadfence(); }
static inline void __threadfence_block(void) { emu_threadfence(); }
static inline void __threadfence_system(void) { emu_threadfence(); }
static inline void __nanosleep(unsigned) { emu_yield(); }

/* ---- shuffles, votes, reductions -------------------------------------------------------- */

uint64_t emu_shuffle(uint32_t mask, uint64_t bits, int source_lane, emu_site site);
uint32_t emu_ballot(uint32_t mask, int predicate, emu_site site);

enum emu_fold { EMU_ADD, EMU_MIN, EMU_MAX, EMU_AND, EMU_OR, EMU_XOR };
int64_t emu_reduce(uint32_t mask, emu_fold fold, int64_t value, emu_site site);

template <class T> static T emu_shuffle_as(uint32_t mask, T value, int source, emu_site site)
{
    static_assert(sizeof(T) <= 8, "shuffles move 2, 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = emu_shuffle(mask, bits, source, site);
    memcpy(&value, &bits, sizeof value);
    return value;
}
template <class T>
static T __shfl_sync(uint32_t mask, T v, int lane, int width = 32, emu_site site = EMU_SITE)
{
    return emu_shuffle_as(mask, v, (emu_lane() & ~(width - 1)) | (lane & (width - 1)), site);
}
template <class T>
static T __shfl_xor_sync(uint32_t mask, T v, int x, int width = 32, emu_site site = EMU_SITE)
{
    const int lane = emu_lane(), from = lane ^ x;
    return emu_shuffle_as(mask, v, from / width > lane / width ? lane : from, site);
}
template <class T>
static T __shfl_down_sync(uint32_t mask, T v, unsigned by, int width = 32, emu_site site = EMU_SITE)
{
    const int lane = emu_lane(), from = lane + (int)by;
    return emu_shuffle_as(mask, v, from / width == lane / width ? from : lane, site);
}
template <class T>
static T __shfl_up_sync(uint32_t mask, T v, unsigned by, int width = 32, emu_site site = EMU_SITE)
{
    const int lane = emu_lane(), from = lane - (int)by;
    return emu_shuffle_as(mask, v, from >= (lane & ~(width - 1)) ? from : lane, site);
}

static inline unsigned __ballot_sync(uint32_t mask, int p, emu_site site = EMU_SITE)
{
    return emu_ballot(mask, p, site);
}
static inline int __any_sync(uint32_t mask, int p, emu_site site = EMU_SITE)
{
    return emu_ballot(mask, p, site) != 0;
}
static inline int __all_sync(uint32_t mask, int p, emu_site site = EMU_SITE)
{
    return emu_ballot(mask, !p, site) == 0;
}

#define EMU_REDUCE(name, type, fold)                                                               \
    static inline type __reduce_##name##_sync(uint32_t mask, type v, emu_site site = EMU_SITE)     \
    {                                                                                              \
        return (type)emu_reduce(mask, fold, v, site);                                              \
    }
EMU_REDUCE(add, int, EMU_ADD)
EMU_REDUCE(add, unsigned, EMU_ADD)
EMU_REDUCE(min, int, EMU_MIN)
EMU_REDUCE(min, unsigned, EMU_MIN)
EMU_REDUCE(max, int, EMU_MAX)
EMU_REDUCE(max, unsigned, EMU_MAX)
EMU_REDUCE(and, unsigned, EMU_AND)
EMU_REDUCE(or, unsigned, EMU_OR)
EMU_REDUCE(xor, unsigned, EMU_XOR)
#undef EMU_REDUCE

/* ---- atomics: relaxed, as CUDA's are ---------------------------------------------------- */

/* Of the bits of *p: `next` makes the new value of the old one; the old one is returned. */
template <class T, class F> static T emu_atomic(T *p, F next)
{
    typedef typename std::conditional<sizeof(T) == 8, uint64_t, uint32_t>::type bits_of;
    static_assert(sizeof(T) == sizeof(bits_of), "atomics are of 4 or 8 bytes");
    bits_of old = __atomic_load_n((bits_of *)p, __ATOMIC_RELAXED), wanted;
    T was;
    do {
        memcpy(&was, &old, sizeof was);
        const T now = next(was);
        memcpy(&wanted, &now, sizeof now);
    } while (!__atomic_compare_exchange_n((bits_of *)p, &old, wanted, 0, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return was;
}

#define EMU_ATOMIC(name, type, expression)                                                         \
    static inline type name(type *p, type v)                                                       \
    {                                                                                              \
        return emu_atomic(p, [=](type was) { return (type)(expression); });                        \
    }
#define EMU_INTEGER_ATOMICS(type)                                                                  \
    EMU_ATOMIC(atomicAdd, type, was + v)                                                           \
    EMU_ATOMIC(atomicMin, type, v < was ? v : was)                                                 \
    EMU_ATOMIC(atomicMax, type, v > was ? v : was)                                                 \
    EMU_ATOMIC(atomicExch, type, (void(was), v))                                                   \
    EMU_ATOMIC(atomicAnd, type, was &v)                                                            \
    EMU_ATOMIC(atomicOr, type, was | v)                                                            \
    EMU_ATOMIC(atomicXor, type, was ^ v)                                                           \
    static inline type atomicCAS(type *p, type expected, type v)                                   \
    {                                                                                              \
        return emu_atomic(p, [=](type was) { return was == expected ? v : was; });                 \
    }
EMU_INTEGER_ATOMICS(int)
EMU_INTEGER_ATOMICS(unsigned)
EMU_INTEGER_ATOMICS(unsigned long long)
EMU_ATOMIC(atomicSub, int, was - v)
EMU_ATOMIC(atomicSub, unsigned, was - v)
EMU_ATOMIC(atomicInc, unsigned, was >= v ? 0 : was + 1)
EMU_ATOMIC(atomicDec, unsigned, was == 0 || was > v ? v : was - 1)
EMU_ATOMIC(atomicAdd, float, was + v)
EMU_ATOMIC(atomicExch, float, (void(was), v))
EMU_ATOMIC(atomicAdd, double, was + v)
#undef EMU_ATOMIC
#undef EMU_INTEGER_ATOMICS

#endif
