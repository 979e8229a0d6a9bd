/* host/pipeline/job.c - the same calls twice: while the device plans, and for real. */
#include "host/pipeline/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/sampling/noise.h"

enum { LATENT = 4, PIXELS = 8 }; /* channels of a latent; pixels a side of one of its cells */

/* Device memory of the sampling. */
struct buffers {
    float *x, *history, *denoised, *noise;
    void *input, *eps;
};

/* What one replay does. */
struct evaluation {
    struct job *job;
    struct buffers buffers;
    struct sampler_step_args step;
};

status job_open(struct job *job)
{
    const struct miku_request *r = job->request;
    const size_t bytes = (size_t)r->batch * r->width * r->height * 3;
    job->step_ms = calloc((size_t)job->plan->steps, sizeof *job->step_ms);
    job->rgb = malloc(bytes);
    if (job->step_ms == NULL || job->rgb == NULL)
        return status_fail(STATUS_NO_MEMORY, "pictures: %zu bytes asked", bytes);
    return STATUS_OK;
}

void job_close(struct job *job)
{
    free(job->step_ms);
    free(job->rgb);
    job->step_ms = NULL;
    job->rgb = NULL;
}

static int planning(const struct job *job) { return job->ops->planning(job->ops); }
static int latent_h(const struct job *job) { return job->request->height / PIXELS; }
static int latent_w(const struct job *job) { return job->request->width / PIXELS; }
static int latent_hw(const struct job *job) { return latent_h(job) * latent_w(job); }

static status host_alloc(size_t bytes, void *out)
{
    void *memory = malloc(bytes > 0 ? bytes : 1);
    *(void **)out = memory;
    return memory != NULL ? STATUS_OK
                          : status_fail(STATUS_NO_MEMORY, "pictures: %zu bytes asked", bytes);
}

static status progress(const struct job *job, const char *stage, int step, int steps)
{
    const struct miku_callbacks *c = job->callbacks;
    if (planning(job))
        return STATUS_OK;
    if (c->progress != NULL)
        c->progress(c->user, &(struct miku_progress){ .stage = stage,
                                                      .step = step,
                                                      .steps = steps,
                                                      .picture = job->first,
                                                      .pictures = job->request->count });
    if (c->cancel != NULL && c->cancel(c->user))
        return status_fail(STATUS_CANCELLED, "stopped");
    return job->watch == NULL ? STATUS_OK : job->watch(job->watch_user);
}

/* ---- noise ------------------------------------------------------------------------------- */

/* The web UI counts the variation seed up, and leaves the seed, once there is a variation. */
static uint64_t picture_seed(const struct job *job, int i)
{
    const struct miku_request *r = job->request;
    return r->seed + (r->subseed_strength > 0 ? 0 : (uint64_t)(job->first + i));
}

static uint64_t sampler_seed(const struct job *job, int i)
{
    const int64_t ensd = job->request->ensd;
    return picture_seed(job, i) + (ensd > 0 ? (uint64_t)ensd : 0);
}

/* x = the unit noise times the first sigma. */
static status start(struct job *job, float *x)
{
    const struct miku_request *r = job->request;
    const int h = latent_h(job), w = latent_w(job);
    const size_t one = (size_t)h * w * LATENT, count = one * job->n;
    float *noise;
    if (planning(job))
        return STATUS_OK;
    TRY(host_alloc(count * sizeof *noise, &noise));
    status result = STATUS_OK;
    for (int i = 0; i < job->n && result == STATUS_OK; i++) {
        const struct noise_source source = { .generator = r->rng_cpu ? NOISE_MT19937 : NOISE_PHILOX,
                                             .seed = picture_seed(job, i),
                                             .subseed = r->subseed + (uint64_t)(job->first + i),
                                             .strength = r->subseed_strength };
        result = noise_initial(&source, h, w, LATENT, noise + i * one);
        if (result == STATUS_OK)
            result = dump_nhwc(job->dump, job->first + i, "noise", noise + i * one, h, w, LATENT);
    }
    for (size_t i = 0; i < count; i++)
        noise[i] *= job->plan->initial;
    if (result == STATUS_OK)
        result = job->ops->upload(job->ops, x, noise, count * sizeof *noise);
    free(noise);
    return result;
}

