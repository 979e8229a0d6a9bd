/* tests/test_compare.c - documents made here, whose ratios are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/app/compare.h"
#include "host/app/document.h"

enum { VALUES = 9 };

/* Spread 2 % around 1, in no order. */
static const double noise[VALUES] = {
    1.003, 0.991, 1.010, 0.998, 1.000, 1.012, 0.990, 1.001, 0.995
};

struct made {
    const char *key, *hash, *prompt;
    int stand_in, values;
    double decode_ms; /* median */
};

static const struct made plain = { .key = "case 1 | cpu | fp32 | 512x768 | batch 1",
                                   .hash = "aa",
                                   .prompt = "hatsune miku",
                                   .values = VALUES,
                                   .decode_ms = 100 };

static cJSON *series(const struct made *made, double scale)
{
    cJSON *to = cJSON_CreateObject(), *values = cJSON_AddArrayToObject(to, "values");
    for (int i = 0; i < made->values; i++)
        cJSON_AddItemToArray(values, cJSON_CreateNumber(scale * noise[i]));
    return to;
}

static void add(cJSON *document, const struct made *made)
{
    cJSON *pictures = cJSON_GetObjectItem(document, "pictures");
    const int place = cJSON_GetArraySize(pictures);
    cJSON *picture = cJSON_CreateObject(), *c = cJSON_CreateObject();
    cJSON_AddStringToObject(picture, "rgb_sha256", made->hash);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(picture, "request"), "prompt", made->prompt);
    cJSON_AddItemToArray(pictures, picture);
    cJSON_AddStringToObject(c, "key", made->key);
    cJSON_AddBoolToObject(c, "stand_in", made->stand_in);
    cJSON_AddItemToObject(c, "pictures", cJSON_CreateIntArray(&place, 1));
    cJSON *stages = cJSON_AddObjectToObject(c, "stages");
    cJSON_AddItemToObject(stages, "decode", series(made, made->decode_ms));
    cJSON_AddNullToObject(stages, "load");
    cJSON_AddItemToObject(stages, "fuse", series(made, 0));
    cJSON_AddItemToArray(cJSON_GetObjectItem(document, "configurations"), c);
}

static cJSON *document(const struct made *made)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "schema", "mikubench-results-1");
    cJSON_AddObjectToObject(root, "environment");
    cJSON_AddArrayToObject(root, "pictures");
    cJSON_AddArrayToObject(root, "configurations");
    if (made != NULL)
        add(root, made);
    return root;
}

/* Compares and keeps the first pair's first row. */
static status compare(const struct made *a, const struct made *b, double fail_over, int anyway,
                      struct compare_row *row, size_t *regressions)
{
    struct comparison comparison;
    cJSON *one = document(a), *other = document(b);
    const status result = compare_documents(
        &(struct compare_args){ .a = one, .b = other, .fail_over = fail_over, .anyway = anyway },
        &comparison);
    if (result == STATUS_OK) {
        assert_int_equal(comparison.count, 1);
        assert_int_equal(comparison.pair[0].rows, 1); /* no load, and a fuse of 0 */
        assert_string_equal(comparison.pair[0].row[0].stage, "decode");
        *row = comparison.pair[0].row[0];
        *regressions = comparison.regressions;
    }
    compare_free(&comparison);
    cJSON_Delete(one);
    cJSON_Delete(other);
    return result;
}

/* ---- ratios ------------------------------------------------------------------------------ */

static void known_ratios_are_found(void **state)
{
    static const struct {
        double ratio, fail_over;
        enum compare_verdict verdict;
    } wanted[] = {
        { 1.0, 0.05, COMPARE_SAME },        { 1.002, 0, COMPARE_SAME },
        { 1.04, 0.05, COMPARE_SLOWER },     { 1.2, 0.05, COMPARE_REGRESSION },
        { 1.2, 0.25, COMPARE_SLOWER },      { 0.8, 0.05, COMPARE_FASTER },
        { 1.04, 0.03, COMPARE_REGRESSION }, { 100, 0.05, COMPARE_REGRESSION },
    };
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct compare_row row;
        struct made b = plain;
        size_t regressions;
        b.decode_ms = 100 * wanted[i].ratio;
        assert_int_equal(compare(&plain, &b, wanted[i].fail_over, 0, &row, &regressions),
                         STATUS_OK);
        assert_true(fabs(row.ratio / wanted[i].ratio - 1) < 1e-12);
        assert_true(row.low <= row.ratio && row.ratio <= row.high);
        assert_true(row.high / row.low < 1.05); /* the spread of the values is 2 % */
        assert_int_equal(row.verdict, wanted[i].verdict);
        assert_int_equal(regressions, wanted[i].verdict == COMPARE_REGRESSION);
    }
}

static void two_values_are_too_few(void **state)
{
    struct compare_row row;
    struct made a = plain, b = plain;
    size_t regressions;
    (void)state;
    b.decode_ms = 200;
    a.values = 2;
    assert_int_equal(compare(&a, &b, 0.05, 0, &row, &regressions), STATUS_OK);
    assert_int_equal(row.verdict, COMPARE_FEW);
    assert_true(isnan(row.low) && isnan(row.high));
    assert_int_equal(regressions, 0);
    a.values = COMPARE_VALUES_LEAST;
    assert_int_equal(compare(&a, &b, 0.05, 0, &row, &regressions), STATUS_OK);
    assert_int_equal(row.verdict, COMPARE_REGRESSION);
}

