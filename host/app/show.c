/* host/app/show.c - --list, --parse, --tokenize, --version, --help. */
#include "host/app/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/jobs.h"
#include "host/app/needs.h"
#include "host/app/replay.h"
#include "host/app/run.h"
#include "host/app/say.h"
#include "host/app/signals.h"
#include "host/app/text_file.h"

/* ---- --list ------------------------------------------------------------------------------ */

/* A file of no known kind has the reason in its place, which is a sentence. */
static status on_file(void *user, const struct miku_file *file)
{
    int *count = user;
    const int broken = strchr(file->kind, ' ') != NULL;
    ++*count;
    say_result("  %-12s %-24s %10.10s %13zu  %s", broken ? "unusable" : file->kind, file->name,
               file->sha256[0] == 0 ? "-" : file->sha256, file->bytes,
               broken ? file->kind : file->path);
    return STATUS_OK;
}

/* All that a case lacks by the catalog; else the first thing that the library finds wrong. */
static status list_case(struct miku *miku, const struct job *job, int *lacking)
{
    const struct miku_request *request = &job->request;
    char *names;
    const char *state = "ready", *what = "";
    TRY(needs_missing(miku, job->case_number, NULL, 1, &names));
    if (names[0] != 0)
        state = "missing: ", what = names;
    else if (miku_check(miku, request) != STATUS_OK)
        state = "", what = status_text();
    *lacking += names[0] != 0;
    say_result("  %d  %s, %s, %d steps, %dx%d, seed %" PRIu64 "  %s%s", job->case_number,
               request->model, request->sampler, request->steps, request->width, request->height,
               request->seed, state, what);
    free(names);
    return STATUS_OK;
}

static status list(struct miku *miku, const struct jobs *cases)
{
    int count = 0, lacking = 0;
    say_result("cases");
    for (size_t i = 0; i < cases->count; i++)
        TRY(list_case(miku, &cases->job[i], &lacking));
    if (lacking > 0)
        say_result("  tools/fetch --case N --to DIR gets what case N needs");
    say_result("weights");
    TRY(miku_list(miku, 1, on_file, &count));
    if (count == 0)
        say_result("  none found");
    return STATUS_OK;
}

status show_list(const struct options *options)
{
    struct weights_set weights;
    struct jobs cases = { .job = NULL };
    struct miku *miku = NULL;
    TRY(weights_set_choose(options, &weights));
    status result = jobs_from_cases(&cases, 0, options, &weights);
    if (result == STATUS_OK)
        result = run_open(options, &weights, &miku);
    if (result == STATUS_OK)
        result = list(miku, &cases);
    miku_close(miku);
    jobs_free(&cases);
    weights_set_free(&weights);
    return result;
}

/* ---- --parse, --tokenize ----------------------------------------------------------------- */

status show_parameters(const char *path)
{
    struct replay replay;
    char *text, *json = NULL;
    size_t bytes;
    status result = replay_read_text(path, &text, &bytes, &replay);
    if (result == STATUS_OK)
        result = miku_infotext_json(text, bytes, &json);
    if (result == STATUS_OK)
        say_json(json);
    free(json);
    free(text);
    replay_free(&replay);
    return result;
}

static status print_tokens(const char *text, size_t bytes)
{
    int32_t *ids;
    size_t count;
    TRY(miku_tokenize(text, bytes, &ids, &count));
    char *line = malloc(count * 7 + 1), *at = line; /* ids have five digits at most */
    if (line == NULL) {
        free(ids);
        return status_fail(STATUS_NO_MEMORY, "tokens: no memory");
    }
    *at = 0;
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%s%" PRId32, i == 0 ? "" : " ", ids[i]);
    say_result("%s", line);
    free(line);
    free(ids);
    return STATUS_OK;
}

status show_tokens(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t got;
    status result = STATUS_OK;
    while (result == STATUS_OK && (got = getline(&line, &cap, stdin)) >= 0) {
        const size_t bytes = (size_t)got - (got > 0 && line[got - 1] == '\n');
        result = print_tokens(line, bytes);
    }
    if (result == STATUS_OK && ferror(stdin))
        result = status_fail(STATUS_IO, "standard input: %s", strerror(errno));
    free(line);
    return result;
}

/* ---- --version, --help ------------------------------------------------------------------- */

static void say_lines(const char *text)
{
    while (*text != 0) {
        const size_t length = strcspn(text, "\n");
        say_result("  %.*s", (int)length, text);
        text += length;
        text += *text == '\n';
    }
}

status show_version(void)
{
    char *devices;
    TRY(miku_devices(&devices));
    say_result("mikubench-cuda %s", miku_version());
    say_result("built with");
    say_lines(miku_build());
    say_lines(MIKU_LIBRARIES);
    say_result("devices");
    say_lines(devices);
    free(devices);
    return STATUS_OK;
}

status show_help(void)
{
    char *help = options_help();
    if (help == NULL)
        return status_fail(STATUS_NO_MEMORY, "help: no memory");
    say_text(help);
    free(help);
    return STATUS_OK;
}
