/* tests/test_measuring.c - sweeps, the budget, operators against a ceiling, the cells of the table:
 * arithmetic alone, no clock. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/app/budget.h"
#include "host/app/operators.h"
#include "host/app/progress.h"
#include "host/app/sweep.h"
#include "host/app/table.h"

/* Parses words separated by blanks; their text stays good until the next call. */
static status parse(const char *line, struct options *options)
{
    static char text[256];
    char *argv[24];
    int argc = 0;
    argv[argc++] = (char *)"mikubench-cuda";
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return options_parse(argc, argv, options);
}

/* ---- options ----------------------------------------------------------------------------- */

static void lists_are_read(void **state)
{
    (void)state;
    struct options o;
    assert_int_equal(
        parse("--all --sizes 512x768,64x64 --batches 1,4,16 --precisions fp32,bf16", &o),
        STATUS_OK);
    assert_int_equal(o.sizes_count, 2);
    assert_true(o.sizes[0].width == 512 && o.sizes[0].height == 768 && o.sizes[1].width == 64);
    assert_int_equal(o.batches_count, 3);
    assert_int_equal(o.batches[2], 16);
    assert_int_equal(o.precisions_count, 2);
    assert_string_equal(o.precisions[1], "bf16");
    assert_true(o.repeat == 5 && o.warmup == 1);
    options_free(&o);
    assert_int_equal(parse("--all --csv x.csv --repeat 2 --warmup 0", &o), STATUS_OK);
    assert_true(o.repeat == 2 && o.warmup == 0);
    options_free(&o);
    assert_int_equal(parse("--all", &o), STATUS_OK);
    assert_true(o.repeat == 1 && o.warmup == 0);
    options_free(&o);
}

static void a_stage_and_a_step_are_read(void **state)
{
    (void)state;
    struct options o;
    assert_int_equal(parse("--case 1 --profile sample:12", &o), STATUS_OK);
    assert_string_equal(o.profile_stage, "sample");
    assert_int_equal(o.profile_step, 12);
    options_free(&o);
    assert_int_equal(parse("--case 1 --profile decode", &o), STATUS_OK);
    assert_string_equal(o.profile_stage, "decode");
    assert_int_equal(o.profile_step, 0);
    options_free(&o);
}

