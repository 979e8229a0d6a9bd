/* host/sampling/sampler.h - samplers as tables: a row for each evaluation of the network. */
#ifndef HOST_SAMPLING_SAMPLER_H
#define HOST_SAMPLING_SAMPLER_H

#include <stddef.h>

#include "host/base/compat.h"
#include "host/base/ops.h"
#include "host/sampling/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sampler_kind {
    SAMPLER_EULER_A,
    SAMPLER_EULER,
    SAMPLER_LMS,
    SAMPLER_HEUN,
    SAMPLER_DPM2,
    SAMPLER_DPM2_A,
    SAMPLER_DPMPP_2S_A,
    SAMPLER_DPMPP_2M,
    SAMPLER_DDIM
};

struct sampler {
    const char *name; /* as in an infotext: "DPM++ 2M Karras" */
    enum sampler_kind kind;
    int karras;
    int discard;   /* 1: drops the sigma before the last, always (the DPM2 family) */
    int ancestral; /* 1: adds noise while eta > 0 (DDIM: only if eta is asked for) */
};

/* All samplers, in the web UI's order. */
const struct sampler *sampler_at(size_t i); /* null past the last */

/* By name or alias ("k_dpmpp_2m_ka"), letters' case aside.
 * returns  STATUS_NOT_FOUND, with the nearest names in the text; *out is null */
status sampler_find(const char *name, const struct sampler **out);

/* What the count of steps is multiplied with before a prompt's [a:b:when] is laid out: 2 for
 * samplers of two evaluations a step, from the version on that did so. `compat` null: no version
 * known. At use, the counter that walks the timeline is the number of the evaluation, from 0. */
int sampler_timeline(const struct sampler *sampler, const struct compat *compat);

struct sampler_args {
    const struct sampler *sampler;
    const struct schedule *schedule;
    int steps;      /* 1 to SCHEDULE_LEVELS; DDIM: at most 999 */
    double eta;     /* below 0: the default, 1 for ancestral ones and 0 for DDIM */
    double s_noise; /* multiplies the noise; 1 mostly */
    int discard;    /* 1: drop the sigma before the last with any sampler */
    int draw_first; /* draw of the first noise: 1 after the initial one; 0 with ENSD, whose
                       generator is seeded anew with seed + ENSD */
    const struct compat *compat; /* DDIM was rewritten in 1.6; null: 1.1.1 */
};

struct sampler_plan {
    struct step_row *rows; /* [row_count], one an evaluation; `context` is 0 */
    int *row_step;         /* [row_count]: which step the evaluation belongs to, from 0 */
    unsigned char *ends;   /* [row_count]: 1 if x after this row is the step's result */
    int row_count;
    float *sigmas; /* [steps + 1]; DDIM: sqrt((1 - a) / a), the last one's a being abar[0] */
    int steps;     /* as asked for; DDIM: ceil(1000 / (1000 / n)), often one or more above */
    float initial; /* the first x is the unit noise times this */
    int draws;     /* noises of the size of x that are drawn after the initial one */
};

/* Lays out the run. sampler_plan_free() frees what is in *out.
 * numerics  coefficients in f32 as torch would compute them where it does, in double where it is
 *           Python that computes; rows regroup the sums, which moves x by an ulp or two
 * returns  STATUS_MISUSE  steps out of range
 * source   k-diffusion sampling.py; ldm ddim.py */
status sampler_plan_create(const struct sampler_args *args, struct sampler_plan *out);
void sampler_plan_free(struct sampler_plan *plan);

/* Guidance scales for sampler_step_args.weight, [parts - 1, n]: scale * part weight. `weights` is
 * [parts - 1], null: all 1. */
void sampler_weights(double scale, const double *weights, int parts, int n, float *out);

#ifdef __cplusplus
}
#endif

#endif
