/* host/sampling/sampler.c - samplers as linear combinations. See sampler.h and step_row in ops.h.
 *
 * With d = (x - D) / s, a sampler's x + d * k is (1 + k/s) x - (k/s) D; where it says sums of
 * earlier x, D or d, they are kept in the history as they will be needed. */
#include "host/sampling/sampler.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS_A_STEP = 2, LMS_ORDER = 4 };

struct plan_build {
    struct sampler_plan *plan;
    const struct sampler_args *args;
    double eta;
    int draw; /* the next one */
};

static struct step_row *add_row(struct plan_build *b, int step, int ends)
{
    struct sampler_plan *plan = b->plan;
    const int i = plan->row_count++;
    plan->row_step[i] = step;
    plan->ends[i] = (unsigned char)ends;
    plan->rows[i] = (struct step_row){ .h_slot = -1, .draw = -1 };
    return &plan->rows[i];
}

/* An evaluation at sigma of a network that predicts the noise of x = x0 + sigma noise. */
static struct step_row *add_evaluation(struct plan_build *b, int step, int ends, float sigma)
{
    struct step_row *row = add_row(b, step, ends);
    row->sigma = sigma;
    row->t = schedule_t(b->args->schedule, sigma);
    row->c_in = 1.0f / sqrtf(sigma * sigma + 1.0f);
    row->d_x = 1.0f;
    row->d_e = -sigma;
    return row;
}

static void add_noise(struct plan_build *b, struct step_row *row, double scale)
{
    row->noise = (float)(scale * b->args->s_noise);
    row->draw = b->draw++;
}

/* x' = x + (x - D) / s * (to - s) */
static void euler(struct step_row *row, double to)
{
    row->x_x = (float)(to / row->sigma);
    row->x_d = (float)(1.0 - to / row->sigma);
}

static void keep(struct step_row *row, int slot, double h_x, double h_d)
{
    row->h_slot = slot;
    row->h_x = (float)h_x;
    row->h_d = (float)h_d;
}

/* source  k-diffusion sampling.py, get_ancestral_step; f32 as there */
static void ancestral_step(float from, float to, double eta, float *down, float *up)
{
    *up = *down = 0.0f;
    if (eta == 0.0) {
        *down = to;
        return;
    }
    const float from2 = from * from, to2 = to * to;
    const float whole = (float)eta * sqrtf(to2 * (from2 - to2) / from2);
    *up = whole < to ? whole : to;
    *down = sqrtf(to2 - *up * *up);
}

/* ---- one step of each ------------------------------------------------------------------- */

static void step_euler(struct plan_build *b, int step, float s, float to)
{
    euler(add_evaluation(b, step, 1, s), to);
}

static void step_euler_a(struct plan_build *b, int step, float s, float to)
{
    float down, up;
    ancestral_step(s, to, b->eta, &down, &up);
    struct step_row *row = add_evaluation(b, step, 1, s);
    euler(row, down);
    if (to > 0.0f)
        add_noise(b, row, up);
}

/* x + (d1 + d2) / 2 * (to - s), d2 taken where Euler's step arrives */
static void step_heun(struct plan_build *b, int step, float s, float to)
{
    if (to == 0.0f) {
        step_euler(b, step, s, to);
        return;
    }
    const double half = ((double)to - s) / 2.0;
    struct step_row *first = add_evaluation(b, step, 0, s);
    euler(first, to);
    keep(first, 0, 1.0 + half / s, -half / s);
    struct step_row *second = add_evaluation(b, step, 1, to);
    second->x_x = (float)(half / to);
    second->x_d = (float)(-half / to);
    second->x_h[0] = 1.0f;
}

/* x + d2 * (to - s), d2 taken at the geometric middle */
static struct step_row *midpoint(struct plan_build *b, int step, float s, float to)
{
    const float middle = expf(0.5f * (logf(s) + logf(to)));
    struct step_row *first = add_evaluation(b, step, 0, s);
    euler(first, middle);
    keep(first, 0, 1.0, 0.0);
    struct step_row *second = add_evaluation(b, step, 1, middle);
    const double factor = ((double)to - s) / middle;
    second->x_x = (float)factor;
    second->x_d = (float)-factor;
    second->x_h[0] = 1.0f;
    return second;
}

static void step_dpm2(struct plan_build *b, int step, float s, float to)
{
    if (to == 0.0f)
        step_euler(b, step, s, to);
    else
        midpoint(b, step, s, to);
}

static void step_dpm2_a(struct plan_build *b, int step, float s, float to)
{
    float down, up;
    ancestral_step(s, to, b->eta, &down, &up);
    if (down == 0.0f)
        step_euler(b, step, s, down);
    else
        add_noise(b, midpoint(b, step, s, down), up);
}

