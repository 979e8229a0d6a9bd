/* cuda/noise.cu - unit noise of a picture's seed, scaled.
 *
 * Algorithm  A thread makes one value: Philox and Box-Muller in registers (philox.cuh).
 * Layout     Elements are numbered channel, row, column (the web UI's order) and stored NHWC.
 * Roofline   Bound by double arithmetic, 150 operations a value: 24576 values, a few us.
 * Variants   scalar */
#include <stdio.h>

#include "cuda/device.cuh"
#include "cuda/launch.cuh"
#include "cuda/philox.cuh"

enum { THREADS = 256 };

static __global__ void noise_k1_scalar(noise_args a)
{
    const size_t per = (size_t)a.hw * a.c;
    const size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= per * a.n)
        return;
    const size_t img = at / per, pixel = at % per / a.c, ch = at % a.c;
    a.y[at] = __fmul_rn(a.scale, philox_deviate(a.seed[img], (uint64_t)a.draw, ch * a.hw + pixel));
}

static int takes_any(const noise_args *) { return 1; }

static status launch_scalar(const noise_args *a, const cuda_call *call)
{
    const size_t count = (size_t)a->n * a->hw * a->c;
    return gpu_launch("noise scalar", noise_k1_scalar,
                      dim3((unsigned)((count + THREADS - 1) / THREADS)), dim3(THREADS), 0,
                      call->stream, *a);
}

static const cuda_variant<noise_args> rows[] = {
    { "scalar", 80, takes_any, nullptr, launch_scalar },
};
const cuda_table<noise_args> cuda_noise_table = { "noise", rows, 1 };

extern "C" status cuda_noise(struct ops *ops, const struct noise_args *a)
{
    struct cuda_device *dev = cuda_device(ops);
    if (a->n < 1 || a->hw < 1 || a->c < 1 || a->draw < 0 ||
        (double)a->n * a->hw * a->c > (double)THREADS * 0x7fffffff)
        return status_fail(STATUS_BAD_SHAPE, "noise: n=%d hw=%d c=%d draw=%d", a->n, a->hw, a->c,
                           a->draw);
    struct noise_args on_device = *a;
    const void *seed;
    TRY(cuda_constant(dev, a->seed, (size_t)a->n * sizeof *a->seed, &seed));
    on_device.seed = (const uint64_t *)seed;
    cuda_span_text span = { "", 0, (double)a->n * a->hw * a->c * 4 };
    snprintf(span.shape, sizeof span.shape, "%dx%dx%d", a->n, a->hw, a->c);
    return cuda_run(dev, cuda_noise_table, &on_device, "f32", span);
}
