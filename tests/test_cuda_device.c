/* tests/test_cuda_device.c - the CUDA device's planning, graphs, step table, spans and choice of
 * variants. Operators have tests of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cuda/cuda.h"
#include "host/base/clock.h"
#include "tests/check.h"
#include "tests/device.h"

enum { HW = 6, C = 4, COUNT_X = HW * C, STEPS = 3 };

/* A sampler's step, all device memory planned for. */
struct job {
    struct ops *ops;
    float *x, *history;
    void *eps;
    uint64_t seed;
    status result; /* what work() is to give */
    int calls;
};

static status work(void *arg)
{
    struct job *j = arg;
    const struct sampler_step_args step = { .eps = j->eps,
                                            .x = j->x,
                                            .history = j->history,
                                            .parts = 1,
                                            .seed = &j->seed,
                                            .dtype = DTYPE_F32,
                                            .n = 1,
                                            .hw = HW,
                                            .c = C };
    j->calls++;
    TRY(j->ops->sampler_step(j->ops, &step));
    return j->result;
}

static status take(struct job *j)
{
    void *memory;
    TRY(j->ops->alloc(j->ops, COUNT_X * sizeof(float), &memory));
    j->x = memory;
    TRY(j->ops->alloc(j->ops, COUNT_X * sizeof(float) * STEP_HISTORY, &memory));
    j->history = memory;
    return j->ops->alloc(j->ops, COUNT_X * sizeof(float), &j->eps);
}

static void planned(struct job *j)
{
    assert_int_equal(j->ops->plan_begin(j->ops), STATUS_OK);
    assert_int_equal(take(j), STATUS_OK);
    assert_int_equal(work(j), STATUS_OK);
    j->ops->release(j->ops, 0);
    assert_int_equal(j->ops->plan_end(j->ops, 0, NULL), STATUS_OK);
    j->calls = 0;
}

static const struct step_row rows[STEPS] = {
    { .x_x = 1, .noise = 1, .draw = 3, .h_slot = -1 },
    { .x_x = 2, .draw = -1, .h_slot = -1 },
    { .x_x = 1, .noise = -2, .draw = 5, .h_slot = -1 },
};

static void start(struct job *j)
{
    static const float ones[COUNT_X] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    assert_int_equal(take(j), STATUS_OK);
    assert_int_equal(j->ops->upload(j->ops, j->x, ones, sizeof ones), STATUS_OK);
    assert_int_equal(j->ops->upload(j->ops, j->eps, ones, sizeof ones), STATUS_OK);
    assert_int_equal(j->ops->steps_begin(j->ops, rows, STEPS), STATUS_OK);
}

static void end(struct job *j, float *out)
{
    assert_int_equal(j->ops->download(j->ops, out, j->x, COUNT_X * sizeof *out), STATUS_OK);
    j->ops->release(j->ops, 0);
}

/* ---- graphs and the step table --------------------------------------------------------------- */

static void a_replay_is_a_call(void **state)
{
    (void)state;
    struct job j = { .ops = device_open(DTYPE_F32, 1), .seed = 7 };
    struct graph *graph = NULL;
    float called[COUNT_X], replayed[COUNT_X], plain[COUNT_X], *out[] = { replayed, plain };
    planned(&j);
    start(&j);
    for (int i = 0; i < STEPS; i++)
        assert_int_equal(work(&j), STATUS_OK);
    end(&j, called);
    for (int k = 0; k < 2; k++) {
        const int graphs = k == 0;
        cuda_use_graphs(j.ops, graphs);
        start(&j);
        j.calls = 0;
        assert_int_equal(j.ops->capture(j.ops, work, &j, &graph), STATUS_OK);
        for (int i = 1; i < STEPS; i++)
            assert_int_equal(j.ops->replay(j.ops, graph), STATUS_OK);
        assert_int_equal(j.calls, graphs ? 1 : STEPS);
        j.ops->graph_destroy(j.ops, graph);
        end(&j, out[k]);
        assert_memory_equal(out[k], called, sizeof called);
    }
    j.ops->destroy(j.ops);
}

