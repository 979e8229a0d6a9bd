/* tests/test_html.c - the report: what is escaped, what numbers look like, and that no document
 * brings it down. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/app/document.h"
#include "host/app/html.h"
#include "host/app/html_report.h"
#include "host/app/svg_axis.h"

static char *taken;

static int release(void **state)
{
    (void)state;
    free(taken);
    taken = NULL;
    return 0;
}

static const char *finish(struct html *page)
{
    size_t bytes;
    release(NULL);
    assert_int_equal(html_close(page, &taken, &bytes), STATUS_OK);
    assert_int_equal(bytes, strlen(taken));
    return taken;
}

/* ---- text and numbers -------------------------------------------------------------------- */

static void text_is_escaped(void **state)
{
    struct html page;
    (void)state;
    assert_int_equal(html_open(&page), STATUS_OK);
    html_text(&page, "<a href=\"x\" id='y'>&amp;\n\x1b[31m\x7f \xff \xe5\x88\x9d\xe9\x9f\xb3");
    html_text(&page, NULL);
    assert_string_equal(finish(&page),
                        "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;\n?[31m? ? "
                        "\xe5\x88\x9d\xe9\x9f\xb3");
}

/* RFC 4648, section 10, and a length beyond the pieces that are coded at a time. */
static void base64_is_the_standards(void **state)
{
    static const char *const rfc[][2] = {
        { "", "" },        { "f", "Zg==" },        { "fo", "Zm8=" },
        { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "foobar", "Zm9vYmFy" }
    };
    static const char zeros[10000];
    struct html page;
    (void)state;
    for (size_t i = 0; i < sizeof rfc / sizeof rfc[0]; i++) {
        assert_int_equal(html_open(&page), STATUS_OK);
        html_base64(&page, rfc[i][0], strlen(rfc[i][0]));
        assert_string_equal(finish(&page), rfc[i][1]);
    }
    assert_int_equal(html_open(&page), STATUS_OK);
    html_base64(&page, zeros, sizeof zeros);
    const char *text = finish(&page);
    assert_int_equal(strlen(text), (sizeof zeros + 2) / 3 * 4);
    assert_int_equal(strspn(text, "A"), strlen(text) - 2); /* 10,000 is 1 beyond a multiple of 3 */
    assert_string_equal(text + strlen(text) - 2, "==");
}

static void numbers_have_three_digits(void **state)
{
    static const struct {
        double value;
        const char *text;
    } wanted[] = {
        { 0, "0" },          { 0.00001, "&lt;0.001" },   { 0.01234, "0.0123" },
        { 0.1234, "0.123" }, { 1.2345, "1.23" },         { 12.345, "12.3" },
        { 123.45, "123" },   { 12345678, "12,345,678" }, { 99.96, "100" },
        { 9.996, "10.0" },   { 0.99996, "1.00" },        { 1e15, "1,000,000,000,000,000" }
    };
    struct html page;
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_int_equal(html_open(&page), STATUS_OK);
        html_number(&page, wanted[i].value);
        assert_string_equal(finish(&page), wanted[i].text);
    }
    assert_int_equal(html_open(&page), STATUS_OK);
    html_number(&page, NAN);
    html_number(&page, 1e300); /* no room is too small */
    html_time(&page, 412.3);
    html_time(&page, 3214);
    assert_non_null(strstr(finish(&page), "412\xc2\xa0ms3.21\xc2\xa0s"));
}

/* ---- axes -------------------------------------------------------------------------------- */

static void ticks_are_round_and_hold_the_values(void **state)
{
    static const double ends[][2] = { { 0, 1 },       { 0, 7.3 },    { 98.7, 103.2 },
                                      { 1e-9, 3e-9 }, { -3, 12345 }, { 4.21, 4.22 } };
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const struct svg_axis axis = svg_axis_linear(ends[i][0], ends[i][1], 5);
        assert_true(axis.low <= ends[i][0] + 1e-12 && axis.high >= ends[i][1] * (1 - 1e-9));
        assert_in_range(axis.ticks, 3, 8);
        for (int k = 1; k < axis.ticks; k++) {
            const double step = axis.tick[k] - axis.tick[k - 1];
            const double lead = step / pow(10, floor(log10(step) + 1e-9));
            assert_true(fabs(lead - 1) < 1e-6 || fabs(lead - 2) < 1e-6 || fabs(lead - 5) < 1e-6);
        }
    }
}

static void axes_take_nonsense(void **state)
{
    static const double values[] = { NAN, INFINITY, -INFINITY, 0, -1, 1, 1e300, 1e-300 };
    enum { COUNT = sizeof values / sizeof values[0] };
    (void)state;
    for (int i = 0; i < COUNT * COUNT; i++) {
        const double low = values[i / COUNT], high = values[i % COUNT];
        const struct svg_axis axes[] = { svg_axis_linear(low, high, 5),
                                         svg_axis_decades(low, high) };
        for (int k = 0; k < 2; k++) {
            assert_in_range(axes[k].ticks, 0, SVG_TICKS_MOST);
            for (int v = 0; v < COUNT; v++) {
                const double at = svg_axis_at(&axes[k], values[v]);
                assert_true(at >= 0 && at <= 100);
            }
        }
    }
}

