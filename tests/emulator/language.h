/* tests/emulator/language.h - CUDA's keywords, vector types and built-in variables for a host
 * compiler. Kernels come here through include/cuda_runtime.h. */
#ifndef EMULATOR_LANGUAGE_H
#define EMULATOR_LANGUAGE_H

#include <stddef.h>
#include <stdint.h>

#define GPU_EMULATOR 1

/* __noinline__ is left alone: libstdc++ spells its attributes that way. */
#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __managed__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) alignas(n)

/* Shared memory is one struct per kernel, shared_as<struct>() in cuda/launch.cuh: its size goes
 * into gpu_launch(), several blocks of a cluster can run on one OS thread, and every access of it
 * is checked. A variable of its own is refused where it is declared. */
#define __shared__                                                                                 \
    static_assert(false, "no __shared__ variables: a struct, and shared_as<struct>()");

/* ---- vector types ----------------------------------------------------------------------- */

#define EMU_VECTORS(type, name, align2, align4)                                                    \
    struct name##1 { type x; };                                                                    \
    struct alignas(align2) name##2 { type x, y; };                                                 \
    struct name##3 { type x, y, z; };                                                              \
    struct alignas(align4) name##4 { type x, y, z, w; };                                           \
    static inline constexpr name##1 make_##name##1(type x) { return { x }; }                       \
    static inline constexpr name##2 make_##name##2(type x, type y) { return { x, y }; }            \
    static inline constexpr name##3 make_##name##3(type x, type y, type z) { return { x, y, z }; } \
    static inline constexpr name##4 make_##name##4(type x, type y, type z, type w)                 \
    {                                                                                              \
        return { x, y, z, w };                                                                     \
    }
EMU_VECTORS(signed char, char, 2, 4)
EMU_VECTORS(unsigned char, uchar, 2, 4)
EMU_VECTORS(short, short, 4, 8)
EMU_VECTORS(unsigned short, ushort, 4, 8)
EMU_VECTORS(int, int, 8, 16)
EMU_VECTORS(unsigned, uint, 8, 16)
EMU_VECTORS(long long, longlong, 16, 16)
EMU_VECTORS(unsigned long long, ulonglong, 16, 16)
EMU_VECTORS(float, float, 8, 16)
EMU_VECTORS(double, double, 16, 16)
#undef EMU_VECTORS

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

/* ---- where a thread is ------------------------------------------------------------------ */

struct emu_place {
    uint3 thread, block;
    dim3 block_dim, grid_dim;
};
extern __thread emu_place *emu_here; /* null outside a kernel */
#define threadIdx (emu_here->thread)
#define blockIdx (emu_here->block)
#define blockDim (emu_here->block_dim)
#define gridDim (emu_here->grid_dim)
enum { warpSize = 32 };

/* The source line of a call, for reports. As a default argument it is the caller's: the function
 * in between is what makes it so. */
struct emu_site {
    const char *file;
    int line;
    static constexpr emu_site here(const char *file = __builtin_FILE(), int line = __builtin_LINE())
    {
        return { file, line };
    }
};
#define EMU_SITE emu_site::here()

#endif
