/* host/app/prompts.c - a file of many requests: a prompt a line, JSON lines, or infotexts with a
 * blank line between. Which of them it is, is seen from the file. */
#include <stdio.h>
#include <string.h>

#include "host/app/jobs.h"
#include "host/app/text_file.h"
#include "host/app/weights_set.h"

struct line {
    const char *text; /* not NUL-terminated */
    size_t bytes;     /* without the line's end */
    int number;       /* from 1 */
};

/* The next line of what is left; 0 at the end. */
static int next_line(const char **text, size_t *bytes, struct line *line)
{
    if (*bytes == 0)
        return 0;
    const char *end = memchr(*text, '\n', *bytes);
    const size_t length = end == NULL ? *bytes : (size_t)(end - *text);
    line->text = *text;
    line->bytes = length > 0 && (*text)[length - 1] == '\r' ? length - 1 : length;
    line->number++;
    const size_t used = length + (end != NULL);
    *text += used;
    *bytes -= used;
    return 1;
}

static int is_blank(const struct line *line)
{
    for (size_t i = 0; i < line->bytes; i++)
        if (strchr(" \t\r", line->text[i]) == NULL || line->text[i] == 0)
            return 0;
    return 1;
}

static int begins(const struct line *line, const char *with)
{
    const size_t length = strlen(with);
    return line->bytes >= length && memcmp(line->text, with, length) == 0;
}

enum form { FORM_LINES, FORM_JSON, FORM_INFOTEXT };

static enum form form_of(const char *text, size_t bytes)
{
    struct line line = { .number = 0 };
    int seen = 0;
    while (next_line(&text, &bytes, &line)) {
        if (is_blank(&line))
            continue;
        if (!seen && begins(&line, "{"))
            return FORM_JSON;
        seen = 1;
        if (begins(&line, "Steps: "))
            return FORM_INFOTEXT;
    }
    return FORM_LINES;
}

/* ---- one job each ------------------------------------------------------------------------ */

static status read_prompt(struct job *job, const struct line *line)
{
    TRY(text_check(line->text, line->bytes));
    job->request.prompt = job_keep(job, line->text, line->bytes);
    return job->request.prompt != NULL ? STATUS_OK
                                       : status_fail(STATUS_NO_MEMORY, "prompts: no memory");
}

static status add_line(struct jobs *jobs, const struct line *line, enum form form,
                       const struct options *options, const struct weights_set *weights)
{
    char label[32];
    struct job *job = NULL;
    snprintf(label, sizeof label, "line %d", line->number);
    TRY(jobs_add(jobs, label, &job));
    options_apply(options, &job->request);
    options_draw_seeds(options, &job->request);
    weights_set_size(weights, options, &job->request);
    const status result =
        form == FORM_JSON ? job_from_json(job, line->text, line->bytes) : read_prompt(job, line);
    return result == STATUS_OK ? STATUS_OK : job_refuse(job, result);
}

static status add_block(struct jobs *jobs, int number, const char *text, size_t bytes,
                        const struct options *options)
{
    char label[32];
    struct job *job = NULL;
    snprintf(label, sizeof label, "line %d", number);
    TRY(jobs_add(jobs, label, &job));
    const status result = job_from_infotext(job, text, bytes, options);
    return result == STATUS_OK ? STATUS_OK : job_refuse(job, result);
}

static status add_lines(struct jobs *jobs, const char *text, size_t bytes, enum form form,
                        const struct options *options, const struct weights_set *weights)
{
    struct line line = { .number = 0 };
    while (next_line(&text, &bytes, &line))
        if (!is_blank(&line))
            TRY(add_line(jobs, &line, form, options, weights));
    return STATUS_OK;
}

static status add_blocks(struct jobs *jobs, const char *text, size_t bytes,
                         const struct options *options)
{
    struct line line = { .number = 0 };
    const char *block = NULL, *end = NULL;
    int number = 0;
    while (next_line(&text, &bytes, &line)) {
        if (!is_blank(&line)) {
            if (block == NULL)
                block = line.text, number = line.number;
            end = line.text + line.bytes;
        } else if (block != NULL) {
            TRY(add_block(jobs, number, block, (size_t)(end - block), options));
            block = NULL;
        }
    }
    if (block == NULL)
        return STATUS_OK;
    return add_block(jobs, number, block, (size_t)(end - block), options);
}

status jobs_from_text(struct jobs *jobs, const char *text, size_t bytes,
                      const struct options *options, const struct weights_set *weights)
{
    static const char mark[] = "\xef\xbb\xbf";
    if (bytes >= 3 && memcmp(text, mark, 3) == 0)
        text += 3, bytes -= 3;
    const enum form form = form_of(text, bytes);
    TRY(form == FORM_INFOTEXT ? add_blocks(jobs, text, bytes, options)
                              : add_lines(jobs, text, bytes, form, options, weights));
    if (jobs->count == 0)
        return status_fail(STATUS_BAD_TEXT, "no prompt in it");
    return STATUS_OK;
}
