/* tests/test_base.c - conversions against arithmetic in double, the arena, Philox's known words,
 * near names. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host/base/arena.h"
#include "host/base/dtype.h"
#include "host/base/near_names.h"
#include "host/base/philox.h"
#include "host/base/status.h"

/* The value of binary16 bits, from the definition of the format. */
static double half_value(unsigned bits)
{
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == 31)
        return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static void every_half_widens_exactly(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        const double want = half_value(bits);
        const float got = f16_to_f32((f16)bits);
        if (isnan(want))
            assert_true(isnan(got));
        else
            assert_true((double)got == want && !signbit(got) == !signbit(want));
        if (!isnan(want))
            assert_int_equal(f16_from_f32(got), bits);
    }
}

static void halves_round_to_nearest_even(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 0x7c00; bits++) {
        const double low = half_value(bits);
        const double high = bits + 1 == 0x7c00 ? 65536 : half_value(bits + 1);
        const double middle = (low + high) / 2;
        const unsigned even = bits % 2 == 0 ? bits : bits + 1;
        assert_int_equal(f16_from_f32((float)middle), even);
        assert_int_equal(f16_from_f32(nextafterf((float)middle, 0)), bits);
        assert_int_equal(f16_from_f32(nextafterf((float)middle, 1e9f)), bits + 1);
        assert_int_equal(f16_from_f32(-(float)middle), even | 0x8000);
    }
    assert_true(isnan(f16_to_f32(f16_from_f32(NAN))));
    assert_int_equal(f16_from_f32(INFINITY), 0x7c00);
}

static void bfloats_round_to_nearest_even(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 0x7f7f; bits++) {
        const double low = bf16_to_f32((bf16)bits), high = bf16_to_f32((bf16)(bits + 1));
        const float middle = (float)((low + high) / 2);
        assert_int_equal(bf16_from_f32(middle), bits % 2 == 0 ? bits : bits + 1);
        assert_int_equal(bf16_from_f32((float)low), bits);
    }
    assert_true(isnan(bf16_to_f32(bf16_from_f32(NAN))));
}

static void arrays_convert_at_any_alignment(void **state)
{
    (void)state;
    enum { N = 37 };
    unsigned char raw[N * 2 + 1];
    float wide[N];
    f16 back[N];
    for (int i = 0; i < N; i++) {
        const f16 bits = f16_from_f32((float)i / 3);
        memcpy(raw + 1 + 2 * i, &bits, 2);
    }
    dtype_to_f32(raw + 1, DTYPE_F16, N, wide);
    dtype_from_f32(wide, N, DTYPE_F16, back);
    assert_memory_equal(back, raw + 1, sizeof back);
    assert_true(dtype_value(raw + 1, DTYPE_F16, 30) == 10.0);
}

static void arena_plans_then_holds(void **state)
{
    (void)state;
    static _Alignas(ARENA_ALIGN) unsigned char memory[256];
    struct arena plan = { .planning = 1 }, real = { .base = memory, .cap = sizeof memory };
    void *a, *b;
    assert_int_equal(arena_alloc(&plan, 100, &a), STATUS_OK);
    assert_int_equal(arena_alloc(&plan, 1, &b), STATUS_OK);
    assert_non_null(a);
    assert_int_equal(plan.peak, 192);
    assert_int_equal(arena_alloc(&real, 100, &a), STATUS_OK);
    const size_t mark = arena_mark(&real);
    assert_int_equal(arena_alloc(&real, 128, &b), STATUS_OK);
    assert_ptr_equal(b, memory + 128);
    assert_int_equal(arena_alloc(&real, 1, &a), STATUS_NO_MEMORY);
    assert_null(a);
    arena_release(&real, mark);
    assert_int_equal(arena_alloc(&real, 128, &b), STATUS_OK);
    assert_int_equal(arena_alloc(&real, SIZE_MAX, &b), STATUS_NO_MEMORY);
}

static void philox_gives_the_known_words(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed, draw;
        uint32_t word[4];
    } known[] = {
        { 0, 0, { 0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8 } },
        { 3272356495, 0, { 0xD79559A4, 0x1BF1450D, 0x32C7DCA1, 0x240C6E84 } },
        { 3272356495, 1, { 0xC42DB85E, 0x7656230F, 0x408173C6, 0x0249394A } },
        { 673866072, 0, { 0x0B39EB73, 0xBE47B7C1, 0x931E59E4, 0xECDEE435 } },
    };
    static const double normals[] = { -0.92466259, -0.42534415, -2.6438457,  0.14518388,
                                      -0.12086647, -0.57972564, -0.62285122, -0.32838709 };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t word[4];
        philox4x32(known[i].seed, known[i].draw, 0, word);
        assert_memory_equal(word, known[i].word, sizeof word);
    }
    for (size_t i = 0; i < sizeof normals / sizeof normals[0]; i++)
        assert_true(fabs((double)philox_normal(0, 0, i) - normals[i]) <= 1e-6);
}

static void errors_never_carry_control_characters(void **state)
{
    (void)state;
    assert_int_equal(status_fail(STATUS_IO, "a\033[31m\n\xc2\x9b%s", "z"), STATUS_IO);
    assert_string_equal(status_text(), "a?[31m???z");
    assert_int_equal(status_prefix(STATUS_IO, "file"), STATUS_IO);
    assert_string_equal(status_text(), "file: a?[31m???z");
}

static void distances_count_typing_errors(void **state)
{
    (void)state;
    char longest[5000];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(near_distance("kitten", "sitting"), 3);
    assert_int_equal(near_distance("stpes", "steps"), 1);
    assert_int_equal(near_distance("Euler A", "euler a"), 0);
    assert_int_equal(near_distance("", "abc"), 3);
    assert_int_equal(near_distance("abcdef", ""), 6);
    assert_int_equal(near_distance(longest, "a"), 127);
}

static void near_names_come_nearest_first(void **state)
{
    (void)state;
    static const char *const known[] = { "AOM3.vae", "oam3", "A3", "AOM3A1", "sd-v1-4" };
    struct near_names near = { .count = 0 };
    char text[100];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        near_names_offer(&near, "aom3", known[i]);
    near_names_text(&near, text, sizeof text);
    assert_string_equal(text, "; nearest: AOM3.vae, oam3, A3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_widens_exactly),
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(bfloats_round_to_nearest_even),
        cmocka_unit_test(arrays_convert_at_any_alignment),
        cmocka_unit_test(arena_plans_then_holds),
        cmocka_unit_test(philox_gives_the_known_words),
        cmocka_unit_test(errors_never_carry_control_characters),
        cmocka_unit_test(distances_count_typing_errors),
        cmocka_unit_test(near_names_come_nearest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
