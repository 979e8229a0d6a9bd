/* host/cpu/lanes.h - a register of floats: 16 lanes with AVX-512, 8 with AVX2, 4 plain ones in any
 * other build (the oracle of the two). Chosen when compiled, by -march.
 *
 * Products and sums that lanes_fma() joins are rounded once where the CPU has FMA, twice in the
 * plain build; everything else rounds alike everywhere.
 */
#ifndef HOST_CPU_LANES_H
#define HOST_CPU_LANES_H

#include <stdint.h>
#include <string.h>

#include "host/base/dtype.h"

#if defined __AVX512F__ && defined __AVX512BW__ && defined __AVX512VL__ && defined __AVX512DQ__
#define LANES_AVX512
#include <immintrin.h>
#elif defined __AVX2__ && defined __FMA__
#define LANES_AVX2
#include <immintrin.h>
#endif

/* 2^x on [-1/2, 1/2] is 1 + c1 x + ... + c5 x^5 within 8.1e-8 (minimax of the relative error). */
#define EXP2_C1 0x1.62e42cp-1f
#define EXP2_C2 0x1.ebf9b2p-3f
#define EXP2_C3 0x1.c6b62ap-5f
#define EXP2_C4 0x1.3cee4cp-7f
#define EXP2_C5 0x1.5bfc8ep-10f

/* The same on [0, 1), within 8.3e-8. */
#define EXP2_UP_C1 0x1.62e4bap-1f
#define EXP2_UP_C2 0x1.ebdb56p-3f
#define EXP2_UP_C3 0x1.c91ce6p-5f
#define EXP2_UP_C4 0x1.277854p-7f
#define EXP2_UP_C5 0x1.e974fcp-10f

#if defined LANES_AVX512

enum { LANES = 16 };
typedef __m512 lanes;

static inline lanes lanes_set(float v) { return _mm512_set1_ps(v); }
static inline lanes lanes_load(const float *at) { return _mm512_loadu_ps(at); }
static inline void lanes_store(float *at, lanes v) { _mm512_storeu_ps(at, v); }
static inline lanes lanes_add(lanes a, lanes b) { return _mm512_add_ps(a, b); }
static inline lanes lanes_sub(lanes a, lanes b) { return _mm512_sub_ps(a, b); }
static inline lanes lanes_mul(lanes a, lanes b) { return _mm512_mul_ps(a, b); }
static inline lanes lanes_div(lanes a, lanes b) { return _mm512_div_ps(a, b); }
static inline lanes lanes_fma(lanes a, lanes b, lanes c) { return _mm512_fmadd_ps(a, b, c); }
/* The larger; `b` where either is a NaN. */
static inline lanes lanes_max(lanes a, lanes b) { return _mm512_max_ps(a, b); }
static inline lanes lanes_min(lanes a, lanes b) { return _mm512_min_ps(a, b); }

/* 2^x, relative error below 2e-7; 0 below -149, infinity above 128; NaN stays. */
static inline lanes lanes_exp2(lanes x)
{
    x = lanes_min(lanes_set(200.0f), lanes_max(lanes_set(-200.0f), x));
    const lanes whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const lanes r = lanes_sub(x, whole);
    lanes p = lanes_set(EXP2_C5);
    p = lanes_fma(p, r, lanes_set(EXP2_C4));
    p = lanes_fma(p, r, lanes_set(EXP2_C3));
    p = lanes_fma(p, r, lanes_set(EXP2_C2));
    p = lanes_fma(p, r, lanes_set(EXP2_C1));
    p = lanes_fma(p, r, lanes_set(1.0f));
    return _mm512_scalef_ps(p, whole);
}

/* 2^x for finite x up to about 1, relative error below 3e-7, 0 below -149; NaN stays. Two
 * instructions fewer: the whole part is never seen, for scalef takes the floor of x itself. */
static inline lanes lanes_exp2_below(lanes x)
{
    const lanes r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    lanes p = lanes_set(EXP2_UP_C5);
    p = lanes_fma(p, r, lanes_set(EXP2_UP_C4));
    p = lanes_fma(p, r, lanes_set(EXP2_UP_C3));
    p = lanes_fma(p, r, lanes_set(EXP2_UP_C2));
    p = lanes_fma(p, r, lanes_set(EXP2_UP_C1));
    p = lanes_fma(p, r, lanes_set(1.0f));
    return _mm512_scalef_ps(p, x);
}

static inline lanes lanes_load_bf16(const bf16 *at)
{
    const __m512i wide =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)at));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline void lanes_store_bf16(bf16 *at, lanes v)
{
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __m512i out = _mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, nan, quiet), 16);
    _mm256_storeu_si256((__m256i *)(void *)at, _mm512_cvtepi32_epi16(out));
}

#elif defined LANES_AVX2

enum { LANES = 8 };
typedef __m256 lanes;

static inline lanes lanes_set(float v) { return _mm256_set1_ps(v); }
static inline lanes lanes_load(const float *at) { return _mm256_loadu_ps(at); }
static inline void lanes_store(float *at, lanes v) { _mm256_storeu_ps(at, v); }
static inline lanes lanes_add(lanes a, lanes b) { return _mm256_add_ps(a, b); }
static inline lanes lanes_sub(lanes a, lanes b) { return _mm256_sub_ps(a, b); }
static inline lanes lanes_mul(lanes a, lanes b) { return _mm256_mul_ps(a, b); }
static inline lanes lanes_div(lanes a, lanes b) { return _mm256_div_ps(a, b); }
static inline lanes lanes_fma(lanes a, lanes b, lanes c) { return _mm256_fmadd_ps(a, b, c); }
static inline lanes lanes_max(lanes a, lanes b) { return _mm256_max_ps(a, b); }
static inline lanes lanes_min(lanes a, lanes b) { return _mm256_min_ps(a, b); }

