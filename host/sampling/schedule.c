/* host/sampling/schedule.c - see schedule.h. */
#include "host/sampling/schedule.h"

#include <math.h>

#include "host/base/dtype.h"

enum { LAST = SCHEDULE_LEVELS - 1 };

/* ---- the model's levels ----------------------------------------------------------------- */

/* source  ldm util.py, make_beta_schedule "linear"; v1-inference.yaml */
static void configured_abar(float *abar)
{
    const double first = sqrt(0.00085), last = sqrt(0.012);
    double product = 1.0;
    for (int i = 0; i < SCHEDULE_LEVELS; i++) {
        const double root = first + (last - first) * i / LAST;
        product *= 1.0 - root * root;
        abar[i] = (float)product;
    }
}

static float through_f16(float value) { return f16_to_f32(f16_from_f32(value)); }

/* Values that give increasing, finite sigmas. */
static int usable(const float *abar, int era)
{
    float before = 1.0f;
    for (int i = 0; i < SCHEDULE_LEVELS; i++) {
        const float a = era ? through_f16(abar[i]) : abar[i];
        if (!(a > 0.0f && a < before))
            return 0;
        before = a;
    }
    return 1;
}

void schedule_create(const struct schedule_args *args, struct schedule *out)
{
    out->era = args->era;
    out->round_t = args->round_t;
    out->own = args->abar != NULL && usable(args->abar, args->era);
    configured_abar(out->abar);
    for (int i = 0; i < SCHEDULE_LEVELS; i++) {
        float a = out->own ? args->abar[i] : out->abar[i], q;
        if (args->era) { /* the module and its buffers were halved, and autocast stayed in fp16 */
            a = through_f16(a);
            q = through_f16(through_f16(1.0f - a) / a);
        } else {
            q = (1.0f - a) / a;
        }
        out->abar[i] = a;
        out->sigma[i] = sqrtf(q);
        out->log_sigma[i] = logf(out->sigma[i]);
    }
}

/* ---- sigma and t ------------------------------------------------------------------------ */

static float nearest_t(const struct schedule *schedule, float log_sigma)
{
    int best = 0;
    for (int i = 1; i < SCHEDULE_LEVELS; i++)
        if (fabsf(log_sigma - schedule->log_sigma[i]) <
            fabsf(log_sigma - schedule->log_sigma[best]))
            best = i;
    return (float)best;
}

float schedule_t(const struct schedule *schedule, float sigma)
{
    const float *table = schedule->log_sigma;
    const float log_sigma = logf(sigma);
    if (schedule->round_t)
        return nearest_t(schedule, log_sigma);

    int low = 0;
    while (low < LAST - 1 && table[low + 1] <= log_sigma)
        low++;
    const float w = (table[low] - log_sigma) / (table[low] - table[low + 1]);
    const float kept = w < 0.0f ? 0.0f : w > 1.0f ? 1.0f : w;
    return (1.0f - kept) * (float)low + kept * (float)(low + 1);
}

float schedule_sigma(const struct schedule *schedule, float t)
{
    const float inside = t < 0.0f ? 0.0f : t > (float)LAST ? (float)LAST : t;
    const int low = (int)floorf(inside), high = (int)ceilf(inside);
    const float w = inside - (float)low;
    return expf((1.0f - w) * schedule->log_sigma[low] + w * schedule->log_sigma[high]);
}

/* ---- what a sampler steps through ------------------------------------------------------- */

/* torch.linspace(start, end, n)[i] in f32: from both ends to the middle, each product and sum
 * rounded once, as its kernels for cards and CPUs both do. */
static float linspace(float start, float end, int n, int i)
{
    if (n == 1)
        return start;
    const float step = (end - start) / (float)(n - 1);
    return i < n / 2 ? fmaf(step, (float)i, start) : fmaf(-step, (float)(n - 1 - i), end);
}

static float normal_sigma(const struct schedule *schedule, int n, int i)
{
    return schedule_sigma(schedule, linspace((float)LAST, 0.0f, n, i));
}

static float karras_sigma(const struct schedule *schedule, int n, int i)
{
    const double rho = 7.0;
    const double first = pow((double)schedule->sigma[LAST], 1.0 / rho);
    const double last = pow((double)schedule->sigma[0], 1.0 / rho);
    const float ramp = linspace(0.0f, 1.0f, n, i);
    return powf((float)first + ramp * (float)(last - first), (float)rho);
}

status schedule_sigmas(const struct schedule *schedule, int steps, int karras, int discard,
                       float *sigmas)
{
    if (steps < 1)
        return status_fail(STATUS_MISUSE, "schedule: %d steps, wanted at least 1", steps);
    const int n = discard ? steps + 1 : steps;
    for (int i = 0; i < steps; i++)
        sigmas[i] = karras ? karras_sigma(schedule, n, i) : normal_sigma(schedule, n, i);
    sigmas[steps] = 0.0f;
    return STATUS_OK;
}
