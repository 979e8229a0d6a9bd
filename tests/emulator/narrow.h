/* tests/emulator/narrow.h - what __half and __nv_bfloat16 have in common, by macro because CUDA
 * gives every function a name of its own. One rounding per operation: f32 holds a sum, product or
 * quotient of two such numbers with room to spare, so rounding twice is harmless. */
#ifndef EMULATOR_NARROW_H
#define EMULATOR_NARROW_H

#include <immintrin.h>
#include <math.h>

#include "tests/emulator/language.h"
#include "tests/emulator/intrinsics.h"

#define EMU_NARROW_TYPE(T, T2)                                                                     \
    struct alignas(2) T {                                                                          \
        unsigned short bits;                                                                       \
        T() = default;                                                                             \
        T(float v);                                                                                \
        explicit T(double v) : T((float)v) {}                                                      \
        explicit T(int v) : T((float)v) {}                                                         \
        operator float() const;                                                                    \
        T &operator+=(T b);                                                                        \
        T &operator-=(T b);                                                                        \
        T &operator*=(T b);                                                                        \
    };                                                                                             \
    struct alignas(4) T2 {                                                                         \
        T x, y;                                                                                    \
        T2() = default;                                                                            \
        T2(T x, T y) : x(x), y(y) {}                                                               \
    };

/* `to` and `from` convert; the rest follows. */
#define EMU_NARROW_ARITHMETIC(T, T2, to, from)                                                     \
    inline T::T(float v) : bits(from(v).bits) {}                                                   \
    inline T::operator float() const { return to(*this); }                                         \
    static inline T operator+(T a, T b) { return from(to(a) + to(b)); }                            \
    static inline T operator-(T a, T b) { return from(to(a) - to(b)); }                            \
    static inline T operator*(T a, T b) { return from(to(a) * to(b)); }                            \
    static inline T operator/(T a, T b) { return from(to(a) / to(b)); }                            \
    static inline T operator-(T a)                                                                 \
    {                                                                                              \
        a.bits ^= 0x8000;                                                                          \
        return a;                                                                                  \
    }                                                                                              \
    inline T &T::operator+=(T b) { return *this = *this + b; }                                     \
    inline T &T::operator-=(T b) { return *this = *this - b; }                                     \
    inline T &T::operator*=(T b) { return *this = *this * b; }                                     \
    static inline bool operator<(T a, T b) { return to(a) < to(b); }                               \
    static inline bool operator>(T a, T b) { return to(a) > to(b); }                               \
    static inline bool operator<=(T a, T b) { return to(a) <= to(b); }                             \
    static inline bool operator>=(T a, T b) { return to(a) >= to(b); }                             \
    static inline bool operator==(T a, T b) { return to(a) == to(b); }                             \
    static inline bool operator!=(T a, T b) { return to(a) != to(b); }                             \
    static inline T __hadd(T a, T b) { return a + b; }                                             \
    static inline T __hsub(T a, T b) { return a - b; }                                             \
    static inline T __hmul(T a, T b) { return a * b; }                                             \
    static inline T __hdiv(T a, T b) { return a / b; }                                             \
    static inline T __hneg(T a) { return -a; }                                                     \
    static inline T __habs(T a)                                                                    \
    {                                                                                              \
        a.bits &= 0x7fff;                                                                          \
        return a;                                                                                  \
    }                                                                                              \
    static inline T __hfma(T a, T b, T c) /* the product is exact, the sum in 53 bits */           \
    {                                                                                              \
        return from(emu_round_odd((double)to(a) * to(b), to(c)));                                  \
    }                                                                                              \
    static inline T __hmax(T a, T b) { return from(fmaxf(to(a), to(b))); }                         \
    static inline T __hmin(T a, T b) { return from(fminf(to(a), to(b))); }                         \
    static inline bool __hlt(T a, T b) { return a < b; }                                           \
    static inline bool __hgt(T a, T b) { return a > b; }                                           \
    static inline bool __hle(T a, T b) { return a <= b; }                                          \
    static inline bool __hge(T a, T b) { return a >= b; }                                          \
    static inline bool __heq(T a, T b) { return a == b; }                                          \
    static inline bool __hisnan(T a) { return to(a) != to(a); }                                    \
    static inline int __hisinf(T a) { return isinf(to(a)) ? to(a) > 0 ? 1 : -1 : 0; }              \
    static inline T hexp(T a) { return from(expf(to(a))); }                                        \
    static inline T hexp2(T a) { return from(exp2f(to(a))); }                                      \
    static inline T hlog(T a) { return from(logf(to(a))); }                                        \
    static inline T hsqrt(T a) { return from(sqrtf(to(a))); }                                      \
    static inline T hrsqrt(T a) { return from(rsqrtf(to(a))); }                                    \
    static inline T hrcp(T a) { return from(1.0f / to(a)); }                                       \
    static inline T2 h2exp2(T2 a) { return { hexp2(a.x), hexp2(a.y) }; }                           \
    static inline T2 __hadd2(T2 a, T2 b) { return { a.x + b.x, a.y + b.y }; }                      \
    static inline T2 __hsub2(T2 a, T2 b) { return { a.x - b.x, a.y - b.y }; }                      \
    static inline T2 __hmul2(T2 a, T2 b) { return { a.x * b.x, a.y * b.y }; }                      \
    static inline T2 __h2div(T2 a, T2 b) { return { a.x / b.x, a.y / b.y }; }                      \
    static inline T2 __hneg2(T2 a) { return { -a.x, -a.y }; }                                      \
    static inline T2 __habs2(T2 a) { return { __habs(a.x), __habs(a.y) }; }                        \
    static inline T2 __hmax2(T2 a, T2 b) { return { __hmax(a.x, b.x), __hmax(a.y, b.y) }; }        \
    static inline T2 __hmin2(T2 a, T2 b) { return { __hmin(a.x, b.x), __hmin(a.y, b.y) }; }        \
    static inline T2 __hfma2(T2 a, T2 b, T2 c)                                                     \
    {                                                                                              \
        return { __hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y) };                                   \
    }                                                                                              \
    static inline T2 operator+(T2 a, T2 b) { return __hadd2(a, b); }                               \
    static inline T2 operator-(T2 a, T2 b) { return __hsub2(a, b); }                               \
    static inline T2 operator*(T2 a, T2 b) { return __hmul2(a, b); }                               \
    static inline float __low2float(T2 a) { return to(a.x); }                                      \
    static inline float __high2float(T2 a) { return to(a.y); }

/* exact + c as a float whose last bit says whether anything was lost ("round to odd"), so that the
 * rounding to 16 bits that follows is the only one. */
static inline float emu_round_odd(double exact, float c)
{
    const double sum = exact + c, back = sum - exact;
    const double lost = (exact - (sum - back)) + (c - back); /* Knuth's two-sum */
    float narrow = (float)sum;
    if (((double)narrow != sum || lost != 0) && isfinite(narrow)) {
        unsigned bits = __float_as_uint(narrow);
        const double rest = (sum - (double)narrow) + lost;
        if (!(bits & 1) && rest != 0) { /* the odd neighbour on the side of the true sum */
            const int up = (rest > 0) == !(bits >> 31);
            bits = up ? bits + 1 : bits ? bits - 1 : 0x80000001u;
            narrow = __uint_as_float(bits);
        }
    }
    return narrow;
}

#endif
