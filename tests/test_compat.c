/* tests/test_compat.c - web UI versions as infotexts spell them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host/base/compat.h"

static const struct row {
    const char *text;
    struct compat want;
} good[] = {
    { NULL, { 1, 1, 1, 0 } },
    { "", { 1, 1, 1, 0 } },
    { "auto", { 1, 1, 1, 0 } },
    { "latest", { 1, 8, 0, 0 } },
    { "1.6", { 1, 6, 0, 0 } },
    { "v1.2.1", { 1, 2, 1, 0 } },
    { "v1.0.0-pre", { 1, 0, 0, 0 } },
    { "v1.8.0-RC", { 1, 8, 0, 0 } },
    { "v1.7.0-225-g89f9faa6", { 1, 7, 0, 225 } },
    { "v1.6.0-2-g4afaaf8a", { 1, 6, 0, 2 } },
    { "f2.0.1v1.10.1-previous-224-g900196889", { 1, 10, 1, 0 } },
    { "1.10.1", { 1, 10, 1, 0 } },
};

static void versions_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct compat got;
        assert_int_equal(compat_parse(good[i].text, &got), STATUS_OK);
        assert_memory_equal(&got, &good[i].want, sizeof got);
    }
}

static void other_text_is_refused_and_reads_as_without_version(void **state)
{
    (void)state;
    static const char *const bad[] = { "ComfyUI",
                                       "v",
                                       "1",
                                       "1.",
                                       ".6",
                                       "1.6x",
                                       "22bcc7be",
                                       "f2.0",
                                       "99999999999.1",
                                       "-1.2",
                                       "1.6.99999999",
                                       "v1.x",
                                       "\n" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct compat got;
        assert_int_equal(compat_parse(bad[i], &got), STATUS_MISUSE);
        assert_true(got.major == 1 && got.minor == 1 && got.patch == 1 && got.commits == 0);
    }
}

static void versions_are_ordered_by_number_not_by_text(void **state)
{
    (void)state;
    const struct compat v110 = { 1, 10, 1, 0 }, v170 = { 1, 7, 0, 224 };
    assert_true(compat_at_least(&v110, 1, 9));
    assert_true(compat_at_least(&v170, 1, 7));
    assert_false(compat_at_least(&v170, 1, 8));
    assert_false(compat_at_least_commit(&v170, 1, 7, 0, 225));
    assert_true(compat_at_least_commit(&v170, 1, 7, 0, 224));
    assert_true(compat_at_least(&v110, 0, 99));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_read),
        cmocka_unit_test(other_text_is_refused_and_reads_as_without_version),
        cmocka_unit_test(versions_are_ordered_by_number_not_by_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
