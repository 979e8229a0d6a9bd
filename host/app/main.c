/* host/app/main.c - mikubench-cuda: from the command line to an exit status. */
#include <stdlib.h>
#include <string.h>

#include "host/app/jobs.h"
#include "host/app/options.h"
#include "host/app/place.h"
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
    struct weights_set weights;
    struct jobs jobs;
    struct replay replay;
    struct report *report;
    struct run_kept *kept;
    struct miku *miku;
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
static status open_library(struct session *s)
{
    struct options as_noted = *s->options;
    if (as_noted.device == NULL)
        as_noted.device = s->replay.device;
    if (as_noted.precision == NULL)
        as_noted.precision = s->replay.precision;
    const int noted =
        as_noted.device != s->options->device || as_noted.precision != s->options->precision;
    const status result = run_open(&as_noted, &s->weights, &s->miku);
    if (!noted || (result != STATUS_UNSUPPORTED && result != STATUS_MISUSE))
        return result;
    say_warning("the picture was made on another device or in another precision: %s",
                status_text());
    return run_open(s->options, &s->weights, &s->miku);
}

/* ---- afterwards -------------------------------------------------------------------------- */

static status write_sheet(const struct session *s)
{
    struct miku_picture *made = calloc(s->jobs.count, sizeof *made);
    char *path = place_join(s->options->out, "sheet.png");
    uint8_t *rgb = NULL;
    int width, height;
    size_t count = 0;
    for (size_t i = 0; made != NULL && i < s->jobs.count; i++)
        if (s->kept[i].made)
            made[count++] = s->kept[i].picture;
    status result = made == NULL || path == NULL ? status_fail(STATUS_NO_MEMORY, "sheet: no memory")
                                                 : STATUS_OK;
    if (result == STATUS_OK && count > 0)
        result = miku_sheet(made, count, &rgb, &width, &height);
    if (result == STATUS_OK && count > 0)
        result = miku_png_write(path, rgb, width, height, NULL, NULL);
    if (result == STATUS_OK && count > 0)
        say_result("%s  %zu pictures side by side", path, count);
    free(rgb);
    free(path);
    free(made);
    return result;
}

static status finish(const struct session *s)
{
    if (s->options->mode == MODE_ALL)
        return write_sheet(s);
    if (s->options->mode == MODE_REPLAY && s->replay.rgb != NULL && s->kept[0].made)
        return replay_compare(&s->replay, s->options, &s->kept[0].picture);
    return STATUS_OK;
}

/* ---- one run ----------------------------------------------------------------------------- */

/* What failed jobs make of the exit status: a lone one that was misused is misuse. */
static int exit_of(const struct session *s, const struct run_results *results)
{
    if (results->failed == 0)
        return EXIT_SUCCESS;
    const int flags = s->options->mode == MODE_CASE || s->options->mode == MODE_PROMPT;
    return flags && results->first == STATUS_MISUSE ? EXIT_MISUSE : EXIT_FAILURE;
}

static status make(struct session *s, struct run_results *results)
{
    TRY(weights_set_choose(s->options, &s->weights));
    TRY(read_jobs(s));
    signals_catch(); /* not before standard input was read to its end */
    s->kept = calloc(s->jobs.count, sizeof *s->kept);
    if (s->kept == NULL)
        return status_fail(STATUS_NO_MEMORY, "run: no memory");
    TRY(open_library(s));
    const int keeps = s->options->mode == MODE_ALL || s->options->mode == MODE_REPLAY;
    TRY(run_jobs(s->miku, &s->jobs, s->options, &s->weights, s->report, keeps ? s->kept : NULL,
                 results));
    return finish(s);
}

static int exit_of_status(status result)
{
    if (result == STATUS_OK)
        return EXIT_SUCCESS;
    say_error("%s", status_text());
    return result == STATUS_MISUSE ? EXIT_MISUSE : EXIT_FAILURE;
}

static int run(struct options *options, int argc, char **argv, double began_ms)
{
    struct session s = { .options = options };
    struct run_results results = { .failed = 0 };
    status result = STATUS_OK;
    if (options->json != NULL)
        result = report_open(argc, argv, began_ms, &s.report);
    if (result == STATUS_OK)
        result = make(&s, &results);
    int code;
    if (signals_caught() != 0) {
        say_error("interrupted; pictures kept: %d", results.pictures);
        code = EXIT_SIGNAL + signals_caught();
    } else {
        code = exit_of_status(result);
        if (code == EXIT_SUCCESS)
            code = exit_of(&s, &results);
    }
    miku_close(s.miku);
    report_close(s.report);
    run_kept_free(s.kept, s.jobs.count);
    replay_free(&s.replay);
    jobs_free(&s.jobs);
    weights_set_free(&s.weights);
    return code;
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
