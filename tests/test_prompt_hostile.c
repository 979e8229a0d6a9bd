/* tests/test_prompt_hostile.c - a megabyte of whatever hurts goes through every step of a prompt.
 * A quadratic step would not end within the test's time limit, recursion would not survive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/prompt/infotext.h"
#include "host/prompt/prompt.h"

enum { MEGABYTE = 1 << 20 };

/* A megabyte: `head` repeated to the middle, then `tail`. */
static char *fill(const char *head, size_t head_bytes, const char *tail, size_t tail_bytes)
{
    char *text = malloc(MEGABYTE);
    assert_non_null(text);
    for (size_t i = 0; i < MEGABYTE / 2; i++)
        text[i] = head[i % head_bytes];
    for (size_t i = MEGABYTE / 2; i < MEGABYTE; i++)
        text[i] = tail[(i - MEGABYTE / 2) % tail_bytes];
    return text;
}

static void go(const struct tokenizer *tokenizer, const char *text, const char *version)
{
    struct compat compat;
    assert_int_equal(compat_parse(version, &compat), STATUS_OK);
    const struct prompt_rules rules = prompt_rules_of(&compat);
    struct prompt_tags *tags;
    struct prompt_parts *parts;
    struct prompt_schedule *schedule;
    struct prompt_chunks *chunks;
    char *json;
    assert_int_equal(prompt_extract_tags(text, MEGABYTE, &tags), STATUS_OK);
    assert_int_equal(prompt_parts(text, MEGABYTE, &parts), STATUS_OK);
    assert_int_equal(prompt_schedule(text, MEGABYTE, 20, &rules, &schedule), STATUS_OK);
    assert_int_equal(prompt_chunks(tokenizer, text, MEGABYTE, NULL, &rules, &chunks), STATUS_OK);
    assert_int_equal(infotext_to_json(text, MEGABYTE, &json), STATUS_OK);
    free(json);
    prompt_chunks_free(chunks);
    prompt_schedule_free(schedule);
    prompt_parts_free(parts);
    prompt_tags_free(tags);
}

#define TWO(head, tail)                                                                            \
    {                                                                                              \
        head, sizeof(head) - 1, tail, sizeof(tail) - 1                                             \
    }

static const struct hostile {
    const char *head;
    size_t head_bytes;
    const char *tail;
    size_t tail_bytes;
} hostile[] = {
    TWO("(", "("),
    TWO("[", "["),
    TWO("(", ")"),
    TWO("[", "]"),
    TWO("(a", ")"),
    TWO("(a", ":.9)"),
    TWO("[a", "]"),
    TWO("[a:", "b:3]"),
    TWO("[a|", "b]"),
    TWO("[", ":1]"),
    TWO("([", ")]"),
    TWO("<a:", "<"),
    TWO("<a", "<a:b>"),
    TWO("AND ", " AND:1"),
    TWO("BREAK ", "BREAK"),
    TWO("\\", "\\("),
    TWO(":", ":1"),
    TWO("|", "["),
    TWO("\xff", "\xc3"),
    TWO("\0", "(\0)"),
    TWO("a", "1"),
    TWO("a,", "b:,"),
    TWO("a: b,", "c: \""),
    TWO("a:\"\\", "\\\","),
    TWO("\n", " \n"),
    TWO("&amp;", "amp;"),
    TWO("&#82", "98;"),
    TWO("\xcc\x81\xcc\xa3", "\xcc\xb8\xcc\xa3"),
    TWO("\xce\xa3'", "\xce\xa3"),
    TWO("(a:1e9999999999)", "(a:99999999999999999999999999)"),
    TWO("\x1b[1", "\x1b[0;"),
    TWO(" ", "\xe3\x80\x80"),
};

static void a_megabyte_of_anything_ends(void **state)
{
    (void)state;
    struct tokenizer *tokenizer;
    assert_int_equal(tokenizer_create(&tokenizer), STATUS_OK);
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        const struct hostile *h = &hostile[i];
        char *text = fill(h->head, h->head_bytes, h->tail, h->tail_bytes);
        go(tokenizer, text, i % 2 == 0 ? "1.1" : "1.6");
        free(text);
    }
    tokenizer_destroy(tokenizer);
}

/* Hundreds of thousands of different texts are refused with a line of text, not attempted. */
static void a_schedule_that_would_fill_memory_is_refused(void **state)
{
    (void)state;
    struct compat compat;
    assert_int_equal(compat_parse("1.1", &compat), STATUS_OK);
    const struct prompt_rules rules = prompt_rules_of(&compat);
    /* the last of its 38 bytes' repetitions is cut off */
    char *text = fill("x", 1, "[a|b][c|d|e][f|g|h|i|j][k|l|m|n|o|p|q]", 38);
    struct prompt_schedule *schedule;
    assert_int_equal(prompt_schedule(text, MEGABYTE - 2, 100000, &rules, &schedule),
                     STATUS_NO_MEMORY);
    assert_null(schedule);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_megabyte_of_anything_ends),
        cmocka_unit_test(a_schedule_that_would_fill_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
