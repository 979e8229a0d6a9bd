/* tests/test_prompt.c - the prompt language against recorded results of an implementation that
 * works in another way (tools/vectors/prompt.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cJSON.h>
#include <cmocka.h>

#include "host/prompt/prompt.h"
#include "tests/gz_file.h"

static cJSON *vectors;

static int setup(void **state)
{
    (void)state;
    size_t bytes;
    unsigned char *data = gz_read(TEST_SOURCE_DIR "/tests/vectors/prompt/prompt.json.gz", &bytes);
    vectors = data != NULL ? cJSON_Parse((const char *)data) : NULL;
    free(data);
    return vectors == NULL;
}

static int teardown(void **state)
{
    (void)state;
    cJSON_Delete(vectors);
    return 0;
}

static struct prompt_rules rules_of(const char *version)
{
    struct compat compat;
    assert_int_equal(compat_parse(version, &compat), STATUS_OK);
    return prompt_rules_of(&compat);
}

static const cJSON *item(const cJSON *array, int i) { return cJSON_GetArrayItem(array, i); }
static const char *text_of(const cJSON *node) { return node->valuestring; }

static int equal(const struct prompt_text *got, const cJSON *want)
{
    return got->bytes == strlen(text_of(want)) &&
           memcmp(got->data, text_of(want), got->bytes + 1) == 0;
}

/* ---- tags, AND ----------------------------------------------------------------------------- */

static void tags_leave_the_prompt_in_order(void **state)
{
    (void)state;
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(vectors, "tags"))
    {
        const char *text = text_of(item(row, 0));
        struct prompt_tags *got;
        assert_int_equal(prompt_extract_tags(text, strlen(text), &got), STATUS_OK);
        assert_true(equal(&got->text, item(row, 1)));
        const cJSON *want = item(row, 2);
        assert_int_equal(got->count, cJSON_GetArraySize(want));
        for (int i = 0; i < (int)got->count; i++) {
            const cJSON *items = item(item(want, i), 1);
            assert_true(equal(&got->tag[i].kind, item(item(want, i), 0)));
            assert_int_equal(got->tag[i].items, cJSON_GetArraySize(items));
            for (int k = 0; k < (int)got->tag[i].items; k++)
                assert_true(equal(&got->tag[i].item[k], item(items, k)));
        }
        prompt_tags_free(got);
    }
}

static void multipliers_depend_on_the_version(void **state)
{
    (void)state;
    static const struct row {
        const char *text, *version;
        double te, unet;
        int fine;
    } rows[] = {
        { "<lora:a>", "1.1", 1, 1, 1 },
        { "<lora:a:-1>", "1.1", -1, -1, 1 },
        { "<lora:a:0.5:0.25>", "1.1", 0.5, 0.5, 1 },
        { "<lora:a:0.5:0.25>", "1.5", 0.5, 0.25, 1 },
        { "<lora:a:te=0.1:unet=0.2>", "1.5", 0.1, 0.2, 1 },
        { "<lora:a:0.5:te=0.1>", "1.5", 0.1, 0.1, 1 },
        { "<lora:a:0.5:0.5:te=0.1>", "1.5", 0.1, 0.5, 1 },
        { "<lora:a:te=0.1:0.5>", "1.3", 0.5, 0.5, 1 },
        { "<lora:a: .5 >", "1.1", 0.5, 0.5, 1 },
        { "<lora:a:much>", "1.1", 1, 1, 0 },
        { "<lora:a:>", "1.1", 1, 1, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct compat compat;
        struct prompt_tags *tags;
        double te, unet;
        assert_int_equal(compat_parse(rows[i].version, &compat), STATUS_OK);
        assert_int_equal(prompt_extract_tags(rows[i].text, strlen(rows[i].text), &tags), STATUS_OK);
        assert_int_equal(prompt_tag_weights(&tags->tag[0], &compat, &te, &unet), rows[i].fine);
        assert_true(te == rows[i].te && unet == rows[i].unet);
        prompt_tags_free(tags);
    }
}

static void parts_are_cut_at_and_with_their_weights(void **state)
{
    (void)state;
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(vectors, "parts"))
    {
        const char *text = text_of(item(row, 0));
        struct prompt_parts *got;
        assert_int_equal(prompt_parts(text, strlen(text), &got), STATUS_OK);
        const cJSON *want = item(row, 1);
        assert_int_equal(got->count, cJSON_GetArraySize(want));
        for (int i = 0; i < (int)got->count; i++) {
            if (!equal(&got->part[i].text, item(item(want, i), 0)))
                fail_msg("\"%s\" part %d is \"%s\"", text, i, got->part[i].text.data);
            assert_true(got->part[i].weight == item(item(want, i), 1)->valuedouble);
        }
        prompt_parts_free(got);
    }
}

