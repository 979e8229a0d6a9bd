/* tests/test_emulator_runtime.cpp - the emulated runtime calls: work is late, errors stick, graphs
 * replay, the call that is to fail fails; and what the stand-ins' arithmetic gives. */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/launch.cuh"
#include "host/base/dtype.h"
#include "tests/emulator/emulator.h"

static int failures;
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                 \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)
#define CHECK_GOOD(call) CHECK((call) == cudaSuccess)

static __global__ void add(int *v, int by) { v[threadIdx.x] += by; }
static __global__ void fault(int *v) { v[1 << 20] = 1; }

/* ---- streams and events ----------------------------------------------------------------- */

static void work_is_late(void)
{
    int *device, *pinned, plain[4] = { 1, 2, 3, 4 };
    cudaStream_t s, other;
    cudaEvent_t event, end;
    float ms = -1;
    CHECK_GOOD(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    CHECK_GOOD(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    CHECK_GOOD(cudaMalloc(&device, 16));
    CHECK_GOOD(cudaMallocHost(&pinned, 16));
    CHECK_GOOD(cudaEventCreate(&event));
    CHECK_GOOD(cudaEventCreate(&end));

    /* a copy from pageable memory is taken at once, one to pinned memory comes late */
    CHECK_GOOD(cudaMemcpyAsync(device, plain, 16, cudaMemcpyHostToDevice, s));
    plain[0] = 100;
    memset(pinned, 0, 16);
    CHECK_GOOD(cudaEventRecord(event, s));
    CHECK(gpu_launch("add", add, 1, 4, 0, s, device, 10) == STATUS_OK);
    CHECK_GOOD(cudaMemcpyAsync(pinned, device, 16, cudaMemcpyDeviceToHost, s));
    CHECK_GOOD(cudaEventRecord(end, s));
    CHECK(pinned[0] == 0);
    CHECK(cudaEventElapsedTime(&ms, event, end) != cudaSuccess);
    CHECK(cudaEventQuery(end) == cudaErrorNotReady);
    CHECK_GOOD(cudaEventSynchronize(end));
    CHECK(pinned[0] == 11 && pinned[3] == 14);
    CHECK_GOOD(cudaEventElapsedTime(&ms, event, end));
    CHECK(ms >= 0);

    /* a copy from pinned memory reads it when it runs; another stream waits for an event */
    CHECK_GOOD(cudaMemcpyAsync(device, pinned, 16, cudaMemcpyHostToDevice, s));
    pinned[1] = 500;
    CHECK_GOOD(cudaEventRecord(event, s));
    CHECK_GOOD(cudaStreamWaitEvent(other, event));
    CHECK_GOOD(cudaMemcpyAsync(plain, device, 16, cudaMemcpyDeviceToHost, other));
    CHECK(plain[1] == 500); /* pageable: waited for, and with it the other stream */

    CHECK(cudaMemcpyAsync(device, plain, 16, cudaMemcpyDeviceToHost, s) == cudaErrorInvalidValue);
    CHECK(cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess);
    CHECK_GOOD(cudaEventDestroy(event));
    CHECK_GOOD(cudaEventDestroy(end));
    CHECK_GOOD(cudaFreeHost(pinned));
    CHECK_GOOD(cudaFree(device));
    CHECK_GOOD(cudaStreamDestroy(s));
    CHECK_GOOD(cudaStreamDestroy(other));
}

static void graphs_replay(void)
{
    int *device, host[4] = {};
    cudaStream_t s;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaStreamCaptureStatus capturing;
    void *p;
    CHECK_GOOD(cudaStreamCreate(&s));
    CHECK_GOOD(cudaMalloc(&device, 16));
    CHECK_GOOD(cudaMemsetAsync(device, 0, 16, s));
    CHECK_GOOD(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
    CHECK(gpu_launch("add", add, 1, 4, 0, s, device, 1) == STATUS_OK);
    CHECK(gpu_launch("add", add, 1, 4, 0, s, device, 2) == STATUS_OK);
    CHECK_GOOD(cudaStreamIsCapturing(s, &capturing));
    CHECK(capturing == cudaStreamCaptureStatusActive);
    CHECK_GOOD(cudaStreamEndCapture(s, &graph));
    CHECK_GOOD(cudaGraphInstantiate(&exec, graph));
    CHECK_GOOD(cudaGraphDestroy(graph));
    for (int i = 0; i < 3; i++)
        CHECK_GOOD(cudaGraphLaunch(exec, s));
    CHECK_GOOD(cudaMemcpy(host, device, 16, cudaMemcpyDeviceToHost));
    CHECK(host[0] == 9 && host[3] == 9); /* the capture itself ran nothing */

    /* what may not be done in a capture spoils it */
    CHECK_GOOD(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    CHECK(cudaMalloc(&p, 16) == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaStreamSynchronize(s) == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaStreamEndCapture(s, &graph) == cudaErrorStreamCaptureInvalidated && !graph);
    CHECK_GOOD(cudaMalloc(&p, 16));
    CHECK_GOOD(cudaFree(p));
    CHECK_GOOD(cudaGraphExecDestroy(exec));
    CHECK_GOOD(cudaFree(device));
    CHECK_GOOD(cudaStreamDestroy(s));
}

/* ---- failures --------------------------------------------------------------------------- */

static void failures_stick(void)
{
    int *device;
    void *p;
    CHECK_GOOD(cudaMalloc(&device, 16));
    CHECK(gpu_launch("fault", fault, 1, 1, 0, 0, device) == STATUS_OK);
    CHECK(cudaDeviceSynchronize() == cudaErrorLaunchFailure);
    CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
    CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
    CHECK(cudaMalloc(&p, 16) == cudaErrorLaunchFailure);
    CHECK(strstr(emu_last_report(), "fault: block (0,0,0) thread 0"));
    CHECK(gpu_launch("later", add, 1, 4, 0, 0, device, 1) == STATUS_DEVICE);
    CHECK(strstr(status_text(), "later: launch refused: unspecified launch failure"));
    emu_forget_failure();
    CHECK_GOOD(cudaFree(device));
    CHECK(cudaFree(device) == cudaErrorInvalidValue);
    (void)cudaGetLastError();
}

static void memory_runs_out(void)
{
    size_t before, after, total;
    void *p, *q;
    emu_set.memory_mb = 64;
    CHECK_GOOD(cudaMemGetInfo(&before, &total));
    CHECK(total == (size_t)64 << 20 && before == total);
    CHECK_GOOD(cudaMalloc(&p, (size_t)40 << 20));
    CHECK(cudaMalloc(&q, (size_t)40 << 20) == cudaErrorMemoryAllocation && !q);
    CHECK(cudaGetLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaSuccess);
    CHECK_GOOD(cudaMemGetInfo(&after, &total));
    CHECK(before - after == (size_t)40 << 20);
    CHECK_GOOD(cudaFree(p));
    emu_set.memory_mb = 8192;
}

/* Ten calls, each failed in turn. */
static int ten_calls(void)
{
    int *v, count = 0, got = 0;
    cudaStream_t s;
    if (cudaGetDeviceCount(&count) || cudaSetDevice(0) || cudaStreamCreate(&s) ||
        cudaMalloc(&v, 16) || cudaMemsetAsync(v, 0, 16, s) ||
        gpu_launch("add", add, 1, 4, 0, s, v, 7) != STATUS_OK ||
        cudaMemcpyAsync(&got, v, 4, cudaMemcpyDeviceToHost, s) || cudaStreamSynchronize(s) ||
        cudaFree(v) || cudaStreamDestroy(s))
        return -1;
    return got;
}

static void the_nth_call_fails(void)
{
    const int64_t before = emu_calls();
    CHECK(ten_calls() == 7);
    const int64_t calls = emu_calls() - before;
    CHECK(calls == 10);
    for (int64_t i = 1; i <= calls; i++) {
        emu_set.fail_call = emu_calls() + i;
        CHECK(ten_calls() == -1);
        CHECK(cudaPeekAtLastError() ==
              (i == 4 ? cudaErrorMemoryAllocation : cudaErrorLaunchFailure));
        emu_set.fail_call = 0;
        emu_forget_failure();
    }
    CHECK(ten_calls() == 7);
}

static void devices_may_be_missing(void)
{
    int count = 5, version = -1;
    emu_set.device = cudaErrorNoDevice;
    CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0);
    emu_set.device = cudaErrorInsufficientDriver;
    CHECK(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver);
    CHECK_GOOD(cudaDriverGetVersion(&version));
    CHECK(version < CUDART_VERSION);
    emu_set.device = 0;
    emu_forget_failure();
    CHECK_GOOD(cudaGetDeviceCount(&count));
    CHECK(count == 1 && cudaSetDevice(1) == cudaErrorInvalidDevice);
    (void)cudaGetLastError();
}

/* ---- arithmetic, against host/base/dtype, which has its own roundings ------------------- */

static int same(float a, float b) { return memcmp(&a, &b, 4) == 0 || (a != a && b != b); }

static void sixteen_bit_numbers(void)
{
    for (unsigned bits = 0; bits < 65536; bits++) {
        const uint16_t b = (uint16_t)bits;
        CHECK(same(__half2float(__ushort_as_half(b)), f16_to_f32(b)));
        CHECK(same(__bfloat162float(__ushort_as_bfloat16(b)), bf16_to_f32(b)));
    }
    uint64_t state = 1;
    for (int i = 0; i < 300000; i++) { /* every exponent, and ties: the low half is often 0x8000 */
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint32_t bits = (uint32_t)(state >> 32);
        if (i % 3 == 0)
            bits = (bits & 0xffff0000u) | 0x8000u;
        if (i % 3 == 1)
            bits = (bits & 0xfffff000u) | 0x1000u;
        float f;
        memcpy(&f, &bits, 4);
        if (f != f)
            continue;
        CHECK(__half_as_ushort(__float2half_rn(f)) == f16_from_f32(f));
        CHECK(__bfloat16_as_ushort(__float2bfloat16_rn(f)) == bf16_from_f32(f));
    }
}

/* fma of halves is exact in 80 bits of long double for these exponents, then rounded once. */
static void fused_products(void)
{
    uint64_t state = 5;
    for (int i = 0; i < 200000; i++) {
        uint16_t h[3];
        for (uint16_t &v : h) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            v = (uint16_t)((state >> 40 & 0x83ff) | (10 + (state >> 33) % 10) << 10);
        }
        const long double exact =
            (long double)f16_to_f32(h[0]) * f16_to_f32(h[1]) + f16_to_f32(h[2]);
        const __half got =
            __hfma(__ushort_as_half(h[0]), __ushort_as_half(h[1]), __ushort_as_half(h[2]));
        /* the nearest half: neither neighbour is nearer */
        const uint16_t bits = __half_as_ushort(got);
        const long double error = fabsl(f16_to_f32(bits) - exact);
        const long double up = fabsl(f16_to_f32((uint16_t)(bits + 1)) - exact);
        const long double down = fabsl(f16_to_f32((uint16_t)(bits - 1)) - exact);
        if ((bits & 0x7fff) != 0)
            CHECK(error <= up && error <= down && !(error == up && bits % 2));
    }
}

static void conversions_to_integers(void)
{
    CHECK(__float2int_rn(2.5f) == 2 && __float2int_rn(3.5f) == 4 && __float2int_rz(-2.7f) == -2);
    CHECK(__float2int_rd(-2.1f) == -3 && __float2int_ru(2.1f) == 3);
    CHECK(__float2int_rn(3e9f) == INT32_MAX && __float2int_rn(-3e9f) == INT32_MIN);
    CHECK(__float2int_rn(NAN) == 0 && __float2uint_rn(-5.0f) == 0);
    CHECK(__float2uint_rz(5e9f) == UINT32_MAX);
    CHECK(__umulhi(0xffffffffu, 0xffffffffu) == 0xfffffffeu && __clz(1) == 31 && __ffs(8) == 4);
    CHECK(__byte_perm(0x33221100u, 0x77665544u, 0x6420u) == 0x66442200u);
    CHECK(__funnelshift_r(0x11111111u, 0x22222222u, 4) == 0x21111111u);
    float s, c;
    sincospif(1.0f, &s, &c);
    CHECK(fabsf(s) < 1e-7f && c == -1.0f);
    CHECK(min(NAN, 1.0f) == 1.0f && max(1.0f, NAN) == 1.0f && min(-3, 2) == -3);
}

/* ---- counting --------------------------------------------------------------------------- */

struct square {
    float v[32][33];
};

/* Columns of rows of `stride` floats: 32 passes for one at 32, 1 at 33. */
static __global__ void columns(float *y, int stride)
{
    square &s = shared_as<square>();
    float *v = &s.v[0][0];
    v[threadIdx.x * stride] = (float)threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = v[(31 - threadIdx.x) * stride];
}

static void conflicts_are_counted(void)
{
    float *y;
    emu_set.count_banks = 1;
    CHECK_GOOD(cudaMalloc(&y, 128));
    for (int stride = 32; stride <= 33; stride++) {
        CHECK(gpu_launch("columns", columns, 1, 32, sizeof(square), 0, y, stride) == STATUS_OK);
        CHECK_GOOD(cudaDeviceSynchronize());
        const struct emu_banks banks = emu_take_banks();
        if (!emu_is_checked())
            continue;
        CHECK(banks.requests == 2 && banks.ideal == 2);
        CHECK(banks.wavefronts == (stride == 32 ? 64u : 2u));
        CHECK(stride == 33 || strstr(banks.where, "test_emulator_runtime"));
    }
    CHECK_GOOD(cudaFree(y));
    emu_set.count_banks = 0;
}

int main(void)
{
    emu_set.quiet = 1;
    work_is_late();
    graphs_replay();
    failures_stick();
    memory_runs_out();
    the_nth_call_fails();
    devices_may_be_missing();
    sixteen_bit_numbers();
    fused_products();
    conversions_to_integers();
    conflicts_are_counted();
    return failures != 0;
}