static void the_interval_is_the_same_every_time(void **state)
{
    struct compare_row one, other;
    struct made b = plain;
    size_t regressions;
    (void)state;
    b.decode_ms = 103;
    assert_int_equal(compare(&plain, &b, 0, 0, &one, &regressions), STATUS_OK);
    assert_int_equal(compare(&plain, &b, 0, 0, &other, &regressions), STATUS_OK);
    assert_true(one.low == other.low && one.high == other.high);
}

/* ---- what is not compared ---------------------------------------------------------------- */

static void refused(const struct made *b, const char *why)
{
    struct compare_row row;
    size_t regressions;
    assert_int_equal(compare(&plain, b, 0.05, 0, &row, &regressions), STATUS_MISUSE);
    assert_non_null(strstr(status_text(), why));
    assert_non_null(strstr(status_text(), "case 1"));
    assert_int_equal(compare(&plain, b, 0.05, 1, &row, &regressions), STATUS_OK);
}

static void other_weights_and_pictures_are_refused(void **state)
{
    struct made b = plain;
    (void)state;
    b.stand_in = 1;
    refused(&b, "stand-in");
    b = plain;
    b.hash = "bb";
    refused(&b, "pictures differ");
    b = plain;
    b.prompt = "kagamine rin";
    refused(&b, "asked for different pictures");
}

static void nothing_in_common_is_an_error(void **state)
{
    struct compare_row row;
    struct made b = plain;
    size_t regressions;
    (void)state;
    b.key = "case 2 | cpu | fp32 | 512x768 | batch 1";
    assert_int_equal(compare(&plain, &b, 0.05, 1, &row, &regressions), STATUS_NOT_FOUND);
    assert_int_equal(compare(&plain, NULL, 0.05, 1, &row, &regressions), STATUS_NOT_FOUND);
    assert_int_equal(compare(NULL, NULL, 0.05, 1, &row, &regressions), STATUS_NOT_FOUND);
}

static void equal_keys_go_by_their_order(void **state)
{
    struct made second = plain, other = plain;
    struct comparison comparison;
    (void)state;
    second.decode_ms = 300;
    other.key = "case 9";
    cJSON *a = document(&plain), *b = document(&other);
    add(a, &second);
    add(b, &plain);
    add(b, &second);
    assert_int_equal(compare_documents(&(struct compare_args){ .a = a, .b = b }, &comparison),
                     STATUS_OK);
    assert_int_equal(comparison.count, 2);
    assert_int_equal(comparison.only_a, 0);
    assert_int_equal(comparison.only_b, 1);
    assert_true(comparison.pair[0].row[0].b_ms < 200);
    assert_true(comparison.pair[1].row[0].a_ms > 200 && comparison.pair[1].row[0].b_ms > 200);
    compare_free(&comparison);
    cJSON_Delete(a);
    cJSON_Delete(b);
}

/* ---- files ------------------------------------------------------------------------------- */

static void read_bad(const char *text, const char *why)
{
    static const char path[] = "test_compare.json";
    cJSON *root = NULL;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(document_read(path, &root), STATUS_BAD_FILE);
    assert_null(root);
    if (strstr(status_text(), why) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", status_text(), why);
    assert_non_null(strstr(status_text(), path));
    remove(path);
}

static void files_of_others_are_named_for_what_they_are(void **state)
{
    cJSON *root;
    (void)state;
    read_bad("", "ends early");
    read_bad("{\"schema\":\"mikubench-results-1\",\"environment\":{},\"pictures\":[", "ends early");
    read_bad("{\"schema\":\"mikubench-resu", "ends early");
    read_bad("{\"schema\":\"mikubench-results-1\",\"environment\":{},\"pictures\":[{}",
             "ends early");
    read_bad(" \n", "ends early");
    read_bad("{\n\"schema\":\n? 1}", "from line 3");
    read_bad("[]", "no JSON of mikubench-cuda");
    read_bad("{\"schema\":\"something-1\"}", "no JSON of mikubench-cuda");
    read_bad("{\"schema\":7}", "no JSON of mikubench-cuda");
    read_bad("{\"schema\":\"mikubench-results-2\"}", "this program reads \"mikubench-results-1\"");
    read_bad("{\"schema\":\"mikubench-results-1\"}", "\"environment\" is missing");
    read_bad("{\"schema\":\"mikubench-results-1\",\"environment\":{},\"pictures\":{}}",
             "\"pictures\" is missing");
    assert_int_equal(document_read("no such file.json", &root), STATUS_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_ratios_are_found),
        cmocka_unit_test(two_values_are_too_few),
        cmocka_unit_test(the_interval_is_the_same_every_time),
        cmocka_unit_test(other_weights_and_pictures_are_refused),
        cmocka_unit_test(nothing_in_common_is_an_error),
        cmocka_unit_test(equal_keys_go_by_their_order),
        cmocka_unit_test(files_of_others_are_named_for_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
