/* cuda_bf16.h - stand-in: NVIDIA's bfloat16 API, rounding as the device does. */
#ifndef EMULATOR_CUDA_BF16_H
#define EMULATOR_CUDA_BF16_H

#include "tests/emulator/narrow.h"

EMU_NARROW_TYPE(__nv_bfloat16, __nv_bfloat162)
typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

static inline float __bfloat162float(__nv_bfloat16 h)
{
    return __uint_as_float((unsigned)h.bits << 16);
}
static inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits)
{
    __nv_bfloat16 h;
    h.bits = bits;
    return h;
}
static inline __nv_bfloat16 __float2bfloat16_rn(float f)
{
    const unsigned bits = __float_as_uint(f);
    if (f != f)
        return __ushort_as_bfloat16(0x7fff);
    return __ushort_as_bfloat16((unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
}
static inline __nv_bfloat16 __float2bfloat16(float f) { return __float2bfloat16_rn(f); }
static inline __nv_bfloat16 __float2bfloat16_rz(float f)
{
    return __ushort_as_bfloat16(f != f ? 0x7fff : (unsigned short)(__float_as_uint(f) >> 16));
}
static inline __nv_bfloat16 __double2bfloat16(double f)
{
    return __float2bfloat16_rn(emu_round_odd(f, 0.0f));
}
static inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 h) { return h.bits; }
static inline short __bfloat16_as_short(__nv_bfloat16 h) { return (short)h.bits; }

EMU_NARROW_ARITHMETIC(__nv_bfloat16, __nv_bfloat162, __bfloat162float, __float2bfloat16_rn)

static inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 a, __nv_bfloat16 b)
{
    return { a, b };
}
static inline __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 a) { return { a, a }; }
static inline __nv_bfloat162 make_bfloat162(__nv_bfloat16 a, __nv_bfloat16 b) { return { a, b }; }
static inline __nv_bfloat162 __floats2bfloat162_rn(float a, float b)
{
    return { __float2bfloat16_rn(a), __float2bfloat16_rn(b) };
}
static inline __nv_bfloat162 __float2bfloat162_rn(float a) { return __floats2bfloat162_rn(a, a); }
static inline __nv_bfloat162 __float22bfloat162_rn(float2 v)
{
    return __floats2bfloat162_rn(v.x, v.y);
}
static inline float2 __bfloat1622float2(__nv_bfloat162 h)
{
    return { __low2float(h), __high2float(h) };
}
static inline __nv_bfloat16 __low2bfloat16(__nv_bfloat162 h) { return h.x; }
static inline __nv_bfloat16 __high2bfloat16(__nv_bfloat162 h) { return h.y; }

#endif
