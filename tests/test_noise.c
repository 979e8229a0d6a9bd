/* tests/test_noise.c - initial noise and torch's CPU generator against definitions in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/sampling/noise.h"
#include "tests/seeded.h"

enum { SEEDS = 4, DRAWS = 3, EACH = 64, SHAPES = 4, SLERPS = 3, SLERP_COUNT = 120 };

static const double BOUND = 1e-6;
static const double TORCH_BOUND = 2e-6; /* torch's own logarithm and root are f32, to about 3 ulp */

static const uint64_t seeds[SEEDS] = { 0, 3272356495u, (UINT64_C(1) << 32) + 5, UINT64_MAX };
static const int draws[DRAWS] = { 0, 1, 7 };

static const struct {
    uint64_t seed;
    int c, h, w;
} shapes[SHAPES] = {
    { 0, 4, 2, 2 }, { 0, 1, 3, 3 }, { 3272356495u, 4, 3, 5 }, { (UINT64_C(1) << 33) + 7, 4, 6, 8 }
};

static double *read_all(void)
{
    size_t count = SEEDS * DRAWS * EACH + SLERPS * SLERP_COUNT;
    for (int i = 0; i < SHAPES; i++)
        count += 3 * (size_t)shapes[i].c * shapes[i].h * shapes[i].w;
    return vector_read("noise.bin", sizeof(double), count);
}

/* got is NHWC, want is NCHW. */
static void check(const float *got, const double *want, int h, int w, int c, double bound)
{
    for (int ch = 0; ch < c; ch++)
        for (int p = 0; p < h * w; p++)
            assert_true(fabs(got[p * c + ch] - want[ch * h * w + p]) <= bound);
}

static void philox_equals_its_definition(void **state)
{
    (void)state;
    double *all = read_all();
    float got[EACH];
    for (int s = 0; s < SEEDS; s++)
        for (int d = 0; d < DRAWS; d++) {
            assert_int_equal(noise_draws(NOISE_PHILOX, seeds[s], draws[d], 1, 4, 4, 4, got),
                             STATUS_OK);
            check(got, all + (s * DRAWS + d) * EACH, 4, 4, 4, BOUND);
        }
    const struct noise_source source = { NOISE_PHILOX, 0, 5, 0.0 };
    assert_int_equal(noise_initial(&source, 4, 4, 4, got), STATUS_OK);
    check(got, all, 4, 4, 4, BOUND);
    assert_true(fabsf(got[0] + 0.92466259f) < 1e-6f && fabsf(got[4] + 0.42534415f) < 1e-6f);
    free(all);
}

static void torchs_cpu_generator_is_continued_draw_by_draw(void **state)
{
    (void)state;
    double *all = read_all(), *want = all + SEEDS * DRAWS * EACH;
    for (int i = 0; i < SHAPES; i++) {
        const int c = shapes[i].c, h = shapes[i].h, w = shapes[i].w, count = c * h * w;
        float got[3 * 192];
        assert_int_equal(noise_draws(NOISE_MT19937, shapes[i].seed, 0, 3, h, w, c, got), STATUS_OK);
        for (int d = 0; d < 3; d++)
            check(got + d * count, want + d * count, h, w, c, TORCH_BOUND);
        float last[192];
        noise_draws(NOISE_MT19937, shapes[i].seed, 2, 1, h, w, c, last);
        assert_memory_equal(last, got + 2 * count, (size_t)count * sizeof(float));
        want += 3 * count;
    }
    free(all);
}

static void a_subseed_is_mixed_in_by_slerp(void **state)
{
    (void)state;
    static const double strengths[SLERPS] = { 0.1, 0.5, 0.9 };
    double *all = read_all(), *want = all + SEEDS * DRAWS * EACH;
    for (int i = 0; i < SHAPES; i++)
        want += 3 * shapes[i].c * shapes[i].h * shapes[i].w;
    float got[SLERP_COUNT], plain[SLERP_COUNT];
    for (int i = 0; i < SLERPS; i++) {
        const struct noise_source source = { NOISE_PHILOX, 5, 6, strengths[i] };
        assert_int_equal(noise_initial(&source, 6, 5, 4, got), STATUS_OK);
        check(got, want + i * SLERP_COUNT, 6, 5, 4, BOUND);
    }
    /* The subseed being the seed, the noise is what it was, up to rounding. */
    const struct noise_source same = { NOISE_PHILOX, 5, 5, 0.3 };
    noise_initial(&same, 6, 5, 4, got);
    noise_draws(NOISE_PHILOX, 5, 0, 1, 6, 5, 4, plain);
    for (int i = 0; i < SLERP_COUNT; i++)
        assert_true(fabsf(got[i] - plain[i]) <= 1e-6f);
    free(all);
}

static void impossible_shapes_are_refused(void **state)
{
    (void)state;
    const struct noise_source source = { NOISE_PHILOX, 0, 0, 0.0 };
    float y[4];
    assert_int_equal(noise_initial(&source, 0, 1, 4, y), STATUS_BAD_SHAPE);
    assert_int_equal(noise_initial(&source, 1 << 20, 1 << 20, 4, y), STATUS_BAD_SHAPE);
    assert_int_equal(noise_draws(NOISE_PHILOX, 0, 0, 1, 1, 1, -4, y), STATUS_BAD_SHAPE);
    assert_int_equal(noise_draws(NOISE_PHILOX, 0, -1, 1, 1, 1, 4, y), STATUS_MISUSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_equals_its_definition),
        cmocka_unit_test(torchs_cpu_generator_is_continued_draw_by_draw),
        cmocka_unit_test(a_subseed_is_mixed_in_by_slerp),
        cmocka_unit_test(impossible_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
