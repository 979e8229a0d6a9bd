/* cuda/error.cu - CUDA's errors as a status and one line. */
#include "cuda/device.cuh"

/* After some errors the context is beyond use: every later call gives them again. */
static int is_lost(void) { return cudaFree(nullptr) != cudaSuccess; }

status cuda_check(cudaError_t error, const char *what)
{
    if (error == cudaSuccess)
        return STATUS_OK;
    (void)cudaGetLastError(); /* or the next launch would be blamed for it */
    if (error == cudaErrorMemoryAllocation)
        return status_fail(STATUS_NO_MEMORY, "cuda: %s: out of device memory", what);
    return status_fail(STATUS_DEVICE, "cuda: %s: %s (%s)%s", what, cudaGetErrorString(error),
                       cudaGetErrorName(error),
                       is_lost() ? "; this process can use the GPU no more" : "");
}
