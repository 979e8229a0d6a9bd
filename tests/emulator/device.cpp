/* tests/emulator/device.cpp - the emulated device: what it is, errors and their stickiness, and the
 * runtime call that is to fail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <map>
#include <mutex>

#include "tests/emulator/internal.h"

emu_settings emu_set = { EMU_RANDOM, 1, 2, 0, 90, 132, 8192, 0, 20, 0, 0, 0 };
std::string emu_first_report;
std::recursive_mutex emu_lock;

static cudaError_t sticky, last;
static int64_t calls;
static std::map<const void *, int> shared_limits; /* by cudaFuncSetAttribute, per kernel */

/* ---- errors ----------------------------------------------------------------------------- */

static const char *failed_call = "";

const char *emu_last_report(void) { return emu_first_report.c_str(); }

void emu_forget_failure(void)
{
    sticky = last = cudaSuccess;
    emu_first_report.clear();
}

int64_t emu_calls(void) { return calls; }
const char *emu_failed_call(void) { return failed_call; }
int emu_is_checked(void) { return emu_checking; }
cudaError_t emu_sticky(void) { return sticky; }

cudaError_t emu_keep(cudaError_t error)
{
    if (error != cudaSuccess && error != cudaErrorNotReady)
        last = error;
    return error;
}

static int allocates(const char *call)
{
    return strstr(call, "Malloc") || strstr(call, "HostAlloc");
}

cudaError_t emu_enter(const char *call)
{
    calls++;
    if (emu_set.device)
        return emu_keep((cudaError_t)emu_set.device);
    if (emu_set.fail_call && calls == emu_set.fail_call) {
        const cudaError_t error = emu_set.fail_error ? (cudaError_t)emu_set.fail_error
                                  : allocates(call)  ? cudaErrorMemoryAllocation
                                                     : cudaErrorLaunchFailure;
        if (error == cudaErrorLaunchFailure)
            sticky = error;
        failed_call = call;
        return emu_keep(error);
    }
    return emu_keep(sticky);
}

void emu_launch_failed(cudaError_t error, const std::string &report)
{
    sticky = error;
    if (emu_first_report.empty())
        emu_first_report = report;
    if (!emu_set.quiet)
        fprintf(stderr, "emulator: %s\n", report.c_str());
}

cudaError_t cudaPeekAtLastError(void) { return sticky ? sticky : last; }

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = cudaPeekAtLastError();
    last = cudaSuccess;
    return error;
}

#define TEXT(name, number, text) { name, text, #name },
static const struct {
    cudaError_t error;
    const char *text, *name;
} errors[] = { EMU_ERRORS(TEXT) };
#undef TEXT

const char *cudaGetErrorString(cudaError_t error)
{
    for (const auto &e : errors)
        if (e.error == error)
            return e.text;
    return "unrecognized error code";
}

const char *cudaGetErrorName(cudaError_t error)
{
    for (const auto &e : errors)
        if (e.error == error)
            return e.name;
    return "unrecognized error code";
}

/* ---- what it says it is ----------------------------------------------------------------- */

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 0;
    EMU_ENTER("cudaGetDeviceCount");
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    EMU_ENTER("cudaGetDevice");
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    EMU_ENTER("cudaSetDevice");
    return emu_keep(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaInitDevice(int device, unsigned, unsigned) { return cudaSetDevice(device); }

cudaError_t cudaSetDeviceFlags(unsigned)
{
    EMU_ENTER("cudaSetDeviceFlags");
    return cudaSuccess;
}

/* An H100's numbers, but for what emu_set says. */
static const struct {
    cudaDeviceAttr attribute;
    int value;
} attributes[] = {
    { cudaDevAttrMaxThreadsPerBlock, 1024 },
    { cudaDevAttrWarpSize, 32 },
    { cudaDevAttrClockRate, 1980000 },
    { cudaDevAttrComputeMode, cudaComputeModeDefault },
    { cudaDevAttrMemoryClockRate, 2619000 },
    { cudaDevAttrGlobalMemoryBusWidth, 5120 },
    { cudaDevAttrL2CacheSize, 50 << 20 },
    { cudaDevAttrMaxThreadsPerMultiProcessor, 2048 },
    { cudaDevAttrMaxSharedMemoryPerMultiprocessor, 228 * 1024 },
    { cudaDevAttrMaxSharedMemoryPerBlockOptin, SHARED_MAX },
};

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device)
{
    EMU_ENTER("cudaDeviceGetAttribute");
    if (device != 0)
        return emu_keep(cudaErrorInvalidDevice);
    if (attribute == cudaDevAttrMultiProcessorCount)
        return *value = emu_set.sm_count, cudaSuccess;
    if (attribute == cudaDevAttrComputeCapabilityMajor)
        return *value = emu_set.arch / 10, cudaSuccess;
    if (attribute == cudaDevAttrComputeCapabilityMinor)
        return *value = emu_set.arch % 10, cudaSuccess;
    for (const auto &a : attributes)
        if (a.attribute == attribute)
            return *value = a.value, cudaSuccess;
    return emu_keep(cudaErrorInvalidValue);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device)
{
    EMU_ENTER("cudaGetDeviceProperties");
    if (device != 0)
        return emu_keep(cudaErrorInvalidDevice);
    *p = {};
    snprintf(p->name, sizeof p->name, "emulated sm_%d", emu_set.arch);
    p->totalGlobalMem = (size_t)emu_set.memory_mb << 20;
    p->sharedMemPerBlock = 48 * 1024;
    p->sharedMemPerBlockOptin = SHARED_MAX;
    p->sharedMemPerMultiprocessor = 228 * 1024;
    p->major = emu_set.arch / 10;
    p->minor = emu_set.arch % 10;
    p->multiProcessorCount = emu_set.sm_count;
    p->warpSize = 32;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsPerMultiProcessor = 2048;
    p->l2CacheSize = 50 << 20;
    p->memoryBusWidth = 5120;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->asyncEngineCount = 3;
    return cudaSuccess;
}