/* As above, but 0 already below -126 and 2^127.5 above that. */
static inline lanes lanes_exp2(lanes x)
{
    x = lanes_min(lanes_set(127.49f), lanes_max(lanes_set(-127.0f), x));
    const lanes whole = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const lanes r = lanes_sub(x, whole);
    lanes p = lanes_set(EXP2_C5);
    p = lanes_fma(p, r, lanes_set(EXP2_C4));
    p = lanes_fma(p, r, lanes_set(EXP2_C3));
    p = lanes_fma(p, r, lanes_set(EXP2_C2));
    p = lanes_fma(p, r, lanes_set(EXP2_C1));
    p = lanes_fma(p, r, lanes_set(1.0f));
    const __m256i power = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
    return lanes_mul(p, _mm256_castsi256_ps(_mm256_slli_epi32(power, 23)));
}

static inline lanes lanes_load_bf16(const bf16 *at)
{
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)at));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

static inline void lanes_store_bf16(bf16 *at, lanes v)
{
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i out = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(out, out), 0x08);
    _mm_storeu_si128((__m128i *)(void *)at, _mm256_castsi256_si128(packed));
}

#else

enum { LANES = 4 };
typedef struct {
    float v[LANES];
} lanes;

#define LANES_EACH(expression)                                                                     \
    do {                                                                                           \
        lanes out_;                                                                                \
        for (int i = 0; i < LANES; i++)                                                            \
            out_.v[i] = (expression);                                                              \
        return out_;                                                                               \
    } while (0)

static inline lanes lanes_set(float v) { LANES_EACH(v); }
static inline lanes lanes_load(const float *at) { LANES_EACH(at[i]); }
static inline void lanes_store(float *at, lanes v) { memcpy(at, v.v, sizeof v.v); }
static inline lanes lanes_add(lanes a, lanes b) { LANES_EACH(a.v[i] + b.v[i]); }
static inline lanes lanes_sub(lanes a, lanes b) { LANES_EACH(a.v[i] - b.v[i]); }
static inline lanes lanes_mul(lanes a, lanes b) { LANES_EACH(a.v[i] * b.v[i]); }
static inline lanes lanes_div(lanes a, lanes b) { LANES_EACH(a.v[i] / b.v[i]); }
static inline lanes lanes_fma(lanes a, lanes b, lanes c) { LANES_EACH(a.v[i] * b.v[i] + c.v[i]); }
static inline lanes lanes_max(lanes a, lanes b) { LANES_EACH(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
static inline lanes lanes_min(lanes a, lanes b) { LANES_EACH(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }

/* As with AVX2. Adding 1.5 * 2^23 rounds to a whole number, ties to even. */
static inline float lane_exp2(float x)
{
    x = -127.0f > x ? -127.0f : x;
    x = 127.49f < x ? 127.49f : x;
    const float whole = (x + 0x1.8p23f) - 0x1.8p23f, r = x - whole;
    const float p =
        ((((EXP2_C5 * r + EXP2_C4) * r + EXP2_C3) * r + EXP2_C2) * r + EXP2_C1) * r + 1.0f;
    const uint32_t bits = whole == whole ? (uint32_t)((int32_t)whole + 127) << 23 : 0x7fc00000u;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}
static inline lanes lanes_exp2(lanes x) { LANES_EACH(lane_exp2(x.v[i])); }

static inline lanes lanes_load_bf16(const bf16 *at) { LANES_EACH(bf16_to_f32(at[i])); }
static inline void lanes_store_bf16(bf16 *at, lanes v)
{
    for (int i = 0; i < LANES; i++)
        at[i] = bf16_from_f32(v.v[i]);
}

#undef LANES_EACH

#endif

#if !defined LANES_AVX512
static inline lanes lanes_exp2_below(lanes x) { return lanes_exp2(x); }
#endif

/* Elements at .. at + count - 1 (count <= LANES) of an f32 or bf16 array; lanes beyond are 0. */
static inline lanes lanes_load_part(const void *from, enum dtype dtype, size_t at, int count)
{
    if (dtype == DTYPE_F32) {
        const float *x = (const float *)from + at;
        if (count >= LANES)
            return lanes_load(x);
        float part[LANES] = { 0 };
        memcpy(part, x, (size_t)count * sizeof *x);
        return lanes_load(part);
    }
    const bf16 *x = (const bf16 *)from + at;
    if (count >= LANES)
        return lanes_load_bf16(x);
    bf16 part[LANES] = { 0 };
    memcpy(part, x, (size_t)count * sizeof *x);
    return lanes_load_bf16(part);
}

static inline void lanes_store_part(void *to, enum dtype dtype, size_t at, int count, lanes v)
{
    if (dtype == DTYPE_F32) {
        float part[LANES];
        lanes_store(count >= LANES ? (float *)to + at : part, v);
        if (count < LANES)
            memcpy((float *)to + at, part, (size_t)count * sizeof *part);
        return;
    }
    bf16 part[LANES];
    lanes_store_bf16(count >= LANES ? (bf16 *)to + at : part, v);
    if (count < LANES)
        memcpy((bf16 *)to + at, part, (size_t)count * sizeof *part);
}

/* x / (1 + e^-x); relative error below 1e-6 (|x| up to 10), absolute below 1e-6 beyond. */
static inline lanes lanes_silu(lanes x)
{
    const lanes power = lanes_exp2(lanes_mul(x, lanes_set(-0x1.715476p0f)));
    return lanes_div(x, lanes_add(lanes_set(1.0f), power));
}

#endif
