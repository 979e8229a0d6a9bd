/* host/base/statistics.h - what a row of measurements says: percentiles, outliers, drift, and how
 * sure a ratio of medians is. */
#ifndef HOST_BASE_STATISTICS_H
#define HOST_BASE_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { STATISTICS_OUTLIERS_FROM = 5, STATISTICS_DRIFT_FROM = 4 };

struct summary {
    double median, p10, p90, min, max;
    /* Medians of the first and the second half, an odd value in the middle in neither; NaN below
     * STATISTICS_DRIFT_FROM values. */
    double first_half, second_half;
};

/* returns  STATUS_MISUSE  no values, or one that is not finite
 *          STATUS_NO_MEMORY */
status statistics_summary(const double *value, size_t count, struct summary *out);

/* Marks values farther from the median than 3.5 times 1.4826 times the median absolute deviation;
 * none below STATISTICS_OUTLIERS_FROM values. With a deviation of 0 whatever differs is marked.
 *
 * outlier  out: [count], 0 or 1
 * returns  as statistics_summary()
 * source   Iglewicz & Hoaglin 1993, section 3.6 */
status statistics_outliers(const double *value, size_t count, unsigned char *outlier);

/* Percentile of ascending values, linear between order statistics (numpy's default).
 * share 0 to 1; count at least 1. */
double statistics_percentile(const double *ascending, size_t count, double share);

/* The interval that holds median(b) / median(a) with `confidence`: percentile bootstrap, a and b
 * drawn again independently. The same seed gives the same interval.
 *
 * returns  STATUS_MISUSE  no values, one that is not above 0, fewer than 1 resample
 *          STATUS_NO_MEMORY
 * source   Efron & Tibshirani 1993, chapter 13 */
struct ratio_args {
    const double *a, *b;
    size_t a_count, b_count;
    int resamples;     /* 10000 say */
    double confidence; /* 0.95 */
    uint64_t seed;
};
status statistics_ratio(const struct ratio_args *args, double *low, double *high);

#ifdef __cplusplus
}
#endif

#endif