/* ---- scheduling ---------------------------------------------------------------------------- */

static void check_schedule(const char *text, const cJSON *want, const char *version)
{
    const struct prompt_rules rules = rules_of(version);
    struct prompt_schedule *got;
    assert_int_equal(prompt_schedule(text, strlen(text), 10, &rules, &got), STATUS_OK);
    int fine = (int)got->count == cJSON_GetArraySize(want);
    for (int i = 0; i < (int)got->count && fine; i++)
        fine = got->entry[i].last_step == item(item(want, i), 0)->valueint &&
               equal(&got->entry[i].text, item(item(want, i), 1));
    if (!fine)
        fail_msg("\"%s\" by %s begins with %d \"%s\"", text, version, got->entry[0].last_step,
                 got->entry[0].text.data);
    prompt_schedule_free(got);
}

static void schedules_are_those_of_the_grammar(void **state)
{
    (void)state;
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(vectors, "schedule"))
    {
        check_schedule(text_of(item(row, 0)), item(row, 1), "1.1.1");
        check_schedule(text_of(item(row, 0)), item(row, 2), "1.6");
    }
}

static void counters_pick_the_entry_that_is_not_over(void **state)
{
    (void)state;
    const struct prompt_rules rules = rules_of("auto");
    struct prompt_schedule *got;
    assert_int_equal(prompt_schedule("[a:b:10]", 8, 20, &rules, &got), STATUS_OK);
    int first = 0; /* the counter starts at 0, so the change comes a call late */
    for (int counter = 0; counter < 20; counter++)
        first += prompt_schedule_at(got, counter) == 0;
    assert_int_equal(first, 11);
    prompt_schedule_free(got);

    assert_int_equal(prompt_schedule("[a|b]", 5, 4, &rules, &got), STATUS_OK);
    assert_int_equal(got->count, 4);
    assert_int_equal(prompt_schedule_at(got, 0), prompt_schedule_at(got, 1));
    assert_int_equal(prompt_schedule_at(got, 99), 0);
    assert_ptr_equal(got->entry[0].text.data, got->entry[2].text.data); /* equal, and shared */
    prompt_schedule_free(got);
}

static void senseless_step_counts_are_refused(void **state)
{
    (void)state;
    const struct prompt_rules rules = rules_of("auto");
    struct prompt_schedule *got;
    assert_int_equal(prompt_schedule("a", 1, 0, &rules, &got), STATUS_MISUSE);
    assert_null(got);
    assert_int_equal(prompt_schedule("a", 1, 100001, &rules, &got), STATUS_MISUSE);
}

/* ---- attention ----------------------------------------------------------------------------- */

static void check_attention(const char *text, const cJSON *want, const char *version)
{
    const struct prompt_rules rules = rules_of(version);
    struct prompt_pieces *got;
    assert_int_equal(prompt_attention(text, strlen(text), &rules, &got), STATUS_OK);
    int fine = (int)got->count == cJSON_GetArraySize(want);
    for (int i = 0; i < (int)got->count && fine; i++) {
        const struct prompt_piece *piece = &got->piece[i];
        const int is_break = strcmp(text_of(item(item(want, i), 0)), "BREAK") == 0 &&
                             item(item(want, i), 1)->valuedouble == -1;
        fine = equal(&piece->text, item(item(want, i), 0)) &&
               piece->weight == item(item(want, i), 1)->valuedouble && piece->is_break == is_break;
    }
    if (!fine)
        fail_msg("\"%s\" by %s has %zu pieces", text, version, got->count);
    prompt_pieces_free(got);
}

static void attention_gives_the_same_doubles(void **state)
{
    (void)state;
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(vectors, "attention"))
    {
        check_attention(text_of(item(row, 0)), item(row, 1), "1.1.1");
        check_attention(text_of(item(row, 0)), item(row, 2), "1.6");
    }
}

