/* cuda/time_embed.cu - the sinusoid of t, in f32 as the original computes it: frequency, angle and
 * function each rounded.
 *
 * Algorithm  A thread makes a cosine and the sine c/2 behind it.
 * Roofline   Nothing: 30 rows of 320, once a picture.
 * Variants   scalar */
#include <stdio.h>

#include "cuda/device.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"

enum { THREADS = 128 };

template <class T> static __global__ void time_embed_k1_scalar(time_embed_args a)
{
    const int half = a.c / 2, i = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (i >= half)
        return;
    const float span = -9.210340371976184f; /* -ln 10000 */
    const float exponent = __fdiv_rn(__fmul_rn(span, (float)i), (float)half);
    const float angle = __fmul_rn(a.t[blockIdx.y], expf(exponent));
    T *y = (T *)a.y + (size_t)blockIdx.y * a.c + i;
    y[0] = from_f32<T>(cosf(angle));
    y[half] = from_f32<T>(sinf(angle));
}

static int takes_any(const time_embed_args *) { return 1; }

static status launch_scalar(const time_embed_args *a, const cuda_call *call)
{
    const dim3 grid((unsigned)((a->c / 2 + THREADS - 1) / THREADS), (unsigned)a->rows);
    return with_element_type(a->dtype, [&](auto type) {
        return gpu_launch("time_embed scalar", time_embed_k1_scalar<decltype(type)>, grid,
                          dim3(THREADS), 0, call->stream, *a);
    });
}

static const cuda_variant<time_embed_args> rows[] = {
    { "scalar", 80, takes_any, nullptr, launch_scalar },
};
const cuda_table<time_embed_args> cuda_time_embed_table = { "time_embed", rows, 1 };

extern "C" status cuda_time_embed(struct ops *ops, const struct time_embed_args *a)
{
    enum { ROWS_MOST = 65535 }; /* of a grid's second side; a run has at most 2000 */
    struct cuda_device *dev = cuda_device(ops);
    if (a->rows < 1 || a->rows > ROWS_MOST || a->c < 2 || a->c % 2 != 0)
        return status_fail(STATUS_BAD_SHAPE, "time_embed: rows=%d c=%d", a->rows, a->c);
    if (!is_element_type(a->dtype))
        return status_fail(STATUS_UNSUPPORTED, "time_embed: no variant for %s",
                           dtype_name(a->dtype));
    struct time_embed_args on_device = *a;
    const void *t;
    TRY(cuda_constant(dev, a->t, (size_t)a->rows * sizeof *a->t, &t));
    on_device.t = (const float *)t;
    cuda_span_text span = { "", 0, 0 };
    snprintf(span.shape, sizeof span.shape, "%dx%d", a->rows, a->c);
    return cuda_run(dev, cuda_time_embed_table, &on_device, dtype_name(a->dtype), span);
}
