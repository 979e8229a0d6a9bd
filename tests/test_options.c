/* tests/test_options.c - the command line, numbers, and what reaches a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/app/number.h"
#include "host/app/options.h"
#include "host/app/say.h"

/* Parses words separated by blanks. */
static status parse(const char *line, struct options *options)
{
    static char texts[2][256]; /* of this line and the one before, whose strings are still lent */
    static int turn;
    char *text = texts[turn ^= 1], *argv[32];
    int argc = 0;
    argv[argc++] = (char *)"mikubench-cuda";
    snprintf(text, sizeof texts[0], "%s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return options_parse(argc, argv, options);
}

static void short_and_long_forms_mean_the_same(void **state)
{
    (void)state;
    struct options a, b;
    assert_int_equal(parse("-p cat -n dog -m AOM3 -s 5 -W 128 -H 192 -o x.png --cfg-scale 3.5 "
                           "--batch-size 1",
                           &a),
                     STATUS_OK);
    assert_int_equal(parse("--prompt=cat --negative=dog --model=AOM3 --seed=5 --size=128x192 "
                           "--output=x.png --cfg=3.5 --batch=1",
                           &b),
                     STATUS_OK);
    const struct options *both[] = { &a, &b };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(both[i]->mode, MODE_PROMPT);
        assert_string_equal(both[i]->request.prompt, "cat");
        assert_string_equal(both[i]->request.negative, "dog");
        assert_string_equal(both[i]->request.model, "AOM3");
        assert_int_equal(both[i]->request.seed, 5);
        assert_int_equal(both[i]->request.width, 128);
        assert_int_equal(both[i]->request.height, 192);
        assert_string_equal(both[i]->output, "x.png");
        assert_true(both[i]->request.cfg_scale == 3.5);
        assert_true(options_given(both[i], "width"));
    }
}

static void misuse_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } rows[] = {
        { "", "nothing to do" },
        { "--case", "wants a value" },
        { "--case 0", "--case" },
        { "--case x", "--case" },
        { "--case 1 --all", "another thing" },
        { "--stepz 3", "did you mean --steps?" },
        { "--hlep", "did you mean --help?" },
        { "--qwertyuiop", "--help lists" },
        { "-x", "unknown option -x" },
        { "cat", "unexpected argument" },
        { "--all=1", "takes no value" },
        { "-p cat --steps 0", "--steps" },
        { "-p cat --steps 10000", "--steps" },
        { "-p cat --steps 1e1", "--steps" },
        { "-p cat --steps 20x", "--steps" },
        { "-p cat --steps 99999999999999999999", "--steps" },
        { "-p cat --size 0x0", "--size" },
        { "-p cat --size 100000x64", "--size" },
        { "-p cat --size 100x64", "multiple of 8" },
        { "-p cat --size 64", "WIDTHxHEIGHT" },
        { "-p cat --size 64x64x64", "WIDTHxHEIGHT" },
        { "-p cat --size 0x40x64", "WIDTHxHEIGHT" },
        { "-p cat -W 65", "multiple of 8" },
        { "-p cat -H 0", "--height" },
        { "-p cat --seed -2", "--seed" },
        { "-p cat --seed 18446744073709551616", "--seed" },
        { "-p cat --seed 1.5", "--seed" },
        { "-p cat --cfg nan", "--cfg" },
        { "-p cat --cfg inf", "--cfg" },
        { "-p cat --subseed-strength 1.1", "--subseed-strength" },
        { "-p cat --clip-skip 13", "--clip-skip" },
        { "-p cat --batch 0", "--batch" },
        { "-p cat --count 0", "--count" },
        { "-p cat --count 2 --batch-count 2", "both say" },
        { "-p cat --batch-count 100000 --batch 2", "--batch-count" },
        { "-p cat --count 2 -o x.png", "-o names one file" },
        { "--all -o x.png", "-o names one file" },
        { "-p cat --out a -o x.png", "both say" },
        { "-p cat --min-psnr 3", "--replay" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct options options;
        if (parse(rows[i].line, &options) != STATUS_MISUSE ||
            strstr(status_text(), rows[i].says) == NULL)
            fail_msg("\"%s\": %s", rows[i].line, status_text());
        options_free(&options);
    }
}

