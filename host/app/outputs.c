/* host/app/outputs.c - from results to files, and which can be written at all. */
#include "host/app/outputs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/csv.h"
#include "host/app/html_report.h"
#include "host/app/place.h"
#include "host/app/say.h"
#include "host/app/table.h"
#include "host/app/text_file.h"

/* ---- before ------------------------------------------------------------------------------ */

static status check_files(const struct options *options)
{
    const char *const file[] = { options->json, options->csv, options->trace, options->report };
    enum { FILES = sizeof file / sizeof file[0] };
    for (int i = 0; i < FILES; i++) {
        for (int k = 0; k < i; k++)
            if (file[i] != NULL && file[k] != NULL && strcmp(file[i], file[k]) == 0 &&
                strcmp(file[i], "/dev/null") != 0)
                return status_fail(STATUS_MISUSE, "%s: two files of one name", file[i]);
        if (file[i] != NULL)
            TRY(text_file_check_writable(file[i]));
    }
    return STATUS_OK;
}

status outputs_check(const struct options *options)
{
    TRY(check_files(options));
    return options->output == NULL ? STATUS_OK : text_file_check_writable(options->output);
}

status outputs_make_folder(const struct options *options)
{
    if (options->output != NULL)
        return STATUS_OK;
    TRY(folder_make(options->out));
    char *probe = place_join(options->out, "00000.png");
    if (probe == NULL)
        return status_fail(STATUS_NO_MEMORY, "run: no memory");
    const status result = text_file_check_writable(probe);
    free(probe);
    return result;
}

static int wants_table(const struct options *options)
{
    return options_measure(options) || options->repeat > 1 || options->operators ||
           options->mode == MODE_ALL;
}

int outputs_want_results(const struct options *options)
{
    return wants_table(options) || options->json != NULL || options->csv != NULL ||
           options->trace != NULL || options->report != NULL;
}

/* ---- after ------------------------------------------------------------------------------- */

static status write_json(const cJSON *document, const char *path)
{
    char *text = cJSON_Print(document);
    if (text == NULL)
        return status_fail(STATUS_NO_MEMORY, "results: no memory");
    const size_t bytes = strlen(text);
    text[bytes] = '\n'; /* in place of the NUL: what is written needs none */
    const status result = miku_file_write(path, text, bytes + 1);
    cJSON_free(text);
    return result;
}

static status write_csv(const struct results *results, const char *path)
{
    char *text;
    size_t bytes;
    TRY(csv_write(results, &text, &bytes));
    const status result = miku_file_write(path, text, bytes);
    free(text);
    return result;
}

static status write_trace(struct trace *trace, const char *device, const char *path)
{
    const char *text;
    size_t bytes;
    TRY(trace_finish(trace, device, &text, &bytes));
    return miku_file_write(path, text, bytes);
}

/* Says what failed unless it is the first, which the caller says. */
static status first_of(status before, status now, char *why, size_t cap)
{
    if (now == STATUS_OK)
        return before;
    if (before != STATUS_OK) {
        say_error("%s", status_text());
        return before;
    }
    snprintf(why, cap, "%s", status_text());
    return now;
}

status outputs_write(const struct options *options, const struct results *results,
                     struct trace *trace, const char *device, const struct nvml *nvml,
                     const char *no_nvml, const struct machine_cards *cards)
{
    char why[512] = "";
    cJSON *document = NULL;
    if (wants_table(options))
        table_say(results);
    status result = results_document(results, nvml, no_nvml, cards, &document);
    snprintf(why, sizeof why, "%s", result == STATUS_OK ? "" : status_text());
    if (options->json != NULL && result == STATUS_OK)
        result = first_of(result, write_json(document, options->json), why, sizeof why);
    if (options->csv != NULL)
        result = first_of(result, write_csv(results, options->csv), why, sizeof why);
    if (options->report != NULL && document != NULL)
        result = first_of(result, html_report_write(document, options->report), why, sizeof why);
    if (options->trace != NULL)
        result = first_of(result, write_trace(trace, device, options->trace), why, sizeof why);
    cJSON_Delete(document);
    return result == STATUS_OK ? STATUS_OK : status_fail(result, "%s", why);
}
