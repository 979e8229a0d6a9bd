/* host/app/main.c - mikubench-cuda: from the command line to an exit status. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/compare.h"
#include "host/app/contact_sheet.h"
#include "host/app/html_report.h"
#include "host/app/jobs.h"
#include "host/app/options.h"
#include "host/app/outputs.h"
#include "host/app/preview.h"
#include "host/app/replay.h"
#include "host/app/run.h"
#include "host/app/say.h"
#include "host/app/show.h"
#include "host/app/signals.h"
#include "host/app/spin.h"
#include "host/app/text_file.h"
#include "host/base/clock.h"

enum { EXIT_MISUSE = 2, EXIT_SIGNAL = 128 };

struct session {
    struct options *options;
    double began_ms;
    struct weights_set weights;
    struct jobs jobs;
    struct sweep sweep;
    struct replay replay;
    struct run_kept *kept;
    struct miku *miku;
    char device[64]; /* the last that was opened */
    int began;       /* there is something to write, if only what is missing */

    struct results *results; /* null: nobody wants numbers */
    struct trace *trace;
    struct nvml *nvml;
    char no_nvml[256]; /* why there is none */
    struct machine_cards cards;
};

/* ---- what there is to make --------------------------------------------------------------- */

static status read_prompts(struct session *s)
{
    char *text;
    size_t bytes;
    TRY(text_file_read(s->options->file, &text, &bytes));
    const status result = jobs_from_text(&s->jobs, text, bytes, s->options, &s->weights);
    free(text);
    const int piped = strcmp(s->options->file, "-") == 0;
    return result == STATUS_OK
               ? STATUS_OK
               : status_prefix(result, "%s", piped ? "standard input" : s->options->file);
}

static status read_jobs(struct session *s)
{
    const struct options *options = s->options;
    switch (options->mode) {
    case MODE_CASE:
        return jobs_from_cases(&s->jobs, options->case_number, options, &s->weights);
    case MODE_ALL:
        return jobs_from_cases(&s->jobs, 0, options, &s->weights);
    case MODE_PROMPT:
        return jobs_from_prompt(&s->jobs, options, &s->weights);
    case MODE_PROMPTS:
        return read_prompts(s);
    default:
        return replay_open(options->file, s->options, &s->jobs, &s->replay);
    }
}

/* ---- opening ----------------------------------------------------------------------------- */

/* A replayed picture's device and precision are taken where they can be had. */
static status open_library(struct session *s, const char *precision)
{
    struct options asked = *s->options, as_noted;
    if (precision != NULL)
        asked.precision = precision;
    as_noted = asked;
    if (as_noted.device == NULL)
        as_noted.device = s->replay.device;
    if (as_noted.precision == NULL)
        as_noted.precision = s->replay.precision;
    const int noted = as_noted.device != asked.device || as_noted.precision != asked.precision;
    const status result = run_open(&as_noted, &s->weights, &s->miku);
    if (!noted || (result != STATUS_UNSUPPORTED && result != STATUS_MISUSE))
        return result;
    say_warning("the picture was made on another device or in another precision: %s",
                status_text());
    return run_open(&asked, &s->weights, &s->miku);
}

static status open_results(struct session *s, int argc, char **argv)
{
    if (!outputs_want_results(s->options))
        return STATUS_OK;
    TRY(results_open(argc, argv, s->began_ms, s->options, &s->results));
    if (s->options->trace != NULL)
        TRY(trace_open(s->began_ms, &s->trace));
    if (nvml_open(NULL, &s->nvml) != STATUS_OK)
        snprintf(s->no_nvml, sizeof s->no_nvml, "%s", status_text());
    return STATUS_OK;
}

static void read_cards(const struct session *s, struct nvml_reading *to)
{
    for (int i = 0; s->nvml != NULL && i < nvml_count(s->nvml); i++)
        to[i] = nvml_read(s->nvml, i);
}

/* ---- the runs ---------------------------------------------------------------------------- */

/* A precision at a time, each with a device of its own. One that is not to be had fails alone,
 * unless it is the only one. */
