/* tests/test_ranges.c - a recording device: spans and the profiler's bounds open and close in
 * pairs, around exactly what was asked for, also where a run fails or is stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/pipeline/miku.h"
#include "host/pipeline/ranges.h"

enum { LOG_BYTES = 4096 };

/* What the device was told, a letter and a name each: "(case (encode ) )". [ and ] are the
 * profiler's bounds, { and } the client's. */
static char told[LOG_BYTES];
static struct ops *real; /* of a whole pipeline: the calls go on to it */
static void (*real_begin)(struct ops *, enum span_level, const char *);
static void (*real_end)(struct ops *);

static void tell(const char *text)
{
    const size_t used = strlen(told);
    assert_true(used + strlen(text) + 1 < sizeof told);
    strcat(told, text);
}

static void record_begin(struct ops *ops, enum span_level level, const char *name)
{
    static const char *const levels[] = { "!", "", "", "op " };
    tell("(");
    tell(levels[level]);
    tell(name);
    tell(" ");
    if (ops == real)
        real_begin(ops, level, name);
}

static void record_end(struct ops *ops)
{
    tell(") ");
    if (ops == real)
        real_end(ops);
}

static void record_profile_begin(struct ops *ops)
{
    (void)ops;
    tell("[ ");
}

static void record_profile_end(struct ops *ops)
{
    (void)ops;
    tell("] ");
}

static void on_profile(void *user, int begins)
{
    (void)user;
    tell(begins ? "{ " : "} ");
}

static int not_planning(const struct ops *ops)
{
    (void)ops;
    return 0;
}

static struct ops recorder = { .planning = not_planning,
                               .span_begin = record_begin,
                               .span_end = record_end,
                               .profile_begin = record_profile_begin,
                               .profile_end = record_profile_end };

/* ---- ranges alone ------------------------------------------------------------------------ */

static void walk(struct ranges *r, int steps, int stop_at)
{
    ranges_begin(r, SPAN_CASE, "case 1");
    ranges_begin(r, SPAN_STAGE, "encode");
    ranges_end(r);
    ranges_begin(r, SPAN_STAGE, "sample");
    for (int i = 1; i <= steps; i++) {
        ranges_begin(r, SPAN_STEP, "step");
        if (i == stop_at) {
            ranges_close(r);
            return;
        }
        ranges_end(r);
    }
    ranges_end(r);
    ranges_end(r);
}

static const char *walked(const char *stage, int step, int steps, int stop_at)
{
    const struct miku_callbacks callbacks = { .profile_stage = stage,
                                              .profile_step = step,
                                              .profile = on_profile };
    struct ranges r = { .ops = &recorder, .callbacks = &callbacks };
    told[0] = 0;
    walk(&r, steps, stop_at);
    assert_int_equal(r.depth, 0);
    assert_int_equal(r.profiled, 0);
    return told;
}

static void bounds_are_around_exactly_that(void **state)
{
    (void)state;
    assert_string_equal(walked(NULL, 0, 2, 0), "(!case 1 (encode ) (sample (step ) (step ) ) ) ");
    assert_string_equal(walked("encode", 0, 1, 0),
                        "(!case 1 { [ (encode ) ] } (sample (step ) ) ) ");
    assert_string_equal(walked("sample", 0, 2, 0),
                        "(!case 1 (encode ) { [ (sample (step ) (step ) ) ] } ) ");
    assert_string_equal(walked("sample", 2, 3, 0),
                        "(!case 1 (encode ) (sample (step ) { [ (step ) ] } (step ) ) ) ");
    assert_string_equal(walked("sample", 4, 3, 0),
                        "(!case 1 (encode ) (sample (step ) (step ) (step ) ) ) ");
    assert_string_equal(walked("decode", 0, 1, 0), "(!case 1 (encode ) (sample (step ) ) ) ");
}

static void what_was_left_open_is_closed(void **state)
{
    (void)state;
    assert_string_equal(walked("sample", 2, 3, 2),
                        "(!case 1 (encode ) (sample (step ) { [ (step ) ] } ) ) ");
    assert_string_equal(walked("sample", 0, 3, 1),
                        "(!case 1 (encode ) { [ (sample (step ) ) ] } ) ");
}

static void a_device_without_a_profiler_is_fine(void **state)
{
    (void)state;
    struct ops plain = recorder;
    const struct miku_callbacks callbacks = { .profile_stage = "sample" };
    plain.profile_begin = plain.profile_end = NULL;
    struct ranges r = { .ops = &plain, .callbacks = &callbacks };
    told[0] = 0;
    walk(&r, 1, 0);
    assert_string_equal(told, "(!case 1 (encode ) (sample (step ) ) ) ");
    assert_string_equal(r.bounds.name, "sample");
    assert_true(r.bounds.end_ms >= r.bounds.begin_ms && r.bounds.begin_ms > 0);
    ranges_end(&r); /* one too many */
    assert_int_equal(r.depth, 0);
}

