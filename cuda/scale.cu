/* cuda/scale.cu - y = scale * x, converted.
 *
 * Algorithm  A thread scales its neighbours, once.
 * Roofline   Memory bound: 4 bytes in, 2 out. 96x64x4: 0.15 MB, far below the cost of a launch.
 * Once a picture. Variants   scalar  one value a thread quad    four, as one load and one store;
 * count a multiple of 4 */
#include <stdio.h>

#include "cuda/device.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

enum { THREADS = 256 };

template <class T, int LANES> static __global__ void scale_k1(scale_args a)
{
    take_turn();
    const size_t at = ((size_t)blockIdx.x * THREADS + threadIdx.x) * LANES;
    if (at >= a.count)
        return;
    const lanes<float, LANES> x = load_lanes<LANES>(a.x + at);
    lanes<T, LANES> y;
    for (int i = 0; i < LANES; i++)
        y.v[i] = from_f32<T>(__fmul_rn(a.scale, x.v[i]));
    store_lanes((T *)a.y + at, y);
}

/* ---- launchers ---------------------------------------------------------------------------- */

template <int LANES> static status launch(const scale_args *a, const cuda_call *call)
{
    const size_t threads = a->count / LANES;
    return with_element_type(a->dtype, [&](auto type) {
        return gpu_launch_after("scale", scale_k1<decltype(type), LANES>,
                                dim3((unsigned)((threads + THREADS - 1) / THREADS)), dim3(THREADS),
                                0, call->stream, *a);
    });
}

static int takes_any(const scale_args *) { return 1; }
static int takes_quads(const scale_args *a) { return a->count % 4 == 0; }

static const cuda_variant<scale_args> rows[] = {
    { "scalar", 80, takes_any, nullptr, launch<1> },
    { "quad", 80, takes_quads, nullptr, launch<4> },
};
const cuda_table<scale_args> cuda_scale_table = { "scale", rows, 2 };

extern "C" status cuda_scale(struct ops *ops, const struct scale_args *a)
{
    if (a->count < 1 || a->count > (size_t)THREADS << 31)
        return status_fail(STATUS_BAD_SHAPE, "scale: %zu values", a->count);
    if (!is_element_type(a->dtype))
        return status_fail(STATUS_UNSUPPORTED, "scale: no variant for %s", dtype_name(a->dtype));
    cuda_span_text span = { "", 0, (double)a->count * (4 + (double)dtype_size(a->dtype)) };
    snprintf(span.shape, sizeof span.shape, "%zu", a->count);
    return cuda_run(cuda_device(ops), cuda_scale_table, a, dtype_name(a->dtype), span);
}