/* In u = -ln sigma: x(u + h) = e^-h x + (1 - e^-h) D, with D taken half way. */
static void step_dpmpp_2s_a(struct plan_build *b, int step, float s, float to)
{
    float down, up;
    struct step_row *last;
    ancestral_step(s, to, b->eta, &down, &up);
    if (down == 0.0f) {
        last = add_evaluation(b, step, 1, s);
        euler(last, down);
    } else {
        const float middle = expf(0.5f * (logf(s) + logf(down)));
        struct step_row *first = add_evaluation(b, step, 0, s);
        euler(first, middle);
        keep(first, 0, 1.0, 0.0);
        last = add_evaluation(b, step, 1, middle);
        last->x_h[0] = (float)((double)down / s);
        last->x_d = (float)(1.0 - (double)down / s);
    }
    if (to > 0.0f)
        add_noise(b, last, up);
}

/* The history holds the D before; at the first and the last step D stands alone. */
static void step_dpmpp_2m(struct plan_build *b, int step, float s, float to)
{
    const float *sigmas = b->plan->sigmas;
    struct step_row *row = add_evaluation(b, step, 1, s);
    euler(row, to);
    if (step > 0 && to > 0.0f) {
        const double h = log((double)s / to), h_last = log((double)sigmas[step - 1] / s);
        const double old = h / (2.0 * h_last), whole = 1.0 - (double)to / s;
        row->x_d = (float)(whole * (1.0 + old));
        row->x_h[0] = (float)(-whole * old);
    }
    keep(row, 0, 0.0, 1.0);
}

/* The integral over [sigma_i, sigma_i+1] of Lagrange's basis polynomial j through the `order`
 * sigmas up to i. Of degree 3 at most, so Gauss's rule of two points is exact. */
static double lms_coefficient(const float *sigmas, int i, int j, int order)
{
    const double a = sigmas[i], b = sigmas[i + 1], node = sqrt(1.0 / 3.0);
    double sum = 0.0;
    for (int side = -1; side <= 1; side += 2) {
        const double at = (a + b) / 2.0 + side * node * (b - a) / 2.0;
        double product = 1.0;
        for (int k = 0; k < order; k++)
            if (k != j)
                product *= (at - sigmas[i - k]) / ((double)sigmas[i - j] - sigmas[i - k]);
        sum += product * (b - a) / 2.0;
    }
    return sum;
}

/* x + sum of c_j d_(i-j); the history holds the last d. */
static void step_lms(struct plan_build *b, int step, float s, float to)
{
    (void)to;
    const float *sigmas = b->plan->sigmas;
    const int order = step + 1 < LMS_ORDER ? step + 1 : LMS_ORDER;
    struct step_row *row = add_evaluation(b, step, 1, s);
    const double c0 = lms_coefficient(sigmas, step, 0, order);
    row->x_x = (float)(1.0 + c0 / s);
    row->x_d = (float)(-c0 / s);
    for (int j = 1; j < order; j++)
        row->x_h[(step - j) % STEP_HISTORY] = (float)lms_coefficient(sigmas, step, j, order);
    keep(row, step % STEP_HISTORY, 1.0 / s, -1.0 / s);
}

static void (*const steppers[])(struct plan_build *, int, float, float) = {
    [SAMPLER_EULER_A] = step_euler_a,
    [SAMPLER_EULER] = step_euler,
    [SAMPLER_LMS] = step_lms,
    [SAMPLER_HEUN] = step_heun,
    [SAMPLER_DPM2] = step_dpm2,
    [SAMPLER_DPM2_A] = step_dpm2_a,
    [SAMPLER_DPMPP_2S_A] = step_dpmpp_2s_a,
    [SAMPLER_DPMPP_2M] = step_dpmpp_2m,
    [SAMPLER_DDIM] = NULL,
};

/* ---- DDIM ------------------------------------------------------------------------------- */

/* The distance between two t. Before 1.6 the web UI raised n where the last t would be 1000.
 * source  webui sd_samplers_compvis.py, adjust_steps_if_invalid; ldm util.py, make_ddim_timesteps
 */
static int ddim_stride(const struct sampler_args *args)
{
    const int stride = SCHEDULE_LEVELS / args->steps, last = SCHEDULE_LEVELS - 1;
    if (args->compat != NULL && compat_at_least(args->compat, 1, 6))
        return stride;
    return last % stride == 0 ? SCHEDULE_LEVELS / (last / stride + 1) : stride;
}

static int ddim_t(int stride, int k)
{
    const int t = k * stride + 1;
    return t < SCHEDULE_LEVELS ? t : SCHEDULE_LEVELS - 1;
}

