/* cuda/launch.cuh - starting a kernel: the same call under nvcc and under tests/emulator. */
#ifndef CUDA_LAUNCH_CUH
#define CUDA_LAUNCH_CUH

#include <cuda_runtime.h>

#include "host/base/status.h"

/* The block's dynamic shared memory as one struct, whose size goes into gpu_launch(). It is aligned
 * to 1024 bytes, which the 128-byte swizzle of bulk copies needs. A struct of real arrays lets the
 * checked emulator see every index. */
template <class T> static __device__ __forceinline__ T &shared_as()
{
#ifdef GPU_EMULATOR
    return *(T *)emu_shared(sizeof(T));
#else
    extern __shared__ __align__(1024) unsigned char gpu_shared_bytes[];
    return *reinterpret_cast<T *>(gpu_shared_bytes);
#endif
}

/* Beyond the ordinary: blocks that share their memories, a start before the last kernel's end. */
struct gpu_launch_how {
    dim3 cluster; /* blocks of a cluster; divides the grid */
    int after;    /* 1: its blocks may come up while the kernel before still runs: it begins with
                     take_turn() */
};

#ifndef GPU_EMULATOR
/* Was the kernel compiled with its take_turn()? Code for older GPUs has none, and may not begin
 * before its turn on a newer one that compiles it again. Captures keep such edges from 12.3 on. */
static inline bool gpu_takes_turns(const void *kernel)
{
    cudaFuncAttributes attributes;
    return CUDART_VERSION >= 12030 && cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess &&
           attributes.ptxVersion >= 90;
}

template <class... P>
static cudaError_t gpu_start(void (*kernel)(P...), const cudaLaunchConfig_t &config, P... p)
{
    void *slots[sizeof...(p) + 1] = { (void *)&p... };
    return cudaLaunchKernelExC(&config, (const void *)kernel, slots);
}
#endif

/* Enqueues kernel(args...); does not wait. `name` is "op variant", for messages and reports.
 *
 * returns  STATUS_DEVICE  the launch was refused: the text has the name and CUDA's words */
template <class... P, class... A>
static status gpu_launch_with(const gpu_launch_how &how, const char *name, void (*kernel)(P...),
                              dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                              A... args)
{
    cudaError_t error = cudaSuccess;
    if (shared_bytes > 48 * 1024)
        error = cudaFuncSetAttribute(
            (const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes);
    if (error == cudaSuccess) {
#ifdef GPU_EMULATOR
        error = emu_launch(name, (const void *)kernel, grid, block, how.cluster, how.after,
                           shared_bytes, stream, emu_body_of([=] { kernel(args...); }));
#else
        cudaLaunchAttribute attribute[2] = {};
        cudaLaunchConfig_t config = {};
        config.gridDim = grid;
        config.blockDim = block;
        config.dynamicSmemBytes = shared_bytes;
        config.stream = stream;
        config.attrs = attribute;
        if (how.cluster.x * how.cluster.y * how.cluster.z > 1) {
            cudaLaunchAttribute &a = attribute[config.numAttrs++];
            a.id = cudaLaunchAttributeClusterDimension;
            a.val.clusterDim.x = how.cluster.x;
            a.val.clusterDim.y = how.cluster.y;
            a.val.clusterDim.z = how.cluster.z;
        }
        if (how.after && gpu_takes_turns((const void *)kernel)) {
            cudaLaunchAttribute &a = attribute[config.numAttrs++];
            a.id = cudaLaunchAttributeProgrammaticStreamSerialization;
            a.val.programmaticStreamSerializationAllowed = 1;
        }
        error = gpu_start<P...>(kernel, config, args...);
#endif
    }
    if (error == cudaSuccess)
        return STATUS_OK;
    (void)cudaGetLastError(); /* said below; a sticky one stays */
    return status_fail(STATUS_DEVICE, "%s: launch refused: %s (%s)", name,
                       cudaGetErrorString(error), cudaGetErrorName(error));
}

template <class... P, class... A>
static status gpu_launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
                         size_t shared_bytes, cudaStream_t stream, A... args)
{
    const gpu_launch_how how = { dim3(1, 1, 1), 0 };
    return gpu_launch_with(how, name, kernel, grid, block, shared_bytes, stream, args...);
}

/* The same for a kernel that begins with take_turn(): on sm_90 and later its start overlaps the end
 * of the kernel before it, also in a graph. */
template <class... P, class... A>
static status gpu_launch_after(const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
                               size_t shared_bytes, cudaStream_t stream, A... args)
{
    const gpu_launch_how how = { dim3(1, 1, 1), 1 };
    return gpu_launch_with(how, name, kernel, grid, block, shared_bytes, stream, args...);
}

#endif
