/* host/app/run.c - jobs to pictures, files and lines. */
#include "host/app/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/needs.h"
#include "host/app/place.h"
#include "host/app/progress.h"
#include "host/app/say.h"
#include "host/app/signals.h"
#include "host/app/text_file.h"
#include "host/app/writer.h"

/* ---- opening ----------------------------------------------------------------------------- */

static void on_log(void *user, enum miku_log level, const char *line)
{
    static _Thread_local char last[256]; /* many requests alike need one note */
    (void)user;
    if (level == MIKU_LOG_WARNING) {
        say_warning("%s", line);
    } else if (strncmp(last, line, sizeof last - 1) != 0) {
        say_note("%s", line);
        snprintf(last, sizeof last, "%s", line);
    }
}

status run_open(const struct options *options, const struct weights_set *weights,
                struct miku **miku)
{
    char *cache = place_cache();
    const struct miku_options open = {
        .device = options->device,
        .precision = options->precision,
        .threads = options->threads,
        .weights = (const char *const *)weights->folder,
        .weights_count = weights->count,
        .variants = options->variants.word,
        .variants_count = options->variants.count,
        .no_graph = options->no_graph,
        .cache_dir = cache,
        .log = on_log,
    };
    const status result = miku_open(&open, miku);
    free(cache);
    if (result == STATUS_OK && weights->embedded)
        say_note("running on the embedded stand-in weights (%dx%d pixels); --weights DIR takes "
                 "real ones",
                 weights->width, weights->height);
    return result;
}

/* ---- one job ----------------------------------------------------------------------------- */

enum run_kind { RUN_WARMUP, RUN_FIRST, RUN_AGAIN };

struct run {
    struct miku *miku;
    const struct options *options;
    int stand_in;  /* the whole set stands in for another */
    int synthetic; /* random weights are among the sets: there are no inversions to them */
    struct report *report;
    struct writer *writer;
    struct shot **shots; /* of all jobs: the report reads them at the end */
    size_t shots_count;
    int unwritable; /* a picture could not be written: nothing more is begun */
    struct run_results *results;

    const struct job *job;
    char *dump;            /* this job's folder of --dump; null: none */
    struct run_kept *kept; /* of this job; null: nothing is kept */
    enum run_kind kind;
    struct progress progress;
    char (*hash)[65]; /* [pictures of the job], of its first run */
};

static status no_memory(void) { return status_fail(STATUS_NO_MEMORY, "run: no memory"); }

static char *copy_text(const char *text)
{
    return text == NULL ? NULL : text_keep(text, strlen(text));
}

/* What is said of a picture, behind its name. */
static char *describe(const struct run *run, const struct miku_picture *picture)
{
    char line[512];
    const char *gap = run->job->label[0] == 0 ? "" : "  ";
    snprintf(line, sizeof line, "%s%sseed %" PRIu64 "  %dx%d  %.2f s  sha256 %s%s%s",
             run->job->label, gap, picture->seed, picture->width, picture->height,
             picture->times.picture / 1000, picture->rgb_sha256,
             picture->stand_in ? "  stand-in weights" : "",
             picture->synthetic ? "  random weights: noise" : "");
    return copy_text(line);
}

static void shot_free(struct shot *shot)
{
    if (shot == NULL)
        return;
    free(shot->rgb);
    free(shot->infotext);
    free(shot->notes);
    free(shot->path);
    free(shot->line);
    free(shot);
}

/* A copy of all that is lent for the call. */
static struct shot *shot_make(const struct run *run, const struct miku_picture *picture)
{
    const size_t bytes = (size_t)picture->width * (size_t)picture->height * 3;
    struct shot *shot = calloc(1, sizeof *shot);
    if (shot == NULL)
        return NULL;
    *shot = (struct shot){
        .width = picture->width,
        .height = picture->height,
        .rgb = malloc(bytes),
        .infotext = copy_text(picture->infotext),
        .notes = copy_text(picture->notes),
        .path = copy_text(run->options->output),
        .line = describe(run, picture),
        .seed = picture->seed,
    };
    if (shot->rgb == NULL || shot->line == NULL ||
        (run->options->output != NULL && shot->path == NULL)) {
        shot_free(shot);
        return NULL;
    }
    memcpy(shot->rgb, picture->rgb, bytes);
    return shot;
}