/* Noise of a generator that the device does not have: [draws, n, h, w, 4]. */
static status upload_noise(struct job *job, float *noise)
{
    const int h = latent_h(job), w = latent_w(job);
    const size_t one = (size_t)h * w * LATENT;
    float *draw;
    if (planning(job))
        return STATUS_OK;
    TRY(host_alloc(one * sizeof *draw, &draw));
    status result = STATUS_OK;
    for (int k = 0; k < job->plan->draws + 1 && result == STATUS_OK; k++)
        for (int i = 0; i < job->n && result == STATUS_OK; i++) {
            result = noise_draws(NOISE_MT19937, sampler_seed(job, i), k, 1, h, w, LATENT, draw);
            if (result == STATUS_OK)
                result = job->ops->upload(job->ops, noise + ((size_t)k * job->n + i) * one, draw,
                                          one * sizeof *draw);
        }
    free(draw);
    return result;
}

/* ---- sampling ---------------------------------------------------------------------------- */

static status alloc_f32(struct ops *ops, size_t count, float **out)
{
    void *memory;
    TRY(ops->alloc(ops, count * sizeof(float), &memory));
    *out = memory;
    return STATUS_OK;
}

static status alloc_buffers(struct job *job, int parts, struct buffers *b)
{
    struct ops *ops = job->ops;
    const size_t count = (size_t)latent_hw(job) * LATENT * job->n, size = dtype_size(job->dtype);
    TRY(alloc_f32(ops, count, &b->x));
    TRY(alloc_f32(ops, count * STEP_HISTORY, &b->history));
    TRY(alloc_f32(ops, count, &b->denoised));
    TRY(ops->alloc(ops, count * size, &b->input));
    TRY(ops->alloc(ops, count * parts * size, &b->eps));
    b->noise = NULL;
    if (job->request->rng_cpu && job->plan->draws > 0)
        TRY(alloc_f32(ops, count * (job->plan->draws + 1), &b->noise));
    return STATUS_OK;
}

/* Keys and values of every cross-attention and the time path of every step. The contexts' own
 * memory is needed during the call alone, but lies below what the call keeps. */
static status prepare(struct job *job, const struct conditioning_result *c)
{
    struct ops *ops = job->ops;
    const size_t count = (size_t)c->contexts * c->parts * c->tokens * job->model.sizes->text_width;
    void *context, *narrow;
    float *t;
    TRY(ops->alloc(ops, count * dtype_size(job->dtype), &context));
    if (!planning(job)) {
        TRY(host_alloc(count * dtype_size(job->dtype), &narrow));
        dtype_from_f32(c->context, count, job->dtype, narrow);
        const status result = ops->upload(ops, context, narrow, count * dtype_size(job->dtype));
        free(narrow);
        TRY(result);
    }
    const int rows = job->plan->row_count;
    TRY(host_alloc((size_t)rows * sizeof *t, &t));
    for (int i = 0; i < rows; i++)
        t[i] = job->plan->rows[i].t;
    const status result = unet_prepare(job->model.unet, &(struct unet_job){ .n = job->n,
                                                                            .parts = c->parts,
                                                                            .h = latent_h(job),
                                                                            .w = latent_w(job),
                                                                            .t = t,
                                                                            .rows = rows,
                                                                            .context = context,
                                                                            .context_len = c->len,
                                                                            .contexts = c->contexts,
                                                                            .tokens = c->tokens });
    free(t);
    return result;
}

static status evaluate(void *user)
{
    struct evaluation *e = user;
    TRY(unet_evaluate(e->job->model.unet, e->buffers.input, e->buffers.eps));
    return e->job->ops->sampler_step(e->job->ops, &e->step);
}

/* One array of the device, image by image, into the dump. */
static status dump_images(struct job *job, const char *name, int step, const float *data)
{
    const size_t one = (size_t)latent_hw(job) * LATENT;
    char file[32];
    float *host;
    if (job->dump == NULL)
        return STATUS_OK;
    TRY(host_alloc(one * job->n * sizeof *host, &host));
    status result = job->ops->download(job->ops, host, data, one * job->n * sizeof *host);
    snprintf(file, sizeof file, "%s_%02d", name, step);
    for (int i = 0; i < job->n && result == STATUS_OK; i++)
        result = dump_nhwc(job->dump, job->first + i, file, host + i * one, latent_h(job),
                           latent_w(job), LATENT);
    free(host);
    return result;
}

/* Steps that are done, and when the last of them was. */
struct pace {
    int done;
    double ms;
};

static void keep_time(struct job *job, struct pace *pace, int done)
{
    const double now = clock_now_ms();
    if (done <= pace->done)
        return;
    job->step_ms[done - 1] = now - pace->ms;
    *pace = (struct pace){ done, now };
}

/* All evaluations: the first under capture, the others as its replays. The host may be a step ahead
 * of the device. */