/* The versions can be asked for without a device. */
cudaError_t cudaDriverGetVersion(int *version)
{
    *version = emu_set.device == cudaErrorInsufficientDriver ? 11040
               : emu_set.device == cudaErrorNoDevice         ? 0
                                                             : CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

/* ---- kernels ---------------------------------------------------------------------------- */

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value)
{
    EMU_ENTER("cudaFuncSetAttribute");
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
        return cudaSuccess;
    if (value > SHARED_MAX)
        return emu_keep(cudaErrorInvalidValue);
    shared_limits[kernel] = value;
    return cudaSuccess;
}

static size_t shared_limit(const void *kernel)
{
    const auto it = shared_limits.find(kernel);
    return it == shared_limits.end() ? 48 * 1024 : (size_t)it->second;
}

cudaError_t emu_check_launch(const void *kernel, dim3 grid, dim3 block, dim3 cluster,
                             size_t shared_bytes)
{
    const uint64_t threads = (uint64_t)block.x * block.y * block.z;
    const uint64_t per_cluster = (uint64_t)cluster.x * cluster.y * cluster.z;
    const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    if (threads < 1 || threads > 1024 || block.z > 64)
        return cudaErrorInvalidConfiguration;
    if (blocks < 1 || blocks > INT32_MAX || grid.y > 65535 || grid.z > 65535)
        return cudaErrorInvalidConfiguration;
    if (per_cluster < 1 || per_cluster > 8 || grid.x % cluster.x || grid.y % cluster.y ||
        grid.z % cluster.z)
        return cudaErrorInvalidConfiguration;
    if (shared_bytes > 48 * 1024 && shared_bytes > shared_limit(kernel))
        return cudaErrorInvalidValue;
    return cudaSuccess;
}

cudaError_t emu_occupancy(int *blocks, int threads, size_t shared_bytes)
{
    EMU_ENTER("cudaOccupancyMaxActiveBlocksPerMultiprocessor");
    if (threads < 1)
        return emu_keep(cudaErrorInvalidValue);
    const int by_threads = threads > 1024 ? 0 : 2048 / threads;
    const int by_shared = (int)(228 * 1024 / (shared_bytes + 1024));
    *blocks = by_shared < by_threads ? by_shared : by_threads;
    return cudaSuccess;
}

/* ---- settings from the environment ------------------------------------------------------ */

template <class T> static void read_number(const char *name, T *to)
{
    const char *text = getenv(name);
    if (text)
        *to = (T)strtoull(text, nullptr, 0);
}

__attribute__((constructor)) static void read_settings(void)
{
    const char *order = getenv("EMU_ORDER"), *fail = getenv("EMU_FAIL_CALL");
    if (order)
        emu_set.order = *order == 'f'                      ? EMU_FORWARD
                        : *order == 'r' && order[1] == 'e' ? EMU_REVERSE
                                                           : EMU_RANDOM;
    read_number("EMU_SEED", &emu_set.seed);
    read_number("EMU_THREADS", &emu_set.os_threads);
    read_number("EMU_QUIET", &emu_set.quiet);
    read_number("EMU_ARCH", &emu_set.arch);
    read_number("EMU_SM", &emu_set.sm_count);
    read_number("EMU_MEMORY_MB", &emu_set.memory_mb);
    read_number("EMU_DEVICE", &emu_set.device);
    read_number("EMU_WATCHDOG_S", &emu_set.watchdog_s);
    if (fail) { /* "7" or, with the error to give, "7:2" */
        read_number("EMU_FAIL_CALL", &emu_set.fail_call);
        emu_set.fail_error = strchr(fail, ':') ? atoi(strchr(fail, ':') + 1) : 0;
    }
}
