/* tests/test_sampler.c - names, and the tables samplers are laid out as. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/sampling/sampler.h"

enum { DDIM_COUNTS = 13 };

static struct schedule era;

static int make_era(void **state)
{
    (void)state;
    schedule_create(&(struct schedule_args){ .era = 1 }, &era);
    return 0;
}

static const struct sampler *named(const char *name)
{
    const struct sampler *sampler;
    assert_int_equal(sampler_find(name, &sampler), STATUS_OK);
    return sampler;
}

static struct sampler_args args_of(const char *name, int steps)
{
    return (struct sampler_args){ .sampler = named(name),
                                  .schedule = &era,
                                  .steps = steps,
                                  .eta = -1.0,
                                  .s_noise = 1.0,
                                  .draw_first = 1 };
}

static void plan(const char *name, int steps, struct sampler_plan *out)
{
    const struct sampler_args args = args_of(name, steps);
    assert_int_equal(sampler_plan_create(&args, out), STATUS_OK);
}

static void names_and_aliases_are_found(void **state)
{
    (void)state;
    assert_string_equal(named("euler A")->name, "Euler a");
    assert_string_equal(named("k_euler_a")->name, "Euler a");
    assert_string_equal(named("k_dpmpp_2m_ka")->name, "DPM++ 2M Karras");
    assert_string_equal(named("DPM++ 2s a karras")->name, "DPM++ 2S a Karras");
    size_t count = 0;
    for (; sampler_at(count) != NULL; count++)
        assert_ptr_equal(named(sampler_at(count)->name), sampler_at(count));
    assert_int_equal(count, 17);
    assert_int_equal(named("DPM2 Karras")->discard, 1);
    assert_int_equal(named("Heun")->discard, 0);
}

static void an_unknown_name_gets_the_nearest_ones(void **state)
{
    (void)state;
    const struct sampler *sampler = named("DDIM");
    assert_int_equal(sampler_find("DPM++ 2N Karras", &sampler), STATUS_NOT_FOUND);
    assert_null(sampler);
    assert_non_null(strstr(status_text(), "nearest: DPM++ 2M Karras"));
    assert_int_equal(sampler_find("UniPC", &sampler), STATUS_NOT_FOUND);
    assert_non_null(strstr(status_text(), "known"));
    assert_non_null(strstr(status_text(), " DPM++ 2S a, DPM++ 2M, DDIM"));
    char junk[4096];
    memset(junk, 'x', sizeof junk - 1);
    junk[sizeof junk - 1] = '\0';
    assert_int_equal(sampler_find(junk, &sampler), STATUS_NOT_FOUND);
    assert_int_equal(sampler_find("", &sampler), STATUS_NOT_FOUND);
}

/* A network that sees no noise and a latent that has none: nothing may move it. */
static void a_finished_latent_stays_as_it_is(void **state)
{
    (void)state;
    for (size_t k = 0; sampler_at(k) != NULL; k++) {
        struct sampler_plan p;
        plan(sampler_at(k)->name, 20, &p);
        double x = 1.0, history[STEP_HISTORY] = { 0 };
        for (int i = 0; i < p.row_count; i++) {
            const struct step_row *row = &p.rows[i];
            /* the noise of the latent is none, so D is the latent it stands for */
            const double d = sampler_at(k)->kind == SAMPLER_DDIM ? row->d_x * x : 1.0;
            double next = row->x_x * x + row->x_d * d;
            for (int j = 0; j < STEP_HISTORY; j++)
                next += row->x_h[j] * history[j];
            if (row->h_slot >= 0)
                history[row->h_slot] = row->h_x * x + row->h_d * d;
            if (sampler_at(k)->kind == SAMPLER_DDIM)
                assert_true(fabs(next / (x * row->d_x) / (1.0 / p.rows[i].d_x) - next / x) < 1e-9);
            else if (p.ends[i])
                assert_true(fabs(next - 1.0) < 1e-4);
            x = next;
        }
        sampler_plan_free(&p);
    }
}

