/* host/pipeline/pipeline.c - request -> pictures, the whole way. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/base/clock.h"
#include "host/pipeline/conditioning.h"
#include "host/pipeline/dump.h"
#include "host/pipeline/job.h"
#include "host/pipeline/memory.h"
#include "host/pipeline/miku.h"
#include "host/pipeline/picture.h"
#include "host/pipeline/request.h"

/* What a run holds, so that one place gives it back. */
struct run {
    struct miku *miku;
    const struct miku_request *request;
    const struct miku_callbacks *callbacks;
    const struct sampler *sampler;
    struct compat compat;
    struct resolved resolved;
    struct conditioning *conditioning;
    struct schedule schedule;
    struct sampler_plan plan;
    struct used_files used;
    struct dump *dump;
    struct job job;
    struct ranges ranges;
    double began_ms, load_ms, fuse_ms;
};

/* Bytes that weights may take: what was given, or what the device has left, or nine tenths of what
 * the machine has. */
static size_t memory_limit(const struct miku *miku)
{
    const size_t own = miku->ops->free_bytes(miku->ops);
    if (miku->memory_limit != 0)
        return miku->memory_limit;
    return own != 0 ? own : memory_available() / 10 * 9;
}

/* Of a job. A device with memory of its own looks itself how much there is, what it holds included.
 */
static size_t job_memory_limit(const struct miku *miku)
{
    const int own = miku->ops->free_bytes(miku->ops) != 0;
    return own ? miku->memory_limit : memory_limit(miku);
}

static void pass_on(void *user, enum miku_log level, const char *line)
{
    miku_tell(user, level, "%s", line);
}

static status load_model(struct run *run, const struct loaded_log *log)
{
    struct miku *miku = run->miku;
    TRY(loaded_select(miku->loaded, &run->resolved.wanted, memory_limit(miku), log));
    const int width = loaded_get(miku->loaded).sizes->text_width;
    if (miku->inversions != NULL && miku->inversions->width == width)
        return STATUS_OK;
    inversions_destroy(miku->inversions);
    miku->inversions = NULL;
    return inversions_create(miku->synthetic ? NULL : miku->store, miku->tokenizer, width,
                             &miku->inversions);
}

/* Loads and fuses; either is timed, and has a span, where it has something to do. */
static status load(struct run *run)
{
    struct miku *miku = run->miku;
    const struct wanted *wanted = &run->resolved.wanted;
    const struct loaded_log log = { pass_on, miku };
    const struct miku_callbacks *c = run->callbacks;
    if (c->progress != NULL)
        c->progress(c->user,
                    &(struct miku_progress){ .stage = "load", .pictures = run->request->count });
    const double begun = clock_now_ms();
    const int loads = loaded_differs(miku->loaded, wanted);
    if (loads)
        ranges_begin(&run->ranges, SPAN_STAGE, "load");
    TRY(load_model(run, &log));
    if (loads)
        ranges_end(&run->ranges);
    const double loaded = clock_now_ms();
    const int fuses = loaded_differs_in_loras(miku->loaded, wanted);
    if (fuses)
        ranges_begin(&run->ranges, SPAN_STAGE, "fuse");
    TRY(loaded_fuse(miku->loaded, wanted, run->request->strict, &log));
    if (fuses)
        ranges_end(&run->ranges);
    run->load_ms = loads ? loaded - begun : 0;
    run->fuse_ms = fuses ? clock_now_ms() - loaded : 0;
    return STATUS_OK;
}

/* 1 if the text has the name as a word of its own, in any letter case. */
static int has_word(const char *text, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = text; at != NULL && *at != 0; at++)
        if (strncasecmp(at, name, length) == 0 && !isalnum((unsigned char)at[length]) &&
            (at == text || !isalnum((unsigned char)at[-1])))
            return 1;
    return 0;
}

/* An inversion of no use stays plain text, as in the web UI; the person should know. */
static status check_unfit(const struct run *run)
{
    const struct inversions *v = run->miku->inversions;
    for (int i = 0; i < v->unfit_count; i++) {
        const struct unfit_inversion *unfit = &v->unfit[i];
        const char *name = unfit->file->name;
        if (!has_word(run->resolved.prompt, name) && !has_word(run->request->negative, name))
            continue;
        if (run->request->strict)
            return status_fail(STATUS_NOT_FOUND, "no embedding called \"%s\": %s", name,
                               unfit->why);
        miku_tell(run->miku, MIKU_LOG_WARNING, "no embedding called \"%s\": %s; it is plain text",
                  name, unfit->why);
    }
    return STATUS_OK;
}

