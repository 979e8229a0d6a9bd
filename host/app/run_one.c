/* host/app/run_one.c - one configuration: its pictures to files, its times to the results. */
#include "host/app/run_one.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/needs.h"
#include "host/app/perf_control.h"
#include "host/app/preview.h"
#include "host/app/say.h"
#include "host/app/signals.h"
#include "host/app/text_file.h"
#include "host/base/clock.h"

static status no_memory(void) { return status_fail(STATUS_NO_MEMORY, "run: no memory"); }

/* ---- pictures ---------------------------------------------------------------------------- */

/* "case 2, AOM3", the sampler, steps, seed: a line each. */
static char *write_caption(const struct runs *r, const struct miku_picture *picture)
{
    char text[512];
    const struct miku_request *request = &r->configuration->request;
    snprintf(text, sizeof text, "%s%s%s\n%s\n%d steps\nseed %" PRIu64, r->configuration->label,
             request->model == NULL ? "" : ", ", request->model == NULL ? "" : request->model,
             request->sampler == NULL ? "" : request->sampler, request->steps, picture->seed);
    return text_keep(text, strlen(text));
}

static status keep(struct runs *r, const struct miku_picture *picture)
{
    const size_t bytes = (size_t)picture->width * (size_t)picture->height * 3;
    uint8_t *rgb = malloc(bytes);
    r->kept->caption = write_caption(r, picture);
    if (rgb == NULL || r->kept->caption == NULL) {
        free(rgb);
        return no_memory();
    }
    memcpy(rgb, picture->rgb, bytes);
    r->kept->picture = (struct miku_picture){
        .width = picture->width, .height = picture->height, .rgb = rgb, .of = 1
    };
    r->kept->made = 1;
    return STATUS_OK;
}

static status add_shot(struct runs *r, struct shot *shot)
{
    struct shot **more = realloc(r->shot, (r->shots_count + 1) * sizeof(struct shot *));
    if (shot == NULL || more == NULL) {
        r->shot = more == NULL ? r->shot : more;
        shot_free(shot);
        return no_memory();
    }
    r->shot = more;
    shot->configuration = r->begun - 1;
    shot->run = r->run;
    shot->run_kind = r->kind;
    more[r->shots_count++] = shot;
    return STATUS_OK;
}

static status put(struct runs *r, struct shot *shot)
{
    const status result = writer_put(r->writer, shot);
    r->unwritable |= result != STATUS_OK;
    return result;
}

static status new_picture(struct runs *r, const struct miku_picture *picture)
{
    char *line = shot_line(picture, r->configuration->label);
    struct shot *shot = line == NULL ? NULL : shot_make(picture, r->args->options->output, line);
    free(line);
    TRY(add_shot(r, shot));
    snprintf(r->hash[picture->index], sizeof r->hash[0], "%s", picture->rgb_sha256);
    if (r->measured != NULL) {
        TRY(measured_weights(r->measured, picture));
        TRY(results_picture(r->args->results, picture, shot));
    }
    if (r->kept != NULL && !r->kept->made)
        TRY(keep(r, picture));
    if (r->args->options->show)
        preview_say(picture);
    TRY(put(r, shot));
    r->args->outcome->pictures++;
    return STATUS_OK;
}

/* The same bytes again: only the writing is of interest. */
static status same_picture(struct runs *r, const struct miku_picture *picture)
{
    const char *before = r->hash[picture->index];
    if (strcmp(before, picture->rgb_sha256) != 0)
        return status_fail(STATUS_DEVICE, "made again, picture %d differs: sha256 %s, before %s",
                           picture->index, picture->rgb_sha256, before);
    if (r->measured == NULL || r->kind != TRACE_COUNTED)
        return STATUS_OK;
    struct shot *shot = shot_make(picture, NULL, NULL);
    TRY(add_shot(r, shot));
    shot->again = r->shot[r->first_shot + (size_t)picture->index];
    TRY(results_shot(r->args->results, shot));
    return put(r, shot);
}

/* Once a batch. */
static status note_times(struct runs *r, const struct miku_times *times)
{
    if (r->measured == NULL)
        return STATUS_OK;
    TRY(measured_once(r->measured, times));
    if (r->kind == TRACE_OPERATORS)
        r->measured->operators.picture_ms += times->picture;
    return r->kind == TRACE_COUNTED ? measured_sample(r->measured, times) : STATUS_OK;
}

