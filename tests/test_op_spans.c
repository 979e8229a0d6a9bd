/* tests/test_op_spans.c - the CPU device's clock spans: levels, order, what is kept and what not.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host/base/clock.h"
#include "tests/check.h"
#include "tests/device.h"

static void scale_once(struct ops *ops)
{
    static const float x[4] = { 1, 2, 3, 4 };
    static float y[4];
    const struct scale_args a = { .x = x, .y = y, .dtype = DTYPE_F32, .scale = 2, .count = 4 };
    assert_int_equal(ops->scale(ops, &a), STATUS_OK);
}

static void levels_nest_in_order_of_their_ends(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 1);
    const struct span *spans;
    size_t count;
    const double begin_ms = clock_now_ms();
    ops->spans_operators(ops, 1);
    ops->span_begin(ops, SPAN_STAGE, "sampling");
    for (int step = 0; step < 2; step++) {
        ops->span_begin(ops, SPAN_STEP, "step");
        scale_once(ops);
        ops->span_end(ops);
    }
    assert_int_equal(ops->spans_read(ops, &spans, &count), STATUS_OK);
    assert_int_equal(count, 4); /* the stage is not over */
    ops->span_end(ops);
    assert_int_equal(ops->spans_read(ops, &spans, &count), STATUS_OK);
    assert_int_equal(count, 5);

    static const enum span_level levels[] = { SPAN_OP, SPAN_STEP, SPAN_OP, SPAN_STEP, SPAN_STAGE };
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(spans[i].level, levels[i]);
        assert_true(begin_ms <= spans[i].begin_ms && spans[i].begin_ms <= spans[i].end_ms);
        assert_true(spans[4].begin_ms <= spans[i].begin_ms && spans[i].end_ms <= spans[4].end_ms);
        assert_true(i == 0 || spans[i - 1].end_ms <= spans[i].end_ms);
    }
    assert_string_equal(spans[0].name, "scale");
    assert_string_equal(spans[0].shape, "4");
    assert_true(spans[0].bytes == 32);
    assert_string_equal(spans[4].name, "sampling");
    assert_string_equal(spans[4].shape, "");

    ops->spans_clear(ops);
    assert_int_equal(ops->spans_read(ops, &spans, &count), STATUS_OK);
    assert_int_equal(count, 0);
    ops->destroy(ops);
}

static void operators_are_kept_only_when_wanted_and_nothing_while_planning(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 1);
    const struct span *spans;
    size_t count;
    scale_once(ops);
    assert_int_equal(ops->plan_begin(ops), STATUS_OK);
    ops->spans_operators(ops, 1);
    ops->span_begin(ops, SPAN_STEP, "step");
    scale_once(ops);
    ops->span_end(ops);
    assert_int_equal(ops->plan_end(ops, 0, NULL), STATUS_OK);
    ops->spans_operators(ops, 0);
    scale_once(ops);
    ops->span_end(ops); /* one too many does no harm */
    assert_int_equal(ops->spans_read(ops, &spans, &count), STATUS_OK);
    assert_int_equal(count, 0);
    ops->destroy(ops);
}

/* More than fit at the start, three times over: shapes stay where they are and room is reused. */
static void many_spans_keep_their_shapes(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 1);
    ops->spans_operators(ops, 1);
    for (int round = 0; round < 3; round++) {
        const struct span *spans;
        size_t count;
        for (int step = 0; step < 5; step++) {
            ops->span_begin(ops, SPAN_STEP, "step");
            for (int i = 0; i < 700; i++)
                scale_once(ops);
            ops->span_end(ops);
        }
        assert_int_equal(ops->spans_read(ops, &spans, &count), STATUS_OK);
        assert_int_equal(count, 5 * 701);
        for (size_t i = 0; i < count; i++)
            assert_string_equal(spans[i].shape, spans[i].level == SPAN_OP ? "4" : "");
        ops->spans_clear(ops);
    }
    ops->destroy(ops);
}

/* Counted, not timed. */
static status count_step(struct ops *ops)
{
    device_call_begin(ops);
    ops->span_begin(ops, SPAN_STEP, "step");
    for (int i = 0; i < 300; i++)
        scale_once(ops);
    ops->span_end(ops);
    return device_call_end(ops, STATUS_OK);
}

static void a_later_step_asks_for_no_memory(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 1);
    ops->spans_operators(ops, 1);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(count_step(ops), STATUS_OK);
        ops->spans_clear(ops);
    }
    ops->destroy(ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_nest_in_order_of_their_ends),
        cmocka_unit_test(operators_are_kept_only_when_wanted_and_nothing_while_planning),
        cmocka_unit_test(many_spans_keep_their_shapes),
        cmocka_unit_test(a_later_step_asks_for_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