static void seeds_reach_from_minus_one_to_the_last(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse("-p cat --seed 18446744073709551615", &options), STATUS_OK);
    assert_true(options.request.seed == UINT64_MAX);
    assert_int_equal(parse("-p cat -s -1 --subseed=-1", &options), STATUS_OK);
    assert_true(options.random_seed && options.random_subseed);
    uint64_t first = 0, differ = 0;
    for (int i = 0; i < 8; i++) {
        struct miku_request request = { .seed = 0 };
        options_draw_seeds(&options, &request);
        assert_true(request.seed <= UINT32_MAX);
        first = i == 0 ? request.seed : first;
        differ |= request.seed ^ first;
    }
    assert_true(differ != 0);
}

static void counts_go_by_batches(void **state)
{
    (void)state;
    struct options options;
    parse("-p cat --batch-size 4 --batch-count 3", &options);
    assert_int_equal(options.request.count, 12);
    parse("-p cat --batch 4", &options);
    assert_int_equal(options.request.count, 4);
    parse("-p cat --batch 4 --count 6", &options);
    assert_int_equal(options.request.count, 6);
    parse("-p cat", &options);
    assert_int_equal(options.request.count, 1);
}

static void flags_beat_a_text_and_leave_the_rest(void **state)
{
    (void)state;
    struct options options;
    struct miku_request request = miku_request_default();
    request.prompt = "of the text";
    request.sampler = "DDIM";
    request.steps = 7;
    request.seed = 99;
    assert_int_equal(
        parse("--case 1 --steps 3 --size 64x72 --eta 0.5 --ensd -5 --strict", &options), STATUS_OK);
    options_apply(&options, &request);
    assert_string_equal(request.prompt, "of the text");
    assert_string_equal(request.sampler, "DDIM");
    assert_int_equal(request.seed, 99);
    assert_int_equal(request.steps, 3);
    assert_int_equal(request.width, 64);
    assert_int_equal(request.height, 72);
    assert_true(request.eta == 0.5 && request.ensd == -5 && request.strict == 1);
}

static void words_of_a_repeated_flag_add_up(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse("--list --weights a --weights b", &options), STATUS_OK);
    assert_int_equal(options.weights.count, 2);
    assert_string_equal(options.weights.word[1], "b");
    assert_int_equal(options.variants.count, 0);
    options_free(&options);
    assert_int_equal(parse("--list --variant conv2d=plain --variant linear=plain", &options),
                     STATUS_OK);
    assert_int_equal(options.variants.count, 2);
    assert_string_equal(options.variants.word[0], "conv2d=plain");
    assert_int_equal(options.weights.count, 0);
    options_free(&options);
}

static void help_opens_with_a_sentence_and_a_command(void **state)
{
    (void)state;
    char *help = options_help();
    assert_non_null(help);
    assert_memory_equal(help, "mikubench-cuda makes pictures", 29);
    assert_non_null(strstr(help, "\n    mikubench-cuda --case 1\n"));
    for (const char *line = help; line != NULL; line = strchr(line + 1, '\n'))
        assert_true(strcspn(line + 1, "\n") <= 100);
    free(help);
}

static void help_beats_the_rest(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse("--case 1 --help", &options), STATUS_MISUSE);
    assert_int_equal(parse("-h", &options), STATUS_OK);
    assert_int_equal(options.mode, MODE_HELP);
}

static void control_characters_never_get_out(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        { "plain \xe5\x88\x9d", "plain \xe5\x88\x9d" },
        { "\033[31mred\a", "?[31mred?" },
        { "a\x7f\xc2\x9b", "a??" },
        { "\x9b\xff", "??" },
        { "\xe2\x80\xae right to left", "? right to left" },
        { "two\nlines\r", "two\nlines?" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *tamed = say_tamed(rows[i].text, 1);
        assert_string_equal(tamed, rows[i].want);
        free(tamed);
    }
    char *line = say_tamed("two\nlines", 0);
    assert_string_equal(line, "two?lines");
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_and_long_forms_mean_the_same),
        cmocka_unit_test(misuse_is_named),
        cmocka_unit_test(seeds_reach_from_minus_one_to_the_last),
        cmocka_unit_test(counts_go_by_batches),
        cmocka_unit_test(flags_beat_a_text_and_leave_the_rest),
        cmocka_unit_test(words_of_a_repeated_flag_add_up),
        cmocka_unit_test(help_opens_with_a_sentence_and_a_command),
        cmocka_unit_test(help_beats_the_rest),
        cmocka_unit_test(control_characters_never_get_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