static status on_picture(void *user, const struct miku_picture *lent)
{
    struct runs *r = user;
    struct miku_picture picture = *lent;
    picture.stand_in |= r->args->weights->stand_in;
    if (r->spans_failed != STATUS_OK)
        return status_fail(r->spans_failed, "spans: no memory");
    if (picture.index % r->configuration->request.batch == 0)
        TRY(note_times(r, &picture.times));
    return r->writes ? new_picture(r, &picture) : same_picture(r, &picture);
}

/* ---- the other callbacks ----------------------------------------------------------------- */

static void on_progress(void *user, const struct miku_progress *now)
{
    struct runs *r = user;
    progress_show(&r->progress, now);
}

static int on_cancel(void *user)
{
    (void)user;
    return signals_caught() != 0;
}

static void on_spans(void *user, const struct miku_span *span, size_t count)
{
    struct runs *r = user;
    status result = STATUS_OK;
    if (r->args->trace != NULL)
        result = trace_spans(r->args->trace, span, count);
    for (size_t i = 0; i < count && r->kind == TRACE_OPERATORS && result == STATUS_OK; i++)
        result = operators_add(&r->measured->operators, &span[i]);
    if (result != STATUS_OK)
        r->spans_failed = result;
}

static void on_profile(void *user, int begins)
{
    struct runs *r = user;
    if (r->perf >= 0 && perf_control(r->perf, begins) != 0)
        say_warning("perf no longer reads %s", r->args->options->profile_control);
}

/* ---- one run ----------------------------------------------------------------------------- */

/* What is expected after this run: the rest of this configuration, and others like it. */
static double later_ms(const struct runs *r, int of)
{
    const double runs = of - r->run - 1 + (double)r->budget.left * of;
    return r->budget.last_ms * (runs > 0 ? runs : 0);
}

static void begin_progress(struct runs *r)
{
    const struct options *o = r->args->options;
    const int of = o->warmup + o->repeat + o->operators;
    const char *label = r->configuration->label;
    if (of > 1)
        snprintf(r->label, sizeof r->label, "%.90s%srun %d of %d", label, label[0] == 0 ? "" : ", ",
                 r->run + 1, of);
    else
        snprintf(r->label, sizeof r->label, "%s", label);
    progress_begin(&r->progress, r->label, r->configuration->request.batch, later_ms(r, of));
}

static status generate(struct runs *r, enum trace_run kind)
{
    const struct options *o = r->args->options;
    struct miku_callbacks callbacks = {
        .picture = on_picture,
        .progress = on_progress,
        .cancel = on_cancel,
        .spans = r->args->trace != NULL || kind == TRACE_OPERATORS ? on_spans : NULL,
        .operators = kind == TRACE_OPERATORS,
        .label = r->configuration->label[0] == 0 ? NULL : r->configuration->label,
        .user = r
    };
    if (o->profile != NULL && kind == TRACE_COUNTED && r->profiles) {
        callbacks.profile_stage = o->profile_stage;
        callbacks.profile_step = o->profile_step;
        callbacks.profile = on_profile;
        r->profiles = 0;
    }
    struct miku_request request = r->configuration->request;
    request.dump_dir = r->writes ? r->dump : NULL;
    r->kind = kind;
    if (signals_caught() != 0)
        return status_fail(STATUS_CANCELLED, "interrupted");
    if (o->warmup + o->repeat > 1)
        writer_settle(r->writer); /* what is measured shares the machine with nothing of ours */
    if (r->args->trace != NULL)
        trace_run(r->args->trace, r->begun - 1, r->run, kind);
    begin_progress(r);
    const double begun = clock_now_ms();
    TRY(miku_generate(r->miku, &request, &callbacks));
    budget_took(&r->budget, clock_now_ms() - begun);
    r->writes = 0;
    r->run++;
    return STATUS_OK;
}

/* ---- all of them ------------------------------------------------------------------------- */

/* A name that no inversion has stays plain text in a prompt; in a case it has to be there. */
static status check_inversions(const struct runs *r)
{
    char *names;
    const struct job *job = r->configuration->job;
    if (job->case_number == 0 || r->synthetic || options_given(r->args->options, "negative"))
        return STATUS_OK;
    TRY(needs_missing(r->miku, job->case_number, "embedding", 0, &names));
    const status result =
        names[0] == 0 ? STATUS_OK : status_fail(STATUS_NOT_FOUND, "no embedding called %s", names);
    free(names);
    return result;
}