static status walk(struct job *job, struct evaluation *e, struct graph **graph)
{
    struct ops *ops = job->ops;
    const struct sampler_plan *plan = job->plan;
    struct pace pace = { .ms = clock_now_ms() };
    for (int r = 0; r < plan->row_count; r++) {
        const int step = plan->row_step[r], first = r == 0 || plan->ends[r - 1];
        int running;
        if (first) {
            TRY(progress(job, "sample", step, plan->steps));
            ranges_begin(job->ranges, SPAN_STEP, "step");
        }
        TRY(r == 0 ? ops->capture(ops, evaluate, e, graph) : ops->replay(ops, *graph));
        if (first)
            TRY(dump_images(job, "denoised", step, e->buffers.denoised));
        if (!plan->ends[r])
            continue;
        ranges_end(job->ranges);
        TRY(ops->pace(ops, &running));
        keep_time(job, &pace, step + 1 - running);
        TRY(dump_images(job, "latent", step, e->buffers.x));
    }
    TRY(ops->sync(ops));
    keep_time(job, &pace, plan->steps);
    return progress(job, "sample", plan->steps, plan->steps);
}

static status sample(struct job *job, struct buffers *b)
{
    struct ops *ops = job->ops;
    const struct conditioning_result c = conditioning_get(job->conditioning);
    const size_t weights = (size_t)c.parts * job->n;
    struct graph *graph = NULL;
    float *weight = NULL;
    uint64_t *seed = NULL;
    TRY(alloc_buffers(job, c.parts, b));
    TRY(start(job, b->x));
    if (b->noise != NULL)
        TRY(upload_noise(job, b->noise));
    TRY(prepare(job, &c));
    TRY(ops->scale(ops, &(struct scale_args){ .x = b->x,
                                              .y = b->input,
                                              .dtype = job->dtype,
                                              .scale = job->plan->rows[0].c_in,
                                              .count = (size_t)latent_hw(job) * LATENT * job->n }));
    for (int r = 0; r < job->plan->row_count; r++)
        job->plan->rows[r].context = c.row_context[r];
    TRY(ops->steps_begin(ops, job->plan->rows, job->plan->row_count));

    status result = host_alloc(weights * sizeof *weight, &weight);
    if (result == STATUS_OK)
        result = host_alloc((size_t)job->n * sizeof *seed, &seed);
    if (result == STATUS_OK) {
        sampler_weights(job->request->cfg_scale, c.weight, c.parts, job->n, weight);
        for (int i = 0; i < job->n; i++)
            seed[i] = sampler_seed(job, i);
        struct evaluation e = { .job = job,
                                .buffers = *b,
                                .step = { .eps = b->eps,
                                          .x = b->x,
                                          .history = b->history,
                                          .denoised = b->denoised,
                                          .input = b->input,
                                          .weight = weight,
                                          .parts = c.parts,
                                          .seed = seed,
                                          .noise = b->noise,
                                          .dtype = job->dtype,
                                          .n = job->n,
                                          .hw = latent_hw(job),
                                          .c = LATENT } };
        const double begun = clock_now_ms();
        result = planning(job) ? evaluate(&e) : walk(job, &e, &graph);
        job->sampling_ms = clock_now_ms() - begun;
    }
    ops->graph_destroy(ops, graph);
    free(weight);
    free(seed);
    return result;
}

/* ---- decoding ---------------------------------------------------------------------------- */

static status dump_decoded(struct job *job, const void *y)
{
    const int h = job->request->height, w = job->request->width;
    const size_t one = (size_t)h * w * 3, size = dtype_size(job->model.vae_dtype);
    char *stored = NULL;
    float *wide = NULL;
    if (job->dump == NULL)
        return STATUS_OK;
    status result = host_alloc(one * job->n * size, &stored);
    if (result == STATUS_OK)
        result = host_alloc(one * sizeof *wide, &wide);
    if (result == STATUS_OK)
        result = job->ops->download(job->ops, stored, y, one * job->n * size);
    for (int i = 0; i < job->n && result == STATUS_OK; i++) {
        dtype_to_f32(stored + i * one * size, job->model.vae_dtype, one, wide);
        result = dump_nhwc(job->dump, job->first + i, "decoded", wide, h, w, 3);
    }
    free(wide);
    free(stored);
    return result;
}