static void steps_end_once_and_rows_follow_their_sigmas(void **state)
{
    (void)state;
    for (size_t k = 0; sampler_at(k) != NULL; k++) {
        struct sampler_plan p;
        plan(sampler_at(k)->name, 12, &p);
        int ended = 0;
        for (int i = 0; i < p.row_count; i++) {
            assert_int_equal(p.row_step[i], ended);
            ended += p.ends[i];
            if (i + 1 < p.row_count)
                assert_true(p.rows[i].c_in_next == p.rows[i + 1].c_in);
            assert_true(p.rows[i].t >= 0.0f && p.rows[i].t <= 999.0f);
            assert_true(p.rows[i].draw < 0 || p.rows[i].noise >= 0.0f);
        }
        assert_int_equal(ended, p.steps);
        assert_true(p.ends[p.row_count - 1]);
        sampler_plan_free(&p);
    }
}

/* Figures of the published description of Euler a, 20 steps, the era's table. */
static void euler_a_has_the_published_noise(void **state)
{
    (void)state;
    struct sampler_plan p;
    plan("Euler a", 20, &p);
    const struct {
        int step;
        double up, down;
    } want[] = { { 0, 7.281097, 7.906345 },    { 1, 5.327817, 6.07806 },
                 { 2, 3.976361, 4.762874 },    { 9, 0.8058202, 1.242002 },
                 { 17, 0.1757031, 0.1517377 }, { 18, 0.03098043, 0.00421062 } };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const struct step_row *row = &p.rows[want[i].step];
        assert_true(fabs(row->noise - want[i].up) < 1e-6 * want[i].up + 1e-7);
        assert_true(fabs((double)row->x_x * row->sigma - want[i].down) < 2e-6 * want[i].down);
        assert_int_equal(row->draw, want[i].step + 1);
    }
    assert_int_equal(p.rows[19].draw, -1);
    assert_int_equal(p.draws, 19);
    assert_true(p.initial == p.sigmas[0]);
    sampler_plan_free(&p);
}

static void rows_and_draws_are_counted(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int rows, draws;
    } want[] = { { "Euler", 10, 0 },  { "Heun", 19, 0 },       { "DPM2", 19, 0 },
                 { "DPM2 a", 19, 9 }, { "DPM++ 2S a", 19, 9 }, { "DPM++ 2M Karras", 10, 0 },
                 { "LMS", 10, 0 },    { "DDIM", 10, 0 } };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        struct sampler_plan p;
        plan(want[i].name, 10, &p);
        assert_int_equal(p.row_count, want[i].rows);
        assert_int_equal(p.draws, want[i].draws);
        sampler_plan_free(&p);
    }
    struct sampler_plan p;
    struct sampler_args args = args_of("Euler a", 10);
    args.draw_first = 0;
    args.eta = 0.0;
    assert_int_equal(sampler_plan_create(&args, &p), STATUS_OK);
    assert_int_equal(p.rows[0].draw, 0);
    assert_true(p.rows[0].noise == 0.0f);
    sampler_plan_free(&p);
    args = args_of("DDIM", 10);
    args.eta = 1.0;
    assert_int_equal(sampler_plan_create(&args, &p), STATUS_OK);
    assert_int_equal(p.draws, 10);
    sampler_plan_free(&p);
}

