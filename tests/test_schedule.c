/* tests/test_schedule.c - noise levels against torch's and k-diffusion's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/base/dtype.h"
#include "host/sampling/schedule.h"
#include "tests/seeded.h"

enum { STEP_COUNTS = 7, ROUNDED = 16, ULP_BOUND = 2 };

static const int step_counts[STEP_COUNTS] = { 1, 2, 7, 20, 30, 51, 150 };

static int32_t ordered_bits(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void check_ulp(const char *what, const float *got, const float *want, int count)
{
    for (int i = 0; i < count; i++) {
        const int64_t ulps = (int64_t)ordered_bits(got[i]) - ordered_bits(want[i]);
        if (!(llabs(ulps) <= ULP_BOUND))
            fail_msg("%s %d: %.9g, wanted %.9g, %lld ulp", what, i, (double)got[i], (double)want[i],
                     (long long)ulps);
    }
}

/* The timesteps of `want` come of its own sigmas; t near 0 is the small difference of large
 * logarithms, hence the absolute bound. */
static void check_t(const struct schedule *schedule, const float *sigmas, const float *want,
                    int count)
{
    for (int i = 0; i < count; i++)
        assert_true(fabsf(schedule_t(schedule, sigmas[i]) - want[i]) <= 2e-4f);
}

static size_t vector_count(void)
{
    size_t per_table = SCHEDULE_LEVELS + ROUNDED;
    for (int i = 0; i < STEP_COUNTS; i++)
        per_table += 4 * (size_t)step_counts[i];
    return 2 * per_table;
}

static void tables_and_steps_equal_k_diffusion(void **state)
{
    (void)state;
    float *vector = vector_read("schedules.bin", sizeof(float), vector_count());
    const float *want = vector;
    for (int era = 0; era < 2; era++) {
        struct schedule schedule, rounded;
        schedule_create(&(struct schedule_args){ .era = era }, &schedule);
        schedule_create(&(struct schedule_args){ .era = era, .round_t = 1 }, &rounded);
        check_ulp("level", schedule.sigma, want, SCHEDULE_LEVELS);
        want += SCHEDULE_LEVELS;
        float sigmas[256];
        for (int i = 0; i < STEP_COUNTS; i++)
            for (int karras = 0; karras < 2; karras++) {
                const int n = step_counts[i];
                assert_int_equal(schedule_sigmas(&schedule, n, karras, 0, sigmas), STATUS_OK);
                check_ulp(karras ? "Karras" : "normal", sigmas, want, n);
                assert_true(sigmas[n] == 0.0f);
                check_t(&schedule, want, want + n, n);
                want += 2 * n;
            }
        schedule_sigmas(&schedule, ROUNDED, 1, 0, sigmas);
        for (int i = 0; i < ROUNDED; i++)
            assert_true(schedule_t(&rounded, sigmas[i]) == want[i]);
        want += ROUNDED;
    }
    free(vector);
}

static void the_ends_have_the_published_bits(void **state)
{
    (void)state;
    struct schedule s;
    schedule_create(&(struct schedule_args){ .era = 1 }, &s);
    assert_int_equal(ordered_bits(s.sigma[0]), 0x3D000FFF);
    assert_int_equal(ordered_bits(s.sigma[999]), 0x4169C946);
    schedule_create(&(struct schedule_args){ .era = 0 }, &s);
    assert_int_equal(ordered_bits(s.sigma[0]), 0x3CEEF0C0);
    assert_int_equal(ordered_bits(s.sigma[999]), 0x4169D593);
}

static void discarding_drops_the_last_but_one(void **state)
{
    (void)state;
    struct schedule s;
    float longer[10], got[9];
    schedule_create(&(struct schedule_args){ .era = 1 }, &s);
    for (int karras = 0; karras < 2; karras++) {
        schedule_sigmas(&s, 9, karras, 0, longer);
        schedule_sigmas(&s, 8, karras, 1, got);
        assert_memory_equal(got, longer, 8 * sizeof(float));
        assert_true(got[8] == 0.0f);
    }
    assert_int_equal(schedule_sigmas(&s, 0, 0, 0, got), STATUS_MISUSE);
}

static void levels_and_times_are_inverse(void **state)
{
    (void)state;
    for (int era = 0; era < 2; era++) {
        struct schedule s;
        schedule_create(&(struct schedule_args){ .era = era }, &s);
        for (int i = 0; i < SCHEDULE_LEVELS; i++) {
            assert_true(fabsf(schedule_t(&s, s.sigma[i]) - (float)i) <= 1e-3f);
            check_ulp("sigma of t", &(float){ schedule_sigma(&s, (float)i) }, &s.sigma[i], 1);
        }
        assert_true(schedule_t(&s, 100.0f) == 999.0f); /* beyond the ends: clamped */
        assert_true(schedule_t(&s, 1e-3f) == 0.0f);
    }
}

static void a_checkpoints_own_alphas_are_used_if_usable(void **state)
{
    (void)state;
    struct schedule plain, s;
    float own[SCHEDULE_LEVELS];
    schedule_create(&(struct schedule_args){ .era = 1 }, &plain);
    for (int i = 0; i < SCHEDULE_LEVELS; i++)
        own[i] = expf(-0.004f * (float)(i + 1));
    schedule_create(&(struct schedule_args){ .abar = own }, &s);
    assert_int_equal(s.own, 1);
    assert_true(fabsf(s.sigma[499] - sqrtf(expf(2.0f) - 1.0f)) < 1e-5f);

    /* bf16 makes the first alphas 1: sigma 0, log of it minus infinity */
    schedule_create(&(struct schedule_args){ .era = 0 }, &plain);
    for (int i = 0; i < SCHEDULE_LEVELS; i++)
        own[i] = bf16_to_f32(bf16_from_f32(plain.abar[i]));
    schedule_create(&(struct schedule_args){ .abar = own }, &s);
    assert_int_equal(s.own, 0);
    assert_memory_equal(s.sigma, plain.sigma, sizeof s.sigma);
    own[500] = NAN;
    schedule_create(&(struct schedule_args){ .abar = own }, &s);
    assert_int_equal(s.own, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_and_steps_equal_k_diffusion),
        cmocka_unit_test(the_ends_have_the_published_bits),
        cmocka_unit_test(discarding_drops_the_last_but_one),
        cmocka_unit_test(levels_and_times_are_inverse),
        cmocka_unit_test(a_checkpoints_own_alphas_are_used_if_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
