/* tests/gpu_device.cpp - what cuda_run() asks of a device, without the device. */
#include <string.h>

#include "cuda/device.cuh"
#include "tests/gpu.h"

static struct cuda_device device;
static int forced = -1, ran = -1;

struct ops *gpu_device(void)
{
    int major = 8, minor = 0;
    (void)cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
    (void)cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
    (void)cudaDeviceGetAttribute(&device.sm_count, cudaDevAttrMultiProcessorCount, 0);
    device.arch = major * 10 + minor;
    return &device.ops;
}

void gpu_device_for(enum dtype dtype) { device.dtype = dtype; }

void gpu_step(int row)
{
    const int at[2] = { row, row + 1 };
    device.step = (int *)gpu_copy(at, sizeof at);
}

void gpu_force(int row) { forced = row; }
int gpu_ran(void) { return ran; }

struct cuda_choice cuda_choose(const struct cuda_device *, const char *, const char *)
{
    return { forced, forced >= 0, -1 };
}

status cuda_vendor_left(struct cuda_device *, const char *, const char *) { return STATUS_OK; }

void cuda_count_run(struct cuda_device *, const char *, int row, const char *) { ran = row; }
void cuda_op_begin(struct cuda_device *, const char *, const struct cuda_span_text *) {}
void cuda_op_end(struct cuda_device *) {}

status cuda_check(cudaError_t error, const char *what)
{
    return error == cudaSuccess
               ? STATUS_OK
               : status_fail(STATUS_DEVICE, "%s: %s", what, cudaGetErrorString(error));
}

status cuda_scratch(struct cuda_device *, size_t bytes, void **out)
{
    *out = bytes ? gpu_poison(bytes) : nullptr;
    return bytes && !*out ? STATUS_NO_MEMORY : STATUS_OK;
}

status cuda_constant(struct cuda_device *, const void *host, size_t bytes, const void **out)
{
    *out = gpu_copy(host, bytes);
    return *out ? STATUS_OK : STATUS_NO_MEMORY;
}

/* Memory of weights and copies to the device are the tests' own. */
status cuda_take(struct cuda_device *, size_t bytes, void **out)
{
    *out = gpu_poison(bytes);
    return *out ? STATUS_OK : STATUS_NO_MEMORY;
}

void cuda_give(struct cuda_device *, void *) {} /* gpu_release() */

status cuda_building(struct cuda_device *dev, size_t bytes, void **out)
{
    return cuda_take(dev, bytes, out);
}

status cuda_send(struct cuda_device *, void *to, const void *from, size_t bytes)
{
    return cuda_check(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "send");
}