/* The seed is a host array: read when enqueued, and another job's is another. */
static void constants_are_those_of_the_job(void **state)
{
    (void)state;
    struct job j = { .ops = device_open(DTYPE_F32, 1), .seed = 7 };
    float first[COUNT_X], second[COUNT_X], again[COUNT_X], *out[] = { first, second, again };
    planned(&j);
    for (int k = 0; k < 3; k++) {
        start(&j);
        j.seed = k == 1 ? 8 : 7;
        assert_int_equal(work(&j), STATUS_OK);
        j.seed = 1000; /* the call has read it */
        end(&j, out[k]);
    }
    assert_memory_not_equal(first, second, sizeof first);
    assert_memory_equal(first, again, sizeof first);
    j.ops->destroy(j.ops);
}

static void the_last_row_stays_current(void **state)
{
    (void)state;
    struct job j = { .ops = device_open(DTYPE_F32, 1), .seed = 7 };
    static const struct step_row twice[2] = { { .x_x = 1, .draw = -1, .h_slot = -1 },
                                              { .x_x = 2, .draw = -1, .h_slot = -1 } };
    float out[COUNT_X];
    planned(&j);
    start(&j);
    assert_int_equal(j.ops->steps_begin(j.ops, twice, 2), STATUS_OK);
    for (int i = 0; i < 4; i++) /* 1, 2, 2, 2 */
        assert_int_equal(work(&j), STATUS_OK);
    end(&j, out);
    assert_true(out[0] == 8 && out[1] == 16);
    assert_int_equal(j.ops->steps_begin(j.ops, twice, 0), STATUS_BAD_SHAPE);
    const struct step_row far = { .h_slot = STEP_HISTORY, .draw = -1 };
    assert_int_equal(j.ops->steps_begin(j.ops, &far, 1), STATUS_BAD_SHAPE);
    j.ops->destroy(j.ops);
}

static void a_failure_under_capture_ends_it(void **state)
{
    (void)state;
    struct job j = { .ops = device_open(DTYPE_F32, 1), .seed = 7 };
    struct graph *graph = NULL;
    float out[COUNT_X];
    planned(&j);
    start(&j);
    j.result = status_fail(STATUS_CANCELLED, "the work stopped");
    assert_int_equal(j.ops->capture(j.ops, work, &j, &graph), STATUS_CANCELLED);
    assert_null(graph);
    assert_string_equal(status_text(), "the work stopped");
    j.result = STATUS_OK;
    assert_int_equal(work(&j), STATUS_OK); /* and the stream is as before */
    end(&j, out);
    j.ops->destroy(j.ops);
}

static void a_host_is_one_step_ahead_at_most(void **state)
{
    (void)state;
    struct job j = { .ops = device_open(DTYPE_F32, 1), .seed = 7 };
    int running = -1;
    planned(&j);
    start(&j);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(work(&j), STATUS_OK);
        assert_int_equal(j.ops->pace(j.ops, &running), STATUS_OK);
        assert_int_equal(running, 1);
    }
    assert_int_equal(j.ops->sync(j.ops), STATUS_OK);
    j.ops->destroy(j.ops);
}

/* ---- planning ---------------------------------------------------------------------------------
 */

static void what_was_not_planned_for_is_refused(void **state)
{
    (void)state;
    struct job j = { .ops = device_open(DTYPE_F32, 1), .seed = 7 };
    struct ops *ops = j.ops;
    void *p;
    size_t bytes = 0;
    assert_int_equal(ops->alloc(ops, 64, &p), STATUS_NO_MEMORY);
    assert_int_equal(work(&j), STATUS_NO_MEMORY); /* its seed */
    assert_int_equal(ops->plan_end(ops, 0, NULL), STATUS_MISUSE);
    assert_int_equal(ops->plan_begin(ops), STATUS_OK);
    assert_int_equal(ops->plan_begin(ops), STATUS_MISUSE);
    assert_int_equal(ops->planning(ops), 1);
    assert_int_equal(ops->alloc(ops, 4000, &p), STATUS_OK);
    assert_int_equal(ops->plan_end(ops, 1000, &bytes), STATUS_NO_MEMORY);
    assert_true(bytes >= 4000);

    planned(&j);
    const size_t peak = ops->peak_bytes(ops);
    for (int k = 0; k < 3; k++) {
        start(&j);
        assert_int_equal(work(&j), STATUS_OK);
        j.seed++;
        assert_int_equal(work(&j), STATUS_NO_MEMORY); /* one call was planned, not two seeds */
        ops->release(ops, 0);
    }
    assert_int_equal(ops->peak_bytes(ops), peak);
    ops->destroy(ops);
}

