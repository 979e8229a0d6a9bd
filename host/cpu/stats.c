/* host/cpu/stats.c - GroupNorm's statistics: one (mean, M2) pair per channel and tile of pixels.
 *
 * Two passes over a tile, which the first leaves in the cache: the sum, then the residuals from
 * its rounded mean. The residuals' own sum puts right what rounding the mean cost. */
#include "host/cpu/device.h"
#include "host/cpu/lanes.h"

/* One tile of `pixels` pixels at element `at`, channels first .. first + count - 1. */
static inline void tile_lanes(const void *x, enum dtype dtype, size_t at, int pixels, size_t c,
                              int count, float *out)
{
    lanes sum = lanes_set(0), rest = lanes_set(0), m2 = lanes_set(0);
    const lanes per = lanes_set(1.0f / (float)pixels);

    for (int p = 0; p < pixels; p++)
        sum = lanes_add(sum, lanes_load_part(x, dtype, at + (size_t)p * c, count));
    const lanes mean = lanes_mul(sum, per);
    for (int p = 0; p < pixels; p++) {
        const lanes d = lanes_sub(lanes_load_part(x, dtype, at + (size_t)p * c, count), mean);
        rest = lanes_add(rest, d);
        m2 = lanes_fma(d, d, m2);
    }
    const lanes shift = lanes_mul(rest, per);

    float means[LANES], m2s[LANES];
    lanes_store(means, lanes_add(mean, shift));
    lanes_store(m2s, lanes_max(lanes_set(0), lanes_sub(m2, lanes_mul(rest, shift))));
    for (int i = 0; i < count; i++) {
        out[2 * i] = means[i];
        out[2 * i + 1] = m2s[i];
    }
}

void cpu_stats(struct cpu_device *dev, const void *x, enum dtype dtype, int hw, int c, float *stats)
{
    const int tiles = stats_tiles(hw);

#pragma omp parallel for num_threads(dev->threads)
    for (int tile = 0; tile < tiles; tile++) {
        const int first = tile * STATS_PIXELS;
        const int pixels = hw - first < STATS_PIXELS ? hw - first : STATS_PIXELS;
        for (int ch = 0; ch < c; ch += LANES)
            tile_lanes(x, dtype, (size_t)first * (size_t)c + (size_t)ch, pixels, (size_t)c,
                       c - ch < LANES ? c - ch : LANES,
                       stats + 2 * ((size_t)tile * (size_t)c + (size_t)ch));
    }
}
