/* cuda_fp16.h - stand-in: NVIDIA's half API, rounding as the device does. */
#ifndef EMULATOR_CUDA_FP16_H
#define EMULATOR_CUDA_FP16_H

#include "tests/emulator/narrow.h"

EMU_NARROW_TYPE(__half, __half2)
typedef __half half;
typedef __half2 half2;
typedef __half __nv_half;

static inline float __half2float(__half h) { return _cvtsh_ss(h.bits); }
static inline __half __ushort_as_half(unsigned short bits)
{
    __half h;
    h.bits = bits;
    return h;
}
static inline __half __float2half_rn(float f)
{
    return __ushort_as_half(_cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT));
}
static inline __half __float2half(float f) { return __float2half_rn(f); }
static inline __half __float2half_rz(float f)
{
    return __ushort_as_half(_cvtss_sh(f, _MM_FROUND_TO_ZERO));
}
static inline __half __double2half(double f) { return __float2half_rn(emu_round_odd(f, 0.0f)); }
static inline __half __int2half_rn(int v) { return __double2half(v); }
static inline int __half2int_rn(__half h) { return __float2int_rn(__half2float(h)); }
static inline int __half2int_rz(__half h) { return __float2int_rz(__half2float(h)); }
static inline unsigned short __half_as_ushort(__half h) { return h.bits; }
static inline short __half_as_short(__half h) { return (short)h.bits; }
static inline __half __short_as_half(short bits) { return __ushort_as_half((unsigned short)bits); }

EMU_NARROW_ARITHMETIC(__half, __half2, __half2float, __float2half_rn)

static inline __half2 __halves2half2(__half a, __half b) { return { a, b }; }
static inline __half2 __half2half2(__half a) { return { a, a }; }
static inline __half2 make_half2(__half a, __half b) { return { a, b }; }
static inline __half2 __floats2half2_rn(float a, float b)
{
    return { __float2half_rn(a), __float2half_rn(b) };
}
static inline __half2 __float2half2_rn(float a) { return __floats2half2_rn(a, a); }
static inline __half2 __float22half2_rn(float2 v) { return __floats2half2_rn(v.x, v.y); }
static inline float2 __half22float2(__half2 h) { return { __low2float(h), __high2float(h) }; }
static inline __half __low2half(__half2 h) { return h.x; }
static inline __half __high2half(__half2 h) { return h.y; }
static inline __half2 __low2half2(__half2 h) { return { h.x, h.x }; }
static inline __half2 __high2half2(__half2 h) { return { h.y, h.y }; }
static inline __half2 __lows2half2(__half2 a, __half2 b) { return { a.x, b.x }; }
static inline __half2 __highs2half2(__half2 a, __half2 b) { return { a.y, b.y }; }
static inline __half2 __lowhigh2highlow(__half2 h) { return { h.y, h.x }; }

#endif
