/* host/app/compare_table.c - a comparison on the terminal, in at most 100 columns. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/app/compare.h"
#include "host/app/document.h"
#include "host/app/say.h"

enum { TIME_CAP = 24, KEY_WIDTH = 96 };

static const char *const words[] = {
    [COMPARE_FEW] = "too few values",    [COMPARE_SAME] = "same",
    [COMPARE_FASTER] = "faster",         [COMPARE_SLOWER] = "slower",
    [COMPARE_REGRESSION] = "REGRESSION",
};

static void write_time(double ms, char text[TIME_CAP])
{
    if (ms >= 1000)
        snprintf(text, TIME_CAP, "%.3f s", ms / 1000);
    else
        snprintf(text, TIME_CAP, "%.3f ms", ms);
}

static void print_row(const struct compare_row *row)
{
    char a[TIME_CAP], b[TIME_CAP], interval[64] = "";
    write_time(row->a_ms, a);
    write_time(row->b_ms, b);
    if (isfinite(row->low))
        snprintf(interval, sizeof interval, "%.3f to %.3f", row->low, row->high);
    say_result("  %-8s %14s %14s %9.3f   %-18s %s", row->stage, a, b, row->ratio, interval,
               words[row->verdict]);
}

/* Keys hold labels, which are anybody's text: cut between characters. */
static void print_key(const char *key)
{
    size_t length = strlen(key);
    if (length > KEY_WIDTH)
        for (length = KEY_WIDTH; length > 0 && ((unsigned char)key[length] & 0xc0) == 0x80;
             length--)
            ;
    say_result("%.*s", (int)length, key);
}

static void print_only(const char *path, size_t count)
{
    if (count > 0)
        say_note("%s alone has %zu more configuration%s", path, count, count == 1 ? "" : "s");
}

static void print_table(const struct comparison *comparison, const char *const path[2],
                        double fail_over)
{
    size_t verdicts[COMPARE_REGRESSION + 1] = { 0 };
    say_result("A %s", path[0]);
    say_result("B %s", path[1]);
    for (size_t i = 0; i < comparison->count; i++) {
        const struct compare_pair *pair = &comparison->pair[i];
        say_result("%s", "");
        print_key(pair->key);
        say_result("  %-8s %14s %14s %9s   %-18s", "median", "A", "B", "B / A", "95 %");
        for (size_t k = 0; k < pair->rows; k++) {
            print_row(&pair->row[k]);
            verdicts[pair->row[k].verdict]++;
        }
    }
    say_result("%s", "");
    say_result(
        "%zu the same, %zu faster, %zu slower, %zu slower by more than %g %%, %zu with too few "
        "values",
        verdicts[COMPARE_SAME], verdicts[COMPARE_FASTER], verdicts[COMPARE_SLOWER],
        verdicts[COMPARE_REGRESSION], 100 * fail_over, verdicts[COMPARE_FEW]);
    print_only(path[0], comparison->only_a);
    print_only(path[1], comparison->only_b);
}

static void note_partial(const cJSON *document, const char *path)
{
    if (document_flag(document, "partial"))
        say_warning("%s is partial: not all that was asked for was measured", path);
}

status compare_files(const char *const path[2], double fail_over, int anyway, size_t *regressions)
{
    cJSON *a = NULL, *b = NULL;
    struct comparison comparison = { .count = 0 };
    *regressions = 0;
    status result = document_read(path[0], &a);
    if (result == STATUS_OK)
        result = document_read(path[1], &b);
    if (result == STATUS_OK) {
        note_partial(a, path[0]);
        note_partial(b, path[1]);
        result = compare_documents(
            &(struct compare_args){ .a = a, .b = b, .fail_over = fail_over, .anyway = anyway },
            &comparison);
        if (result == STATUS_MISUSE)
            result = status_prefix(result, "not compared (--compare-anyway would)");
    }
    if (result == STATUS_OK) {
        print_table(&comparison, path, fail_over);
        *regressions = comparison.regressions;
    }
    compare_free(&comparison);
    cJSON_Delete(a);
    cJSON_Delete(b);
    return result;
}
