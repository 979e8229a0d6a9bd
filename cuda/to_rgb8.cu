/* cuda/to_rgb8.cu - decoder output to bytes, truncated as the web UI does, and a flag for each
 * image that holds a NaN or an infinity.
 *
 * Algorithm  The flags are cleared; a thread converts its values, and raises its image's flag if
 * one of them is not finite: rare, so the atomic costs nothing. Roofline   Memory bound: 2 bytes
 * in, 1 out a value. 512x768: 3.5 MB, 1 us at 4 TB/s. Variants   scalar  one value a thread quad
 * four as one load and one store; hw a multiple of 4 */
#include <stdio.h>

#include "cuda/device.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"

enum { THREADS = 256 };

static __device__ uint8_t to_byte(float v, int *broken)
{
    if (!isfinite(v)) {
        *broken = 1;
        return 0;
    }
    const float unit = __fmul_rn(__fadd_rn(v, 1.0f), 0.5f);
    return (uint8_t)__fmul_rn(255.0f, unit < 0 ? 0.0f : unit > 1 ? 1.0f : unit);
}

template <class T, int LANES> static __global__ void to_rgb8_k1(to_rgb8_args a)
{
    const size_t per = 3 * (size_t)a.hw;
    const size_t in_image = ((size_t)blockIdx.x * THREADS + threadIdx.x) * LANES;
    if (in_image >= per)
        return;
    const size_t at = blockIdx.y * per + in_image;
    const lanes<T, LANES> x = load_lanes<LANES>((const T *)a.x + at);
    lanes<uint8_t, LANES> rgb;
    int broken = 0;
    for (int i = 0; i < LANES; i++)
        rgb.v[i] = to_byte(to_f32(x.v[i]), &broken);
    store_lanes(a.rgb + at, rgb);
    if (broken)
        atomicOr(&a.non_finite[blockIdx.y], 1);
}

/* ---- launchers ---------------------------------------------------------------------------- */

template <int LANES> static status launch(const to_rgb8_args *a, const cuda_call *call)
{
    const size_t threads = 3 * (size_t)a->hw / LANES;
    const dim3 grid((unsigned)((threads + THREADS - 1) / THREADS), (unsigned)a->n);
    TRY(cuda_check(
        cudaMemsetAsync(a->non_finite, 0, (size_t)a->n * sizeof *a->non_finite, call->stream),
        "to_rgb8"));
    return with_element_type(a->dtype, [&](auto type) {
        return gpu_launch("to_rgb8", to_rgb8_k1<decltype(type), LANES>, grid, dim3(THREADS), 0,
                          call->stream, *a);
    });
}

static int takes_any(const to_rgb8_args *) { return 1; }
static int takes_quads(const to_rgb8_args *a) { return a->hw % 4 == 0; }

static const cuda_variant<to_rgb8_args> rows[] = {
    { "scalar", 80, takes_any, nullptr, launch<1> },
    { "quad", 80, takes_quads, nullptr, launch<4> },
};
const cuda_table<to_rgb8_args> cuda_to_rgb8_table = { "to_rgb8", rows, 2 };

extern "C" status cuda_to_rgb8(struct ops *ops, const struct to_rgb8_args *a)
{
    enum { IMAGES_MOST = 65535 }; /* of a grid's second side */
    if (a->n < 1 || a->n > IMAGES_MOST || a->hw < 1)
        return status_fail(STATUS_BAD_SHAPE, "to_rgb8: n=%d hw=%d", a->n, a->hw);
    if (!is_element_type(a->dtype))
        return status_fail(STATUS_UNSUPPORTED, "to_rgb8: no variant for %s", dtype_name(a->dtype));
    cuda_span_text span = { "", 0, 3.0 * a->n * a->hw * (1 + (double)dtype_size(a->dtype)) };
    snprintf(span.shape, sizeof span.shape, "%dx%d", a->n, a->hw);
    return cuda_run(cuda_device(ops), cuda_to_rgb8_table, a, dtype_name(a->dtype), span);
}
