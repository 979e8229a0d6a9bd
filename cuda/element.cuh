/* cuda/element.cuh - values of the three storage types, one or several at a time. */
#ifndef CUDA_ELEMENT_CUH
#define CUDA_ELEMENT_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "host/base/dtype.h"
#include "host/base/status.h"

static __device__ __forceinline__ float to_f32(float v) { return v; }
static __device__ __forceinline__ float to_f32(__half v) { return __half2float(v); }
static __device__ __forceinline__ float to_f32(__nv_bfloat16 v) { return __bfloat162float(v); }

/* Rounded to nearest, ties to even; beyond the type's range: infinity. */
template <class T> static __device__ __forceinline__ T from_f32(float v);
template <> __device__ __forceinline__ float from_f32<float>(float v) { return v; }
template <> __device__ __forceinline__ __half from_f32<__half>(float v)
{
    return __float2half_rn(v);
}
template <> __device__ __forceinline__ __nv_bfloat16 from_f32<__nv_bfloat16>(float v)
{
    return __float2bfloat16_rn(v);
}

/* LANES neighbours, loaded and stored as one. */
template <class T, int LANES> struct alignas(sizeof(T) * LANES) lanes {
    T v[LANES];
};

template <int LANES, class T>
static __device__ __forceinline__ lanes<T, LANES> load_lanes(const T *from)
{
    return *reinterpret_cast<const lanes<T, LANES> *>(from);
}

template <class T, int LANES>
static __device__ __forceinline__ void store_lanes(T *to, const lanes<T, LANES> &v)
{
    *reinterpret_cast<lanes<T, LANES> *>(to) = v;
}

/* Calls f with a value of the C++ type of `dtype`: its type is what counts. */
template <class F> static status with_element_type(enum dtype dtype, F f)
{
    switch (dtype) {
    case DTYPE_F32:
        return f(float());
    case DTYPE_F16:
        return f(__half());
    case DTYPE_BF16:
        return f(__nv_bfloat16());
    default:
        return status_fail(STATUS_UNSUPPORTED, "no variant for %s", dtype_name(dtype));
    }
}

static inline int is_element_type(enum dtype dtype)
{
    return dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16;
}

#endif