static status keep(struct run *run, const struct miku_picture *picture)
{
    const size_t bytes = (size_t)picture->width * (size_t)picture->height * 3;
    uint8_t *rgb = malloc(bytes);
    if (rgb == NULL)
        return no_memory();
    memcpy(rgb, picture->rgb, bytes);
    run->kept->picture = (struct miku_picture){
        .width = picture->width, .height = picture->height, .rgb = rgb, .of = 1
    };
    run->kept->made = 1;
    return STATUS_OK;
}

/* The first run's pictures are written; later ones only have to be the same. */
static status first_run(struct run *run, const struct miku_picture *picture)
{
    struct shot **more = realloc(run->shots, (run->shots_count + 1) * sizeof(struct shot *));
    if (more == NULL)
        return no_memory();
    run->shots = more;
    struct shot *shot = shot_make(run, picture);
    if (shot == NULL)
        return no_memory();
    more[run->shots_count++] = shot;
    snprintf(run->hash[picture->index], sizeof run->hash[0], "%s", picture->rgb_sha256);
    if (run->report != NULL)
        TRY(report_picture(run->report, picture, shot));
    if (run->kept != NULL && !run->kept->made)
        TRY(keep(run, picture));
    const status result = writer_put(run->writer, shot);
    run->unwritable = result != STATUS_OK;
    run->results->pictures += result == STATUS_OK;
    return result;
}

static status on_picture(void *user, const struct miku_picture *lent)
{
    struct run *run = user;
    struct miku_picture copy = *lent;
    const struct miku_picture *picture = &copy;
    copy.stand_in |= run->stand_in;
    if (run->kind == RUN_WARMUP)
        return STATUS_OK;
    if (run->kind == RUN_FIRST)
        return first_run(run, picture);
    if (strcmp(run->hash[picture->index], picture->rgb_sha256) != 0)
        return status_fail(STATUS_DEVICE, "made again, picture %d differs: sha256 %s, before %s",
                           picture->index, picture->rgb_sha256, run->hash[picture->index]);
    return run->report == NULL ? STATUS_OK : report_run(run->report, picture);
}

static void on_progress(void *user, const struct miku_progress *now)
{
    struct run *run = user;
    progress_show(&run->progress, now);
}

static int on_cancel(void *user)
{
    (void)user;
    return signals_caught() != 0;
}

static status generate(struct run *run, enum run_kind kind)
{
    const struct miku_callbacks callbacks = {
        .picture = on_picture, .progress = on_progress, .cancel = on_cancel, .user = run
    };
    struct miku_request request = run->job->request;
    request.dump_dir = kind == RUN_FIRST ? run->dump : NULL;
    run->kind = kind;
    if (signals_caught() != 0)
        return status_fail(STATUS_CANCELLED, "interrupted");
    progress_begin(&run->progress, run->job->label, request.batch);
    return miku_generate(run->miku, &request, &callbacks);
}

/* A name that no inversion has stays plain text in a prompt; in a case it has to be there. */
static status check_inversions(const struct run *run)
{
    char *names;
    if (run->job->case_number == 0 || run->synthetic || options_given(run->options, "negative"))
        return STATUS_OK;
    TRY(needs_missing(run->miku, run->job->case_number, "embedding", 0, &names));
    const status result =
        names[0] == 0 ? STATUS_OK : status_fail(STATUS_NOT_FOUND, "no embedding called %s", names);
    free(names);
    return result;
}

static status run_job(struct run *run)
{
    if (run->job->refused != STATUS_OK)
        return status_fail(run->job->refused, "%s", run->job->why);
    const struct miku_request *request = &run->job->request;
    TRY(text_check_string("prompt", request->prompt));
    TRY(text_check_string("negative prompt", request->negative));
    TRY(check_inversions(run));
    run->hash = calloc((size_t)request->count, sizeof *run->hash);
    if (run->hash == NULL)
        return no_memory();
    status result = STATUS_OK;
    for (int i = 0; i < run->options->warmup && result == STATUS_OK; i++)
        result = generate(run, RUN_WARMUP);
    for (int i = 0; i < run->options->repeat && result == STATUS_OK; i++)
        result = generate(run, i == 0 ? RUN_FIRST : RUN_AGAIN);
    free(run->hash);
    return result;
}

