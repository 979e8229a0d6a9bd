/* cuda/device.cu - opening and closing a GPU, copies, the step table, and the table of functions.
 */
#include <cuda_runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/cuda.h"
#include "cuda/graph.cuh"
#include "cuda/memory.cuh"
#include "cuda/plan.cuh"
#include "cuda/spans.cuh"
#include "cuda/staging.cuh"
#include "cuda/vendor.cuh"

#ifndef MIKU_CUDA_CODE /* what the build compiled the kernels for */
#define MIKU_CUDA_CODE "emulated"
#endif

enum { STEPS_FIRST = 64 }; /* rows of the step table that there is room for at once */

/* ---- what there is ------------------------------------------------------------------------ */

/* Says why there is no GPU. The runtime reports a missing driver as one that is too old. */
static status no_gpu(cudaError_t error)
{
    int driver = 0;
    (void)cudaGetLastError();
    if (cudaDriverGetVersion(&driver) != cudaSuccess)
        driver = 0;
    (void)cudaGetLastError();
    if (error == cudaErrorInsufficientDriver && driver == 0)
        return status_fail(STATUS_DEVICE, "cuda: no NVIDIA driver is installed here");
    if (error == cudaErrorInsufficientDriver)
        return status_fail(STATUS_DEVICE,
                           "cuda: the NVIDIA driver is for CUDA %d.%d, this program was built with "
                           "%d.%d; it needs a newer driver",
                           driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000,
                           CUDART_VERSION % 1000 / 10);
    if (error == cudaErrorNoDevice || error == cudaSuccess)
        return status_fail(STATUS_DEVICE, "cuda: no NVIDIA GPU is visible here");
    return cuda_check(error, "looking for GPUs");
}

int cuda_count(void)
{
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0)
        return count;
    (void)no_gpu(error);
    return 0;
}

const char *cuda_build(void)
{
    static char text[160];
    if (!text[0])
        snprintf(text, sizeof text, "CUDA %d.%d, %s", CUDART_VERSION / 1000,
                 CUDART_VERSION % 1000 / 10, MIKU_CUDA_CODE);
    return text;
}

/* ---- opening ------------------------------------------------------------------------------ */

/* Makes the context; other processes may keep it from us. */
static status enter(int ordinal)
{
    const cudaError_t error = cudaSetDevice(ordinal);
    const cudaError_t used = error == cudaSuccess ? cudaFree(nullptr) : error;
    int mode = cudaComputeModeDefault;
    if (used == cudaErrorDevicesUnavailable) {
        (void)cudaGetLastError();
        (void)cudaDeviceGetAttribute(&mode, cudaDevAttrComputeMode, ordinal);
        return status_fail(STATUS_DEVICE, "cuda:%d: %s", ordinal,
                           mode == cudaComputeModeProhibited
                               ? "its compute mode is \"prohibited\""
                               : "another process has it for itself (exclusive compute mode)");
    }
    return cuda_check(used, "opening the GPU");
}

static status describe(struct cuda_device *dev)
{
    cudaDeviceProp p;
    int driver = 0;
    TRY(cuda_check(cudaGetDeviceProperties(&p, dev->ordinal), "properties"));
    TRY(cuda_check(cudaDriverGetVersion(&driver), "driver"));
    dev->arch = p.major * 10 + p.minor;
    dev->sm_count = p.multiProcessorCount;
    snprintf(dev->name, sizeof dev->name, "cuda:%d", dev->ordinal);
    if (p.major < 8)
        return status_fail(STATUS_UNSUPPORTED,
                           "%s: %s has compute capability %d.%d; 8.0 or newer is needed", dev->name,
                           p.name, p.major, p.minor);
    snprintf(dev->bus_id, sizeof dev->bus_id, "%08X:%02X:%02X.0", (unsigned)p.pciDomainID,
             (unsigned)p.pciBusID, (unsigned)p.pciDeviceID);
    dev->ops.bus_id = dev->bus_id;
    TRY(cuda_plan_create(dev));
    snprintf(dev->summary, sizeof dev->summary,
             "%.100s, sm_%d, %d SMs, %.1f GB, driver for CUDA %d.%d, %s, plan %.10s", p.name,
             dev->arch, dev->sm_count, (double)p.totalGlobalMem / 1e9, driver / 1000,
             driver % 1000 / 10, cuda_build(), dev->ops.plan_hash ? dev->ops.plan_hash : "none");
    return STATUS_OK;
}

static status make_steps(struct cuda_device *dev, int rows)
{
    void *steps = dev->steps;
    size_t cap = (size_t)dev->steps_cap * sizeof *dev->steps;
    dev->steps_cap = 0;
    const status result = cuda_memory_resize(dev, &steps, &cap, (size_t)rows * sizeof *dev->steps);
    dev->steps = (struct step_row *)steps;
    dev->steps_cap = (int)(cap / sizeof *dev->steps);
    return result;
}