static void a_number_that_is_none_is_text(void **state)
{
    (void)state;
    const struct prompt_rules rules = rules_of("auto");
    struct prompt_pieces *got;
    assert_int_equal(prompt_attention("(a:1.2.3)", 9, &rules, &got), STATUS_OK);
    assert_int_equal(got->count, 1);
    assert_string_equal(got->piece[0].text.data, "a:1.2.3");
    assert_true(got->piece[0].weight == 1.1);
    prompt_pieces_free(got);
}

/* ---- chunks -------------------------------------------------------------------------------- */

static int same_chunk(const struct prompt_chunk *got, const cJSON *ids, const cJSON *weights,
                      const cJSON *fixes)
{
    int fine = (int)got->fixes == cJSON_GetArraySize(fixes);
    const cJSON *id = ids->child, *weight = weights->child;
    for (int i = 0; i < PROMPT_CHUNK && fine; i++, id = id->next, weight = weight->next)
        fine = got->ids[i] == id->valueint && got->weight[i] == (float)weight->valuedouble;
    for (int i = 0; i < (int)got->fixes && fine; i++)
        fine = got->fix[i].offset == item(item(fixes, i), 0)->valueint &&
               got->fix[i].embedding == item(item(fixes, i), 1)->valueint;
    return fine;
}

static struct prompt_embeddings *embeddings_of(const struct tokenizer *tokenizer, const cJSON *rows)
{
    struct prompt_embedding list[16];
    size_t count = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) list[count++] =
        (struct prompt_embedding){ text_of(item(row, 0)), item(row, 1)->valueint };
    struct prompt_embeddings *made;
    assert_int_equal(prompt_embeddings_create(tokenizer, list, count, &made), STATUS_OK);
    return made;
}

static void chunks_have_the_same_ids_weights_and_fixes(void **state)
{
    (void)state;
    struct tokenizer *tokenizer;
    assert_int_equal(tokenizer_create(&tokenizer), STATUS_OK);
    struct prompt_embeddings *embeddings =
        embeddings_of(tokenizer, cJSON_GetObjectItem(vectors, "embeddings"));
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(vectors, "chunks"))
    {
        const char *text = text_of(item(row, 0));
        struct prompt_rules rules = rules_of("auto");
        rules.comma_backtrack = item(row, 1)->valueint;
        struct prompt_chunks *got;
        assert_int_equal(prompt_chunks(tokenizer, text, strlen(text), embeddings, &rules, &got),
                         STATUS_OK);
        assert_int_equal(got->count, cJSON_GetArraySize(item(row, 2)));
        for (int i = 0; i < (int)got->count; i++)
            if (!same_chunk(&got->chunk[i], item(item(row, 2), i), item(item(row, 3), i),
                            item(item(row, 4), i)))
                fail_msg("chunk %d of \"%s\"", i, text);
        prompt_chunks_free(got);
    }
    prompt_embeddings_destroy(embeddings);
    tokenizer_destroy(tokenizer);
}

static void an_empty_prompt_is_one_chunk_of_padding(void **state)
{
    (void)state;
    struct tokenizer *tokenizer;
    assert_int_equal(tokenizer_create(&tokenizer), STATUS_OK);
    const struct prompt_rules rules = rules_of("auto");
    struct prompt_chunks *got;
    struct prompt_chunk empty;
    prompt_chunk_empty(&empty);
    assert_int_equal(prompt_chunks(tokenizer, "", 0, NULL, &rules, &got), STATUS_OK);
    assert_true(got->count == 1 && got->tokens == 0 && got->all_ones);
    assert_memory_equal(got->chunk[0].ids, empty.ids, sizeof empty.ids);
    assert_int_equal(empty.ids[0], TOKEN_START);
    assert_int_equal(empty.ids[76], TOKEN_END);
    prompt_chunks_free(got);
    tokenizer_destroy(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_leave_the_prompt_in_order),
        cmocka_unit_test(multipliers_depend_on_the_version),
        cmocka_unit_test(parts_are_cut_at_and_with_their_weights),
        cmocka_unit_test(schedules_are_those_of_the_grammar),
        cmocka_unit_test(counters_pick_the_entry_that_is_not_over),
        cmocka_unit_test(senseless_step_counts_are_refused),
        cmocka_unit_test(attention_gives_the_same_doubles),
        cmocka_unit_test(a_number_that_is_none_is_text),
        cmocka_unit_test(chunks_have_the_same_ids_weights_and_fixes),
        cmocka_unit_test(an_empty_prompt_is_one_chunk_of_padding),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