static status run_groups(struct session *s, struct runs *runs, struct run_outcome *outcome)
{
    const struct sweep *sweep = &s->sweep;
    size_t first = 0;
    while (first < sweep->count) {
        const struct configuration *c = &sweep->configuration[first];
        const size_t count = sweep_group(sweep, first);
        status result = open_library(s, c->precision);
        first += count;
        if (result != STATUS_OK && c->precision != NULL) {
            say_error("%s: %s", c->precision, status_text());
            if (outcome->failed++ == 0)
                outcome->first = result;
            TRY(runs_leave_out(runs, c, count, status_text()));
            continue;
        }
        TRY(result);
        TRY(outputs_make_folder(s->options));
        snprintf(s->device, sizeof s->device, "%s", miku_device(s->miku).name);
        result = runs_make(runs, s->miku, c, count);
        miku_close(s->miku);
        s->miku = NULL;
        if (result != STATUS_OK && first < sweep->count) {
            char why[512];
            snprintf(why, sizeof why, "%s", status_text());
            TRY(runs_leave_out(runs, c + count, sweep->count - first, "the run was stopped"));
            return status_fail(result, "%s", why);
        }
        TRY(result);
    }
    return STATUS_OK;
}

/* What operators are held against: measured once for each precision, when all pictures are made. */
static status measure_ceilings(struct session *s)
{
    for (size_t i = 0; s->results != NULL && i < results_count(s->results); i++) {
        struct measured *m = results_at(s->results, i);
        if (!m->has_operators)
            continue;
        for (size_t k = 0; k < i && !m->has_ceiling; k++) {
            const struct measured *other = results_at(s->results, k);
            m->has_ceiling = other->has_ceiling && strcmp(m->precision, other->precision) == 0;
            m->ceiling = other->ceiling;
        }
        if (m->has_ceiling)
            continue;
        const struct miku_options options = { .device = m->device,
                                              .precision = m->precision,
                                              .threads = m->threads };
        TRY(miku_ceiling(&options, &m->ceiling));
        m->has_ceiling = 1;
    }
    return STATUS_OK;
}

static status run_all(struct session *s, struct run_outcome *outcome)
{
    const int keeps = s->options->mode == MODE_ALL || s->options->mode == MODE_REPLAY;
    struct runs *runs;
    const struct runs_args args = { .options = s->options,
                                    .weights = &s->weights,
                                    .configurations = s->sweep.count,
                                    .began_ms = s->began_ms,
                                    .kept = keeps ? s->kept : NULL,
                                    .results = s->results,
                                    .trace = s->trace,
                                    .nvml = s->nvml,
                                    .cards = &s->cards,
                                    .outcome = outcome };
    TRY(runs_open(&args, &runs));
    s->began = 1;
    read_cards(s, s->cards.before);
    const status made = run_groups(s, runs, outcome);
    char why[512];
    snprintf(why, sizeof why, "%s", made == STATUS_OK ? "" : status_text());
    read_cards(s, s->cards.after);
    const status finished = runs_finish(runs);
    runs_close(runs);
    if (made != STATUS_OK)
        return status_fail(made, "%s", why);
    TRY(finished);
    return measure_ceilings(s);
}

/* ---- afterwards -------------------------------------------------------------------------- */

static status finish(const struct session *s)
{
    if (s->options->mode == MODE_ALL)
        return contact_sheet(s->options, s->kept, s->jobs.count);
    if (s->options->mode == MODE_REPLAY && s->replay.rgb != NULL && s->kept[0].made)
        return replay_compare(&s->replay, s->options, &s->kept[0].picture);
    return STATUS_OK;
}

/* What was measured is written even where the run failed or was stopped. */
static status write_outputs(const struct session *s, status made)
{
    char why[512];
    snprintf(why, sizeof why, "%s", made == STATUS_OK ? "" : status_text());
    if (s->results == NULL || !s->began)
        return made;
    if (signals_caught() != 0)
        TRY(results_stopped(s->results, signals_caught() == SIGINT ? "SIGINT" : "SIGTERM"));
    else if (made != STATUS_OK)
        TRY(results_stopped(s->results, why));
    const status written =
        outputs_write(s->options, s->results, s->trace, s->device, s->nvml, s->no_nvml, &s->cards);
    if (made == STATUS_OK)
        return written;
    if (written != STATUS_OK)
        say_error("%s", status_text());
    return status_fail(made, "%s", why);
}