/* ---- the whole pipeline on a device that records ----------------------------------------- */

struct seen {
    int pictures, stop_at, asked;
    int spans[5]; /* by level */
};

static status on_picture(void *user, const struct miku_picture *picture)
{
    struct seen *seen = user;
    (void)picture;
    seen->pictures++;
    return STATUS_OK;
}

static int on_cancel(void *user)
{
    struct seen *seen = user;
    return seen->stop_at > 0 && ++seen->asked == seen->stop_at;
}

static void on_spans(void *user, const struct miku_span *span, size_t count)
{
    struct seen *seen = user;
    for (size_t i = 0; i < count; i++) {
        assert_true(span[i].begin_ms <= span[i].end_ms);
        seen->spans[span[i].level]++;
    }
}

static const char *const folders[] = { TEST_SOURCE_DIR "/weights/mini" };

static struct miku *open_recorded(void)
{
    struct miku *miku = NULL;
    const struct miku_options options = { .weights = folders, .weights_count = 1, .device = "cpu" };
    const status result = miku_open(&options, &miku);
    if (result == STATUS_UNSUPPORTED)
        skip();
    assert_int_equal(result, STATUS_OK);
    real = miku->ops;
    real_begin = real->span_begin;
    real_end = real->span_end;
    real->span_begin = record_begin;
    real->span_end = record_end;
    real->profile_begin = record_profile_begin;
    real->profile_end = record_profile_end;
    return miku;
}

static status make(struct miku *miku, struct seen *seen, const char *stage, int step, int operators)
{
    struct miku_request request = miku_request_default();
    request.prompt = "cat";
    request.model = "AOM3";
    request.steps = 3;
    request.width = request.height = 64;
    const struct miku_callbacks callbacks = { .picture = on_picture,
                                              .cancel = on_cancel,
                                              .spans = on_spans,
                                              .operators = operators,
                                              .label = "cats",
                                              .profile_stage = stage,
                                              .profile_step = step,
                                              .profile = on_profile,
                                              .user = seen };
    told[0] = 0;
    return miku_generate(miku, &request, &callbacks);
}

static void a_picture_s_ranges(void **state)
{
    (void)state;
    struct miku *miku = open_recorded();
    struct seen seen = { 0 };
    assert_int_equal(make(miku, &seen, "sample", 2, 0), STATUS_OK);
    assert_string_equal(told, "(!cats (load ) (encode ) (sample (step ) { [ (step ) ] } (step ) ) "
                              "(decode ) ) ");
    assert_int_equal(seen.spans[MIKU_SPAN_CASE], 1);
    assert_int_equal(seen.spans[MIKU_SPAN_STAGE], 4);
    assert_int_equal(seen.spans[MIKU_SPAN_STEP], 3);
    assert_int_equal(seen.spans[MIKU_SPAN_OPERATOR], 0);
    assert_int_equal(seen.spans[MIKU_SPAN_PROFILE], 1);

    seen = (struct seen){ 0 };
    assert_int_equal(make(miku, &seen, "load", 0, 1), STATUS_OK); /* loaded already */
    assert_string_equal(told, "(!cats (encode ) (sample (step ) (step ) (step ) ) (decode ) ) ");
    assert_int_equal(seen.spans[MIKU_SPAN_PROFILE], 0);
    assert_true(seen.spans[MIKU_SPAN_OPERATOR] > 100);
    miku_close(miku);
}

static void a_stopped_run_s_ranges(void **state)
{
    (void)state;
    struct miku *miku = open_recorded();
    struct seen seen = { .stop_at = 4 }; /* encode, step 0, 1, 2 */
    assert_int_equal(make(miku, &seen, "sample", 0, 0), STATUS_CANCELLED);
    assert_string_equal(told, "(!cats (load ) (encode ) { [ (sample (step ) (step ) ) ] } ) ");
    assert_int_equal(seen.pictures, 0);
    assert_int_equal(seen.spans[MIKU_SPAN_CASE], 1);
    assert_int_equal(seen.spans[MIKU_SPAN_STEP], 2);
    assert_int_equal(seen.spans[MIKU_SPAN_PROFILE], 1);

    seen = (struct seen){ 0 }; /* and the next is as if nothing had been */
    assert_int_equal(make(miku, &seen, NULL, 0, 0), STATUS_OK);
    assert_string_equal(told, "(!cats (encode ) (sample (step ) (step ) (step ) ) (decode ) ) ");
    assert_int_equal(seen.spans[MIKU_SPAN_STEP], 3);
    miku_close(miku);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_are_around_exactly_that),
        cmocka_unit_test(what_was_left_open_is_closed),
        cmocka_unit_test(a_device_without_a_profiler_is_fine),
        cmocka_unit_test(a_picture_s_ranges),
        cmocka_unit_test(a_stopped_run_s_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