static status steps_begin(struct ops *ops, const struct step_row *rows, int count);

static status make_parts(struct cuda_device *dev)
{
    static const struct step_row none = { 0, 0, 0, 0, 0, 0, 0, { 0 }, 0, 0, -1, 0, -1, 0, 0 };
    void *step;
    TRY(cuda_check(cudaStreamCreateWithFlags(&dev->stream, cudaStreamNonBlocking), "stream"));
    TRY(cuda_check(cudaStreamCreateWithFlags(&dev->side, cudaStreamNonBlocking), "stream"));
    for (int i = 0; i < 2; i++)
        TRY(cuda_check(cudaEventCreateWithFlags(&dev->pace[i], cudaEventDisableTiming), "event"));
    TRY(cuda_staging_create(dev));
    TRY(cuda_constants_create(dev));
    TRY(cuda_spans_create(dev));
    TRY(cuda_take(dev, 2 * sizeof *dev->step, &step));
    dev->step = (int *)step;
    TRY(make_steps(dev, STEPS_FIRST));
    TRY(steps_begin(&dev->ops, &none, 1));
    return cuda_check(cudaStreamSynchronize(dev->stream), "opening the GPU");
}

static void destroy(struct ops *ops)
{
    struct cuda_device *dev = cuda_device(ops);
    if (dev->stream)
        (void)cudaStreamSynchronize(dev->stream);
    while (dev->graphs)
        cuda_graph_destroy(ops, dev->graphs);
    while (dev->weights)
        cuda_weight_destroy(ops, dev->weights);
    vendor_close(dev);
    cuda_spans_destroy(dev);
    cuda_constants_destroy(dev);
    cuda_staging_destroy(dev);
    cuda_memory_free(dev, dev->steps, (size_t)dev->steps_cap * sizeof *dev->steps);
    cuda_memory_close(dev);
    for (int i = 0; i < 2; i++)
        if (dev->pace[i])
            (void)cudaEventDestroy(dev->pace[i]);
    if (dev->side)
        (void)cudaStreamDestroy(dev->side);
    if (dev->stream)
        (void)cudaStreamDestroy(dev->stream);
    (void)cudaGetLastError(); /* a lost context refuses all of the above */
    cuda_plan_destroy(dev);
    free(dev);
}

/* ---- copies ------------------------------------------------------------------------------- */

static status upload(struct ops *ops, void *to, const void *from_host, size_t bytes)
{
    struct cuda_device *dev = cuda_device(ops);
    return dev->planning ? STATUS_OK : cuda_send(dev, to, from_host, bytes);
}

static status download(struct ops *ops, void *to_host, const void *from, size_t bytes)
{
    struct cuda_device *dev = cuda_device(ops);
    if (dev->planning)
        return STATUS_OK;
    TRY(cuda_check(cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDeviceToHost, dev->stream),
                   "download"));
    return cuda_check(cudaStreamSynchronize(dev->stream), "download, and the work before it");
}

static status copy(struct ops *ops, void *to, const void *from, size_t bytes)
{
    struct cuda_device *dev = cuda_device(ops);
    if (dev->planning)
        return STATUS_OK;
    return cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, dev->stream),
                      "copy");
}

static status finish(struct ops *ops)
{
    struct cuda_device *dev = cuda_device(ops);
    dev->paced = 0;
    return cuda_check(cudaStreamSynchronize(dev->stream), "the work enqueued before");
}

/* One step runs while the host enqueues the next: it waits for the end of the one before. */
static status pace(struct ops *ops, int *running)
{
    struct cuda_device *dev = cuda_device(ops);
    *running = 0;
    TRY(cuda_check(cudaEventRecord(dev->pace[dev->paced % 2], dev->stream), "step"));
    dev->paced++;
    *running = 1;
    if (dev->paced < 2)
        return STATUS_OK;
    return cuda_check(cudaEventSynchronize(dev->pace[dev->paced % 2]), "a step");
}

/* ---- the step table ------------------------------------------------------------------------ */

static status steps_begin(struct ops *ops, const struct step_row *rows, int count)
{
    struct cuda_device *dev = cuda_device(ops);
    const int step[2] = { 0, count };
    if (count < 1)
        return status_fail(STATUS_BAD_SHAPE, "steps_begin: %d rows", count);
    for (int i = 0; i < count; i++)
        if (rows[i].h_slot >= STEP_HISTORY)
            return status_fail(STATUS_BAD_SHAPE, "steps_begin: history slot %d of %d",
                               rows[i].h_slot, (int)STEP_HISTORY);
    if (count > dev->steps_cap)
        TRY(make_steps(dev, count));
    if (dev->planning)
        return STATUS_OK;
    TRY(cuda_send(dev, dev->steps, rows, (size_t)count * sizeof *rows));
    return cuda_send(dev, dev->step, step, sizeof step);
}

