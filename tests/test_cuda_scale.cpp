/* tests/test_cuda_scale.cpp - every CUDA variant of scale against the definition. */
#include "cuda/device.cuh"
#include "tests/check.h"
#include "tests/gpu.h"
#include "tests/ref/ref.h"

static const struct {
    size_t count;
    float scale;
    const char *why;
} shapes[] = {
    { 64 * 96 * 4, 14.6146f, "a latent at sigma max" },
    { 257, 1 / 0.18215f, "one more than a block" },
    { 1, -3e4f, "one value, of f16's last ones" },
};

static int check_row(int row, enum dtype dtype, size_t shape)
{
    const size_t count = shapes[shape].count, bytes = count * dtype_size(dtype);
    struct scale_args host = {};
    host.x = test_f32(count, 0, 1, 7 + shape);
    host.y = test_alloc(bytes);
    host.dtype = dtype;
    host.scale = shapes[shape].scale;
    host.count = count;
    if (!cuda_scale_table.row[row].takes(&host))
        return 0;

    double *want = (double *)test_alloc(count * sizeof *want);
    ref_scale(&host, want);
    struct scale_args dev = host;
    dev.x = (const float *)gpu_copy(host.x, count * sizeof(float));
    dev.y = gpu_poison(bytes);
    gpu_force(row);
    CHECK_OK(cuda_scale(gpu_device(), &dev));
    gpu_download(host.y, dev.y, bytes);

    /* one product in f32, one store */
    struct bound bound = {};
    bound.rel = half_ulp(dtype) * 1.001 + half_ulp(DTYPE_F32);
    CHECK(check_close(host.y, dtype, want, count, bound, shapes[shape].why) == 0);
    return 1;
}

int main(void)
{
    if (!gpu_present())
        return TEST_SKIP;
    CHECK(check_selftest() == 0);
    for (int row = 0; row < cuda_scale_table.count; row++)
        for (int dtype = DTYPE_F32; dtype <= DTYPE_BF16; dtype++) {
            int checked = 0;
            for (size_t i = 0; i < COUNT(shapes); i++) {
                checked += check_row(row, (enum dtype)dtype, i);
                gpu_release();
                test_release();
            }
            CHECK(checked > 0); /* a row that no shape reaches has not been tested */
        }

    struct scale_args bad = {};
    CHECK(cuda_scale(gpu_device(), &bad) == STATUS_BAD_SHAPE);
    bad.count = 4;
    bad.dtype = DTYPE_I8;
    gpu_force(-1);
    CHECK(cuda_scale(gpu_device(), &bad) == STATUS_UNSUPPORTED);
    return check_failures != 0;
}
