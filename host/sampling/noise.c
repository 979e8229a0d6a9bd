/* host/sampling/noise.c - see noise.h. */
#include "host/sampling/noise.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "host/base/philox.h"
#include "host/sampling/mt19937.h"

/* One generator, positioned behind what was drawn from it. */
struct generator {
    enum noise_generator kind;
    uint64_t seed;
    int draw;
    struct mt19937 mt;
};

static void generator_seed(struct generator *g, enum noise_generator kind, uint64_t seed)
{
    g->kind = kind;
    g->seed = seed;
    g->draw = 0;
    if (kind == NOISE_MT19937)
        mt19937_seed(&g->mt, (uint32_t)seed);
}

/* The next draw of `count` values in the generator's order. */
static void generator_draw(struct generator *g, size_t count, float *out)
{
    if (g->kind == NOISE_MT19937)
        mt19937_normal(&g->mt, count, out);
    else
        for (size_t i = 0; i < count; i++)
            out[i] = philox_normal(g->seed, (uint64_t)g->draw, i);
    g->draw++;
}

/* [c, h, w] to [h, w, c]. */
static void to_nhwc(const float *planes, int h, int w, int c, float *y)
{
    const size_t hw = (size_t)h * w;
    for (int ch = 0; ch < c; ch++)
        for (size_t p = 0; p < hw; p++)
            y[p * c + ch] = planes[ch * hw + p];
}

static status check_sizes(int h, int w, int c)
{
    if (h < 1 || w < 1 || c < 1 || h > INT_MAX / w || h * w > INT_MAX / c)
        return status_fail(STATUS_BAD_SHAPE, "noise: %dx%d of %d channels", w, h, c);
    return STATUS_OK;
}

/* ---- subseed ---------------------------------------------------------------------------- */

/* The web UI's slerp runs along the rows' axis: each (channel, column) is a vector of h values.
 * Near-parallel noises are mixed by the weights the other way round, as it does.
 * source  webui processing.py, slerp */
static void slerp(double strength, const float *low, const float *high, int h, int w, int c,
                  float *out)
{
    const size_t hw = (size_t)h * w, vectors = (size_t)c * w;
    double mean = 0.0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t v = 0; v < vectors; v++) {
            const size_t at = v / w * hw + v % w;
            double ll = 0.0, hh = 0.0, lh = 0.0;
            for (int r = 0; r < h; r++) {
                const double a = low[at + (size_t)r * w], b = high[at + (size_t)r * w];
                ll += a * a;
                hh += b * b;
                lh += a * b;
            }
            const double dot = lh / sqrt(ll * hh);
            if (pass == 0) {
                mean += dot / (double)vectors;
                continue;
            }
            double of_low = strength, of_high = 1.0 - strength;
            if (!(mean > 0.9995)) {
                const double omega = acos(dot);
                of_low = sin((1.0 - strength) * omega) / sin(omega);
                of_high = sin(strength * omega) / sin(omega);
            }
            for (int r = 0; r < h; r++) {
                const size_t i = at + (size_t)r * w;
                out[i] = (float)(of_low * low[i] + of_high * high[i]);
            }
        }
}

/* ---- the public part -------------------------------------------------------------------- */

status noise_initial(const struct noise_source *source, int h, int w, int c, float *y)
{
    TRY(check_sizes(h, w, c));
    const size_t count = (size_t)h * w * c;
    float *planes = malloc(3 * count * sizeof *planes);
    struct generator *g = malloc(sizeof *g);
    if (planes == NULL || g == NULL) {
        free(planes);
        free(g);
        return status_fail(STATUS_NO_MEMORY, "noise: no memory for %zu values", 3 * count);
    }
    generator_seed(g, source->generator, source->seed);
    generator_draw(g, count, planes);
    if (source->strength != 0.0) {
        generator_seed(g, source->generator, source->subseed);
        generator_draw(g, count, planes + count);
        slerp(source->strength, planes, planes + count, h, w, c, planes + 2 * count);
        to_nhwc(planes + 2 * count, h, w, c, y);
    } else {
        to_nhwc(planes, h, w, c, y);
    }
    free(planes);
    free(g);
    return STATUS_OK;
}

status noise_draws(enum noise_generator generator, uint64_t seed, int first, int draws, int h,
                   int w, int c, float *y)
{
    TRY(check_sizes(h, w, c));
    if (first < 0 || draws < 0 || first > INT_MAX - draws)
        return status_fail(STATUS_MISUSE, "noise: draws %d to %d", first, first + draws);
    const size_t count = (size_t)h * w * c;
    float *planes = malloc(count * sizeof *planes);
    struct generator *g = malloc(sizeof *g);
    if (planes == NULL || g == NULL) {
        free(planes);
        free(g);
        return status_fail(STATUS_NO_MEMORY, "noise: no memory for %zu values", count);
    }
    generator_seed(g, generator, seed);
    for (int i = 0; i < first + draws; i++) {
        if (i < first && generator == NOISE_PHILOX) { /* counted, not computed */
            g->draw++;
            continue;
        }
        generator_draw(g, count, planes);
        if (i >= first)
            to_nhwc(planes, h, w, c, y + (size_t)(i - first) * count);
    }
    free(planes);
    free(g);
    return STATUS_OK;
}
