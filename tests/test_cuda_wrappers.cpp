/* tests/test_cuda_wrappers.cpp - every wrapper of cuda/ptx*.cuh against its definition. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cuda/device.cuh"
#include "tests/check.h"
#include "tests/gpu.h"
#include "tests/wrappers/wrappers.h"

static const uint16_t *input(const wrapper_case *c, uint64_t seed)
{
    const enum dtype dtype = strstr(c->name, "bf16") ? DTYPE_BF16 : DTYPE_F16;
    return (const uint16_t *)test_values(dtype, WRAPPER_IN, 0, 1, seed);
}

static void check_case(const wrapper_case *c)
{
    const uint16_t *a = input(c, 1), *b = input(c, 2);
    const size_t bytes = c->count * sizeof(float);
    float *got = (float *)test_alloc(bytes);
    double *want = (double *)test_alloc(c->count * sizeof *want);
    double *room = (double *)test_alloc(c->count * sizeof *room);
    c->define(a, b, want, room);

    float *out = (float *)gpu_poison(bytes);
    CHECK_OK(c->run((const uint16_t *)gpu_copy(a, WRAPPER_IN * 2),
                    (const uint16_t *)gpu_copy(b, WRAPPER_IN * 2), out));
    gpu_download(got, out, bytes);
    struct bound bound = {};
    bound.factor = c->bound;
    bound.room = room;
    CHECK(check_close(got, DTYPE_F32, want, c->count, bound, c->name) == 0);
    gpu_release();
    test_release();
}

int main(void)
{
    if (!gpu_present())
        return TEST_SKIP;
    const int arch = cuda_device(gpu_device())->arch;
    for (size_t i = 0; i < wrappers_warp_count; i++)
        check_case(&wrappers_warp[i]);
    for (size_t i = 0; i < wrappers_hopper_count; i++)
        if (wrappers_hopper[i].arch == arch)
            check_case(&wrappers_hopper[i]);
    printf("%zu wrappers, %s of them for sm_90a\n", wrappers_warp_count + wrappers_hopper_count,
           arch == 90 ? "with those" : "without those");
    return check_failures != 0;
}