static status decode(struct job *job, const float *x)
{
    struct ops *ops = job->ops;
    const int hw = job->request->width * job->request->height, n = job->n;
    void *y, *rgb, *bad;
    TRY(progress(job, "decode", 0, 0));
    TRY(ops->alloc(ops, (size_t)n * hw * 3 * dtype_size(job->model.vae_dtype), &y));
    TRY(ops->alloc(ops, (size_t)n * hw * 3, &rgb));
    TRY(ops->alloc(ops, (size_t)n * sizeof(int), &bad));
    TRY(vae_decode(job->model.vae,
                   &(struct vae_decode_args){
                       .latent = x, .y = y, .n = n, .h = latent_h(job), .w = latent_w(job) }));
    TRY(ops->to_rgb8(ops, &(struct to_rgb8_args){ .x = y,
                                                  .rgb = rgb,
                                                  .non_finite = bad,
                                                  .dtype = job->model.vae_dtype,
                                                  .n = n,
                                                  .hw = hw }));
    if (planning(job))
        return STATUS_OK;
    int *flags;
    TRY(ops->download(ops, job->rgb, rgb, (size_t)n * hw * 3));
    TRY(host_alloc((size_t)n * sizeof *flags, &flags));
    status result = ops->download(ops, flags, bad, (size_t)n * sizeof *flags);
    for (int i = 0; i < n && result == STATUS_OK; i++)
        if (flags[i])
            result = status_fail(STATUS_NOT_FINITE,
                                 "picture %d came out with values that are NaN "
                                 "or infinite; it is not written",
                                 job->first + i);
    free(flags);
    TRY(result);
    return dump_decoded(job, y);
}

/* Plans for the decoder alone, and decodes a latent of the host's. */
static status decode_alone(struct job *job, const float *latent)
{
    struct ops *ops = job->ops;
    const size_t count = (size_t)latent_hw(job) * LATENT * job->n;
    float *x;
    TRY(ops->plan_begin(ops));
    status result = alloc_f32(ops, count, &x);
    if (result == STATUS_OK)
        result = decode(job, x);
    ops->release(ops, 0);
    const status ended = ops->plan_end(ops, job->memory_limit, NULL);
    TRY(result);
    TRY(ended);
    TRY(alloc_f32(ops, count, &x));
    TRY(ops->upload(ops, x, latent, count * sizeof *x));
    return decode(job, x);
}

/* The decoder overflowed: its work is done again by a wider one, from the latent that it had. The
 * next batch plans anew. */
static status decode_wider(struct job *job, const float *x)
{
    const size_t bytes = (size_t)latent_hw(job) * LATENT * job->n * sizeof *x;
    float *latent;
    TRY(host_alloc(bytes, &latent));
    status result = job->ops->download(job->ops, latent, x, bytes);
    if (result == STATUS_OK)
        result = job->widen(job->watch_user, &job->model);
    job->planned = 0;
    if (result == STATUS_OK)
        result = decode_alone(job, latent);
    free(latent);
    return result;
}

/* ---- the whole --------------------------------------------------------------------------- */

static status stages(struct job *job)
{
    struct buffers b;
    double begun = clock_now_ms();
    job->encode_ms = 0;
    if (!job->encoded) {
        TRY(progress(job, "encode", 0, 0));
        ranges_begin(job->ranges, SPAN_STAGE, "encode");
        TRY(conditioning_encode(job->conditioning, job->ops, job->model.text, job->dtype));
        TRY(job->ops->sync(job->ops)); /* the stage ends when its work does */
        ranges_end(job->ranges);
        job->encoded = !planning(job);
        job->encode_ms = clock_now_ms() - begun;
    }
    begun = clock_now_ms();
    ranges_begin(job->ranges, SPAN_STAGE, "sample");
    TRY(sample(job, &b));
    ranges_end(job->ranges);
    job->sample_ms = clock_now_ms() - begun;
    begun = clock_now_ms();
    ranges_begin(job->ranges, SPAN_STAGE, "decode");
    status decoded = decode(job, b.x);
    if (decoded == STATUS_NOT_FINITE && job->model.vae_dtype == DTYPE_F16 && job->widen != NULL)
        decoded = decode_wider(job, b.x);
    TRY(decoded);
    ranges_end(job->ranges);
    job->decode_ms = clock_now_ms() - begun;
    return STATUS_OK;
}

status job_run(struct job *job)
{
    struct ops *ops = job->ops;
    const double begun = clock_now_ms();
    if (job->planned != job->n) {
        TRY(ops->plan_begin(ops));
        const size_t mark = ops->mark(ops);
        const status planned = stages(job);
        ops->release(ops, mark);
        const status ended = ops->plan_end(ops, job->memory_limit, &job->memory_bytes);
        TRY(planned);
        TRY(ended);
        job->planned = job->n;
    }
    const size_t mark = ops->mark(ops);
    const status result = stages(job);
    ops->release(ops, mark);
    job->picture_ms = clock_now_ms() - begun;
    return result;
}
