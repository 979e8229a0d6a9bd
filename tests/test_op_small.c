/* tests/test_op_small.c - embed, time_embed, noise, scale and to_rgb8 against their definitions. */
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

/* ---- embed -------------------------------------------------------------------------------- */

enum { ROWS = 50, WIDTH = 24, LENGTH = 11 };

struct embed_call {
    struct embed_args host;
    struct weight_args token, position;
    struct embed_patch patch[3];
    int32_t ids[3 * LENGTH];
};

static void make_embed(struct embed_call *call, enum dtype dtype, int n, const int *id, int patches)
{
    const float *vectors = test_f32(5 * WIDTH, 0, 1, 9);
    call->token = test_matrix(WEIGHT_EMBEDDING, dtype, ROWS, WIDTH, 1, 1);
    call->position = test_matrix(WEIGHT_EMBEDDING, dtype, LENGTH + 2, WIDTH, 1, 2);
    call->token.part[0].bias = call->position.part[0].bias = NULL;
    for (int i = 0; i < n * LENGTH; i++)
        call->ids[i] = (7 * (i % LENGTH) + 13 * (id ? id[i / LENGTH] : i / LENGTH)) % ROWS;
    call->ids[0] = 0;
    call->ids[1] = ROWS - 1;
    call->patch[0] = (struct embed_patch){ .row = 0, .at = 2, .count = 3, .vector = vectors };
    call->patch[1] = (struct embed_patch){
        .row = n - 1, .at = LENGTH - 1, .count = 1, .vector = vectors + 3 * WIDTH
    };
    call->patch[2] = (struct embed_patch){ .row = 0, .at = 0, .count = 0, .vector = vectors };
    call->host = (struct embed_args){
        .ids = call->ids,
        .patch = call->patch,
        .patches = patches,
        .y = test_alloc((size_t)n * LENGTH * WIDTH * dtype_size(dtype)),
        .dtype = dtype,
        .n = n,
        .s = LENGTH,
        .c = WIDTH,
    };
}

static void weigh_embed(struct ops *ops, struct embed_call *call)
{
    call->host.token = device_weight(ops, &call->token);
    call->host.position = device_weight(ops, &call->position);
}

static status embed_work(struct ops *ops, void *arg)
{
    struct embed_call *call = arg;
    const size_t bytes = (size_t)call->host.n * LENGTH * WIDTH * dtype_size(call->host.dtype);
    struct embed_args a = call->host;
    a.y = device_out(ops, bytes);
    device_call_begin(ops);
    TRY(device_call_end(ops, ops->embed(ops, &a)));
    device_back(ops, call->host.y, a.y, bytes);
    return STATUS_OK;
}

static void embed_equals_its_definition(enum dtype dtype)
{
    struct ops *ops = device_open(dtype, 2);
    for (int n = 1; n <= 3; n++) {
        struct embed_call call;
        double token[ROWS * WIDTH], position[(LENGTH + 2) * WIDTH], zeros[ROWS];
        make_embed(&call, dtype, n, NULL, 3);
        weigh_embed(ops, &call);
        ref_weight(&call.token, NULL, 0, token, zeros);
        ref_weight(&call.position, NULL, 0, position, zeros);
        const size_t count = (size_t)n * LENGTH * WIDTH;
        double *want = test_alloc(count * sizeof *want);
        ref_embed(&call.host, token, position, want);
        assert_int_equal(device_run(ops, embed_work, &call), STATUS_OK);
        const struct bound bound = { .rel = half_ulp(dtype) * 1.01, /* one sum, one store */
                                     .abs = half_least(dtype) };
        assert_int_equal(check_close(call.host.y, dtype, want, count, bound, "embed"), 0);
    }
    test_release();
    ops->destroy(ops);
}
EACH_DTYPE(embed_equals_its_definition)

static void *embed_images(struct ops *ops, enum dtype dtype, const void *shape, int n,
                          const int *id, size_t *bytes)
{
    static struct embed_call call;
    (void)shape;
    make_embed(&call, dtype, n, id, 0);
    call.ids[0] = call.ids[1] = 1;
    for (int i = 0; i < n; i++)
        call.ids[i * LENGTH] = call.ids[i * LENGTH + 1] = 1;
    weigh_embed(ops, &call);
    assert_int_equal(device_run(ops, embed_work, &call), STATUS_OK);
    *bytes = LENGTH * WIDTH * dtype_size(dtype);
    return call.host.y;
}

static void embed_does_not_depend_on_its_batch(enum dtype dtype)
{
    check_places(dtype, embed_images, NULL, "embed");
    test_release();
}
EACH_DTYPE(embed_does_not_depend_on_its_batch)

