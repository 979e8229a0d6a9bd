/* host/base/dtype.c - conversions between element types; plain loops that compilers vectorise. */
#include "host/base/dtype.h"

#include <math.h>
#include <string.h>
#if defined __F16C__
#include <immintrin.h>
#endif

static const struct {
    const char *name;
    size_t size;
} types[DTYPE_COUNT] = {
    [DTYPE_F32] = { "f32", 4 },   [DTYPE_F16] = { "f16", 2 }, [DTYPE_BF16] = { "bf16", 2 },
    [DTYPE_F64] = { "f64", 8 },   [DTYPE_I64] = { "i64", 8 }, [DTYPE_I32] = { "i32", 4 },
    [DTYPE_I16] = { "i16", 2 },   [DTYPE_I8] = { "i8", 1 },   [DTYPE_U8] = { "u8", 1 },
    [DTYPE_BOOL] = { "bool", 1 },
};

size_t dtype_size(enum dtype type) { return types[type].size; }
const char *dtype_name(enum dtype type) { return types[type].name; }

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float f16_to_f32(f16 h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = h & 0x7fffu;
    if (rest >= 0x7c00u) /* infinity; a NaN is made quiet */
        return bits_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13 |
                          (rest > 0x7c00u ? 0x400000u : 0));
    if (rest >= 0x400u)
        return bits_float(sign | ((rest << 13) + 0x38000000u));
    const float tiny = (float)rest * 0x1p-24f; /* zero and subnormals */
    return sign ? -tiny : tiny;
}

f16 f16_from_f32(float value)
{
    const uint32_t bits = float_bits(value), rest = bits & 0x7fffffffu;
    const f16 sign = (f16)(bits >> 16 & 0x8000u);
    if (rest > 0x7f800000u)
        return (f16)(sign | 0x7e00u | (rest >> 13 & 0x3ffu));
    if (rest >= 0x477ff000u) /* 65520 and up round to infinity */
        return (f16)(sign | 0x7c00u);
    if (rest < 0x38800000u) /* below 2^-14: a multiple of 2^-24, rounded by the addition */
        return (f16)(sign | (f16)(float_bits(bits_float(rest) + 0.5f) - 0x3f000000u));
    return (f16)(sign | ((rest - 0x38000000u + 0xfffu + (rest >> 13 & 1u)) >> 13));
}

float bf16_to_f32(bf16 bits) { return bits_float((uint32_t)bits << 16); }

bf16 bf16_from_f32(float value)
{
    const uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (bf16)(bits >> 16 | 0x40u);
    return (bf16)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

double dtype_value(const void *data, enum dtype type, size_t i)
{
    const unsigned char *at = (const unsigned char *)data + i * dtype_size(type);
    uint64_t raw = 0;
    memcpy(&raw, at, dtype_size(type));
    switch (type) {
    case DTYPE_F32:
        return (double)bits_float((uint32_t)raw);
    case DTYPE_F16:
        return (double)f16_to_f32((f16)raw);
    case DTYPE_BF16:
        return (double)bf16_to_f32((bf16)raw);
    case DTYPE_F64: {
        double value;
        memcpy(&value, &raw, sizeof value);
        return value;
    }
    case DTYPE_I64:
        return (double)(int64_t)raw;
    case DTYPE_I32:
        return (double)(int32_t)raw;
    case DTYPE_I16:
        return (double)(int16_t)raw;
    case DTYPE_I8:
        return (double)(int8_t)raw;
    case DTYPE_U8:
        return (double)raw;
    case DTYPE_BOOL:
        return raw != 0;
    case DTYPE_COUNT:
        break;
    }
    return NAN;
}

void dtype_to_f32(const void *data, enum dtype type, size_t count, float *out)
{
    const unsigned char *from = data;
    size_t i = 0;
    switch (type) {
    case DTYPE_F32:
        memcpy(out, data, count * sizeof *out);
        return;
    case DTYPE_F16:
#if defined __F16C__
        for (; i + 8 <= count; i += 8)
            _mm256_storeu_ps(out + i,
                             _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(from + 2 * i))));
#endif
        for (; i < count; i++) {
            f16 bits;
            memcpy(&bits, from + 2 * i, sizeof bits);
            out[i] = f16_to_f32(bits);
        }
        return;
    case DTYPE_BF16:
        for (; i < count; i++) {
            bf16 bits;
            memcpy(&bits, from + 2 * i, sizeof bits);
            out[i] = bf16_to_f32(bits);
        }
        return;
    default:
        for (; i < count; i++)
            out[i] = (float)dtype_value(data, type, i);
    }
}

void dtype_from_f32(const float *data, size_t count, enum dtype type, void *out)
{
    if (type == DTYPE_F32)
        memcpy(out, data, count * sizeof *data);
    else if (type == DTYPE_F16)
        for (size_t i = 0; i < count; i++)
            ((f16 *)out)[i] = f16_from_f32(data[i]);
    else
        for (size_t i = 0; i < count; i++)
            ((bf16 *)out)[i] = bf16_from_f32(data[i]);
}
