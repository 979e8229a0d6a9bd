/* host/pipeline/job.h - one batch of pictures on the device: noise, sampling, decoding. */
#ifndef HOST_PIPELINE_JOB_H
#define HOST_PIPELINE_JOB_H

#include "host/pipeline/conditioning.h"
#include "host/pipeline/dump.h"
#include "host/pipeline/loaded.h"
#include "host/pipeline/ranges.h"
#include "host/sampling/sampler.h"

struct job {
    struct ops *ops;
    enum dtype dtype;
    const struct miku_request *request;
    struct loaded_model model;
    struct conditioning *conditioning;
    struct sampler_plan *plan;
    struct dump *dump;
    struct ranges *ranges; /* after a failure they are the caller's to close */
    const struct miku_callbacks *callbacks;
    size_t memory_limit;
    status (*watch)(void *user); /* asked between steps; a failure ends the job; null: nobody */
    void *watch_user;            /* of both */

    /* Called when the decoder overflowed in fp16: makes one that does not, in *model; null: nobody.
     */
    status (*widen)(void *user, struct loaded_model *model);

    int first, n; /* pictures first .. first + n - 1 of the request */
    int planned;  /* n that the device is planned for; 0: not yet */
    int encoded;  /* the conditioning went through the encoder */

    /* sample_ms: the stage; sampling_ms: first step to last */
    double encode_ms, sample_ms, sampling_ms, decode_ms, picture_ms;
    double *step_ms; /* [plan->steps] */
    uint8_t *rgb;    /* [n, height, width, 3] */
    size_t memory_bytes;
};

/* Allocates what a job keeps on the host. job_close() frees it, and is fine after a failure. */
status job_open(struct job *job);
void job_close(struct job *job);

/* Plans the device's memory if n changed, and makes the pictures.
 * returns  STATUS_NO_MEMORY before anything is computed; STATUS_NOT_FINITE, STATUS_CANCELLED, or
 *          what operators return */
status job_run(struct job *job);

#endif