static void foreign_tokens_and_patches_are_refused(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 1);
    struct embed_call good, bad;
    make_embed(&good, DTYPE_F32, 2, NULL, 1);
    weigh_embed(ops, &good);
    for (int i = 0; i < 9; i++) {
        bad = good;
        bad.host.ids = bad.ids;
        bad.host.patch = bad.patch;
        int32_t *last = &bad.ids[2 * LENGTH - 1];
        i == 0 ? (*last = ROWS) : i == 1 ? (*last = -1) : 0;
        i == 2 ? (bad.patch[0].at = LENGTH - 2) : i == 3 ? (bad.patch[0].at = -1) : 0;
        i == 4 ? (bad.patch[0].row = 2) : i == 5 ? (bad.host.n = 0) : 0;
        i == 6 ? (bad.host.s = 0) : i == 7 ? (bad.host.c = WIDTH - 1) : 0;
        i == 8 ? (bad.patch[0].count = 0x7fffffff) : 0;
        assert_int_equal(device_run(ops, embed_work, &bad), STATUS_BAD_SHAPE);
    }
    test_release();
    ops->destroy(ops);
}

/* ---- time_embed ---------------------------------------------------------------------------- */

static status time_work(struct ops *ops, void *arg)
{
    struct time_embed_args *h = arg, a = *h;
    const size_t bytes = (size_t)a.rows * (size_t)a.c * dtype_size(a.dtype);
    a.y = device_out(ops, bytes);
    device_call_begin(ops);
    TRY(device_call_end(ops, ops->time_embed(ops, &a)));
    device_back(ops, h->y, a.y, bytes);
    return STATUS_OK;
}

static void time_embed_equals_its_definition(enum dtype dtype)
{
    static const float t[] = { 999, 0, 0.5f, 417.3125f, 1, 951 };
    static const int widths[] = { 320, 2, 32, 34 };
    struct ops *ops = device_open(dtype, 2);
    for (size_t i = 0; i < COUNT(widths); i++) {
        const size_t count = COUNT(t) * (size_t)widths[i];
        struct time_embed_args a = { .t = t,
                                     .y = test_alloc(count * dtype_size(dtype)),
                                     .dtype = dtype,
                                     .rows = (int)COUNT(t),
                                     .c = widths[i] };
        double *want = test_alloc(count * sizeof *want);
        ref_time_embed(&a, want);
        assert_int_equal(device_run(ops, time_work, &a), STATUS_OK);
        /* An angle of 1000, its frequency off by 2^-21 (the exponent, up to 9.2, by an ulp, and
         * exp): 5e-4 at the most, and it is far less where the frequency is 1. */
        const struct bound bound = { .rel = half_ulp(dtype), .abs = 1000 * 0x1p-21 };
        assert_int_equal(check_close(a.y, dtype, want, count, bound, "time_embed"), 0);
    }
    struct time_embed_args odd = { .t = t, .dtype = dtype, .rows = 1, .c = 3 };
    assert_int_equal(device_run(ops, time_work, &odd), STATUS_BAD_SHAPE);
    odd.c = 4;
    odd.rows = 0;
    assert_int_equal(device_run(ops, time_work, &odd), STATUS_BAD_SHAPE);
    test_release();
    ops->destroy(ops);
}
EACH_DTYPE(time_embed_equals_its_definition)

/* ---- noise --------------------------------------------------------------------------------- */

static status noise_work(struct ops *ops, void *arg)
{
    struct noise_args *h = arg, a = *h;
    const size_t bytes = (size_t)a.n * (size_t)a.hw * (size_t)a.c * sizeof(float);
    a.y = device_out(ops, bytes);
    device_call_begin(ops);
    TRY(device_call_end(ops, ops->noise(ops, &a)));
    device_back(ops, h->y, a.y, bytes);
    return STATUS_OK;
}

static void noise_equals_its_definition(void **state)
{
    (void)state;
    static const uint64_t seeds[] = { 0, 3272356495u, 0xfedcba9876543210u };
    struct ops *ops = device_open(DTYPE_F32, 2);
    for (int draw = 0; draw < 40; draw += 13) {
        const size_t count = 3 * 35 * 4;
        struct noise_args a = { .seed = seeds,
                                .y = test_alloc(count * sizeof(float)),
                                .draw = draw,
                                .scale = draw ? 14.6f : 1,
                                .n = 3,
                                .hw = 35,
                                .c = 4 };
        double *want = test_alloc(count * sizeof *want);
        ref_noise(&a, want);
        assert_int_equal(device_run(ops, noise_work, &a), STATUS_OK);
        const struct bound bound = { .abs = 1e-6 * a.scale };
        assert_int_equal(check_close(a.y, DTYPE_F32, want, count, bound, "noise"), 0);
    }
    struct noise_args bad = { .seed = seeds, .n = 1, .hw = 0, .c = 4 };
    assert_int_equal(device_run(ops, noise_work, &bad), STATUS_BAD_SHAPE);
    test_release();
    ops->destroy(ops);
}

