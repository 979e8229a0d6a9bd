/* cuda/scale.cu - y = scale * x, f32 to the run's type.
 *
 * Algorithm  One thread, one value.
 * Roofline   Memory bound: 4 bytes in and 2 out a value. It runs once a picture, on 96 x 64 x 4
 *            values: 24,576, which is under the cost of its launch.
 * Variants   scalar  every dtype
 */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdio.h>

#include "cuda/device.cuh"
#include "cuda/launch.cuh"

enum { THREADS = 256 };

static __device__ __forceinline__ void store(float *to, float v) { *to = v; }
static __device__ __forceinline__ void store(__half *to, float v) { *to = __float2half_rn(v); }
static __device__ __forceinline__ void store(__nv_bfloat16 *to, float v)
{
    *to = __float2bfloat16_rn(v);
}

template <class T>
static __global__ void scale_k1_scalar(const float *x, T *y, float scale, size_t count)
{
    const size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < count)
        store(&y[i], __fmul_rn(scale, x[i]));
}

template <class T> static status start(const struct scale_args *a, const cuda_call *call)
{
    return gpu_launch("scale scalar", scale_k1_scalar<T>,
                      dim3((unsigned)((a->count + THREADS - 1) / THREADS)), THREADS, 0,
                      call->stream, a->x, (T *)a->y, a->scale, a->count);
}

static int takes(const struct scale_args *a)
{
    return a->dtype == DTYPE_F32 || a->dtype == DTYPE_F16 || a->dtype == DTYPE_BF16;
}

static status launch_scalar(const struct scale_args *a, const cuda_call *call)
{
    return a->dtype == DTYPE_F32   ? start<float>(a, call)
           : a->dtype == DTYPE_F16 ? start<__half>(a, call)
                                   : start<__nv_bfloat16>(a, call);
}

static const cuda_variant<struct scale_args> rows[] = {
    { "scalar", 80, takes, nullptr, launch_scalar },
};
extern const cuda_table<struct scale_args> cuda_scale_table = { "scale", rows, 1 };

status cuda_scale(struct ops *ops, const struct scale_args *a)
{
    if (a->count < 1 || a->count > (size_t)1 << 38)
        return status_fail(STATUS_BAD_SHAPE, "scale: %zu values", a->count);
    char key[48];
    struct cuda_span_text span = {};
    snprintf(key, sizeof key, "%zu %s", a->count, dtype_name(a->dtype));
    snprintf(span.shape, sizeof span.shape, "scale %zu", a->count);
    span.flops = (double)a->count;
    span.bytes = (double)a->count * (double)(4 + dtype_size(a->dtype));
    return cuda_run(cuda_device(ops), cuda_scale_table, a, key, span);
}
