/* tests/test_infotext.c - generation parameters, read and written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cJSON.h>
#include <cmocka.h>

#include "host/prompt/infotext.h"

static struct infotext *parse(const char *text)
{
    struct infotext *info;
    assert_int_equal(infotext_parse(text, strlen(text), &info), STATUS_OK);
    return info;
}

static void check_value(const struct infotext *info, const char *key, const char *want)
{
    const char *got = infotext_get(info, key);
    if (want == NULL) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_string_equal(got, want);
}

/* ---- the four cases ---------------------------------------------------------------------- */

static char *read_case(int n, size_t *bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/bench/cases/%d.txt", TEST_SOURCE_DIR, n);
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 4096);
    assert_non_null(file);
    assert_non_null(text);
    *bytes = fread(text, 1, 4095, file);
    fclose(file);
    return text;
}

static void the_four_cases_are_written_back_to_the_byte(void **state)
{
    (void)state;
    static const char *const seeds[] = { "3272356495", "1477562008", "534580541", "673866072" };
    static const char *const negatives[] = { "", "", "EasyNegative", "EasyNegative,  bad-hands-5" };
    struct compat compat;
    assert_int_equal(compat_parse("auto", &compat), STATUS_OK);
    for (int n = 1; n <= 4; n++) {
        size_t bytes;
        char *text = read_case(n, &bytes), *again;
        struct infotext *info;
        assert_int_equal(infotext_parse(text, bytes, &info), STATUS_OK);
        assert_int_equal(info->count, 8);
        check_value(info, "Seed", seeds[n - 1]);
        check_value(info, "Clip skip", "2");
        check_value(info, "Model hash", n == 1 ? "fe4efff1e1" : "d124fc18f0");
        assert_string_equal(info->prompt,
                            n == 4 ? "<lora:flat2:-1>, hatsune miku" : "hatsune miku");
        assert_string_equal(info->negative, negatives[n - 1]);
        assert_int_equal(
            infotext_write(info->prompt, info->negative, info->pair, info->count, &compat, &again),
            STATUS_OK);
        assert_int_equal(strlen(again), bytes);
        assert_string_equal(again, text);
        free(again);
        free(text);
        infotext_free(info);
    }
}

/* ---- reading ----------------------------------------------------------------------------- */

static void prompts_keep_their_lines(void **state)
{
    (void)state;
    struct infotext *info =
        parse("\n a \n\nb\nNegative prompt:  c\n d \n\nSteps: 1, Seed: 2, Size: 3x4\n");
    assert_string_equal(info->prompt, "a\n\nb");
    assert_string_equal(info->negative, "c\nd\n");
    assert_int_equal(info->count, 3);
    infotext_free(info);
}

static void fewer_than_three_pairs_are_prompt(void **state)
{
    (void)state;
    struct infotext *info = parse("a cat\nSteps: 20, Seed: 1");
    assert_string_equal(info->prompt, "a cat\nSteps: 20, Seed: 1");
    assert_int_equal(info->count, 0);
    infotext_free(info);
    info = parse("");
    assert_string_equal(info->prompt, "");
    infotext_free(info);
    info = parse("Steps: 20, Seed: 1, Size: 1x1");
    assert_string_equal(info->prompt, "");
    assert_int_equal(info->count, 3);
    infotext_free(info);
}

static void quoted_values_hold_commas_and_escapes(void **state)
{
    (void)state;
    struct infotext *info = parse(
        "x\nSteps: 20, Lora hashes: \"a: 1, b: 2\", Wildcard: \"say \\\"hi\\\", \\\\ and "
        "\\u00e9\\ud83d\\ude00\\n\", Odd: \"half, Seed: 7, TI-hash/es: \"\", Seed: 8,Last: z");
    check_value(info, "Lora hashes", "a: 1, b: 2");
    check_value(info, "Wildcard", "say \"hi\", \\ and \xc3\xa9\xf0\x9f\x98\x80\n");
    check_value(info, "Odd", "\"half");
    check_value(info, "Seed", "8"); /* the last of a repeated key */
    check_value(info, "TI-hash/es", "");
    check_value(info, "Last", "z");
    check_value(info, "None", NULL);
    assert_string_equal(info->pair[1].raw, "\"a: 1, b: 2\"");
    infotext_free(info);
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    struct infotext *info =
        parse("x\nA: 12, B: -7, C: 12x, D: 99999999999999999999, E: 1.5e1, F: "
              "512x768, G: 1x, H: -1x2, I: 9223372036854775807, J: 3000000000x1");
    long long whole = 42;
    double real = 42;
    int width = 42, height = 42;
    assert_true(infotext_get_int(info, "A", &whole) && whole == 12);
    assert_true(infotext_get_int(info, "B", &whole) && whole == -7);
    assert_false(infotext_get_int(info, "C", &whole));
    assert_false(infotext_get_int(info, "D", &whole));
    assert_true(infotext_get_int(info, "I", &whole) && whole == 9223372036854775807LL);
    assert_true(infotext_get_double(info, "E", &real) && real == 15);
    assert_false(infotext_get_double(info, "C", &real));
    assert_false(infotext_get_double(info, "missing", &real));
    assert_true(infotext_get_size(info, "F", &width, &height) && width == 512 && height == 768);
    assert_false(infotext_get_size(info, "G", &width, &height));
    assert_false(infotext_get_size(info, "H", &width, &height));
    assert_false(infotext_get_size(info, "J", &width, &height));
    assert_int_equal(width, 512);
    infotext_free(info);
}

