/* tests/test_op_sampler_step.c - guidance and the rows of a step table against their definition. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/check.h"
#include "tests/device.h"
#include "tests/ref/ref.h"

enum { HW = 35, C = 4, PER = HW * C, STEPS = 5 };

/* What samplers ask for: a plain step; noise; a history of two; a point between two steps. */
static const struct step_row rows[STEPS] = {
    { .d_x = 1,
      .d_e = -14.6f,
      .x_x = 0.73f,
      .x_d = 0.27f,
      .h_x = 0.25f,
      .h_d = 1,
      .h_slot = 0,
      .draw = -1,
      .c_in_next = 0.09f },
    { .d_x = 1,
      .d_e = -9.5f,
      .x_x = 0.8f,
      .x_d = 0.2f,
      .x_h = { -0.125f },
      .h_d = 1,
      .h_slot = 1,
      .noise = 3.1f,
      .draw = 1,
      .c_in_next = 0.2f },
    { .d_x = 1,
      .d_e = -4,
      .x_x = 0.6f,
      .x_d = 0.55f,
      .x_h = { 0.0625f, -0.15f },
      .h_x = 1,
      .h_slot = 3,
      .noise = 0.7f,
      .draw = 2,
      .c_in_next = 0.5f },
    { .d_x = 0.5f,
      .d_e = -0.3f,
      .x_d = 1,
      .x_h = { 0, 0.5f, 0, 0.25f },
      .h_d = -1,
      .h_slot = 3,
      .draw = -1,
      .c_in_next = 1 },
    { .d_x = 1, .d_e = -0.03f, .x_d = 1, .h_slot = -1, .draw = -1, .c_in_next = 0 },
};

struct call {
    struct sampler_step_args host;
    const float *start; /* x */
    float *history;
    void *eps[STEPS];
    int given_noise;
    const float *noise;
    uint64_t seeds[3];
    float weights[9];
};

static void make(struct call *call, enum dtype dtype, int parts, int n, const int *id,
                 int given_noise)
{
    const size_t total = (size_t)n * PER;
    *call = (struct call){ .start = test_images(DTYPE_F32, n, PER, id, 0, 14.6, 1),
                           .history = test_alloc(STEP_HISTORY * total * sizeof(float)),
                           .given_noise = given_noise };
    for (int step = 0; step < STEPS; step++) {
        char *eps = test_alloc((size_t)parts * total * dtype_size(dtype));
        for (int part = 0; part < parts; part++)
            memcpy(eps + (size_t)part * total * dtype_size(dtype),
                   test_images(dtype, n, PER, id, 0, 1, (uint64_t)(10 * step + part + 2)),
                   total * dtype_size(dtype));
        call->eps[step] = eps;
    }
    for (int i = 0; i < n; i++) {
        call->seeds[i] = 534580541u + (uint64_t)(id ? id[i] : i);
        for (int part = 0; part + 1 < parts; part++)
            call->weights[part * n + i] = 7.0f / (float)(part + 1);
    }
    if (given_noise)
        call->noise = test_images(DTYPE_F32, 3 * n, PER, NULL, 0, 1, 99);
    call->host = (struct sampler_step_args){
        .x = test_alloc(total * sizeof(float)),
        .denoised = test_alloc(total * sizeof(float)),
        .input = test_alloc(total * dtype_size(dtype)),
        .weight = call->weights,
        .parts = parts,
        .seed = call->seeds,
        .dtype = dtype,
        .n = n,
        .hw = HW,
        .c = C,
    };
}

static status work(struct ops *ops, void *arg)
{
    struct call *call = arg;
    const struct sampler_step_args *h = &call->host;
    const size_t total = (size_t)h->n * PER, size = dtype_size(h->dtype);
    struct sampler_step_args a = *h;
    a.x = device_inout(ops, call->start, total * sizeof(float));
    a.history = device_out(ops, STEP_HISTORY * total * sizeof(float)); /* NaN until it is written */
    a.denoised = h->denoised ? device_out(ops, total * sizeof(float)) : NULL;
    a.input = h->input ? device_out(ops, total * size) : NULL;
    a.noise = device_in(ops, call->noise, 3 * total * sizeof(float));
    assert_int_equal(ops->steps_begin(ops, rows, STEPS), STATUS_OK);
    for (int step = 0; step < STEPS; step++) {
        a.eps = device_in(ops, call->eps[step], (size_t)h->parts * total * size);
        device_call_begin(ops);
        TRY(device_call_end(ops, ops->sampler_step(ops, &a)));
        if (h->denoised)
            device_back(ops, h->denoised, a.denoised, total * sizeof(float));
        if (h->input)
            device_back(ops, h->input, a.input, total * size);
    }
    device_back(ops, h->x, a.x, total * sizeof(float));
    device_back(ops, call->history, a.history, STEP_HISTORY * total * sizeof(float));
    return STATUS_OK;
}