static float ratio_sigma(float abar) { return sqrtf((1.0f - abar) / abar); }

/* x = sqrt(a) x0 + sqrt(1 - a) e; D is x0, and e = (x - sqrt(a) D) / sqrt(1 - a). */
static void plan_ddim(struct plan_build *b, int stride)
{
    const float *abar = b->args->schedule->abar;
    struct sampler_plan *plan = b->plan;
    for (int step = 0; step < plan->steps; step++) {
        const int k = plan->steps - 1 - step, t = ddim_t(stride, k);
        const double a = abar[t], before = abar[k > 0 ? ddim_t(stride, k - 1) : 0];
        const double noise =
            b->eta * sqrt((1.0 - before) / (1.0 - a) * fmax(0.0, 1.0 - a / before));
        const double direction = sqrt(fmax(0.0, 1.0 - before - noise * noise));
        struct step_row *row = add_row(b, step, 1);
        row->t = (float)t;
        row->sigma = plan->sigmas[step] = ratio_sigma(abar[t]);
        row->c_in = 1.0f;
        row->d_x = (float)(1.0 / sqrt(a));
        row->d_e = (float)(-sqrt(1.0 - a) / sqrt(a));
        row->x_x = (float)(direction / sqrt(1.0 - a));
        row->x_d = (float)(sqrt(before) - direction * sqrt(a) / sqrt(1.0 - a));
        if (b->eta > 0.0)
            add_noise(b, row, noise);
    }
    plan->sigmas[plan->steps] = ratio_sigma(abar[0]);
    plan->initial = 1.0f;
}

/* ---- the plan --------------------------------------------------------------------------- */

static double default_eta(const struct sampler_args *args)
{
    return args->eta >= 0.0 ? args->eta : args->sampler->ancestral ? 1.0 : 0.0;
}

static status alloc_plan(struct sampler_plan *plan, int steps)
{
    const size_t rows = (size_t)steps * ROWS_A_STEP;
    plan->steps = steps;
    plan->rows = calloc(rows, sizeof *plan->rows);
    plan->row_step = calloc(rows, sizeof *plan->row_step);
    plan->ends = calloc(rows, sizeof *plan->ends);
    plan->sigmas = calloc((size_t)steps + 1, sizeof *plan->sigmas);
    if (plan->rows != NULL && plan->row_step != NULL && plan->ends != NULL && plan->sigmas != NULL)
        return STATUS_OK;
    sampler_plan_free(plan);
    return status_fail(STATUS_NO_MEMORY, "sampler: no memory for %zu rows", rows);
}

static status plan_k(struct plan_build *b)
{
    const struct sampler_args *args = b->args;
    struct sampler_plan *plan = b->plan;
    const struct sampler *sampler = args->sampler;
    TRY(schedule_sigmas(args->schedule, args->steps, sampler->karras,
                        sampler->discard || args->discard, plan->sigmas));
    for (int i = 0; i < plan->steps; i++)
        steppers[sampler->kind](b, i, plan->sigmas[i], plan->sigmas[i + 1]);
    plan->initial = plan->sigmas[0];
    return STATUS_OK;
}

status sampler_plan_create(const struct sampler_args *args, struct sampler_plan *out)
{
    *out = (struct sampler_plan){ 0 };
    if (args->steps < 1 || args->steps > SCHEDULE_LEVELS)
        return status_fail(STATUS_MISUSE, "%s: %d steps, wanted 1 to %d", args->sampler->name,
                           args->steps, (int)SCHEDULE_LEVELS);
    struct plan_build b = { out, args, default_eta(args), args->draw_first };
    if (args->sampler->kind == SAMPLER_DDIM) {
        const int stride = ddim_stride(args);
        TRY(alloc_plan(out, (SCHEDULE_LEVELS + stride - 1) / stride));
        plan_ddim(&b, stride);
    } else {
        TRY(alloc_plan(out, args->steps));
        TRY(plan_k(&b));
    }
    for (int i = 0; i + 1 < out->row_count; i++)
        out->rows[i].c_in_next = out->rows[i + 1].c_in;
    out->rows[out->row_count - 1].c_in_next = 1.0f;
    out->draws = b.draw - args->draw_first;
    return STATUS_OK;
}

void sampler_plan_free(struct sampler_plan *plan)
{
    free(plan->rows);
    free(plan->row_step);
    free(plan->ends);
    free(plan->sigmas);
    *plan = (struct sampler_plan){ 0 };
}

void sampler_weights(double scale, const double *weights, int parts, int n, float *out)
{
    for (int p = 0; p + 1 < parts; p++)
        for (int i = 0; i < n; i++)
            out[p * n + i] = (float)(scale * (weights != NULL ? weights[p] : 1.0));
}