static void nuls_and_broken_utf8_become_replacement_characters(void **state)
{
    (void)state;
    struct infotext *info;
    assert_int_equal(infotext_parse("a\0b\xff", 4, &info), STATUS_OK);
    assert_string_equal(info->prompt, "a\xef\xbf\xbd"
                                      "b\xef\xbf\xbd");
    infotext_free(info);
}

/* ---- writing ----------------------------------------------------------------------------- */

static void each_version_quotes_what_it_did(void **state)
{
    (void)state;
    static const struct row {
        const char *version, *value, *want;
    } rows[] = {
        { "1.1", "a:b", "K: a:b" },
        { "1.1", "a, \"b\\", "K: \"a, \\\"b\\\\\"" },
        { "1.3", "a:b", "K: a:b" },
        { "1.3", "a\nb", "K: \"a\\nb\"" },
        { "1.4", "a:b", "K: \"a:b\"" },
        { "1.8", "a,\x01", "K: \"a,\\u0001\"" },
        { "1.8", "K", "K" },
        { "1.8", "plain", "K: plain" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct compat compat;
        char *text;
        assert_int_equal(compat_parse(rows[i].version, &compat), STATUS_OK);
        const struct infotext_pair pairs[] = { { "K", rows[i].value, NULL }, { "N", NULL, NULL } };
        assert_int_equal(infotext_write("", NULL, pairs, 2, &compat, &text), STATUS_OK);
        assert_string_equal(text, rows[i].want);
        free(text);
    }
}

static void numbers_print_as_python_prints_them(void **state)
{
    (void)state;
    static const struct row {
        double value;
        const char *want;
    } rows[] = {
        { 7, "7" },
        { 7.5, "7.5" },
        { 0.1, "0.1" },
        { -1, "-1" },
        { 1e-5, "1e-05" },
        { 0.0001, "0.0001" },
        { 1e15, "1000000000000000" },
        { 1e16, "1e+16" },
        { 1.2345678901234567, "1.2345678901234567" },
        { 0, "0" },
        { 100, "100" },
        { 1.0 / 3, "0.3333333333333333" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[32];
        infotext_number(rows[i].value, text, sizeof text);
        assert_string_equal(text, rows[i].want);
    }
}

/* ---- JSON -------------------------------------------------------------------------------- */

static void json_names_every_key(void **state)
{
    (void)state;
    const char text[] = "a \"b\"\nNegative prompt: c\nSteps: 20, Sampler: Euler a, CFG scale: 7.5, "
                        "Seed: 18446744073709551615, Size: 512x768, Model hash: 00ff, Model: m, "
                        "ENSD: 31337, Lora hashes: \"x: y\"";
    char *json;
    assert_int_equal(infotext_to_json(text, sizeof text - 1, &json), STATUS_OK);
    cJSON *got = cJSON_Parse(json);
    assert_non_null(got);
    assert_string_equal(cJSON_GetObjectItem(got, "prompt")->valuestring, "a \"b\"");
    assert_string_equal(cJSON_GetObjectItem(got, "negative_prompt")->valuestring, "c");
    assert_int_equal(cJSON_GetObjectItem(got, "steps")->valueint, 20);
    assert_string_equal(cJSON_GetObjectItem(got, "sampler")->valuestring, "Euler a");
    assert_true(cJSON_GetObjectItem(got, "cfg_scale")->valuedouble == 7.5);
    assert_non_null(strstr(json, "18446744073709551615")); /* no double holds it */
    assert_int_equal(cJSON_GetObjectItem(got, "width")->valueint, 512);
    assert_int_equal(cJSON_GetObjectItem(got, "height")->valueint, 768);
    assert_string_equal(cJSON_GetObjectItem(got, "model")->valuestring, "m");
    assert_string_equal(cJSON_GetObjectItem(got, "model_hash")->valuestring, "00ff");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(got, "vae")));
    assert_int_equal(cJSON_GetObjectItem(got, "clip_skip")->valueint, 1);
    const cJSON *extra = cJSON_GetObjectItem(got, "extra");
    assert_int_equal(cJSON_GetArraySize(extra), 2);
    assert_string_equal(cJSON_GetObjectItem(extra, "ENSD")->valuestring, "31337");
    assert_string_equal(cJSON_GetObjectItem(extra, "Lora hashes")->valuestring, "x: y");
    cJSON_Delete(got);
    free(json);
}

static void json_is_valid_whatever_the_values(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "x\nSteps: 1e5, CFG scale: 07, Seed: -1",
        "x\nSteps: +5, CFG scale: 7., Seed: 00",
        "x\nSteps: , CFG scale: .5, Size: x",
        "\xff\x01\nSteps: -, CFG scale: -, Seed: +",
        "x\nCFG scale: nan, CFG scale: inf, Size: 1x2x3, Size: 4x4",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *json;
        assert_int_equal(infotext_to_json(texts[i], strlen(texts[i]), &json), STATUS_OK);
        cJSON *got = cJSON_ParseWithOpts(json, NULL, 1);
        assert_non_null(got);
        cJSON_Delete(got);
        free(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_four_cases_are_written_back_to_the_byte),
        cmocka_unit_test(prompts_keep_their_lines),
        cmocka_unit_test(fewer_than_three_pairs_are_prompt),
        cmocka_unit_test(quoted_values_hold_commas_and_escapes),
        cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(nuls_and_broken_utf8_become_replacement_characters),
        cmocka_unit_test(each_version_quotes_what_it_did),
        cmocka_unit_test(numbers_print_as_python_prints_them),
        cmocka_unit_test(json_names_every_key),
        cmocka_unit_test(json_is_valid_whatever_the_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