static void check_steps(enum dtype dtype, int parts, int n, int given_noise)
{
    struct ops *ops = device_open(dtype, 2);
    struct call call;
    make(&call, dtype, parts, n, NULL, given_noise);
    const size_t total = (size_t)n * PER;
    double *x = test_alloc(total * sizeof *x), *denoised = test_alloc(total * sizeof *denoised);
    double *history = test_alloc(STEP_HISTORY * total * sizeof *history);
    double *input = test_alloc(total * sizeof *input);
    for (size_t i = 0; i < total; i++)
        x[i] = (double)call.start[i];
    struct sampler_step_args ref = call.host;
    ref.noise = call.noise;
    for (int step = 0; step < STEPS; step++) {
        ref.eps = call.eps[step];
        ref_sampler_step(&ref, &rows[step], x, history, denoised, input);
    }
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);

    /* Five steps of a dozen roundings each on values up to 14.6 * 4 * 7 * 14.6: 60 ulp of 2^12,
     * but the last steps shrink what the first have made. */
    const struct bound bound = { .rel = 0x1p-20, .abs = 2e-3 };
    assert_int_equal(check_close(call.host.x, DTYPE_F32, x, total, bound, "x"), 0);
    assert_int_equal(check_close(call.host.denoised, DTYPE_F32, denoised, total, bound, "D"), 0);
    for (size_t slot = 0; slot < STEP_HISTORY; slot++)
        if (slot == 2) /* was never written, nor read */
            for (size_t i = 0; i < total; i++)
                assert_true(isnan(call.history[slot * total + i]));
        else
            assert_int_equal(check_close(call.history + slot * total, DTYPE_F32,
                                         history + slot * total, total, bound, "history"),
                             0);
    for (size_t i = 0; i < total; i++) /* the last c_in_next is 0 */
        assert_true(value(call.host.input, dtype, i) == 0);
    test_release();
    ops->destroy(ops);
}

static void equals_its_definition(enum dtype dtype)
{
    check_steps(dtype, 2, 1, 0);
    check_steps(dtype, 1, 2, 0); /* no guidance */
    check_steps(dtype, 4, 3, 0); /* AND */
    check_steps(dtype, 2, 2, 1); /* noise given */
}
EACH_DTYPE(equals_its_definition)

/* The formulas' own order, each operation rounded to f32: not a bit may differ. */
static void rounds_after_every_operation(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 2);
    struct call call;
    make(&call, DTYPE_F32, 3, 2, NULL, 1);
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);

    const size_t total = 2 * PER;
    for (size_t at = 0; at < total; at++) {
        volatile float x = call.start[at], history[STEP_HISTORY] = { 0 };
        for (int step = 0; step < STEPS; step++) {
            const struct step_row *r = &rows[step];
            const float *eps = call.eps[step];
            volatile float t, u, d[3], guided, next;
            for (size_t part = 0; part < 3; part++) {
                t = r->d_x * x;
                u = r->d_e * eps[part * total + at];
                d[part] = t + u;
            }
            guided = d[2];
            for (size_t part = 0; part < 2; part++) {
                t = d[part] - d[2];
                u = t * call.weights[part * 2 + at / PER];
                guided = guided + u;
            }
            t = r->x_x * x;
            u = r->x_d * guided;
            next = t + u;
            for (int j = 0; j < STEP_HISTORY; j++) {
                t = r->x_h[j] * history[j];
                next = next + t;
            }
            if (r->draw >= 0) {
                t = r->noise * call.noise[(size_t)r->draw * total + at];
                next = next + t;
            }
            if (r->h_slot >= 0) {
                t = r->h_x * x;
                u = r->h_d * guided;
                history[r->h_slot] = t + u;
            }
            x = next;
        }
        assert_true(x == call.host.x[at]);
    }
    test_release();
    ops->destroy(ops);
}

static void unwanted_outputs_are_left_out(enum dtype dtype)
{
    struct ops *ops = device_open(dtype, 1);
    struct call call;
    make(&call, dtype, 2, 1, NULL, 0);
    call.host.denoised = NULL;
    call.host.input = NULL;
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);
    test_release();
    ops->destroy(ops);
}
EACH_DTYPE(unwanted_outputs_are_left_out)

static void *images(struct ops *ops, enum dtype dtype, const void *shape, int n, const int *id,
                    size_t *bytes)
{
    struct call call;
    (void)shape;
    make(&call, dtype, 2, n, id, 0);
    assert_int_equal(device_run(ops, work, &call), STATUS_OK);
    *bytes = PER * sizeof(float);
    return call.host.x;
}

static void an_image_does_not_depend_on_its_batch(enum dtype dtype)
{
    check_places(dtype, images, NULL, "sampler_step");
    test_release();
}
EACH_DTYPE(an_image_does_not_depend_on_its_batch)

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 1);
    struct call good;
    make(&good, DTYPE_F32, 2, 1, NULL, 0);
    for (int i = 0; i < 4; i++) {
        struct sampler_step_args bad = good.host;
        int *field[] = { &bad.n, &bad.hw, &bad.c, &bad.parts };
        *field[i] = 0;
        assert_int_equal(ops->sampler_step(ops, &bad), STATUS_BAD_SHAPE);
    }
    test_release();
    ops->destroy(ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TESTS(equals_its_definition),
        cmocka_unit_test(rounds_after_every_operation),
        UNIT_TESTS(unwanted_outputs_are_left_out),
        UNIT_TESTS(an_image_does_not_depend_on_its_batch),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return device_tests("sampler_step", tests, COUNT(tests));
}
