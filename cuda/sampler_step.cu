/* cuda/sampler_step.cu - guidance and one row of the step table.
 *
 * Algorithm  The formulas of ops.h from left to right, each product and each sum rounded to f32
 * (the _rn intrinsics are never joined to an FMA). Noise is made in registers. A history plane
 *            whose coefficient is 0 is not read, for it may never have been written. A second,
 *            single-thread kernel advances the step: no block of the first may see it early.
 * Layout     NHWC throughout; noise counts channel, row, column.
 * Roofline   Memory bound but for the noise: x and D in f32 and two parts of eps, 20 to 40 bytes a
 *            value. 96x64x4: 1 MB, far below the cost of its launch.
 * Variants   scalar  one value a thread
 *            quad    four channels of a pixel as one load and one store; c a multiple of 4 */
#include <stdio.h>

#include "cuda/device.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/philox.cuh"
#include "cuda/ptx.cuh"

enum { THREADS = 128 };

/* ---- device helpers ----------------------------------------------------------------------- */

static __device__ __forceinline__ float scaled_sum(float a, float x, float b, float y)
{
    return __fadd_rn(__fmul_rn(a, x), __fmul_rn(b, y));
}

/* D of LANES values from `at`; `total` elements lie between two parts. */
template <class T, int LANES>
static __device__ lanes<float, LANES> guided(const sampler_step_args &a, const step_row &row,
                                             const lanes<float, LANES> &x, size_t at, size_t img,
                                             size_t total)
{
    const T *eps = (const T *)a.eps + at;
    const int last = a.parts - 1;
    const lanes<T, LANES> e = load_lanes<LANES>(eps + last * total);
    lanes<float, LANES> negative, d;
    for (int i = 0; i < LANES; i++)
        d.v[i] = negative.v[i] = scaled_sum(row.d_x, x.v[i], row.d_e, to_f32(e.v[i]));
    for (int part = 0; part < last; part++) {
        const lanes<T, LANES> p = load_lanes<LANES>(eps + part * total);
        const float weight = a.weight[(size_t)part * a.n + img];
        for (int i = 0; i < LANES; i++) {
            const float positive = scaled_sum(row.d_x, x.v[i], row.d_e, to_f32(p.v[i]));
            d.v[i] = __fadd_rn(d.v[i], __fmul_rn(__fsub_rn(positive, negative.v[i]), weight));
        }
    }
    return d;
}

template <int LANES>
static __device__ void add_history(const sampler_step_args &a, const step_row &row, size_t at,
                                   size_t total, lanes<float, LANES> *next)
{
    for (int j = 0; j < STEP_HISTORY; j++) {
        if (row.x_h[j] == 0)
            continue;
        const lanes<float, LANES> h = load_lanes<LANES>(a.history + j * total + at);
        for (int i = 0; i < LANES; i++)
            next->v[i] = __fadd_rn(next->v[i], __fmul_rn(row.x_h[j], h.v[i]));
    }
}

template <int LANES>
static __device__ void add_noise(const sampler_step_args &a, const step_row &row, size_t at,
                                 size_t img, size_t total, lanes<float, LANES> *next)
{
    const size_t hw = a.hw, c = a.c, pixel = at / c % hw, ch = at % c;
    for (int i = 0; i < LANES; i++) {
        const float noise =
            a.noise ? a.noise[(size_t)row.draw * total + at + i]
                    : philox_deviate(a.seed[img], (uint64_t)row.draw, (ch + i) * hw + pixel);
        next->v[i] = __fadd_rn(next->v[i], __fmul_rn(row.noise, noise));
    }
}

/* ---- kernels ------------------------------------------------------------------------------ */