/* ---- spans ------------------------------------------------------------------------------------
 */

static void spans_nest_on_the_hosts_clock(void **state)
{
    (void)state;
    struct job j = { .ops = device_open(DTYPE_F32, 1), .seed = 7 };
    struct ops *ops = j.ops;
    struct graph *graph = NULL;
    const struct span *spans;
    size_t count;
    float out[COUNT_X];
    planned(&j);
    ops->spans_operators(ops, 1);
    start(&j);
    const double begin_ms = clock_now_ms();
    ops->span_begin(ops, SPAN_STAGE, "sample");
    for (int i = 0; i < 2; i++) {
        ops->span_begin(ops, SPAN_STEP, "step");
        assert_int_equal(i == 0 ? ops->capture(ops, work, &j, &graph) : ops->replay(ops, graph),
                         STATUS_OK);
        ops->span_end(ops);
    }
    ops->spans_operators(ops, 0); /* the graph was never made: it still runs, unwatched */
    assert_int_equal(ops->replay(ops, graph), STATUS_OK);
    ops->span_end(ops);
    ops->graph_destroy(ops, graph);
    end(&j, out);
    assert_int_equal(ops->spans_read(ops, &spans, &count), STATUS_OK);
    static const enum span_level levels[] = { SPAN_OP, SPAN_STEP, SPAN_OP, SPAN_STEP, SPAN_STAGE };
    assert_int_equal(count, COUNT(levels));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(spans[i].level, levels[i]);
        assert_true(spans[i].begin_ms >= begin_ms - 1 && spans[i].begin_ms <= spans[i].end_ms);
        assert_true(spans[4].begin_ms <= spans[i].begin_ms && spans[i].end_ms <= spans[4].end_ms);
    }
    assert_true(spans[4].end_ms <= clock_now_ms() + 1);
    assert_string_equal(spans[0].name, "sampler_step");
    assert_string_equal(spans[0].shape, "1x6x4");
    assert_true(spans[0].bytes > 0);
    assert_string_equal(spans[4].name, "sample");
    ops->spans_clear(ops);
    assert_int_equal(ops->spans_read(ops, &spans, &count), STATUS_OK);
    assert_int_equal(count, 0);
    ops->destroy(ops);
}