/* Recorded from torch.randn on a GPU: the design's page names them. */
static void seed_0_begins_as_torch_does(void **state)
{
    (void)state;
    static const uint64_t seed = 0;
    static const double want[] = { -0.9247, -0.4253, -2.6438, 0.1452 };
    float y[4];
    struct ops *ops = device_open(DTYPE_F32, 1);
    struct noise_args a = { .seed = &seed, .y = y, .scale = 1, .n = 1, .hw = 4, .c = 1 };
    assert_int_equal(device_run(ops, noise_work, &a), STATUS_OK);
    assert_int_equal(check_close(y, DTYPE_F32, want, 4, (struct bound){ .abs = 5e-5 }, "seed 0"),
                     0);
    test_release();
    ops->destroy(ops);
}

static void *noise_images(struct ops *ops, enum dtype dtype, const void *shape, int n,
                          const int *id, size_t *bytes)
{
    uint64_t seeds[3];
    (void)dtype, (void)shape;
    for (int i = 0; i < n; i++)
        seeds[i] = 100 + (uint64_t)id[i];
    struct noise_args a = { .seed = seeds,
                            .y = test_alloc((size_t)n * 30 * 4 * sizeof(float)),
                            .draw = 2,
                            .scale = 3,
                            .n = n,
                            .hw = 30,
                            .c = 4 };
    assert_int_equal(device_run(ops, noise_work, &a), STATUS_OK);
    *bytes = 30 * 4 * sizeof(float);
    return a.y;
}

static void noise_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    check_places(DTYPE_F32, noise_images, NULL, "noise");
    test_release();
}

/* ---- scale --------------------------------------------------------------------------------- */

static status scale_work(struct ops *ops, void *arg)
{
    struct scale_args *h = arg, a = *h;
    a.x = device_in(ops, h->x, a.count * sizeof(float));
    a.y = device_out(ops, a.count * dtype_size(a.dtype));
    device_call_begin(ops);
    TRY(device_call_end(ops, ops->scale(ops, &a)));
    device_back(ops, h->y, a.y, a.count * dtype_size(a.dtype));
    return STATUS_OK;
}

static void scale_equals_its_definition(enum dtype dtype)
{
    struct ops *ops = device_open(dtype, 2);
    static const size_t counts[] = { 1, 3, 24576 };
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct scale_args a = { .x = test_f32(counts[i], 0, 14.6, 3),
                                .y = test_alloc(counts[i] * dtype_size(dtype)),
                                .dtype = dtype,
                                .scale = 0.0683f,
                                .count = counts[i] };
        double *want = test_alloc(counts[i] * sizeof *want);
        ref_scale(&a, want);
        assert_int_equal(device_run(ops, scale_work, &a), STATUS_OK);
        const struct bound bound = { .rel = half_ulp(dtype) * 1.01, .abs = half_least(dtype) };
        assert_int_equal(check_close(a.y, dtype, want, counts[i], bound, "scale"), 0);
    }
    struct scale_args none = { .dtype = dtype, .scale = 1 };
    assert_int_equal(device_run(ops, scale_work, &none), STATUS_BAD_SHAPE);
    test_release();
    ops->destroy(ops);
}
EACH_DTYPE(scale_equals_its_definition)

/* ---- to_rgb8 -------------------------------------------------------------------------------- */

struct rgb_call {
    struct to_rgb8_args host;
    int non_finite[3];
};

static status rgb_work(struct ops *ops, void *arg)
{
    struct rgb_call *call = arg;
    struct to_rgb8_args a = call->host;
    const size_t values = (size_t)a.n * (size_t)a.hw * 3;
    a.x = device_in(ops, call->host.x, values * dtype_size(a.dtype));
    a.rgb = device_out(ops, values);
    a.non_finite = device_out(ops, (size_t)a.n * sizeof(int));
    device_call_begin(ops);
    TRY(device_call_end(ops, ops->to_rgb8(ops, &a)));
    device_back(ops, call->host.rgb, a.rgb, values);
    device_back(ops, call->non_finite, a.non_finite, (size_t)a.n * sizeof(int));
    return STATUS_OK;
}

