/* host/app/runs.c - one configuration after the other, within the budget. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/perf_control.h"
#include "host/app/place.h"
#include "host/app/run_one.h"
#include "host/app/say.h"
#include "host/app/text_file.h"
#include "host/base/clock.h"

static status no_memory(void) { return status_fail(STATUS_NO_MEMORY, "run: no memory"); }

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
        .engine = options->engine,
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

status runs_open(const struct runs_args *args, struct runs **out)
{
    *out = NULL;
    struct runs *runs = calloc(1, sizeof *runs);
    if (runs == NULL)
        return no_memory();
    runs->args = args;
    runs->perf = -1;
    *args->outcome = (struct run_outcome){ .failed = 0 };
    for (size_t i = 0; i < args->weights->count; i++)
        runs->synthetic |= strcmp(args->weights->folder[i], "synthetic") == 0;
    budget_open(&runs->budget, args->began_ms, args->options->budget, args->configurations);
    status result = STATUS_OK;
    if (args->options->profile_control != NULL)
        result = perf_control_open(args->options->profile_control, &runs->perf);
    if (result == STATUS_OK)
        result = writer_open(args->options->out, &runs->writer);
    if (result != STATUS_OK) {
        runs_close(runs);
        return result;
    }
    *out = runs;
    return STATUS_OK;
}

void runs_close(struct runs *runs)
{
    if (runs == NULL)
        return;
    (void)writer_close(runs->writer);
    perf_control_close(runs->perf);
    for (size_t i = 0; i < runs->shots_count; i++)
        shot_free(runs->shot[i]);
    free(runs->shot);
    free(runs->dump);
    free(runs);
}

/* ---- all configurations ------------------------------------------------------------------ */

/* One line; for a case that lacks a file, with the command that gets it. */
static void say_failure(const struct configuration *c, status why)
{
    const char *gap = c->label[0] == 0 ? "" : ": ";
    if (c->job->case_number > 0 && why == STATUS_NOT_FOUND)
        say_error("%s%s%s; tools/fetch --case %d --to DIR gets what it needs", c->label, gap,
                  status_text(), c->job->case_number);
    else
        say_error("%s%s%s", c->label, gap, status_text());
}

/* Of several configurations each gets a sub-folder, as several pictures of one do. */
static status choose_dump(struct runs *runs)
{
    char name[24];
    const char *folder = runs->args->options->request.dump_dir;
    free(runs->dump);
    runs->dump = NULL;
    if (folder == NULL)
        return STATUS_OK;
    snprintf(name, sizeof name, "%zu", runs->begun);
    runs->dump = place_join(folder, runs->args->configurations > 1 ? name : ".");
    return runs->dump == NULL ? no_memory() : folder_make(folder);
}

status runs_leave_out(struct runs *runs, const struct configuration *c, size_t count,
                      const char *reason)
{
    for (size_t i = 0; i < count && runs->args->results != NULL; i++)
        TRY(results_left_out(runs->args->results, &c[i], reason));
    return STATUS_OK;
}

static void mark_card(const struct runs *runs, const char *bus_id)
{
    const int card = runs->args->nvml == NULL ? -1 : nvml_find(runs->args->nvml, bus_id);
    if (card >= 0)
        runs->args->cards->used[card] = 1;
}

static status begin(struct runs *runs, const struct configuration *c)
{
    runs->configuration = c;
    runs->kept = runs->args->kept == NULL ? NULL : &runs->args->kept[c->job_index];
    runs->measured = NULL;
    TRY(choose_dump(runs));
    runs->begun++;
    if (runs->args->results == NULL)
        return STATUS_OK;
    const struct miku_device device = miku_device(runs->miku);
    mark_card(runs, device.bus_id);
    return results_add(runs->args->results, c, &device, &runs->measured);
}

/* A failure is this configuration's own, unless the user or the disk stops everything. */
static status settle(struct runs *runs, status result)
{
    if (result == STATUS_OK)
        return STATUS_OK;
    if (runs->measured != NULL)
        TRY(measured_error(runs->measured, status_text()));
    if (result == STATUS_CANCELLED)
        return result;
    say_failure(runs->configuration, result);
    if (runs->args->outcome->failed++ == 0)
        runs->args->outcome->first = result;
    return STATUS_OK;
}

status runs_make(struct runs *runs, struct miku *miku, const struct configuration *configuration,
                 size_t count)
{
    runs->miku = miku;
    for (size_t i = 0; i < count; i++) {
        const struct configuration *c = &configuration[i];
        if (runs->unwritable)
            return runs_leave_out(runs, c, count - i, "a picture could not be written");
        if (!budget_begin(&runs->budget, clock_now_ms())) {
            say_note("%s: left out, the budget of %g s is spent", c->label,
                     runs->args->options->budget);
            TRY(runs_leave_out(runs, c, 1, "the budget was spent"));
            continue;
        }
        TRY(begin(runs, c));
        const status result = run_one(runs);
        say_progress(NULL);
        const status settled = settle(runs, result);
        if (settled != STATUS_OK) {
            char why[512]; /* what follows may overwrite the text */
            snprintf(why, sizeof why, "%s", status_text());
            TRY(runs_leave_out(runs, c + 1, count - i - 1, "the run was stopped"));
            return status_fail(settled, "%s", why);
        }
    }
    return STATUS_OK;
}

/* ---- afterwards -------------------------------------------------------------------------- */

status runs_finish(struct runs *runs)
{
    struct run_outcome *outcome = runs->args->outcome;
    const status written = writer_close(runs->writer);
    runs->writer = NULL;
    if (written != STATUS_OK && outcome->failed == 0) { /* the last picture's: not said yet */
        say_error("%s", status_text());
        outcome->failed = 1;
        outcome->first = written;
    }
    for (size_t i = 0; i < runs->shots_count && runs->args->trace != NULL; i++)
        TRY(trace_file(runs->args->trace, runs->shot[i]));
    return runs->args->results == NULL ? STATUS_OK : results_settle(runs->args->results);
}

void run_kept_free(struct run_kept *kept, size_t count)
{
    for (size_t i = 0; kept != NULL && i < count; i++) {
        free((void *)kept[i].picture.rgb);
        free(kept[i].caption);
    }
    free(kept);
}