static status check(const struct runs *r)
{
    const struct job *job = r->configuration->job;
    const struct miku_request *request = &r->configuration->request;
    if (job->refused != STATUS_OK)
        return status_fail(job->refused, "%s", job->why);
    TRY(text_check_string("prompt", request->prompt));
    TRY(text_check_string("negative prompt", request->negative));
    if (r->args->options->profile_step > request->steps)
        return status_fail(STATUS_MISUSE, "--profile %s: there are %d steps",
                           r->args->options->profile, request->steps);
    return check_inversions(r);
}

static int budget_left(struct runs *r, int runs, const char *what, int done, int of)
{
    char why[96];
    if (budget_allows(&r->budget, clock_now_ms(), runs))
        return 1;
    const char *label = r->configuration->label;
    snprintf(why, sizeof why, "the budget of %g s", r->args->options->budget);
    say_note("%s%s%d of %d %s: %s", label, label[0] == 0 ? "" : ": ", done, of, what, why);
    if (r->measured != NULL)
        (void)measured_reason(r->measured, why);
    return 0;
}

static status warm_up(struct runs *r)
{
    const int asked = r->args->options->warmup;
    for (int i = 0; i < asked; i++) {
        if (i > 0 && !budget_left(r, 2, "warm-up runs", i, asked))
            break;
        TRY(generate(r, TRACE_WARMUP));
        if (r->measured != NULL)
            r->measured->warmups++;
    }
    return STATUS_OK;
}

static status count_runs(struct runs *r)
{
    const int asked = r->args->options->repeat;
    for (int i = 0; i < asked; i++) {
        if (i > 0 && !budget_left(r, 1, "runs", i, asked))
            break;
        TRY(generate(r, TRACE_COUNTED));
        if (r->measured != NULL)
            r->measured->counted++;
    }
    return STATUS_OK;
}

static void note_energy(struct runs *r, const struct energy *energy)
{
    struct measured *m = r->measured;
    const double joules = energy_end(energy, &m->energy_source, &m->energy_reason);
    m->joules_per_picture = joules / ((double)m->counted * r->configuration->request.count);
}

static status run_operators(struct runs *r)
{
    struct measured *m = r->measured;
    if (!r->args->options->operators || m == NULL || !budget_left(r, 1, "runs by operator", 0, 1))
        return STATUS_OK;
    TRY(generate(r, TRACE_OPERATORS));
    operators_sort(&m->operators);
    m->has_operators = 1;
    return STATUS_OK;
}

static status all_runs(struct runs *r)
{
    struct energy energy;
    TRY(warm_up(r));
    writer_settle(r->writer);
    energy_begin(&energy, r->args->nvml, miku_device(r->miku).bus_id, NULL);
    const status counted = count_runs(r);
    if (r->measured != NULL && r->measured->counted > 0)
        note_energy(r, &energy);
    TRY(counted);
    return run_operators(r);
}

static status keep_text(const char *lent, char **out)
{
    *out = lent == NULL ? NULL : text_keep(lent, strlen(lent));
    return lent != NULL && *out == NULL ? no_memory() : STATUS_OK;
}

/* What the device says of its kernels is lent: copies are kept. */
static status note_plan(struct runs *r)
{
    const struct miku_device device = miku_device(r->miku);
    if (r->measured == NULL)
        return STATUS_OK;
    TRY(keep_text(device.plan_hash, &r->measured->plan_hash));
    TRY(keep_text(device.engine, &r->measured->engine));
    return keep_text(device.engine_left, &r->measured->engine_left);
}

status run_one(struct runs *r)
{
    r->run = 0;
    r->writes = r->profiles = 1;
    r->first_shot = r->shots_count;
    r->spans_failed = STATUS_OK;
    TRY(check(r));
    r->hash = calloc((size_t)r->configuration->request.count, sizeof *r->hash);
    if (r->hash == NULL)
        return no_memory();
    status result = all_runs(r);
    free(r->hash);
    r->hash = NULL;
    if (result == STATUS_OK)
        result = note_plan(r);
    return result;
}