/* ---- one run ----------------------------------------------------------------------------- */

/* What failed configurations make of the exit status: a lone one that was misused is misuse. */
static int exit_of(const struct session *s, const struct run_outcome *outcome)
{
    if (outcome->failed == 0)
        return EXIT_SUCCESS;
    const int flags = s->options->mode == MODE_CASE || s->options->mode == MODE_PROMPT;
    return flags && outcome->first == STATUS_MISUSE ? EXIT_MISUSE : EXIT_FAILURE;
}

static status prepare(struct session *s)
{
    TRY(weights_set_choose(s->options, &s->weights));
    TRY(read_jobs(s));
    signals_catch(); /* not before standard input was read to its end */
    s->kept = calloc(s->jobs.count, sizeof *s->kept);
    if (s->kept == NULL)
        return status_fail(STATUS_NO_MEMORY, "run: no memory");
    if (s->options->show && preview_lacks() != NULL)
        say_note("--show draws nothing: %s", preview_lacks());
    TRY(sweep_open(s->options, &s->jobs, &s->sweep));
    return outputs_check(s->options);
}

static status make(struct session *s, struct run_outcome *outcome)
{
    TRY(prepare(s));
    status result = run_all(s, outcome);
    if (result == STATUS_OK)
        result = finish(s);
    return write_outputs(s, result);
}

static int exit_of_status(status result)
{
    if (result == STATUS_OK)
        return EXIT_SUCCESS;
    say_error("%s", status_text());
    return result == STATUS_MISUSE ? EXIT_MISUSE : EXIT_FAILURE;
}

static void close_session(struct session *s)
{
    miku_close(s->miku);
    trace_close(s->trace);
    results_close(s->results);
    nvml_close(s->nvml);
    run_kept_free(s->kept, s->jobs.count);
    replay_free(&s->replay);
    sweep_free(&s->sweep);
    jobs_free(&s->jobs);
    weights_set_free(&s->weights);
}

static int run(struct options *options, int argc, char **argv, double began_ms)
{
    struct session s = { .options = options, .began_ms = began_ms };
    struct run_outcome outcome = { .failed = 0 };
    status result = open_results(&s, argc, argv);
    if (result == STATUS_OK)
        result = make(&s, &outcome);
    int code;
    if (signals_caught() != 0) {
        say_error("interrupted; pictures kept: %d", outcome.pictures);
        code = EXIT_SIGNAL + signals_caught();
    } else {
        code = exit_of_status(result);
        if (code == EXIT_SUCCESS)
            code = exit_of(&s, &outcome);
    }
    close_session(&s);
    return code;
}

/* Exit 1 is a regression alone: whatever keeps two files from being compared is 2. */
static int compare(const struct options *options)
{
    size_t regressions;
    const status result =
        compare_files(options->files, options->fail_over, options->compare_anyway, &regressions);
    if (result != STATUS_OK)
        say_error("%s", status_text());
    return result != STATUS_OK ? EXIT_MISUSE : regressions > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int start(struct options *options, int argc, char **argv, double began_ms)
{
    switch (options->mode) {
    case MODE_LIST:
        return exit_of_status(show_list(options));
    case MODE_PARSE:
        return exit_of_status(show_parameters(options->file));
    case MODE_TOKENIZE:
        return exit_of_status(show_tokens());
    case MODE_FROM:
        return exit_of_status(html_report_from(options->file, options->report));
    case MODE_COMPARE:
        return compare(options);
    case MODE_VERSION:
        return exit_of_status(show_version());
    case MODE_HELP:
        return exit_of_status(show_help());
    default:
        spin_briefly(argv);
        return run(options, argc, argv, began_ms);
    }
}

int main(int argc, char **argv)
{
    const double began_ms = clock_now_ms(); /* the loader's few milliseconds are not in it */
    struct options options;
    const status result = options_parse(argc, argv, &options);
    say_quiet(options.quiet);
    int code = result == STATUS_OK ? start(&options, argc, argv, began_ms) : exit_of_status(result);
    if (say_finish() != 0) {
        say_error("standard output could not be written");
        code = code == EXIT_SUCCESS ? EXIT_FAILURE : code;
    }
    options_free(&options);
    return code;
}
