/* tests/test_tokenizer.c - token ids against the recorded ones of transformers' slow tokenizer, and
 * what a recorded file cannot hold: bytes that are not UTF-8, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>

#include "host/prompt/tokenizer.h"
#include "tests/gz_file.h"

static struct tokenizer *tokenizer;

static int setup(void **state)
{
    (void)state;
    return tokenizer_create(&tokenizer) != STATUS_OK;
}

static int teardown(void **state)
{
    (void)state;
    tokenizer_destroy(tokenizer);
    return 0;
}

static uint32_t u32_at(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Returns 1 if `text` has the ids at `want` (u16, little endian). */
static int same(const char *text, size_t bytes, const unsigned char *want, size_t wanted)
{
    int32_t *ids;
    size_t count;
    if (tokenizer_encode(tokenizer, text, bytes, &ids, &count) != STATUS_OK)
        return 0;
    int fine = count == wanted;
    for (size_t i = 0; i < count && fine; i++)
        fine = ids[i] == (want[2 * i] | want[2 * i + 1] << 8);
    free(ids);
    return fine;
}

static void ten_thousand_strings_have_the_slow_tokenizers_ids(void **state)
{
    (void)state;
    size_t bytes;
    unsigned char *data = gz_read(TEST_SOURCE_DIR "/tests/vectors/prompt/tokens.gz", &bytes);
    assert_non_null(data);
    const uint32_t strings = u32_at(data);
    assert_int_equal(strings, 10000);
    size_t at = 4, wrong = 0;
    for (uint32_t i = 0; i < strings; i++) {
        const uint32_t length = u32_at(data + at);
        const char *text = (const char *)data + at + 4;
        const uint32_t ids = u32_at(data + at + 4 + length);
        at += 8 + length;
        if (!same(text, length, data + at, ids) && wrong++ < 10)
            print_error("string %u: %.*s\n", i, (int)length, text);
        at += 2 * (size_t)ids;
    }
    assert_int_equal(at, bytes);
    free(data);
    assert_int_equal(wrong, 0);
}

static void check(const char *text, size_t bytes, const int32_t *want, size_t wanted)
{
    int32_t *ids;
    size_t count;
    assert_int_equal(tokenizer_encode(tokenizer, text, bytes, &ids, &count), STATUS_OK);
    assert_int_equal(count, wanted);
    if (count > 0)
        assert_memory_equal(ids, want, count * sizeof *want);
    free(ids);
}

#define CHECK(text, ...)                                                                           \
    check(text, sizeof(text) - 1, (const int32_t[]){ __VA_ARGS__ },                                \
          sizeof((const int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t))

/* The specification's table, computed with OpenAI's vocabulary. */
static void the_four_prompts_have_the_known_ids(void **state)
{
    (void)state;
    CHECK("hatsune miku", 3447, 41096, 37703);
    CHECK(", hatsune miku", 267, 3447, 41096, 37703);
    CHECK("EasyNegative", 18308, 8869);
    CHECK("bad-hands-5", 2103, 268, 3500, 268, 276);
    CHECK("<|startoftext|>hatsune miku<|endoftext|>", 49406, 3447, 41096, 37703, 49407);
    check("", 0, NULL, 0);
    check(" \n\t ", 4, NULL, 0);
}

static void broken_utf8_reads_as_replacement_characters(void **state)
{
    (void)state;
    static const struct row {
        const char *broken, *same_as;
    } rows[] = {
        { "a\xff"
          "b",
          "a\xef\xbf\xbd"
          "b" },
        { "\xc3", "\xef\xbf\xbd" },
        { "\xe2\x82 x", "\xef\xbf\xbd x" },                         /* one for the beginning */
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* a surrogate: three */
        { "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },                 /* overlong: two */
        { "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xf0\x9f\x98", "\xef\xbf\xbd" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int32_t *want;
        size_t count;
        assert_int_equal(
            tokenizer_encode(tokenizer, rows[i].same_as, strlen(rows[i].same_as), &want, &count),
            STATUS_OK);
        assert_true(count > 0);
        check(rows[i].broken, strlen(rows[i].broken), want, count);
        free(want);
    }
}

static void a_nul_vanishes(void **state)
{
    (void)state;
    CHECK("hatsune\0 mi\0ku", 3447, 41096, 37703);
}

static void pieces_name_their_ids(void **state)
{
    (void)state;
    assert_string_equal(tokenizer_piece(tokenizer, 0), "!");
    assert_string_equal(tokenizer_piece(tokenizer, TOKEN_COMMA), ",</w>");
    assert_string_equal(tokenizer_piece(tokenizer, 37703), "miku</w>");
    assert_string_equal(tokenizer_piece(tokenizer, 49405), "jeky" /* "jeky ll" is the last merge */
                                                           "ll</w>");
    assert_string_equal(tokenizer_piece(tokenizer, TOKEN_START), "<|startoftext|>");
    assert_string_equal(tokenizer_piece(tokenizer, TOKEN_END), "<|endoftext|>");
    assert_null(tokenizer_piece(tokenizer, -1));
    assert_null(tokenizer_piece(tokenizer, TOKEN_COUNT));
}

static void *encode_often(void *wrong)
{
    static const unsigned char want[] = { 3447 & 255, 3447 >> 8,   41096 & 255,
                                          41096 >> 8, 37703 & 255, 37703 >> 8 };
    for (int i = 0; i < 2000; i++)
        *(int *)wrong += !same("Hatsune\xc2\xa0MIKU", 13, want, 3);
    return NULL;
}

static void two_threads_may_share_a_tokenizer(void **state)
{
    (void)state;
    pthread_t thread;
    int wrong[2] = { 0, 0 };
    assert_int_equal(pthread_create(&thread, NULL, encode_often, &wrong[0]), 0);
    encode_often(&wrong[1]);
    pthread_join(thread, NULL);
    assert_int_equal(wrong[0] + wrong[1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_strings_have_the_slow_tokenizers_ids),
        cmocka_unit_test(the_four_prompts_have_the_known_ids),
        cmocka_unit_test(broken_utf8_reads_as_replacement_characters),
        cmocka_unit_test(a_nul_vanishes),
        cmocka_unit_test(pieces_name_their_ids),
        cmocka_unit_test(two_threads_may_share_a_tokenizer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
