/* tests/check.c - test data from seeds, and comparisons. */
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    _Alignas(16) double data[]; /* aligned as what kernels are given */
};

static struct block *blocks;

double value(const void *data, enum dtype dtype, size_t i) { return dtype_value(data, dtype, i); }

void *test_alloc(size_t bytes)
{
    struct block *block = calloc(1, sizeof *block + (bytes ? bytes : 1));
    if (!block) {
        fprintf(stderr, "test_alloc: no memory for %zu bytes\n", bytes);
        abort();
    }
    block->next = blocks;
    blocks = block;
    return block->data;
}

void test_release(void)
{
    while (blocks) {
        struct block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}

/* splitmix64, as a number in (0, 1]. */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53 + 0x1p-54;
}

static void fill(enum dtype dtype, size_t count, double mean, double sigma, uint64_t seed, void *to)
{
    uint64_t state = seed * 0xD1342543DE82EF95u + 1;
    for (size_t i = 0; i < count; i++) {
        const double u = uniform(&state), v = uniform(&state);
        const float x = (float)(mean + sigma * sqrt(-2 * log(u)) * cos(2 * acos(-1) * v));
        dtype_from_f32(&x, 1, dtype, (char *)to + i * dtype_size(dtype));
    }
}

void *test_values(enum dtype dtype, size_t count, double mean, double sigma, uint64_t seed)
{
    void *values = test_alloc(count * dtype_size(dtype));
    fill(dtype, count, mean, sigma, seed, values);
    return values;
}

float *test_f32(size_t count, double mean, double sigma, uint64_t seed)
{
    return test_values(DTYPE_F32, count, mean, sigma, seed);
}

void *test_images(enum dtype dtype, int n, size_t per, const int *id, double mean, double sigma,
                  uint64_t seed)
{
    char *values = test_alloc((size_t)n * per * dtype_size(dtype));
    for (int i = 0; i < n; i++)
        fill(dtype, per, mean, sigma, seed * 1000 + (uint64_t)(id ? id[i] : i),
             values + (size_t)i * per * dtype_size(dtype));
    return values;
}

double half_ulp(enum dtype dtype)
{
    return dtype == DTYPE_F32 ? 0x1p-24 : dtype == DTYPE_F16 ? 0x1p-11 : 0x1p-8;
}

double half_least(enum dtype dtype) { return dtype == DTYPE_F16 ? 0x1p-25 : 0; }

size_t check_close(const void *got, enum dtype dtype, const double *want, size_t count,
                   struct bound bound, const char *what)
{
    size_t failures = 0, worst = 0;
    double worst_by = -1;
    for (size_t i = 0; i < count; i++) {
        const double error = fabs(value(got, dtype, i) - want[i]);
        const double allowed =
            bound.rel * fabs(want[i]) + bound.abs + (bound.room ? bound.factor * bound.room[i] : 0);
        if (error <= allowed)
            continue;
        failures++;
        const double by = isnan(error) ? INFINITY : error / (allowed + 1e-300);
        if (by > worst_by) {
            worst_by = by;
            worst = i;
        }
    }
    if (failures)
        fprintf(stderr, "%s: %zu of %zu values are off; [%zu] is %.9g, wanted %.9g, %.3g bounds\n",
                what, failures, count, worst, value(got, dtype, worst), want[worst], worst_by);
    return failures;
}

size_t check_equal(const void *a, const void *b, size_t bytes, const char *what)
{
    const unsigned char *x = a, *y = b;
    size_t failures = 0, first = 0;
    for (size_t i = bytes; i-- > 0;)
        if (x[i] != y[i]) {
            failures++;
            first = i;
        }
    if (failures)
        fprintf(stderr, "%s: %zu of %zu bytes differ, first at %zu\n", what, failures, bytes,
                first);
    return failures;
}

size_t check_selftest(void)
{
    const double want[3] = { 1, 2, 3 };
    const float exact[3] = { 1, 2, 3 }, nan[3] = { 1, NAN, 3 },
                off[3] = { 1, 2, 3 * (1 + 0x1p-21f) };
    const struct bound bound = { .rel = 0x1p-22 };
    size_t unseen = 0;
    fprintf(stderr, "three planted faults follow\n");
    unseen += check_close(nan, DTYPE_F32, want, 3, bound, "a planted NaN") != 1;
    unseen += check_close(off, DTYPE_F32, want, 3, bound, "a planted error of 4 ulp") != 1;
    unseen += check_equal(exact, off, sizeof exact, "a planted difference") == 0;
    return unseen + (check_close(exact, DTYPE_F32, want, 3, bound, "nothing planted") != 0);
}
