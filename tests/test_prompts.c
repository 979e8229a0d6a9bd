/* tests/test_prompts.c - files of many requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host/app/jobs.h"
#include "host/app/weights_set.h"

static struct jobs jobs;
static const struct weights_set small = { .width = 128, .height = 192 };

static status read_with(const char *text, size_t bytes, int argc, char **argv)
{
    struct options options;
    jobs_free(&jobs);
    if (options_parse(argc, argv, &options) != STATUS_OK)
        fail_msg("%s", status_text());
    return jobs_from_text(&jobs, text, bytes, &options, &small);
}

static status read_text(const char *text)
{
    char *argv[] = { (char *)"x",       (char *)"--prompts", (char *)"-",
                     (char *)"--steps", (char *)"5",         NULL };
    return read_with(text, strlen(text), 5, argv);
}

static int free_jobs(void **state)
{
    (void)state;
    jobs_free(&jobs);
    return 0;
}

static void a_prompt_a_line_takes_the_flags(void **state)
{
    (void)state;
    assert_int_equal(read_text("\xef\xbb\xbf"
                               "a cat\r\n\n  \na dog: 3, of 4"),
                     STATUS_OK);
    assert_int_equal(jobs.count, 2);
    assert_string_equal(jobs.job[0].request.prompt, "a cat");
    assert_string_equal(jobs.job[1].request.prompt, "a dog: 3, of 4");
    assert_string_equal(jobs.job[1].label, "line 4");
    assert_int_equal(jobs.job[1].request.steps, 5);
    assert_int_equal(jobs.job[1].request.width, 128);
}

static void a_json_line_beats_the_flags(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("{\"prompt\":\"a\",\"steps\":2,\"seed\":7,\"width\":64,\"clip_skip\":2}\n"
                  "{\"prompt\":\"b\",\"size\":\"72x80\",\"seed\":\"18446744073709551615\"}\n"
                  "{\"prompt\":\"c\",\"model\":null,\"extra\":{\"Version\":\"v1.6.0\",\"ENSD\":"
                  "\"31337\"}}\n"),
        STATUS_OK);
    assert_int_equal(jobs.count, 3);
    const struct miku_request *a = &jobs.job[0].request, *b = &jobs.job[1].request;
    assert_int_equal(a->steps, 2);
    assert_int_equal(a->seed, 7);
    assert_int_equal(a->width, 64);
    assert_int_equal(a->height, 192);
    assert_int_equal(a->clip_skip, 2);
    assert_int_equal(b->steps, 5);
    assert_int_equal(b->height, 80);
    assert_true(b->seed == UINT64_MAX);
    assert_string_equal(jobs.job[2].request.version, "v1.6.0");
    assert_int_equal(jobs.job[2].request.ensd, 31337);
}

static void bad_lines_are_refused_one_by_one(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"prompt\":\"a\"}\n{\"prompt\":3}\n{\"stpes\":3}\n{\"a\"\n"
                               "{\"prompt\":\"a\"} x\n{\"steps\":1.5}\n{\"seed\":-2}\n"
                               "{\"seed\":\"18446744073709551616\"}\n{\"prompt\":\"a\\u0000b\"}\n"
                               "{\"extra\":{\"Hires upscale\":\"2\"}}\n[1]\n{\"prompt\":\"z\"}\n"),
                     STATUS_OK);
    assert_int_equal(jobs.count, 12);
    for (size_t i = 0; i < 12; i++)
        if ((jobs.job[i].refused == STATUS_OK) != (i == 0 || i == 11))
            fail_msg("line %zu", i + 1);
    assert_non_null(strstr(jobs.job[2].why, "stpes"));
}

static void infotexts_stand_between_blank_lines(void **state)
{
    (void)state;
    assert_int_equal(read_text("a cat\nNegative prompt: b\nSteps: 20, Sampler: DDIM, CFG scale: 7, "
                               "Seed: 3, Size: 64x64\n\n\na dog\nSteps: 4, Sampler: Euler a, CFG "
                               "scale: 2, Seed: 4, Size: 64x72, Hires upscale: 2\n"),
                     STATUS_OK);
    assert_int_equal(jobs.count, 2);
    assert_string_equal(jobs.job[0].request.prompt, "a cat");
    assert_string_equal(jobs.job[0].request.negative, "b");
    assert_string_equal(jobs.job[0].request.sampler, "DDIM");
    assert_int_equal(jobs.job[0].request.steps, 5); /* the flag */
    assert_int_equal(jobs.job[0].request.width, 64);
    assert_int_equal(jobs.job[1].refused, STATUS_UNSUPPORTED);
    assert_non_null(strstr(jobs.job[1].why, "Hires upscale"));
}

static void nul_and_broken_utf8_are_refused(void **state)
{
    (void)state;
    char *argv[] = { (char *)"x", (char *)"--prompts", (char *)"-", NULL };
    static const char text[] = "ok\na\0b\nc\xff";
    assert_int_equal(read_with(text, sizeof text - 1, 3, argv), STATUS_OK);
    assert_int_equal(jobs.count, 3);
    assert_int_equal(jobs.job[0].refused, STATUS_OK);
    assert_int_equal(jobs.job[1].refused, STATUS_BAD_TEXT);
    assert_int_equal(jobs.job[2].refused, STATUS_BAD_TEXT);
}

static void nothing_in_it_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(read_text(""), STATUS_BAD_TEXT);
    assert_int_equal(read_text("\n \n"), STATUS_BAD_TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prompt_a_line_takes_the_flags),
        cmocka_unit_test(a_json_line_beats_the_flags),
        cmocka_unit_test(bad_lines_are_refused_one_by_one),
        cmocka_unit_test(infotexts_stand_between_blank_lines),
        cmocka_unit_test(nul_and_broken_utf8_are_refused),
        cmocka_unit_test(nothing_in_it_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, free_jobs);
}