static void make_rgb(struct rgb_call *call, enum dtype dtype, int n, int hw, const int *id)
{
    const size_t per = (size_t)hw * 3;
    call->host = (struct to_rgb8_args){ .x = test_images(dtype, n, per, id, 0, 0.7, 2),
                                        .rgb = test_alloc((size_t)n * per),
                                        .dtype = dtype,
                                        .n = n,
                                        .hw = hw };
}

static void to_rgb8_equals_its_definition(enum dtype dtype)
{
    struct ops *ops = device_open(dtype, 2);
    struct rgb_call call;
    int broken[3];
    make_rgb(&call, dtype, 3, 5001, NULL);
    const size_t count = 3 * 5001 * 3;
    static const float hurtful[] = { -1, 1, 0, -1.5f, 3e38f, -3e38f, NAN, INFINITY, -INFINITY };
    for (size_t i = 0; i < COUNT(hurtful); i++) /* NaN and infinities in image 1 alone */
        dtype_from_f32(&hurtful[i], 1, dtype,
                       (char *)call.host.x + (5001 * 3 + 100 * i) * dtype_size(dtype));
    double *want = test_alloc(count * sizeof *want);
    ref_to_rgb8(&call.host, want, broken);
    assert_int_equal(device_run(ops, rgb_work, &call), STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        /* Truncated; where f32 arithmetic may cross a whole number either byte is right. */
        const double rest = want[i] - floor(want[i]);
        const int low = (int)floor(want[i]) - (rest < 1e-4), high = (int)floor(want[i] + 1e-4);
        assert_true(call.host.rgb[i] >= low && call.host.rgb[i] <= high);
    }
    assert_memory_equal(call.non_finite, broken, sizeof broken);
    assert_int_equal(call.non_finite[1], 1);
    assert_int_equal(call.non_finite[0] + call.non_finite[2], 0);
    for (size_t i = 6; i < COUNT(hurtful); i++)
        assert_int_equal(call.host.rgb[5001 * 3 + 100 * i], 0);

    call.host.hw = 0;
    assert_int_equal(device_run(ops, rgb_work, &call), STATUS_BAD_SHAPE);
    test_release();
    ops->destroy(ops);
}
EACH_DTYPE(to_rgb8_equals_its_definition)

static void every_grey_level_comes_back(void **state)
{
    (void)state;
    struct ops *ops = device_open(DTYPE_F32, 1);
    struct rgb_call call;
    make_rgb(&call, DTYPE_F32, 1, 256, NULL);
    for (int i = 0; i < 256 * 3;
         i++) /* half a level above i / 3, so that nothing is near an edge */
        ((float *)(size_t)call.host.x)[i] = ((float)(i / 3) + 0.5f) / 255 * 2 - 1;
    assert_int_equal(device_run(ops, rgb_work, &call), STATUS_OK);
    for (int i = 0; i < 255 * 3; i++)
        assert_int_equal(call.host.rgb[i], i / 3);
    assert_int_equal(call.host.rgb[255 * 3], 255);
    test_release();
    ops->destroy(ops);
}

static void *rgb_images(struct ops *ops, enum dtype dtype, const void *shape, int n, const int *id,
                        size_t *bytes)
{
    struct rgb_call call;
    (void)shape;
    make_rgb(&call, dtype, n, 4099, id);
    assert_int_equal(device_run(ops, rgb_work, &call), STATUS_OK);
    *bytes = 4099 * 3;
    return call.host.rgb;
}

static void to_rgb8_does_not_depend_on_its_batch(enum dtype dtype)
{
    check_places(dtype, rgb_images, NULL, "to_rgb8");
    test_release();
}
EACH_DTYPE(to_rgb8_does_not_depend_on_its_batch)

static void planted_faults_are_seen(void **state)
{
    (void)state;
    assert_int_equal(check_selftest(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_faults_are_seen),
        UNIT_TESTS(embed_equals_its_definition),
        UNIT_TESTS(embed_does_not_depend_on_its_batch),
        cmocka_unit_test(foreign_tokens_and_patches_are_refused),
        UNIT_TESTS(time_embed_equals_its_definition),
        cmocka_unit_test(noise_equals_its_definition),
        cmocka_unit_test(seed_0_begins_as_torch_does),
        cmocka_unit_test(noise_does_not_depend_on_its_batch),
        UNIT_TESTS(scale_equals_its_definition),
        UNIT_TESTS(to_rgb8_equals_its_definition),
        cmocka_unit_test(every_grey_level_comes_back),
        UNIT_TESTS(to_rgb8_does_not_depend_on_its_batch),
    };
    return device_tests("embed time_embed noise scale to_rgb8", tests, COUNT(tests));
}