static void places_are_shares_of_the_axis(void **state)
{
    (void)state;
    const struct svg_axis linear = svg_axis_linear(0, 10, 5), decades = svg_axis_decades(0.2, 300);
    assert_true(fabs(svg_axis_at(&linear, 2.5) - 25) < 1e-9);
    assert_true(decades.low == 0.1 && fabs(decades.high - 1000) < 1e-9 && decades.ticks == 5);
    assert_true(fabs(svg_axis_at(&decades, 10) - 50) < 1e-9);
}

/* ---- whole pages ------------------------------------------------------------------------- */

static cJSON *hostile(void)
{
    cJSON *root;
    if (document_read(TEST_SOURCE_DIR "/tests/report/hostile.json", &root) != STATUS_OK)
        fail_msg("%s", status_text());
    return root;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    while ((text = strstr(text, part)) != NULL)
        text += strlen(part), count++;
    return count;
}

static void untrusted_text_stays_text(void **state)
{
    size_t bytes;
    cJSON *root = hostile();
    (void)state;
    release(NULL);
    assert_int_equal(html_report(root, &taken, &bytes), STATUS_OK);
    cJSON_Delete(root);
    assert_int_equal(count_of(taken, "<script"), 0);
    assert_int_equal(count_of(taken, "<img"),
                     0); /* its pictures are nowhere, its prompts hold some */
    assert_true(count_of(taken, "&lt;script&gt;") > 4);
    assert_true(count_of(taken, "&lt;img src=&quot;http://127.0.0.1:9/") > 0);
    assert_null(strchr(taken, 0x1b));
    assert_non_null(strstr(taken, "default-src 'none'"));
    assert_non_null(strstr(taken, "Stand-in weights."));
    assert_non_null(strstr(taken, "Partial."));
    assert_non_null(strstr(taken, "18446744073709551615")); /* a seed that no double holds */
}

/* The n-th node below `at`, counted in the order they are written, and what it stands in; null
 * beyond the last. */
static cJSON *node(cJSON *at, int *n, cJSON **parent)
{
    cJSON *child;
    cJSON_ArrayForEach(child, at)
    {
        *parent = at;
        if ((*n)-- == 0)
            return child;
        cJSON *found = node(child, n, parent);
        if (found != NULL)
            return found;
    }
    return NULL;
}

static cJSON *other_kind(int kind)
{
    switch (kind) {
    case 0:
        return cJSON_CreateNull();
    case 1:
        return cJSON_CreateNumber(-1e300);
    case 2:
        return cJSON_CreateNumber(0);
    case 3:
        return cJSON_CreateString("7");
    case 4:
        return cJSON_CreateArray();
    default:
        return cJSON_CreateObject();
    }
}

static int node_count(const cJSON *at)
{
    const cJSON *child;
    int count = 0;
    cJSON_ArrayForEach(child, at) { count += 1 + node_count(child); }
    return count;
}

/* Each member in turn is of every other kind: a page comes out all the same. */
static void wrong_kinds_everywhere_make_a_page(void **state)
{
    enum { KINDS = 6 };
    cJSON *whole = hostile();
    const int all = node_count(whole);
    (void)state;
    assert_true(all > 100);
    for (int i = 0; i < all * KINDS; i++) {
        size_t bytes;
        int n = i / KINDS;
        cJSON *root = cJSON_Duplicate(whole, 1), *parent = root, *old = node(root, &n, &parent);
        cJSON *other = other_kind(i % KINDS);
        other->string = old->string == NULL ? NULL : strdup(old->string);
        assert_true(cJSON_ReplaceItemViaPointer(parent, old, other));
        release(NULL);
        assert_int_equal(html_report(root, &taken, &bytes), STATUS_OK);
        assert_non_null(strstr(taken, "</html>"));
        assert_int_equal(count_of(taken, "<script"), 0);
        cJSON_Delete(root);
    }
    cJSON_Delete(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(text_is_escaped, release),
        cmocka_unit_test_teardown(base64_is_the_standards, release),
        cmocka_unit_test_teardown(numbers_have_three_digits, release),
        cmocka_unit_test(ticks_are_round_and_hold_the_values),
        cmocka_unit_test(axes_take_nonsense),
        cmocka_unit_test(places_are_shares_of_the_axis),
        cmocka_unit_test_teardown(untrusted_text_stays_text, release),
        cmocka_unit_test_teardown(wrong_kinds_everywhere_make_a_page, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
