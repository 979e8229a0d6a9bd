/* host/base/dtype.h - element types, their sizes, and the 16-bit formats as bits. */
#ifndef HOST_BASE_DTYPE_H
#define HOST_BASE_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum dtype {
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_F64,
    DTYPE_I64,
    DTYPE_I32,
    DTYPE_I16,
    DTYPE_I8,
    DTYPE_U8,
    DTYPE_BOOL,
    DTYPE_COUNT
};

typedef uint16_t f16;  /* IEEE 754 binary16, as bits */
typedef uint16_t bf16; /* the upper half of a binary32, as bits */

size_t dtype_size(enum dtype type);      /* bytes of one element */
const char *dtype_name(enum dtype type); /* "f32", "bf16", ... */

/* Round to nearest, ties to even; overflow gives infinity; NaN stays NaN (quiet). */
float f16_to_f32(f16 bits);
f16 f16_from_f32(float value);
float bf16_to_f32(bf16 bits);
bf16 bf16_from_f32(float value);

/* Element i of an array of any dtype and any alignment, as a double. */
double dtype_value(const void *data, enum dtype type, size_t i);

/* Converts `count` elements, little endian, of any alignment, to f32 (rounded once). */
void dtype_to_f32(const void *data, enum dtype type, size_t count, float *out);

/* Converts `count` floats to f32, f16 or bf16 at `out` (aligned for that type). */
void dtype_from_f32(const float *data, size_t count, enum dtype type, void *out);

#ifdef __cplusplus
}
#endif

#endif
