/* tests/ref/ref_stats.c - mean and M2 per channel and tile, in double. */
#include "tests/check.h" /* value() */
#include "tests/ref/ref.h"

void ref_stats(const void *y, enum dtype dtype, int n, int hw, int c, double *want)
{
    for (int img = 0; img < n; img++)
        for (int tile = 0; tile < stats_tiles(hw); tile++)
            for (int ch = 0; ch < c; ch++) {
                const int first = tile * STATS_PIXELS;
                const int last = first + STATS_PIXELS < hw ? first + STATS_PIXELS : hw;
                double mean = 0, m2 = 0;
                for (int p = first; p < last; p++)
                    mean += value(y, dtype,
                                  ((size_t)img * (size_t)hw + (size_t)p) * (size_t)c + (size_t)ch) /
                            (last - first);
                for (int p = first; p < last; p++) {
                    const double d =
                        value(y, dtype,
                              ((size_t)img * (size_t)hw + (size_t)p) * (size_t)c + (size_t)ch) -
                        mean;
                    m2 += d * d;
                }
                const size_t at =
                    ((size_t)img * (size_t)stats_tiles(hw) + (size_t)tile) * (size_t)c + (size_t)ch;
                want[2 * at] = mean;
                want[2 * at + 1] = m2;
            }
}
