/* cuda/reduce.cuh - sums over the lanes of a warp and the warps of a block, in a fixed order. */
#ifndef CUDA_REDUCE_CUH
#define CUDA_REDUCE_CUH

#include <cuda_runtime.h>

/* The same bits in every lane: each step adds the same two numbers in both lanes of a pair. */
static __device__ __forceinline__ float warp_sum(float v)
{
#pragma unroll
    for (int by = 16; by > 0; by /= 2)
        v += __shfl_xor_sync(~0u, v, by);
    return v;
}

static __device__ __forceinline__ float warp_max(float v)
{
#pragma unroll
    for (int by = 16; by > 0; by /= 2)
        v = fmaxf(v, __shfl_xor_sync(~0u, v, by));
    return v;
}

/* Over a block of WARPS warps; `room` is shared memory. All threads get the sum; the room may be
 * used again at once. */
template <int WARPS>
static __device__ __forceinline__ float block_sum(float v, float (&room)[WARPS])
{
    v = warp_sum(v);
    if (threadIdx.x % 32 == 0)
        room[threadIdx.x / 32] = v;
    __syncthreads();
    float sum = room[0];
#pragma unroll
    for (int i = 1; i < WARPS; i++)
        sum += room[i];
    __syncthreads();
    return sum;
}

#endif