/* At a scale of 1 the negative has no effect, unless parts are weighed against it. */
static status is_guided(const struct run *run, int *guided)
{
    struct prompt_parts *parts;
    TRY(prompt_parts(run->resolved.prompt, strlen(run->resolved.prompt), &parts));
    *guided = run->request->cfg_scale != 1 || parts->count > 1 || parts->part[0].weight != 1;
    prompt_parts_free(parts);
    return STATUS_OK;
}

/* The sigma table is the web UI's of that time, unless the text or the version says otherwise. */
static void lay_out_schedule(struct run *run)
{
    const int asked = run->request->downcast_alphas;
    const int era = asked >= 0 ? asked : !compat_at_least_commit(&run->compat, 1, 7, 0, 225);
    schedule_create(
        &(struct schedule_args){ .abar = loaded_get(run->miku->loaded).alphas, .era = era },
        &run->schedule);
}

static status lay_out(struct run *run)
{
    const struct miku_request *r = run->request;
    const struct inversions *v = run->miku->inversions;
    const struct loaded_model model = loaded_get(run->miku->loaded);
    /* Only a version that is known doubles a prompt's timeline: 1.1 did, and wrote none. */
    const int versioned =
        r->version != NULL || (r->compat != NULL && strcmp(r->compat, "auto") != 0);
    const struct compat *known = versioned ? &run->compat : NULL;
    int guided;
    if (r->clip_skip > model.sizes->text_layers)
        return status_fail(STATUS_MISUSE,
                           "clip skip is %d; this model's text encoder has %d layers", r->clip_skip,
                           model.sizes->text_layers);
    TRY(is_guided(run, &guided));
    lay_out_schedule(run);
    TRY(sampler_plan_create(&(struct sampler_args){ .sampler = run->sampler,
                                                    .schedule = &run->schedule,
                                                    .steps = r->steps,
                                                    .eta = r->eta,
                                                    .s_noise = 1,
                                                    .discard = r->discard_penultimate,
                                                    .draw_first = r->ensd > 0 ? 0 : 1,
                                                    .compat = &run->compat },
                            &run->plan));
    const struct conditioning_args args = { .tokenizer = run->miku->tokenizer,
                                            .embeddings = v->names,
                                            .vectors = v->data,
                                            .vector_count = v->vector_count,
                                            .prompt = run->resolved.prompt,
                                            .negative = r->negative == NULL ? "" : r->negative,
                                            .compat = run->compat,
                                            .steps = r->steps,
                                            .timeline = sampler_timeline(run->sampler, known),
                                            .rows = run->plan.row_count,
                                            .guided = guided,
                                            .same_size = run->sampler->kind == SAMPLER_DDIM,
                                            .clip_skip = r->clip_skip,
                                            .width = model.sizes->text_width };
    return conditioning_create(&args, &run->conditioning);
}

/* ---- the dump's texts -------------------------------------------------------------------- */

static status dump_context(struct run *run, int k, const char *name, int part)
{
    const struct conditioning_result c = conditioning_get(run->conditioning);
    const size_t width = (size_t)loaded_get(run->miku->loaded).sizes->text_width;
    const size_t shape[] = { (size_t)c.len[part], width };
    return dump_f32(run->dump, k, name, c.context + (size_t)part * c.tokens * width, shape, 2);
}

static status dump_inputs(struct run *run, int k)
{
    const struct conditioning_result c = conditioning_get(run->conditioning);
    const size_t sigmas[] = { (size_t)run->plan.steps + 1 };
    if (run->dump == NULL)
        return STATUS_OK;
    TRY(dump_f32(run->dump, k, "sigmas", run->plan.sigmas, sigmas, 1));
    TRY(dump_context(run, k, "cond", 0));
    if (c.parts > 1)
        TRY(dump_context(run, k, "uncond", c.parts - 1));
    for (int negative = 0; negative < 2; negative++) {
        int chunks;
        const int32_t *ids = conditioning_tokens(run->conditioning, negative, &chunks);
        const size_t shape[] = { (size_t)chunks, PROMPT_CHUNK };
        if (chunks > 0)
            TRY(dump_i32(run->dump, k, negative ? "tokens_negative" : "tokens_positive", ids, shape,
                         2));
    }
    return STATUS_OK;
}

/* ---- pictures ---------------------------------------------------------------------------- */

static status watch_hash(void *user)
{
    struct run *run = user;
    return used_files_check(run->miku, &run->used, run->request, 0);
}

