/* host/app/compare.c - which configurations are the same in two documents, and the ratios of their
 * stages. */
#include "host/app/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/document.h"
#include "host/base/statistics.h"

enum { RESAMPLES = 10000, SEED = 39 };

static const double confidence = 0.95;

/* ---- the same configuration -------------------------------------------------------------- */

static const char *key_of(const cJSON *configuration)
{
    const char *key = document_text(configuration, "key");
    return key == NULL ? "" : key;
}

/* How many before this one have its key: lone prompts may share one. */
static size_t which(const cJSON *configurations, const cJSON *configuration)
{
    const cJSON *other;
    size_t before = 0;
    cJSON_ArrayForEach(other, configurations)
    {
        if (other == configuration)
            break;
        before += strcmp(key_of(other), key_of(configuration)) == 0;
    }
    return before;
}

static const cJSON *find(const cJSON *configurations, const char *key, size_t place)
{
    const cJSON *other;
    cJSON_ArrayForEach(other, configurations)
    {
        if (strcmp(key_of(other), key) == 0 && place-- == 0)
            return other;
    }
    return NULL;
}

/* ---- whether they may be compared -------------------------------------------------------- */

static const cJSON *picture_of(const cJSON *document, const cJSON *configuration, int index)
{
    const cJSON *place = cJSON_GetArrayItem(document_at(configuration, "pictures"), index);
    return cJSON_IsNumber(place) && place->valuedouble >= 0
               ? cJSON_GetArrayItem(document_at(document, "pictures"), place->valueint)
               : NULL;
}

static status check_pictures(const struct compare_args *args, const cJSON *a, const cJSON *b)
{
    const int of_a = cJSON_GetArraySize(document_at(a, "pictures")),
              of_b = cJSON_GetArraySize(document_at(b, "pictures"));
    if (of_a != of_b)
        return status_fail(STATUS_MISUSE, "%s: %d pictures against %d", key_of(a), of_a, of_b);
    for (int i = 0; i < of_a; i++) {
        const cJSON *one = picture_of(args->a, a, i), *other = picture_of(args->b, b, i);
        const char *hash = document_text(one, "rgb_sha256"),
                   *other_hash = document_text(other, "rgb_sha256");
        if (!cJSON_Compare(document_at(one, "request"), document_at(other, "request"), 1))
            return status_fail(STATUS_MISUSE, "%s: the two asked for different pictures",
                               key_of(a));
        if (hash == NULL || other_hash == NULL || strcmp(hash, other_hash) != 0)
            return status_fail(STATUS_MISUSE, "%s: the pictures differ, sha256 %.8s against %.8s",
                               key_of(a), hash == NULL ? "?" : hash,
                               other_hash == NULL ? "?" : other_hash);
    }
    return STATUS_OK;
}

static status check(const struct compare_args *args, const cJSON *a, const cJSON *b)
{
    static const struct {
        const char *key, *is, *is_not;
    } kinds[] = { { "stand_in", "stand-in weights", "real ones" },
                  { "synthetic", "random weights", "others" } };
    if (args->anyway)
        return STATUS_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (document_flag(a, kinds[i].key) != document_flag(b, kinds[i].key))
            return status_fail(STATUS_MISUSE, "%s: %s against %s", key_of(a), kinds[i].is,
                               kinds[i].is_not);
    return check_pictures(args, a, b);
}

/* ---- ratios ------------------------------------------------------------------------------ */

static enum compare_verdict judge(const struct compare_row *row, double fail_over)
{
    if (!(row->low > 1))
        return row->high < 1 ? COMPARE_FASTER : COMPARE_SAME;
    return row->ratio > 1 + fail_over ? COMPARE_REGRESSION : COMPARE_SLOWER;
}

