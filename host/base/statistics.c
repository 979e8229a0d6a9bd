/* host/base/statistics.c - order statistics, and the bootstrap over them. */
#include "host/base/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/philox.h"

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort(double *value, size_t count) { qsort(value, count, sizeof *value, by_value); }

static double median(const double *ascending, size_t count)
{
    return statistics_percentile(ascending, count, 0.5);
}

double statistics_percentile(const double *ascending, size_t count, double share)
{
    const double at = share * (double)(count - 1);
    const size_t below = (size_t)at;
    if (below + 1 >= count)
        return ascending[count - 1];
    return ascending[below] + (at - (double)below) * (ascending[below + 1] - ascending[below]);
}

static status check(const double *value, size_t count)
{
    if (count == 0)
        return status_fail(STATUS_MISUSE, "statistics: no values");
    for (size_t i = 0; i < count; i++)
        if (!isfinite(value[i]))
            return status_fail(STATUS_MISUSE, "statistics: value %zu is %g", i, value[i]);
    return STATUS_OK;
}

static status copy(const double *value, size_t count, double **out)
{
    *out = malloc(count * sizeof **out);
    if (*out == NULL)
        return status_fail(STATUS_NO_MEMORY, "statistics: no memory for %zu values", count);
    memcpy(*out, value, count * sizeof **out);
    return STATUS_OK;
}

status statistics_summary(const double *value, size_t count, struct summary *out)
{
    double *sorted;
    TRY(check(value, count));
    TRY(copy(value, count, &sorted));
    *out = (struct summary){ .first_half = NAN, .second_half = NAN };
    if (count >= STATISTICS_DRIFT_FROM) {
        const size_t half = count / 2;
        sort(sorted, half);
        out->first_half = median(sorted, half);
        sort(sorted + count - half, half);
        out->second_half = median(sorted + count - half, half);
    }
    sort(sorted, count);
    out->median = median(sorted, count);
    out->p10 = statistics_percentile(sorted, count, 0.1);
    out->p90 = statistics_percentile(sorted, count, 0.9);
    out->min = sorted[0];
    out->max = sorted[count - 1];
    free(sorted);
    return STATUS_OK;
}

status statistics_outliers(const double *value, size_t count, unsigned char *outlier)
{
    double *sorted;
    TRY(check(value, count));
    memset(outlier, 0, count);
    if (count < STATISTICS_OUTLIERS_FROM)
        return STATUS_OK;
    TRY(copy(value, count, &sorted));
    sort(sorted, count);
    const double middle = median(sorted, count);
    for (size_t i = 0; i < count; i++)
        sorted[i] = fabs(value[i] - middle);
    sort(sorted, count);
    /* 1.4826: a normal distribution's sigma over its median absolute deviation */
    const double limit = 3.5 * 1.4826 * median(sorted, count);
    for (size_t i = 0; i < count; i++)
        outlier[i] = fabs(value[i] - middle) > limit;
    free(sorted);
    return STATUS_OK;
}

/* ---- the bootstrap ----------------------------------------------------------------------- */

/* Draws `count` of the values with replacement; draw k of the whole is the k-th Philox block. */
static double drawn_median(const double *value, size_t count, uint64_t seed, uint64_t *k,
                           double *room)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t word[4];
        philox4x32(seed, 0, (*k)++, word);
        room[i] = value[(uint64_t)word[0] * count >> 32];
    }
    sort(room, count);
    return median(room, count);
}

status statistics_ratio(const struct ratio_args *a, double *low, double *high)
{
    TRY(check(a->a, a->a_count));
    TRY(check(a->b, a->b_count));
    for (size_t i = 0; i < a->a_count + a->b_count; i++)
        if (!((i < a->a_count ? a->a[i] : a->b[i - a->a_count]) > 0))
            return status_fail(STATUS_MISUSE, "statistics: a ratio of values that are not above 0");
    if (a->resamples < 1)
        return status_fail(STATUS_MISUSE, "statistics: %d resamples", a->resamples);
    const size_t most = a->a_count > a->b_count ? a->a_count : a->b_count;
    double *ratio = malloc(((size_t)a->resamples + most) * sizeof *ratio);
    if (ratio == NULL)
        return status_fail(STATUS_NO_MEMORY, "statistics: no memory for %d resamples",
                           a->resamples);
    double *room = ratio + a->resamples;
    uint64_t k = 0;
    for (int i = 0; i < a->resamples; i++) {
        const double below = drawn_median(a->a, a->a_count, a->seed, &k, room);
        ratio[i] = drawn_median(a->b, a->b_count, a->seed, &k, room) / below;
    }
    sort(ratio, (size_t)a->resamples);
    const double tail = (1 - a->confidence) / 2;
    *low = statistics_percentile(ratio, (size_t)a->resamples, tail);
    *high = statistics_percentile(ratio, (size_t)a->resamples, 1 - tail);
    free(ratio);
    return STATUS_OK;
}
