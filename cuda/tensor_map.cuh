/* cuda/tensor_map.cuh - a tensor in device memory as bulk copies see it; made on the host. */
#ifndef CUDA_TENSOR_MAP_CUH
#define CUDA_TENSOR_MAP_CUH

#include <cuda.h>
#include <cuda_runtime.h>

#include "host/base/dtype.h"
#include "host/base/status.h"

typedef CUtensorMap tensor_map; /* a kernel takes it as `const __grid_constant__ tensor_map` */

struct tensor_map_args {
    const void *base; /* device, 16-byte aligned */
    enum dtype dtype; /* F16, BF16 or F32 */
    int rank;         /* 1 to 5 */
    size_t dim[5];    /* in elements, innermost first */
    size_t stride[5]; /* in elements, of dimensions 1 and on ([0] is 1); multiples of 16 bytes */
    int box[5];       /* what one copy moves: each at most 256; the innermost a multiple of 16 bytes
                         and no more than the swizzle's width */
    int swizzle_bytes; /* 0, 32, 64 or 128: width of the pattern */
};

/* Elements outside the tensor arrive as zeros, and are not stored.
 * returns  STATUS_BAD_SHAPE  the driver takes no such map
 *          STATUS_DEVICE     the driver has no tensor maps */
static status tensor_map_encode(const struct tensor_map_args *a, tensor_map *out)
{
    typedef decltype(&cuTensorMapEncodeTiled) encoder;
    encoder encode = nullptr;
#ifdef GPU_EMULATOR
    encode = cuTensorMapEncodeTiled;
#else
    void *found = nullptr;
    cudaDriverEntryPointQueryResult how;
#if CUDART_VERSION >= 12050
    const cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found,
                                                               12000, cudaEnableDefault, &how);
#else
    const cudaError_t error =
        cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &found, cudaEnableDefault, &how);
#endif
    if (error != cudaSuccess || how != cudaDriverEntryPointSuccess)
        return status_fail(STATUS_DEVICE, "the driver has no tensor maps: %s",
                           cudaGetErrorString(error));
    encode = (encoder)found;
#endif
    const CUtensorMapDataType type = a->dtype == DTYPE_F16    ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                                     : a->dtype == DTYPE_BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                                              : CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
    const CUtensorMapSwizzle swizzle = a->swizzle_bytes == 128  ? CU_TENSOR_MAP_SWIZZLE_128B
                                       : a->swizzle_bytes == 64 ? CU_TENSOR_MAP_SWIZZLE_64B
                                       : a->swizzle_bytes == 32 ? CU_TENSOR_MAP_SWIZZLE_32B
                                                                : CU_TENSOR_MAP_SWIZZLE_NONE;
    cuuint64_t dim[5], stride[5];
    cuuint32_t box[5], one[5];
    for (int i = 0; i < 5; i++) {
        dim[i] = i < a->rank ? a->dim[i] : 1;
        box[i] = i < a->rank ? (cuuint32_t)a->box[i] : 1;
        one[i] = 1;
        if (i > 0)
            stride[i - 1] = i < a->rank ? a->stride[i] * dtype_size(a->dtype) : 16;
    }
    const CUresult result =
        encode(out, type, (cuuint32_t)a->rank, (void *)a->base, dim, stride, box, one,
               CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
               CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result != CUDA_SUCCESS)
        return status_fail(STATUS_BAD_SHAPE,
                           "tensor map: rank %d, %zu x %zu, box %d x %d, swizzle %d: refused (%d)",
                           a->rank, (size_t)dim[0], (size_t)dim[1], (int)box[0], (int)box[1],
                           a->swizzle_bytes, (int)result);
    return STATUS_OK;
}

#endif