template <class T, int LANES>
static __global__ void sampler_step_k1(sampler_step_args a, const step_row *steps, const int *step)
{
    take_turn();
    const size_t per = (size_t)a.hw * a.c, total = per * a.n;
    const size_t at = ((size_t)blockIdx.x * THREADS + threadIdx.x) * LANES;
    if (at >= total)
        return;
    const step_row row = steps[*step];
    const size_t img = at / per;
    const lanes<float, LANES> x = load_lanes<LANES>(a.x + at);
    const lanes<float, LANES> d = guided<T, LANES>(a, row, x, at, img, total);

    lanes<float, LANES> next;
    for (int i = 0; i < LANES; i++)
        next.v[i] = scaled_sum(row.x_x, x.v[i], row.x_d, d.v[i]);
    add_history<LANES>(a, row, at, total, &next);
    if (row.draw >= 0)
        add_noise<LANES>(a, row, at, img, total, &next);

    if (row.h_slot >= 0) {
        lanes<float, LANES> kept;
        for (int i = 0; i < LANES; i++)
            kept.v[i] = scaled_sum(row.h_x, x.v[i], row.h_d, d.v[i]);
        store_lanes(a.history + row.h_slot * total + at, kept);
    }
    store_lanes(a.x + at, next);
    if (a.denoised)
        store_lanes(a.denoised + at, d);
    if (a.input) {
        lanes<T, LANES> input;
        for (int i = 0; i < LANES; i++)
            input.v[i] = from_f32<T>(__fmul_rn(next.v[i], row.c_in_next));
        store_lanes((T *)a.input + at, input);
    }
}

/* step: [2], the current row and how many there are. The last row stays current. */
static __global__ void sampler_step_k2_advance(int *step)
{
    take_turn();
    if (step[0] + 1 < step[1])
        step[0]++;
}

/* ---- launchers ---------------------------------------------------------------------------- */

template <int LANES> static status launch(const sampler_step_args *a, const cuda_call *call)
{
    const size_t threads = (size_t)a->n * a->hw * a->c / LANES;
    TRY(with_element_type(a->dtype, [&](auto type) {
        return gpu_launch_after("sampler_step", sampler_step_k1<decltype(type), LANES>,
                                dim3((unsigned)((threads + THREADS - 1) / THREADS)), dim3(THREADS),
                                0, call->stream, *a, call->steps, call->step);
    }));
    return gpu_launch_after("sampler_step advance", sampler_step_k2_advance, dim3(1), dim3(1), 0,
                            call->stream, (int *)call->step);
}

static int takes_any(const sampler_step_args *) { return 1; }
static int takes_quads(const sampler_step_args *a) { return a->c % 4 == 0; }

static const cuda_variant<sampler_step_args> rows[] = {
    { "scalar", 80, takes_any, nullptr, launch<1> },
    { "quad", 80, takes_quads, nullptr, launch<4> },
};
const cuda_table<sampler_step_args> cuda_sampler_step_table = { "sampler_step", rows, 2 };

static status check(const struct sampler_step_args *a)
{
    if (a->n < 1 || a->hw < 1 || a->c < 1 || a->parts < 1 ||
        (double)a->n * a->hw * a->c > (double)THREADS * 0x7fffffff)
        return status_fail(STATUS_BAD_SHAPE, "sampler_step: n=%d hw=%d c=%d parts=%d", a->n, a->hw,
                           a->c, a->parts);
    if (!is_element_type(a->dtype))
        return status_fail(STATUS_UNSUPPORTED, "sampler_step: no variant for %s",
                           dtype_name(a->dtype));
    return STATUS_OK;
}

extern "C" status cuda_sampler_step(struct ops *ops, const struct sampler_step_args *a)
{
    struct cuda_device *dev = cuda_device(ops);
    struct sampler_step_args on_device = *a;
    const size_t n = (size_t)a->n;
    const void *seed, *weight;
    TRY(check(a));
    TRY(cuda_constant(dev, a->seed, n * sizeof *a->seed, &seed));
    on_device.seed = (const uint64_t *)seed;
    if (a->parts > 1) {
        TRY(cuda_constant(dev, a->weight, (size_t)(a->parts - 1) * n * sizeof *a->weight, &weight));
        on_device.weight = (const float *)weight;
    }
    cuda_span_text span = { "", 0, (double)a->n * a->hw * a->c * 4 * (3 + a->parts) };
    snprintf(span.shape, sizeof span.shape, "%dx%dx%d", a->n, a->hw, a->c);
    return cuda_run(dev, cuda_sampler_step_table, &on_device, dtype_name(a->dtype), span);
}
