/* tests/gpu.cpp - device memory for kernel tests. */
#include "tests/gpu.h"

#include <cuda_runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#ifdef GPU_EMULATOR
#include "tests/emulator/emulator.h"
enum { GUARD = 0 }; /* memory ends at a guard page, and a checked build knows its exact size */
#else
enum { GUARD = 256 };
#endif
enum { GUARD_BYTE = 0x5a };

struct piece {
    unsigned char *start; /* of the guard in front */
    size_t bytes;
};
static std::vector<piece> pieces;
int check_failures;

void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    check_failures++;
    if (getenv("CHECK_STOPS")) /* tests/mutate.py need not know more */
        exit(1);
}

static int good(cudaError_t error, const char *what)
{
    if (error == cudaSuccess)
        return 1;
    (void)status_fail(STATUS_DEVICE, "%s: %s (%s)", what, cudaGetErrorString(error),
                      cudaGetErrorName(error));
    return 0;
}

int gpu_present(void)
{
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0)
        return 1;
    fprintf(stderr, "skipped: %s\n", error ? cudaGetErrorString(error) : "there is no GPU");
    return 0;
}

const char *gpu_name(void)
{
    static char text[320];
    cudaDeviceProp p;
    int driver = 0;
    if (!good(cudaGetDeviceProperties(&p, 0), "properties") ||
        !good(cudaDriverGetVersion(&driver), "driver"))
        return "unknown";
    snprintf(text, sizeof text, "%s, sm_%d%d, driver for CUDA %d.%d", p.name, p.major, p.minor,
             driver / 1000, driver % 1000 / 10);
    return text;
}

static unsigned char *take(size_t bytes)
{
    unsigned char *start;
    if (!good(cudaMalloc(&start, bytes + 2 * GUARD), "cudaMalloc")) {
        check_failed(__FILE__, __LINE__, status_text());
        return nullptr;
    }
    pieces.push_back({ start, bytes });
    if (GUARD) {
        cudaMemset(start, GUARD_BYTE, GUARD);
        cudaMemset(start + GUARD + bytes, GUARD_BYTE, GUARD);
    }
    return start + GUARD;
}

void *gpu_copy(const void *host, size_t bytes)
{
    unsigned char *p = host ? take(bytes) : nullptr;
    if (p)
        CHECK(good(cudaMemcpy(p, host, bytes, cudaMemcpyHostToDevice), "gpu_copy"));
    return p;
}

void *gpu_poison(size_t bytes)
{
    unsigned char *p = take(bytes); /* new emulated memory is NaN, and known to be unwritten */
#ifndef GPU_EMULATOR
    if (p)
        CHECK(good(cudaMemset(p, 0xff, bytes), "gpu_poison"));
#endif
    return p;
}

status gpu_sync(void)
{
    if (good(cudaDeviceSynchronize(), "waiting for the device"))
        return STATUS_OK;
#ifdef GPU_EMULATOR
    if (*emu_last_report())
        (void)status_fail(STATUS_DEVICE, "%s", emu_last_report());
#endif
    return STATUS_DEVICE;
}

static void check_guards(const piece &p)
{
    unsigned char guard[2][GUARD + 1];
    cudaMemcpy(guard[0], p.start, GUARD, cudaMemcpyDeviceToHost);
    cudaMemcpy(guard[1], p.start + GUARD + p.bytes, GUARD, cudaMemcpyDeviceToHost);
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < GUARD; k++)
            if (guard[i][k] != GUARD_BYTE) {
                fprintf(stderr, "a guard %s %zu bytes was written on, %d from its start\n",
                        i ? "behind" : "before", p.bytes, k);
                check_failures++;
                return;
            }
}

void gpu_download(void *host, const void *device, size_t bytes)
{
    CHECK_OK(gpu_sync());
    if (!good(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost), "gpu_download")) {
        memset(host, 0xff, bytes); /* NaN passes no comparison */
        check_failed(__FILE__, __LINE__, status_text());
    }
    if (GUARD)
        for (const piece &p : pieces)
            if (p.start + GUARD == device)
                check_guards(p);
}

void gpu_release(void)
{
    for (const piece &p : pieces)
        (void)cudaFree(p.start);
    pieces.clear();
}