/* ---- all jobs ---------------------------------------------------------------------------- */

/* One line; for a case that lacks a file, with the command that gets it. */
static void say_failure(const struct job *job, status why)
{
    const char *gap = job->label[0] == 0 ? "" : ": ";
    if (job->case_number > 0 && why == STATUS_NOT_FOUND)
        say_error("%s%s%s; tools/fetch --case %d --to DIR gets what it needs", job->label, gap,
                  status_text(), job->case_number);
    else
        say_error("%s%s%s", job->label, gap, status_text());
}

/* Of several jobs each gets a sub-folder, as several pictures of one do. */
static status choose_dump(struct run *run, size_t job, size_t of)
{
    char name[24];
    const char *folder = run->options->request.dump_dir;
    free(run->dump);
    run->dump = NULL;
    if (folder == NULL)
        return STATUS_OK;
    snprintf(name, sizeof name, "%zu", job);
    run->dump = place_join(folder, of > 1 ? name : ".");
    return run->dump == NULL ? no_memory() : folder_make(folder);
}

static status each_job(struct run *run, const struct jobs *jobs, struct run_kept *kept)
{
    for (size_t i = 0; i < jobs->count && !run->unwritable; i++) {
        run->job = &jobs->job[i];
        TRY(choose_dump(run, i, jobs->count));
        run->kept = kept == NULL ? NULL : &kept[i];
        if (run->report != NULL)
            TRY(report_job(run->report, run->job));
        const status result = run_job(run);
        say_progress(NULL);
        if (result == STATUS_OK)
            continue;
        if (result == STATUS_CANCELLED)
            return result;
        say_failure(run->job, result);
        if (run->report != NULL)
            TRY(report_failure(run->report, status_text()));
        if (run->results->failed++ == 0)
            run->results->first = result;
    }
    return STATUS_OK;
}

/* Where pictures go has to be there before work begins. */
static status check_places(const struct options *options)
{
    char *probe = NULL;
    if (options->json != NULL)
        TRY(text_file_check_writable(options->json));
    if (options->output != NULL)
        return text_file_check_writable(options->output);
    TRY(folder_make(options->out));
    probe = place_join(options->out, "00000.png");
    if (probe == NULL)
        return no_memory();
    const status result = text_file_check_writable(probe);
    free(probe);
    return result;
}

status run_jobs(struct miku *miku, const struct jobs *jobs, const struct options *options,
                const struct weights_set *weights, struct report *report, struct run_kept *kept,
                struct run_results *results)
{
    struct run run = { .miku = miku,
                       .options = options,
                       .stand_in = weights->stand_in,
                       .report = report,
                       .results = results };
    *results = (struct run_results){ .failed = 0 };
    for (size_t i = 0; i < weights->count; i++)
        run.synthetic |= strcmp(weights->folder[i], "synthetic") == 0;
    TRY(check_places(options));
    TRY(writer_open(options->out, &run.writer));
    const status result = each_job(&run, jobs, kept);
    const status written = writer_close(run.writer);
    status reported = STATUS_OK;
    if (written != STATUS_OK && results->failed == 0) /* the last picture's: not said yet */
        say_error("%s", status_text()), results->failed = 1, results->first = written;
    if (report != NULL)
        reported = report_write(report, options->json);
    for (size_t i = 0; i < run.shots_count; i++)
        shot_free(run.shots[i]);
    free(run.shots);
    free(run.dump);
    return result != STATUS_OK ? result : reported;
}

void run_kept_free(struct run_kept *kept, size_t count)
{
    for (size_t i = 0; kept != NULL && i < count; i++)
        free((void *)kept[i].picture.rgb);
    free(kept);
}