static status widen_vae(void *user, struct loaded_model *model)
{
    struct run *run = user;
    miku_tell(run->miku, MIKU_LOG_WARNING,
              "the VAE overflowed in fp16; its pictures are decoded in bf16 from here on");
    TRY(loaded_widen_vae(run->miku->loaded));
    *model = loaded_get(run->miku->loaded);
    return STATUS_OK;
}

/* Calls that the vendor engine left to our own kernels: how many, and one of them. */
static void tell_left(struct miku *miku)
{
    const char *left = miku->ops->engine_left;
    int count = 0;
    if (left == NULL || strlen(left) == miku->left_told)
        return;
    left += miku->left_told;
    for (const char *at = left; *at; at++)
        count += *at == '\n';
    miku_tell(miku, MIKU_LOG_WARNING, "engine vendor: %d kind%s of call ran on own kernels: %.*s%s",
              count, count == 1 ? "" : "s", (int)strcspn(left, "\n"), left,
              count == 1 ? "" : ", ...");
    miku->left_told += strlen(left);
}

static status explain_not_finite(struct run *run)
{
    char *name = loaded_not_finite(run->miku->loaded);
    if (name != NULL && name[0] != 0)
        status_prefix(STATUS_NOT_FINITE, "%s holds values that are not finite", name);
    free(name);
    return STATUS_NOT_FINITE;
}

static status make_pictures(struct run *run)
{
    const struct miku_request *r = run->request;
    run->job = (struct job){ .ops = run->miku->ops,
                             .dtype = run->miku->dtype,
                             .request = r,
                             .model = loaded_get(run->miku->loaded),
                             .conditioning = run->conditioning,
                             .plan = &run->plan,
                             .dump = run->dump,
                             .ranges = &run->ranges,
                             .callbacks = run->callbacks,
                             .memory_limit = job_memory_limit(run->miku),
                             .watch = watch_hash,
                             .watch_user = run,
                             .widen = widen_vae };
    TRY(job_open(&run->job));
    double before = clock_now_ms() - run->began_ms - run->load_ms - run->fuse_ms;
    for (int first = 0; first < r->count; first += r->batch) {
        run->job.first = first;
        run->job.n = r->count - first < r->batch ? r->count - first : r->batch;
        const status result = job_run(&run->job);
        tell_left(run->miku);
        TRY(result == STATUS_NOT_FINITE ? explain_not_finite(run) : result);
        run->job.picture_ms += before; /* what led from the request to the first batch */
        before = 0;
        TRY(ranges_tell(&run->ranges));
        for (int i = 0; i < run->job.n; i++)
            TRY(dump_inputs(run, first + i));
        if (first == 0)
            TRY(used_files_check(run->miku, &run->used, r, 1));
        TRY(hand_over(run->miku, r, &run->job, &run->resolved, &run->used, run->load_ms,
                      run->fuse_ms));
        run->load_ms = run->fuse_ms = 0;
    }
    return STATUS_OK;
}

static status generate(struct run *run)
{
    const char *label = run->callbacks->label;
    run->miku->ops->spans_operators(run->miku->ops, run->callbacks->operators);
    ranges_begin(&run->ranges, SPAN_CASE, label == NULL ? "pictures" : label);
    TRY(request_check(run->request));
    TRY(request_compat(run->request, &run->compat));
    TRY(request_sampler(run->request, &run->sampler));
    TRY(resolve_request(run->miku, run->request, &run->compat, &run->resolved));
    TRY(dump_open(run->request->dump_dir, run->request->count, &run->dump));
    TRY(load(run));
    TRY(check_unfit(run));
    TRY(lay_out(run));
    TRY(used_files_open(run->miku, &run->resolved, run->conditioning, run->request->stand_ins,
                        &run->used));
    return make_pictures(run);
}

status miku_generate(struct miku *miku, const struct miku_request *request,
                     const struct miku_callbacks *callbacks)
{
    static const struct miku_callbacks nobody = { 0 };
    struct run run = { .miku = miku,
                       .request = request,
                       .callbacks = callbacks == NULL ? &nobody : callbacks,
                       .began_ms = clock_now_ms() };
    run.ranges = (struct ranges){ .ops = miku->ops, .callbacks = run.callbacks };
    const status made = generate(&run);
    ranges_close(&run.ranges);
    const status told = ranges_tell(&run.ranges);
    const status result = made != STATUS_OK ? made : told;
    job_close(&run.job);
    used_files_close(&run.used);
    sampler_plan_free(&run.plan);
    conditioning_destroy(run.conditioning);
    dump_close(run.dump);
    free(run.resolved.prompt);
    return result;
}
