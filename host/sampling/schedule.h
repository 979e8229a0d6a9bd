/* host/sampling/schedule.h - noise levels: the model's 1,000, and those a sampler steps through. */
#ifndef HOST_SAMPLING_SCHEDULE_H
#define HOST_SAMPLING_SCHEDULE_H

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SCHEDULE_LEVELS = 1000 };

struct schedule {
    float abar[SCHEDULE_LEVELS];      /* cumulative alphas, as used: rounded to fp16 if `era` */
    float sigma[SCHEDULE_LEVELS];     /* increasing */
    float log_sigma[SCHEDULE_LEVELS]; /* of sigma */
    int era;     /* 1: made with the fp16 roundings of the web UI before 1.7.0-225 */
    int round_t; /* 1: t is the nearest level's index, not interpolated */
    int own;     /* 1: abar came from the checkpoint */
};

struct schedule_args {
    const float *abar; /* [SCHEDULE_LEVELS], a checkpoint's alphas_cumprod; null: the
                          configuration's. Unusable values (not decreasing within (0, 1), as bf16
                          makes them) are passed over: `own` says so */
    int era;
    int round_t;
};

/* numerics  the configuration's abar in double, rounded once; the rest in f32 as torch's */
void schedule_create(const struct schedule_args *args, struct schedule *out);

/* source    k-diffusion external.py, DiscreteSchedule */
float schedule_t(const struct schedule *schedule, float sigma);
float schedule_sigma(const struct schedule *schedule, float t);

/* sigmas[0 .. steps - 1] falling, sigmas[steps] = 0.
 *
 * karras   Karras et al. 2022, equation 5, rho 7, between the model's ends; else equal steps of t
 * discard  one more is made and the last before 0 dropped
 * returns  STATUS_MISUSE  steps is below 1 */
status schedule_sigmas(const struct schedule *schedule, int steps, int karras, int discard,
                       float *sigmas);

#ifdef __cplusplus
}
#endif

#endif