static void ddim_takes_the_timesteps_of_its_time(void **state)
{
    (void)state;
    static const int counts[DDIM_COUNTS] = { 1, 2, 3, 9, 10, 20, 27, 30, 36, 50, 100, 333, 500 };
    FILE *file = fopen(TEST_SOURCE_DIR "/tests/vectors/model/ddim.bin", "rb");
    assert_non_null(file);
    for (int k = 0; k < DDIM_COUNTS; k++) {
        struct sampler_plan p;
        int32_t want;
        plan("DDIM", counts[k], &p);
        assert_int_equal(fread(&want, sizeof want, 1, file), 1);
        assert_int_equal(p.steps, want);
        for (int i = 0; i < p.steps; i++) {
            assert_int_equal(fread(&want, sizeof want, 1, file), 1);
            assert_true(p.rows[i].t == (float)want);
        }
        sampler_plan_free(&p);
    }
    fclose(file);

    /* Since 1.6 n is not raised, and t ends at 999. */
    struct sampler_plan p;
    struct sampler_args args = args_of("DDIM", 27);
    const struct compat later = { 1, 6, 0, 0 };
    args.compat = &later;
    assert_int_equal(sampler_plan_create(&args, &p), STATUS_OK);
    assert_int_equal(p.steps, 28);
    assert_true(p.rows[0].t == 999.0f && p.rows[1].t == 963.0f);
    sampler_plan_free(&p);
}

static void timelines_double_by_version(void **state)
{
    (void)state;
    const struct compat v10 = { 1, 0, 0, 0 }, v11 = { 1, 1, 0, 0 }, v16 = { 1, 6, 0, 0 };
    assert_int_equal(sampler_timeline(named("Heun"), NULL), 1);
    assert_int_equal(sampler_timeline(named("Heun"), &v10), 1);
    assert_int_equal(sampler_timeline(named("Heun"), &v11), 2);
    assert_int_equal(sampler_timeline(named("DPM2"), &v11), 1);
    assert_int_equal(sampler_timeline(named("DPM2 Karras"), &v11), 2);
    assert_int_equal(sampler_timeline(named("DPM2 a"), &v16), 2);
    assert_int_equal(sampler_timeline(named("DPM++ 2S a"), &v11), 2);
    assert_int_equal(sampler_timeline(named("DPM++ 2M"), &v16), 1);
    assert_int_equal(sampler_timeline(named("DDIM"), &v16), 1);
}

static void step_counts_out_of_range_are_refused(void **state)
{
    (void)state;
    for (size_t k = 0; sampler_at(k) != NULL; k++) {
        const int bad[] = { 0, -1, 1001, 2000000000 };
        for (int i = 0; i < 4; i++) {
            struct sampler_plan p;
            const struct sampler_args args = args_of(sampler_at(k)->name, bad[i]);
            assert_int_equal(sampler_plan_create(&args, &p), STATUS_MISUSE);
            assert_null(p.rows);
        }
        struct sampler_plan p;
        plan(sampler_at(k)->name, 1, &p);
        sampler_plan_free(&p);
        plan(sampler_at(k)->name, 1000, &p);
        for (int i = 0; i < p.row_count; i++)
            assert_true(isfinite(p.rows[i].x_x) && isfinite(p.rows[i].x_d));
        sampler_plan_free(&p);
    }
}

static void guidance_weights_are_scaled_for_each_picture(void **state)
{
    (void)state;
    float got[4];
    sampler_weights(7.0, (const double[]){ 1.0, -0.5 }, 3, 2, got);
    const float want[4] = { 7.0f, 7.0f, -3.5f, -3.5f };
    assert_memory_equal(got, want, sizeof want);
    sampler_weights(7.5, NULL, 2, 1, got);
    assert_true(got[0] == 7.5f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_aliases_are_found),
        cmocka_unit_test(an_unknown_name_gets_the_nearest_ones),
        cmocka_unit_test(a_finished_latent_stays_as_it_is),
        cmocka_unit_test(steps_end_once_and_rows_follow_their_sigmas),
        cmocka_unit_test(euler_a_has_the_published_noise),
        cmocka_unit_test(rows_and_draws_are_counted),
        cmocka_unit_test(ddim_takes_the_timesteps_of_its_time),
        cmocka_unit_test(timelines_double_by_version),
        cmocka_unit_test(step_counts_out_of_range_are_refused),
        cmocka_unit_test(guidance_weights_are_scaled_for_each_picture),
    };
    return cmocka_run_group_tests(tests, make_era, NULL);
}
