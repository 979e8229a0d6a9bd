/* host/cpu/group_norm.c - GroupNorm and GroupNorm + SiLU over one or two inputs.
 *
 * Algorithm  Statistics per channel and tile come with the inputs or from a pass of our own. One
 *            group of one image merges its tiles in ascending order: Chan's formula for many sets
 *            at once, in double, so that 64 sigma of mean cost nothing. Then one pass over the
 *            pixels normalises and stores.
 * Roofline   memory: x in and y out once, and x once more where statistics are missing.
 */
#include <limits.h>
#include <math.h>

#include "host/cpu/device.h"
#include "host/cpu/lanes.h"

enum { PIXELS = 16 }; /* pixels to one piece of work */

/* One of the two inputs. */
struct source {
    const void *x;
    const float *stats;
    int n, c;
};

/* y = (x - mean) * slope + shift, per image and channel. */
struct coefficients {
    float *mean, *slope, *shift;
    const float *gamma, *beta;
};

static status check(const struct group_norm_args *a, struct coefficients *k)
{
    const int c = a->c + a->c2;
    if (a->n < 1 || a->n_x < 1 || a->hw < 1 || a->c < 1 || a->c2 < 0 || a->groups < 1 ||
        c % a->groups != 0 || a->hw > INT_MAX / c || (a->c2 > 0 && (a->n_x2 < 1 || !a->x2)))
        return status_fail(STATUS_BAD_SHAPE, "group_norm: n=%d,%d,%d hw=%d c=%d+%d groups=%d", a->n,
                           a->n_x, a->n_x2, a->hw, a->c, a->c2, a->groups);
    if (a->dtype != DTYPE_F32 && a->dtype != DTYPE_BF16)
        return status_fail(STATUS_UNSUPPORTED, "group_norm: no variant for %s",
                           dtype_name(a->dtype));
    int gammas = 0, betas = 0;
    k->gamma = cpu_weight_vector(a->gamma, &gammas);
    k->beta = cpu_weight_vector(a->beta, &betas);
    if (!k->gamma || !k->beta || gammas != c || betas != c)
        return status_fail(STATUS_BAD_SHAPE, "group_norm: %d gammas and %d betas for %d channels",
                           gammas, betas, c);
    return STATUS_OK;
}

/* Sum over channels first .. last - 1 of the tiles of one image: of count * mean, or, given the
 * mean of all, of M2 + count * (mean - all)^2. */
static double sum_tiles(const struct source *s, int img, int hw, int first, int last,
                        const double *all)
{
    const int tiles = stats_tiles(hw);
    const float *stats = s->stats + 2 * (size_t)(img % s->n) * (size_t)tiles * (size_t)s->c;
    double sum = 0;
    for (int tile = 0; tile < tiles; tile++) {
        const int rest = hw - tile * STATS_PIXELS;
        const double count = rest < STATS_PIXELS ? rest : STATS_PIXELS;
        const float *at = stats + 2 * (size_t)tile * (size_t)s->c;
        double part = 0;
        for (int ch = first; ch < last; ch++) {
            const double mean = (double)at[2 * ch], d = all ? mean - *all : 0;
            part += all ? (double)at[2 * ch + 1] + count * d * d : count * mean;
        }
        sum += part;
    }
    return sum;
}

static void merge_group(const struct group_norm_args *a, const struct source source[2], int img,
                        int group, const struct coefficients *to)
{
    const int c = a->c + a->c2, width = c / a->groups, first = group * width, last = first + width;
    /* The group's channels in each input: a group may lie across the seam. */
    const int first1 = first < a->c ? first : a->c, last1 = last < a->c ? last : a->c;
    const int first2 = first - first1, last2 = last - last1;
    const double count = (double)a->hw * width;

    double mean = sum_tiles(&source[0], img, a->hw, first1, last1, NULL);
    if (last > a->c)
        mean += sum_tiles(&source[1], img, a->hw, first > a->c ? first2 : 0, last2, NULL);
    mean /= count;
    double m2 = sum_tiles(&source[0], img, a->hw, first1, last1, &mean);
    if (last > a->c)
        m2 += sum_tiles(&source[1], img, a->hw, first > a->c ? first2 : 0, last2, &mean);
    const double rstd = 1 / sqrt(m2 / count + (double)a->eps);

    for (int ch = first; ch < last; ch++) {
        const size_t at = (size_t)img * (size_t)c + (size_t)ch;
        to->mean[at] = (float)mean;
        to->slope[at] = (float)(to->gamma[ch] * rstd);
        /* The rest of the mean, that its float could not hold, goes here. */
        to->shift[at] = (float)(to->beta[ch] - (mean - (double)(float)mean) * to->gamma[ch] * rstd);
    }
}

