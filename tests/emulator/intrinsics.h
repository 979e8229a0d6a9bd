/* tests/emulator/intrinsics.h - the device's arithmetic functions. Those that round to nearest do
 * so here; the fast ones are the exact ones, so results agree with a device to a bound, not to a
 * bit. */
#ifndef EMULATOR_INTRINSICS_H
#define EMULATOR_INTRINSICS_H

#include <math.h>
#include <string.h>

#include <type_traits>

#include "tests/emulator/language.h"

/* Macros: glibc declares functions of these names. */
#define __expf(x) expf(x)
#define __exp2f(x) exp2f(x)
#define __exp10f(x) exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)
#define __tanhf(x) tanhf(x)
#define __sincosf(x, s, c) sincosf(x, s, c)

template <class To, class From> static inline To emu_bits_as(From v)
{
    static_assert(sizeof(To) == sizeof(From), "same size");
    To to;
    memcpy(&to, &v, sizeof to);
    return to;
}
static inline unsigned __float_as_uint(float v) { return emu_bits_as<unsigned>(v); }
static inline int __float_as_int(float v) { return emu_bits_as<int>(v); }
static inline float __uint_as_float(unsigned v) { return emu_bits_as<float>(v); }
static inline float __int_as_float(int v) { return emu_bits_as<float>(v); }
static inline long long __double_as_longlong(double v) { return emu_bits_as<long long>(v); }
static inline double __longlong_as_double(long long v) { return emu_bits_as<double>(v); }

/* ---- floats: one rounding each (the host build does not contract) ----------------------- */

static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __frcp_rn(float a) { return 1.0f / a; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float rsqrtf(float a) { return 1.0f / sqrtf(a); }
static inline float __frsqrt_rn(float a) { return (float)(1.0 / sqrt((double)a)); }
static inline float __saturatef(float a) { return a > 0 ? a < 1 ? a : 1.0f : 0.0f; }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline double rsqrt(double a) { return 1.0 / sqrt(a); }

/* sin and cos of pi x, the period taken off exactly. */
static inline void sincospif(float x, float *s, float *c)
{
    const float turns = x - 2.0f * rintf(0.5f * x); /* -1 .. 1, exact */
    *s = (float)sin(turns * 3.14159265358979323846);
    *c = (float)cos(turns * 3.14159265358979323846);
}
static inline float sinpif(float x)
{
    float s, c;
    sincospif(x, &s, &c);
    return s;
}
static inline float cospif(float x)
{
    float s, c;
    sincospif(x, &s, &c);
    return c;
}
static inline float normcdff(float x) { return (float)(0.5 * erfc(-x * 0.70710678118654752)); }

/* ---- conversions ------------------------------------------------------------------------ */

/* A device's conversion to integer saturates, and makes 0 of NaN. */
template <class To> static inline To emu_to_integer(double v)
{
    const double low = (double)(To)(~(To)0 < (To)0 ? (To)1 << (sizeof(To) * 8 - 1) : 0);
    const To top = (To)(~(To)0 < (To)0 ? ~((To)1 << (sizeof(To) * 8 - 1)) : ~(To)0);
    return v != v ? 0 : v <= low ? (To)low : v >= (double)top ? top : (To)v;
}
static inline int __float2int_rn(float v) { return emu_to_integer<int>(rint(v)); }
static inline int __float2int_rz(float v) { return emu_to_integer<int>(trunc(v)); }
static inline int __float2int_rd(float v) { return emu_to_integer<int>(floor(v)); }
static inline int __float2int_ru(float v) { return emu_to_integer<int>(ceil(v)); }
static inline unsigned __float2uint_rn(float v) { return emu_to_integer<unsigned>(rint(v)); }
static inline unsigned __float2uint_rz(float v) { return emu_to_integer<unsigned>(trunc(v)); }
static inline long long __float2ll_rn(float v) { return emu_to_integer<long long>(rint(v)); }
static inline float __int2float_rn(int v) { return (float)v; }
static inline float __uint2float_rn(unsigned v) { return (float)v; }
static inline float __double2float_rn(double v) { return (float)v; }
static inline float __ull2float_rn(unsigned long long v) { return (float)v; }
static inline double __uint2double_rn(unsigned v) { return v; }

/* ---- integers --------------------------------------------------------------------------- */

static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline unsigned __umulhi(unsigned a, unsigned b)
{
    return (unsigned)((uint64_t)a * b >> 32);
}
static inline int __mulhi(int a, int b) { return (int)((int64_t)a * b >> 32); }
__extension__ typedef unsigned __int128 emu_u128;
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    return (unsigned long long)((emu_u128)a * b >> 64);
}
static inline unsigned __brev(unsigned v)
{
    unsigned r = 0;
    for (int i = 0; i < 32; i++)
        r |= (v >> i & 1) << (31 - i);
    return r;
}
static inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector)
{
    const uint64_t both = (uint64_t)y << 32 | x;
    unsigned r = 0;
    for (int i = 0; i < 4; i++)
        r |= (unsigned)(both >> (selector >> i * 4 & 7) * 8 & 0xff) << i * 8;
    return r;
}
static inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by)
{
    return (unsigned)((((uint64_t)high << 32 | low) << (by & 31)) >> 32);
}
static inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by)
{
    return (unsigned)(((uint64_t)high << 32 | low) >> (by & 31));
}

/* min and max as CUDA overloads them; of float and double they pass over a NaN. */
template <class T> static constexpr T emu_min(T a, T b) { return b < a ? b : a; }
template <class T> static constexpr T emu_max(T a, T b) { return a < b ? b : a; }
#define EMU_MIN_MAX(type)                                                                          \
    static inline constexpr type min(type a, type b) { return emu_min<type>(a, b); }               \
    static inline constexpr type max(type a, type b) { return emu_max<type>(a, b); }
EMU_MIN_MAX(int)
EMU_MIN_MAX(unsigned)
EMU_MIN_MAX(long)
EMU_MIN_MAX(unsigned long)
EMU_MIN_MAX(long long)
EMU_MIN_MAX(unsigned long long)
#undef EMU_MIN_MAX
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }

/* ---- loads and stores with a cache hint ------------------------------------------------- */

template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcg(const T *p) { return *p; }
template <class T> static inline T __ldca(const T *p) { return *p; }
template <class T> static inline T __ldcs(const T *p) { return *p; }
template <class T> static inline T __ldlu(const T *p) { return *p; }
template <class T> static inline void __stcg(T *p, T v) { *p = v; }
template <class T> static inline void __stcs(T *p, T v) { *p = v; }
template <class T> static inline void __stwb(T *p, T v) { *p = v; }
template <class T> static inline void __stwt(T *p, T v) { *p = v; }

void emu_trap(emu_site site);
static inline void __trap(emu_site site = EMU_SITE) { emu_trap(site); }

#endif