/* A row for a stage that both have; none where the clock saw nothing. */
static status add_row(const struct compare_args *args, const double *a, size_t a_count,
                      const double *b, size_t b_count, struct compare_row *row, int *added)
{
    struct summary of_a, of_b;
    *added = 0;
    if (a_count == 0 || b_count == 0)
        return STATUS_OK;
    TRY(statistics_summary(a, a_count, &of_a));
    TRY(statistics_summary(b, b_count, &of_b));
    if (!(of_a.min > 0) || !(of_b.min > 0))
        return STATUS_OK;
    row->a_ms = of_a.median;
    row->b_ms = of_b.median;
    row->ratio = of_b.median / of_a.median;
    row->low = row->high = NAN;
    row->verdict = COMPARE_FEW;
    *added = 1;
    if (a_count < COMPARE_VALUES_LEAST || b_count < COMPARE_VALUES_LEAST)
        return STATUS_OK;
    TRY(statistics_ratio(&(struct ratio_args){ .a = a,
                                               .b = b,
                                               .a_count = a_count,
                                               .b_count = b_count,
                                               .resamples = RESAMPLES,
                                               .confidence = confidence,
                                               .seed = SEED },
                         &row->low, &row->high));
    row->verdict = judge(row, args->fail_over);
    return STATUS_OK;
}

static status add_stage(const struct compare_args *args, const cJSON *a, const cJSON *b,
                        struct compare_pair *pair, const char *stage, int *regression)
{
    double *of_a, *of_b;
    size_t a_count, b_count;
    int added = 0;
    struct compare_row *row = &pair->row[pair->rows];
    TRY(document_values(document_at(a, "values"), &of_a, &a_count));
    status result = document_values(document_at(b, "values"), &of_b, &b_count);
    if (result != STATUS_OK) {
        free(of_a);
        return result;
    }
    row->stage = stage;
    result = add_row(args, of_a, a_count, of_b, b_count, row, &added);
    free(of_a);
    free(of_b);
    pair->rows += added != 0;
    *regression = added && row->verdict == COMPARE_REGRESSION;
    return result;
}

static status add_pair(const struct compare_args *args, const cJSON *a, const cJSON *b,
                       struct comparison *out)
{
    static const struct {
        const char *in, *stage;
    } rows[COMPARE_ROWS_MOST] = { { "clocks", "picture" }, { "stages", "load" },
                                  { "stages", "fuse" },    { "stages", "encode" },
                                  { "stages", "sample" },  { "stages", "decode" },
                                  { "stages", "write" } };
    struct compare_pair *pair = &out->pair[out->count];
    TRY(check(args, a, b));
    *pair = (struct compare_pair){ .key = key_of(a) };
    out->count++;
    for (int i = 0; i < COMPARE_ROWS_MOST; i++) {
        int regression;
        TRY(add_stage(args, document_at(document_at(a, rows[i].in), rows[i].stage),
                      document_at(document_at(b, rows[i].in), rows[i].stage), pair, rows[i].stage,
                      &regression));
        out->regressions += regression != 0;
    }
    return STATUS_OK;
}

status compare_documents(const struct compare_args *args, struct comparison *out)
{
    const cJSON *in_a = document_at(args->a, "configurations"),
                *in_b = document_at(args->b, "configurations"), *a;
    const size_t all_b = (size_t)cJSON_GetArraySize(in_b);
    *out = (struct comparison){ .count = 0 };
    out->pair = calloc((size_t)cJSON_GetArraySize(in_a) + 1, sizeof *out->pair);
    status result =
        out->pair == NULL ? status_fail(STATUS_NO_MEMORY, "compare: no memory") : STATUS_OK;
    cJSON_ArrayForEach(a, in_a)
    {
        const cJSON *b = find(in_b, key_of(a), which(in_a, a));
        out->only_a += b == NULL;
        if (b != NULL && result == STATUS_OK)
            result = add_pair(args, a, b, out);
    }
    if (result == STATUS_OK && out->count == 0)
        result = status_fail(STATUS_NOT_FOUND, "the two have no configuration in common");
    if (result != STATUS_OK) {
        compare_free(out);
        return result;
    }
    out->only_b = all_b - out->count;
    return STATUS_OK;
}

void compare_free(struct comparison *comparison)
{
    free(comparison->pair);
    *comparison = (struct comparison){ .count = 0 };
}