/* Channels of one input at one pixel: x at element `from` to y at `to`. */
static inline void normalise(const struct group_norm_args *a, const void *x, size_t from, int c,
                             const struct coefficients *k, size_t ch0, size_t to)
{
    for (int ch = 0; ch < c; ch += LANES) {
        const int count = c - ch < LANES ? c - ch : LANES;
        const size_t at = ch0 + (size_t)ch;
        const lanes mean = lanes_load_part(k->mean, DTYPE_F32, at, count);
        const lanes slope = lanes_load_part(k->slope, DTYPE_F32, at, count);
        const lanes shift = lanes_load_part(k->shift, DTYPE_F32, at, count);
        const lanes d = lanes_sub(lanes_load_part(x, a->dtype, from + (size_t)ch, count), mean);
        const lanes v = lanes_fma(d, slope, shift);
        lanes_store_part(a->y, a->dtype, to + (size_t)ch, count, a->silu ? lanes_silu(v) : v);
    }
}

static void normalise_pixels(const struct group_norm_args *a, int img, int first, int last,
                             const struct coefficients *k)
{
    const size_t c = (size_t)a->c, c2 = (size_t)a->c2, hw = (size_t)a->hw;
    const size_t ch0 = (size_t)img * (c + c2);
    for (int p = first; p < last; p++) {
        const size_t to = ((size_t)img * hw + (size_t)p) * (c + c2);
        normalise(a, a->x, ((size_t)(img % a->n_x) * hw + (size_t)p) * c, a->c, k, ch0, to);
        if (c2)
            normalise(a, a->x2, ((size_t)(img % a->n_x2) * hw + (size_t)p) * c2, a->c2, k, ch0 + c,
                      to + c);
    }
}

/* Statistics of an input that came without. */
static void own_stats(struct cpu_device *dev, const struct group_norm_args *a, struct source *s,
                      float *to)
{
    const size_t per = 2 * (size_t)stats_tiles(a->hw) * (size_t)s->c;
    const size_t bytes = (size_t)a->hw * (size_t)s->c * dtype_size(a->dtype);
    for (int img = 0; img < s->n; img++)
        cpu_stats(dev, (const char *)s->x + (size_t)img * bytes, a->dtype, a->hw, s->c,
                  to + (size_t)img * per);
    s->stats = to;
}

status cpu_group_norm(struct ops *ops, const struct group_norm_args *a)
{
    struct cpu_device *dev = cpu_device(ops);
    struct coefficients k;
    TRY(check(a, &k));
    struct source source[2] = { { a->x, a->stats, a->n_x, a->c },
                                { a->x2, a->stats2, a->n_x2, a->c2 } };
    const size_t c = (size_t)a->c + (size_t)a->c2, total = (size_t)a->n * c;
    size_t own[2] = { 0, 0 }; /* floats of statistics made here */
    for (int i = 0; i < 2; i++)
        if (source[i].c > 0 && !source[i].stats)
            own[i] = 2 * (size_t)source[i].n * (size_t)stats_tiles(a->hw) * (size_t)source[i].c;

    void *work;
    TRY(cpu_scratch(dev, (3 * total + own[0] + own[1]) * sizeof(float), &work));
    if (dev->planning)
        return STATUS_OK;

    const double values = (double)total * a->hw;
    cpu_op_begin(dev, "group_norm", 0, 2 * values * (double)dtype_size(a->dtype), "%dx%dx%d%s",
                 a->n, a->hw, (int)c, a->silu ? " silu" : "");
    float *floats = work;
    k.mean = floats;
    k.slope = floats + total;
    k.shift = floats + 2 * total;
    floats += 3 * total;
    for (int i = 0; i < 2; i++)
        if (own[i]) {
            own_stats(dev, a, &source[i], floats);
            floats += own[i];
        }

#pragma omp parallel for num_threads(dev->threads)
    for (int i = 0; i < a->n * a->groups; i++)
        merge_group(a, source, i / a->groups, i % a->groups, &k);

    const int pieces = (a->hw + PIXELS - 1) / PIXELS;
#pragma omp parallel for num_threads(dev->threads)
    for (int i = 0; i < a->n * pieces; i++) {
        const int first = i % pieces * PIXELS;
        normalise_pixels(a, i / pieces, first, first + PIXELS < a->hw ? first + PIXELS : a->hw, &k);
    }
    cpu_op_end(dev);
    return STATUS_OK;
}
