/* host/cpu/weight_rows.c - a layer's rows in f32 from its host tensors, with deltas. */
#include <math.h>
#include <string.h>
#if defined __F16C__
#include <immintrin.h>
#endif

#include "host/base/weight_args.h"
#include "host/cpu/weight.h"

static void from_f16(const unsigned char *from, size_t count, float *to)
{
    size_t i = 0;
#if defined __F16C__
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(
                                     (const __m128i *)(const void *)(from + 2 * i))));
#endif
    if (i < count)
        dtype_to_f32(from + 2 * i, DTYPE_F16, count - i, to + i);
}

static void from_host(const void *data, enum dtype dtype, size_t first, size_t count, float *to)
{
    const unsigned char *from = (const unsigned char *)data + first * dtype_size(dtype);
    if (dtype == DTYPE_F32)
        memcpy(to, from, count * sizeof *to);
    else if (dtype == DTYPE_F16)
        from_f16(from, count, to);
    else
        dtype_to_f32(from, dtype, count, to);
}

/* splitmix64's finaliser: 64 well-mixed bits of a counter.
 * source   Steele, Lea and Flood 2014, figure 16 */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Values of the given deviation; the sum of four uniforms of 16 bits is normal enough, and 30
 * times quicker than a logarithm for each of 10^9 elements. */
static void synthetic(uint64_t seed, size_t first, size_t count, float deviation, float *to)
{
    const float unit = deviation * sqrtf(3.0f) / 65536.0f; /* a sum's deviation: 65536 / sqrt(3) */
    for (size_t i = 0; i < count; i++) {
        const uint64_t z = mix(seed + (first + i) * UINT64_C(0x9e3779b97f4a7c15));
        const int sum =
            (int)((z & 0xffff) + ((z >> 16) & 0xffff) + ((z >> 32) & 0xffff) + (z >> 48)) -
            2 * 65535;
        to[i] = (float)sum * unit;
    }
}

/* to += scale * up[row] . down, the product summed by itself first. */
static void add_product(const struct weight_delta *d, int row, size_t width, float *to)
{
    enum { BLOCK = 1024 };
    float sum[BLOCK];
    for (size_t at = 0; at < width; at += BLOCK) {
        const size_t count = width - at < BLOCK ? width - at : BLOCK;
        memset(sum, 0, sizeof sum);
        for (int r = 0; r < d->rank; r++) {
            const float up = d->up[(size_t)row * (size_t)d->rank + (size_t)r];
            const float *down = d->down + (size_t)r * width + at;
            for (size_t i = 0; i < count; i++)
                sum[i] += up * down[i];
        }
        for (size_t i = 0; i < count; i++)
            to[at + i] += d->scale * sum[i];
    }
}

static void add_full(const struct weight_delta *d, int row, size_t width, float *to)
{
    const float *full = d->full + (size_t)row * width;
    for (size_t i = 0; i < width; i++)
        to[i] += d->scale * full[i];
}

/* One row of one part. */
static void one_row(const struct weight_args *args, const struct weight_delta *deltas, int n,
                    int part, int row, float *to)
{
    const struct weight_part *p = &args->part[part];
    const size_t width = weight_args_width(args), first = (size_t)row * width;
    if (p->data)
        from_host(p->data, p->dtype, first, width, to);
    else
        synthetic(weight_args_seed(args, part), first, width,
                  args->kind == WEIGHT_VECTOR ? 1.0f : 1.0f / sqrtf((float)width), to);
    for (int i = 0; i < n; i++) {
        if (deltas[i].part != part || deltas[i].scale == 0.0f)
            continue;
        if (deltas[i].rank > 0)
            add_product(&deltas[i], row, width, to);
        else
            add_full(&deltas[i], row, width, to);
    }
    if (args->scale != 1.0f)
        for (size_t i = 0; i < width; i++)
            to[i] *= args->scale;
}

void cpu_weight_rows(const struct cpu_device *dev, const struct weight_args *args,
                     const struct weight_delta *deltas, int n, int first, int rows, float *to)
{
    const size_t width = weight_args_width(args);
#pragma omp parallel for num_threads(dev->threads)
    for (int i = 0; i < rows; i++) {
        int part = 0, row = first + i;
        while (row >= args->part[part].out)
            row -= args->part[part++].out;
        one_row(args, deltas, n, part, row, to + (size_t)i * width);
    }
}

void cpu_weight_bias(const struct weight_args *args, float *to)
{
    for (int p = 0; p < args->parts; p++) {
        const struct weight_part *part = &args->part[p];
        const size_t out = (size_t)part->out;
        if (part->bias)
            from_host(part->bias, part->bias_dtype, 0, out, to);
        else
            memset(to, 0, out * sizeof *to);
        for (size_t i = 0; i < out; i++)
            to[i] *= args->scale;
        to += out;
    }
}