static void spans_outlive_a_clearing_and_planning_keeps_none(void **state)
{
    (void)state;
    struct job j = { .ops = device_open(DTYPE_F32, 1), .seed = 7 };
    struct ops *ops = j.ops;
    const struct span *spans;
    size_t count;
    ops->span_begin(ops, SPAN_CASE, "case");
    ops->span_begin(ops, SPAN_STAGE, "load");
    ops->span_end(ops);
    ops->spans_clear(ops);
    ops->span_begin(ops, SPAN_STAGE, "encode");
    ops->span_end(ops);
    ops->span_end(ops);
    ops->span_end(ops); /* one too many does no harm */
    assert_int_equal(ops->spans_read(ops, &spans, &count), STATUS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(spans[1].name, "case");
    assert_true(spans[1].begin_ms < spans[0].begin_ms && spans[0].end_ms <= spans[1].end_ms);
    ops->spans_clear(ops);
    assert_int_equal(ops->plan_begin(ops), STATUS_OK);
    ops->span_begin(ops, SPAN_STEP, "step");
    ops->span_end(ops);
    assert_int_equal(ops->plan_end(ops, 0, NULL), STATUS_OK);
    for (int i = 0; i < 500; i++) { /* more than there was room for */
        ops->span_begin(ops, SPAN_STEP, "step");
        ops->span_end(ops);
    }
    assert_int_equal(ops->spans_read(ops, &spans, &count), STATUS_OK);
    assert_int_equal(count, 500);
    ops->destroy(ops);
}

/* ---- variants ----------------------------------------------------------------------------------
 */

static status scale_once(struct ops *ops, size_t count)
{
    void *x, *y;
    assert_int_equal(ops->plan_begin(ops), STATUS_OK);
    assert_int_equal(ops->alloc(ops, count * sizeof(float), &x), STATUS_OK);
    assert_int_equal(ops->alloc(ops, count * sizeof(float), &y), STATUS_OK);
    assert_int_equal(ops->plan_end(ops, 0, NULL), STATUS_OK);
    assert_int_equal(ops->alloc(ops, count * sizeof(float), &x), STATUS_OK);
    assert_int_equal(ops->alloc(ops, count * sizeof(float), &y), STATUS_OK);
    float zeros[16] = { 0 };
    assert_int_equal(ops->upload(ops, x, zeros, count * sizeof(float)), STATUS_OK);
    const struct scale_args a = { .x = x, .y = y, .dtype = DTYPE_F32, .scale = 2, .count = count };
    const status result = ops->scale(ops, &a);
    assert_int_equal(ops->sync(ops), STATUS_OK);
    ops->release(ops, 0);
    return result;
}

static void variants_run_as_asked(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 1);
    assert_string_equal(cuda_variant_name("scale", 0), "scalar");
    assert_string_equal(cuda_variant_name("scale", 1), "quad");
    assert_null(cuda_variant_name("scale", 2));
    assert_null(cuda_variant_name("scales", 0));
    assert_int_equal(cuda_force(ops, "scales", "quad"), STATUS_MISUSE);
    assert_non_null(strstr(status_text(), "conv2d"));
    assert_int_equal(cuda_force(ops, "scale", "quads"), STATUS_MISUSE);
    assert_non_null(strstr(status_text(), "there are scalar, quad"));

    assert_int_equal(scale_once(ops, 8), STATUS_OK); /* the last that takes the call */
    assert_int_equal(cuda_variant_runs(ops, "scale", 1), 1);
    assert_int_equal(scale_once(ops, 7), STATUS_OK);
    assert_int_equal(cuda_variant_runs(ops, "scale", 0), 1);
    assert_int_equal(cuda_force(ops, "scale", "quad"), STATUS_OK);
    assert_int_equal(scale_once(ops, 7), STATUS_UNSUPPORTED);
    assert_int_equal(cuda_prefer(ops, "scale", "quad"), STATUS_OK);
    assert_int_equal(scale_once(ops, 7), STATUS_OK);
    assert_int_equal(cuda_force(ops, "scale", NULL), STATUS_OK);

    assert_int_equal(cuda_plan_use(ops, "# measured\nscale | f32 | scalar\n\n"), STATUS_OK);
    assert_int_equal(scale_once(ops, 8), STATUS_OK);
    assert_int_equal(cuda_variant_runs(ops, "scale", 0), 3);
    assert_int_equal(cuda_plan_use(ops, "scale|f32|quad"), STATUS_OK);
    assert_int_equal(scale_once(ops, 7), STATUS_OK); /* which the plan's row does not take */
    assert_int_equal(cuda_plan_use(ops, "scale | f32 | octo\n"), STATUS_BAD_FILE);
    assert_non_null(strstr(status_text(), "octo"));
    ops->destroy(ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replay_is_a_call),
        cmocka_unit_test(constants_are_those_of_the_job),
        cmocka_unit_test(the_last_row_stays_current),
        cmocka_unit_test(a_failure_under_capture_ends_it),
        cmocka_unit_test(a_host_is_one_step_ahead_at_most),
        cmocka_unit_test(what_was_not_planned_for_is_refused),
        cmocka_unit_test(spans_nest_on_the_hosts_clock),
        cmocka_unit_test(spans_outlive_a_clearing_and_planning_keeps_none),
        cmocka_unit_test(variants_run_as_asked),
    };
    return device_tests("", tests, COUNT(tests));
}