/* ---- the device ---------------------------------------------------------------------------- */

static void fill_table(struct ops *ops)
{
    ops->weight_create = cuda_weight_create;
    ops->weight_fuse = cuda_weight_fuse;
    ops->weight_destroy = cuda_weight_destroy;
    ops->plan_begin = cuda_plan_begin;
    ops->plan_end = cuda_plan_end;
    ops->planning = cuda_planning;
    ops->alloc = cuda_alloc;
    ops->mark = cuda_mark;
    ops->release = cuda_release;
    ops->peak_bytes = cuda_peak_bytes;
    ops->free_bytes = cuda_free_bytes;
    ops->upload = upload;
    ops->download = download;
    ops->copy = copy;
    ops->sync = finish;
    ops->pace = pace;
    ops->conv2d = cuda_conv2d;
    ops->linear = cuda_linear;
    ops->group_norm = cuda_group_norm;
    ops->layer_norm = cuda_layer_norm;
    ops->attention = cuda_attention;
    ops->embed = cuda_embed;
    ops->time_embed = cuda_time_embed;
    ops->sampler_step = cuda_sampler_step;
    ops->noise = cuda_noise;
    ops->scale = cuda_scale;
    ops->to_rgb8 = cuda_to_rgb8;
    ops->steps_begin = steps_begin;
    ops->capture = cuda_capture;
    ops->replay = cuda_replay;
    ops->graph_destroy = cuda_graph_destroy;
    ops->span_begin = cuda_span_begin;
    ops->span_end = cuda_span_end;
    ops->spans_operators = cuda_spans_operators;
    ops->spans_read = cuda_spans_read;
    ops->spans_clear = cuda_spans_clear;
    ops->profile_begin = cuda_profile_begin;
    ops->profile_end = cuda_profile_end;
    ops->destroy = destroy;
}

static status check_open(int ordinal, enum dtype dtype)
{
    int count = 0;
    if (dtype != DTYPE_F32 && dtype != DTYPE_F16 && dtype != DTYPE_BF16)
        return status_fail(STATUS_UNSUPPORTED, "cuda: computes in f16, bf16 or f32, not in %s",
                           dtype_name(dtype));
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count < 1)
        return no_gpu(error);
    if (ordinal < 0 || ordinal >= count)
        return status_fail(STATUS_DEVICE, "cuda:%d: no such GPU; there %s %d, numbered from 0",
                           ordinal, count == 1 ? "is" : "are", count);
    return STATUS_OK;
}

status cuda_open(int ordinal, enum dtype dtype, struct ops **out)
{
    *out = nullptr;
    TRY(check_open(ordinal, dtype));
    TRY(enter(ordinal));
    struct cuda_device *dev = (struct cuda_device *)calloc(1, sizeof *dev);
    if (!dev)
        return status_fail(STATUS_NO_MEMORY, "cuda: no host memory");
    fill_table(&dev->ops);
    dev->ops.name = dev->name;
    dev->ops.summary = dev->summary;
    dev->ordinal = ordinal;
    dev->dtype = dtype;
    dev->use_graphs = 1;
    cuda_vendor_prefer(&dev->ops, 0);
    dev->ops.engine = dev->engine;
    status result = describe(dev);
    if (result == STATUS_OK)
        result = make_parts(dev);
    if (result != STATUS_OK) {
        destroy(&dev->ops);
        return result;
    }
    *out = &dev->ops;
    return STATUS_OK;
}

status cuda_vendor_open(struct ops *ops)
{
    struct cuda_device *dev = cuda_device(ops);
    if (dev->weights)
        return status_fail(STATUS_MISUSE, "engine vendor: opened behind the first weight");
    return vendor_open(dev, nullptr);
}

void cuda_vendor_prefer(struct ops *ops, int wanted)
{
    struct cuda_device *dev = cuda_device(ops);
    dev->vendor_preferred = wanted && dev->vendor;
    snprintf(dev->engine, sizeof dev->engine, "%s%s", dev->vendor_preferred ? "vendor, " : "own",
             dev->vendor_preferred ? dev->vendor->library.versions : "");
}

const char *cuda_vendor_versions(const struct ops *ops)
{
    const struct cuda_device *dev = (const struct cuda_device *)ops;
    return dev->vendor ? dev->vendor->library.versions : nullptr;
}

void cuda_use_graphs(struct ops *ops, int wanted) { cuda_device(ops)->use_graphs = wanted; }