static void misuse_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *line, *said;
    } wrong[] = {
        { "--all --repeat 0", "--repeat" },
        { "--all --repeat 10001", "--repeat" },
        { "--all --repeat 1.5", "--repeat" },
        { "--all --warmup -1", "--warmup" },
        { "--all --budget 0", "--budget" },
        { "--all --budget nan", "--budget" },
        { "--all --sizes 512", "\"512\"" },
        { "--all --sizes 64x64,,64x72", "\"\"" },
        { "--all --sizes 64x63", "\"64x63\"" },
        { "--all --sizes 64x64,64x64", "each once" },
        { "--all --sizes 8192x64", "\"8192x64\"" },
        { "--all --batches 0", "--batches" },
        { "--all --batches 65", "--batches" },
        { "--all --batches 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "more than 16" },
        { "--all --precisions fp8", "\"fp8\"" },
        { "--all --precisions fp32,fp32", "each once" },
        { "--all --precisions fp32 --precision fp32", "--precisions" },
        { "--all --sizes 64x64 --width 64", "--width" },
        { "--all --batches 2 --batch 2", "--batches" },
        { "--prompts x --sizes 64x64", "--sizes" },
        { "--replay x --batches 2", "--batches" },
        { "--case 1 --sizes 64x64 -o x.png", "-o" },
        { "--case 1 --profile paint", "\"paint\"" },
        { "--case 1 --profile sample:", "\"sample:\"" },
        { "--case 1 --profile sample:0", "\"sample:0\"" },
        { "--case 1 --profile decode:3", "only sample has steps" },
        { "--case 1 --profile-control x", "--profile" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct options o;
        if (parse(wrong[i].line, &o) != STATUS_MISUSE ||
            strstr(status_text(), wrong[i].said) == NULL)
            fail_msg("%s: \"%s\", wanted %s", wrong[i].line, status_text(), wrong[i].said);
        options_free(&o);
    }
}

/* ---- the sweep --------------------------------------------------------------------------- */

static void a_sweep_is_every_combination(void **state)
{
    (void)state;
    struct options o;
    struct job job[2] = { { .label = (char *)"case 1", .case_number = 1 },
                          { .label = (char *)"", .case_number = 0 } };
    job[0].request = job[1].request = miku_request_default();
    job[0].request.width = 448;
    const struct jobs jobs = { job, 2 };
    struct sweep sweep;
    assert_int_equal(parse("--all --batches 1,4 --precisions fp32,bf16", &o), STATUS_OK);
    assert_int_equal(sweep_open(&o, &jobs, &sweep), STATUS_OK);
    assert_int_equal(sweep.count, 8);
    static const char *const labels[] = { "case 1, fp32, batch 1", "case 1, fp32, batch 4",
                                          "fp32, batch 1",         "fp32, batch 4",
                                          "case 1, bf16, batch 1", "case 1, bf16, batch 4",
                                          "bf16, batch 1",         "bf16, batch 4" };
    for (size_t i = 0; i < sweep.count; i++) {
        const struct configuration *c = &sweep.configuration[i];
        assert_string_equal(c->label, labels[i]);
        assert_ptr_equal(c->job, &job[i / 2 % 2]);
        assert_int_equal(c->job_index, i / 2 % 2);
        assert_int_equal(c->request.batch, i % 2 == 0 ? 1 : 4);
        assert_int_equal(c->request.count, c->request.batch);
        assert_int_equal(c->request.width, c->job_index == 0 ? 448 : 512);
    }
    assert_int_equal(sweep_group(&sweep, 0), 4);
    assert_int_equal(sweep_group(&sweep, 4), 4);
    sweep_free(&sweep);
    options_free(&o);

    assert_int_equal(parse("--all --sizes 64x72 --count 3", &o), STATUS_OK);
    assert_int_equal(sweep_open(&o, &jobs, &sweep), STATUS_OK);
    assert_int_equal(sweep.count, 2);
    assert_string_equal(sweep.configuration[1].label, "64x72");
    assert_int_equal(sweep.configuration[0].request.height, 72);
    sweep_free(&sweep);
    options_free(&o);
}

/* ---- the budget -------------------------------------------------------------------------- */

static void the_budget_is_shared(void **state)
{
    (void)state;
    struct budget b;
    budget_open(&b, 1000, 100, 4); /* from 1 s to 101 s */
    assert_true(budget_begin(&b, 1000));
    assert_true(budget_allows(&b, 1000, 1)); /* nothing is known yet */
    budget_took(&b, 10000);
    assert_true(budget_allows(&b, 11000, 1)); /* its share ends at 26 s */
    assert_false(budget_allows(&b, 11000, 2));
    assert_false(budget_allows(&b, 16001, 1));
    assert_true(budget_begin(&b, 11000)); /* what is left over goes to the others: 30 s each */
    budget_took(&b, 15000);
    assert_true(budget_allows(&b, 11000, 2));
    assert_false(budget_allows(&b, 11001, 2));
    assert_true(budget_begin(&b, 100999));
    assert_false(budget_begin(&b, 101000));
    assert_false(budget_begin(&b, 200000)); /* more than was announced is no harm */
}

static void without_a_budget_all_is_allowed(void **state)
{
    (void)state;
    struct budget b;
    budget_open(&b, 0, 0, 1);
    assert_true(budget_begin(&b, 1e12));
    budget_took(&b, 1e9);
    assert_true(budget_allows(&b, 1e12, 10000));
}

/* ---- operators --------------------------------------------------------------------------- */

static void add(struct operators *o, const char *name, const char *shape, double begin, double end,
                double flops, double bytes)
{
    const struct miku_span span = { MIKU_SPAN_OPERATOR, name, shape, begin, end, flops, bytes };
    assert_int_equal(operators_add(o, &span), STATUS_OK);
}

static void operators_are_added_up(void **state)
{
    (void)state;
    struct operators o = { .row = NULL };
    const struct miku_span step = { MIKU_SPAN_STEP, "step", "", 0, 100, 0, 0 };
    add(&o, "linear", "a", 0, 2, 1e6, 8e6);
    add(&o, "conv2d", "b", 2, 12, 4e9, 1e6);
    add(&o, "linear", "c", 12, 15, 1e6, 2e6);
    add(&o, "linear", "a", 15, 16, 1e6, 8e6);
    assert_int_equal(operators_add(&o, &step), STATUS_OK);
    operators_sort(&o);
    assert_int_equal(o.count, 2);
    assert_true(o.covered_ms == 16);
    assert_string_equal(o.row[0].work.name, "conv2d");
    const struct operator_row *linear = &o.row[1];
    assert_int_equal(linear->work.count, 3);
    assert_true(linear->work.total_ms == 6 && linear->work.bytes == 18e6);
    assert_int_equal(linear->shapes, 2);
    assert_string_equal(linear->shape[0].name, "a"); /* as long as c, and before it */
    assert_int_equal(linear->shape[0].count, 2);
    operators_free(&o);
}

static void a_ceiling_is_the_nearer_of_two(void **state)
{
    (void)state;
    const struct miku_ceiling ceiling = { .matrix_gflops = 1000, .copy_gbytes = 100 };
    int compute;
    /* 4e9 flop take 4 ms at the ceiling, 1e8 bytes 1 ms; it took 8 */
    const struct work product = { .total_ms = 8, .flops = 4e9, .bytes = 1e8 };
    assert_true(fabs(operators_of_ceiling(&product, &ceiling, &compute) - 0.5) < 1e-12);
    assert_int_equal(compute, 1);
    const struct work copy = { .total_ms = 8, .flops = 1e6, .bytes = 1e8 };
    assert_true(fabs(operators_of_ceiling(&copy, &ceiling, &compute) - 0.125) < 1e-12);
    assert_int_equal(compute, 0);
    const struct work nothing = { .total_ms = 0, .flops = 1e6, .bytes = 1e8 };
    assert_true(operators_of_ceiling(&nothing, &ceiling, &compute) == 0);
}

/* ---- progress ---------------------------------------------------------------------------- */

static void what_is_left_counts_the_later_runs(void **state)
{
    (void)state;
    struct progress progress;
    char line[128];
    const struct miku_progress now = { "sample", 5, 20, 0, 1 };
    progress_begin(&progress, "case 1, run 2 of 6", 1, 0);
    progress_line(&progress, &now, 10000, line, sizeof line); /* 2 s a step, 15 to go */
    assert_string_equal(line, "case 1, run 2 of 6: step 5 of 20, 0:30 to go");
    progress_begin(&progress, "case 1, run 2 of 6", 1, 4 * 40000.0);
    progress_line(&progress, &now, 10000, line, sizeof line);
    assert_string_equal(line, "case 1, run 2 of 6: step 5 of 20, 3:10 to go");
}

/* ---- the table --------------------------------------------------------------------------- */

static void cells_have_their_width(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } numbers[] = { { 0.004, "0.00" },    { 1.234, "1.23" },  { 99.94, "99.94" },
                    { 99.96, "100.0" },   { 999.4, "999.4" }, { 999.6, "1000" },
                    { 123456, "123456" }, { NAN, "-" },       { INFINITY, "-" } };
    char line[64];
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        table_number(numbers[i].value, 9, line);
        assert_string_equal(line, numbers[i].text);
    }
    table_fit("case 1", 10, line);
    assert_string_equal(line, "case 1    ");
    table_fit("0123456789", 10, line);
    assert_string_equal(line, "0123456789");
    table_fit("0123456789a", 10, line);
    assert_string_equal(line, "0123456...");
    table_fit("\xe5\x88\x9d\xe9\x9f\xb3\xe3\x83\x9f\xe3\x82\xaf", 8, line); /* each two wide */
    assert_string_equal(line, "\xe5\x88\x9d\xe9\x9f\xb3\xe3\x83\x9f\xe3\x82\xaf");
    table_fit("\xe5\x88\x9d\xe9\x9f\xb3\xe3\x83\x9f\xe3\x82\xaf", 7, line);
    assert_string_equal(line, "\xe5\x88\x9d\xe9\x9f\xb3...");
    char marks[256] = "a", out[5 * 8 + 1];
    for (int i = 0; i < 100; i++)
        strcat(marks, "\xcc\x81"); /* accents on one letter */
    table_fit(marks, 8, out);
    assert_true(strlen(out) <= 5 * 8);
    assert_string_equal(out + strlen(out) - 7, "...    ");
    table_fit("\xff\xff", 3, line); /* bytes that are no text: one column each */
    assert_string_equal(line, "\xff\xff ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(a_stage_and_a_step_are_read),
        cmocka_unit_test(misuse_is_named),
        cmocka_unit_test(a_sweep_is_every_combination),
        cmocka_unit_test(the_budget_is_shared),
        cmocka_unit_test(without_a_budget_all_is_allowed),
        cmocka_unit_test(operators_are_added_up),
        cmocka_unit_test(a_ceiling_is_the_nearer_of_two),
        cmocka_unit_test(what_is_left_counts_the_later_runs),
        cmocka_unit_test(cells_have_their_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
