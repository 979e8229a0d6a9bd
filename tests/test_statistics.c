/* tests/test_statistics.c - percentiles, outliers, drift and the bootstrap against numpy and scipy
 * (tools/vectors/statistics.py), and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/base/statistics.h"

enum { LINE_BYTES = 8192, MOST = 128 };

/* The numbers behind a key; how many, or -1 if the line has another key. */
static int read_row(FILE *file, const char *key, double value[MOST])
{
    static char line[LINE_BYTES];
    if (fgets(line, sizeof line, file) == NULL)
        return -1;
    char *at = line + strcspn(line, " \n");
    const int same = (size_t)(at - line) == strlen(key) && memcmp(line, key, strlen(key)) == 0;
    int count = 0;
    for (char *end; same && count < MOST; at = end) {
        const double number = strtod(at, &end);
        if (end == at)
            break;
        value[count++] = number;
    }
    return same ? count : -1;
}

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-12 * fabs(want)))
        fail_msg("%.17g, wanted %.17g", got, want);
}

static void check_summary(FILE *file)
{
    double value[MOST], want[MOST];
    unsigned char outlier[MOST];
    struct summary s;
    const int count = read_row(file, "values", value);
    assert_true(count > 0);
    assert_int_equal(statistics_summary(value, (size_t)count, &s), STATUS_OK);
    assert_int_equal(read_row(file, "median", want), 1);
    near(s.median, want[0]);
    assert_int_equal(read_row(file, "p10", want), 1);
    near(s.p10, want[0]);
    assert_int_equal(read_row(file, "p90", want), 1);
    near(s.p90, want[0]);
    assert_int_equal(read_row(file, "range", want), 2);
    near(s.min, want[0]);
    near(s.max, want[1]);
    if (read_row(file, "halves", want) == 2) {
        near(s.first_half, want[0]);
        near(s.second_half, want[1]);
    } else {
        assert_true(isnan(s.first_half) && isnan(s.second_half));
    }
    assert_int_equal(read_row(file, "outliers", want), count);
    assert_int_equal(statistics_outliers(value, (size_t)count, outlier), STATUS_OK);
    for (int i = 0; i < count; i++)
        assert_int_equal(outlier[i], (int)want[i]);
}

/* Another generator draws other resamples: the bounds meet within a hundredth of the interval's
 * width, or a tenth of a percent where it is narrow. */
static void check_bounds(const struct ratio_args *args, const double want[2], double within)
{
    double low, high;
    assert_int_equal(statistics_ratio(args, &low, &high), STATUS_OK);
    if (!(fabs(low - want[0]) <= within && fabs(high - want[1]) <= within))
        fail_msg("[%.6f, %.6f], wanted [%.6f, %.6f]", low, high, want[0], want[1]);
}

static void check_ratio(FILE *file)
{
    double a[MOST], b[MOST], want[MOST];
    const int a_count = read_row(file, "a", a), b_count = read_row(file, "b", b);
    assert_true(a_count > 0 && b_count > 0);
    const struct ratio_args args = { .a = a,
                                     .b = b,
                                     .a_count = (size_t)a_count,
                                     .b_count = (size_t)b_count,
                                     .resamples = 20000,
                                     .confidence = 0.95,
                                     .seed = 5 };
    assert_int_equal(read_row(file, "scipy", want), 2);
    check_bounds(&args, want, 1e-3);
    if (read_row(file, "exact", want) == 2)
        check_bounds(&args, want, 1e-9);
}

static void as_numpy_and_scipy_say(void **state)
{
    (void)state;
    static char line[LINE_BYTES];
    int summaries = 0, ratios = 0;
    FILE *file = fopen(TEST_SOURCE_DIR "/tests/vectors/statistics.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "summary ", 8) == 0)
            check_summary(file), summaries++;
        else if (strncmp(line, "ratio ", 6) == 0)
            check_ratio(file), ratios++;
    fclose(file);
    assert_int_equal(summaries, 12);
    assert_int_equal(ratios, 4);
}

static void a_seed_gives_one_interval(void **state)
{
    (void)state;
    static const double a[] = { 10, 11, 12, 10.5, 10.1 }, b[] = { 12, 12.5, 11.7 };
    struct ratio_args args = { a, b, 5, 3, 500, 0.9, 1 };
    double low[3], high[3];
    assert_int_equal(statistics_ratio(&args, &low[0], &high[0]), STATUS_OK);
    assert_int_equal(statistics_ratio(&args, &low[1], &high[1]), STATUS_OK);
    assert_true(low[0] == low[1] && high[0] == high[1] && low[0] < high[0]);
    args.a_count = args.b_count = 1; /* nothing to draw from */
    assert_int_equal(statistics_ratio(&args, &low[2], &high[2]), STATUS_OK);
    assert_true(low[2] == b[0] / a[0] && high[2] == low[2]);
    args.a_count = 5, args.b_count = 3;
    args.confidence = 0.5;
    assert_int_equal(statistics_ratio(&args, &low[2], &high[2]), STATUS_OK);
    assert_true(low[2] >= low[0] && high[2] <= high[0] && high[2] - low[2] < high[0] - low[0]);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const double fine[] = { 1, 2 }, zero[] = { 1, 0 };
    const double bad[] = { 1, NAN }, endless[] = { INFINITY };
    struct summary s;
    unsigned char outlier[2];
    double low, high;
    assert_int_equal(statistics_summary(fine, 0, &s), STATUS_MISUSE);
    assert_int_equal(statistics_summary(bad, 2, &s), STATUS_MISUSE);
    assert_int_equal(statistics_summary(endless, 1, &s), STATUS_MISUSE);
    assert_int_equal(statistics_outliers(bad, 2, outlier), STATUS_MISUSE);
    const struct ratio_args wrong[] = {
        { fine, fine, 0, 2, 10, 0.95, 0 }, { fine, fine, 2, 0, 10, 0.95, 0 },
        { zero, fine, 2, 2, 10, 0.95, 0 }, { fine, zero, 2, 2, 10, 0.95, 0 },
        { fine, bad, 2, 2, 10, 0.95, 0 },  { fine, fine, 2, 2, 0, 0.95, 0 }
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(statistics_ratio(&wrong[i], &low, &high), STATUS_MISUSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_numpy_and_scipy_say),
        cmocka_unit_test(a_seed_gives_one_interval),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
