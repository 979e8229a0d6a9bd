/* tests/test_fastest.c - which lines of a plan follow from measured rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "bench/variants/fastest.h"

static cJSON *rows;

static void add(int call, const char *key, const char *variant, int picked, double p10,
                double median, double p90, double error)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddNumberToObject(row, "call", call);
    cJSON_AddStringToObject(row, "op", "conv2d");
    cJSON_AddStringToObject(row, "key", key);
    cJSON_AddStringToObject(row, "variant", variant);
    cJSON_AddBoolToObject(row, "picked", picked);
    cJSON_AddNumberToObject(row, "p10_us", p10);
    cJSON_AddNumberToObject(row, "median_us", median);
    cJSON_AddNumberToObject(row, "p90_us", p90);
    cJSON_AddNumberToObject(row, "error", error);
    cJSON_AddItemToArray(rows, row);
}

static void check_plan(int lines, const char *want)
{
    char got[512] = "";
    FILE *plan = tmpfile();
    assert_non_null(plan);
    assert_int_equal(fastest_write(rows, 2e-2, plan), lines);
    rewind(plan);
    got[fread(got, 1, sizeof got - 1, plan)] = 0;
    fclose(plan);
    assert_string_equal(got, want);
}

static int begin(void **state)
{
    (void)state;
    rows = cJSON_CreateArray();
    return rows == NULL;
}

static int end(void **state)
{
    (void)state;
    cJSON_Delete(rows);
    return 0;
}

static void what_is_faster_beyond_doubt_is_named(void **state)
{
    (void)state;
    add(1, "a f16", "plain", 0, 90, 100, 110, 0);
    add(1, "a f16", "window", 0, 6, 7, 8, 0);
    add(1, "a f16", "tiled", 0, 4, 5, 6, 0);
    add(1, "a f16", "split", 1, 9, 10, 11, 0);
    check_plan(1, "conv2d | a f16 | tiled\n");
}

static void what_runs_by_itself_or_is_within_its_spread_is_not(void **state)
{
    (void)state;
    add(1, "a f16", "plain", 0, 90, 100, 110, 0);
    add(1, "a f16", "tiled", 1, 9, 10, 11, 0);
    add(2, "b f16", "plain", 0, 7, 8, 9.5, 0);
    add(2, "b f16", "tiled", 1, 9, 10, 11, 0);
    check_plan(0, "");
}

static void the_vendors_and_what_is_wrong_are_not(void **state)
{
    (void)state;
    add(1, "a f16", "vendor", 0, 1, 1, 1, 0);
    add(1, "a f16", "wide", 0, 2, 2, 2, 0.5);
    add(1, "a f16", "tiled", 1, 9, 10, 11, 0);
    check_plan(0, "");
}

/* In another batch the other is faster: a key has one line. */
static void the_first_call_of_a_key_decides(void **state)
{
    (void)state;
    add(1, "a f16", "wide", 0, 5, 6, 7, 0);
    add(1, "a f16", "tiled", 1, 9, 10, 11, 0);
    add(2, "a f16", "plain", 0, 1, 1, 1, 0);
    add(2, "a f16", "tiled", 1, 9, 10, 11, 0);
    add(3, "a bf16", "plain", 0, 1, 1, 1, 0);
    add(3, "a bf16", "tiled", 1, 9, 10, 11, 0);
    check_plan(2, "conv2d | a f16 | wide\nconv2d | a bf16 | plain\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_faster_beyond_doubt_is_named, begin, end),
        cmocka_unit_test_setup_teardown(what_runs_by_itself_or_is_within_its_spread_is_not, begin,
                                        end),
        cmocka_unit_test_setup_teardown(the_vendors_and_what_is_wrong_are_not, begin, end),
        cmocka_unit_test_setup_teardown(the_first_call_of_a_key_decides, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
