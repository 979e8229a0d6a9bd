/* host/app/trace.c - events as text, as they come. */
#include "host/app/trace.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREAD_DEVICE = 1, THREAD_WRITER, THREAD_PROFILE };

struct trace {
    FILE *to;
    char *text;
    size_t bytes;
    double began_ms;
    size_t configuration;
    int run, events;
    enum trace_run kind;
};

static status no_memory(void) { return status_fail(STATUS_NO_MEMORY, "trace: no memory"); }

status trace_open(double began_ms, struct trace **out)
{
    *out = NULL;
    struct trace *trace = calloc(1, sizeof *trace);
    if (trace == NULL)
        return no_memory();
    trace->began_ms = began_ms;
    trace->to = open_memstream(&trace->text, &trace->bytes);
    if (trace->to == NULL) {
        free(trace);
        return no_memory();
    }
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", trace->to);
    *out = trace;
    return STATUS_OK;
}

void trace_close(struct trace *trace)
{
    if (trace == NULL)
        return;
    if (trace->to != NULL)
        fclose(trace->to);
    free(trace->text);
    free(trace);
}

void trace_run(struct trace *trace, size_t configuration, int run, enum trace_run kind)
{
    trace->configuration = configuration;
    trace->run = run;
    trace->kind = kind;
}

/* ---- events ------------------------------------------------------------------------------ */

static status put(struct trace *trace, cJSON *event)
{
    char *text = cJSON_PrintUnformatted(event);
    cJSON_Delete(event);
    if (text == NULL)
        return no_memory();
    const int bad = fprintf(trace->to, "%s\n%s", trace->events++ == 0 ? "" : ",", text) < 0;
    cJSON_free(text);
    return bad ? no_memory() : STATUS_OK;
}

/* The digits of a tenth of a microsecond. */
static void add_us(cJSON *event, const char *key, double ms)
{
    char digits[40];
    snprintf(digits, sizeof digits, "%.1f", ms * 1000);
    cJSON_AddRawToObject(event, key, digits);
}

static cJSON *complete(const struct trace *trace, const char *name, const char *category,
                       int thread, double begin_ms, double end_ms)
{
    static const char *const kinds[] = { "warmup", "counted", "operators" };
    cJSON *event = cJSON_CreateObject();
    cJSON_AddStringToObject(event, "name", name);
    cJSON_AddStringToObject(event, "cat", category);
    cJSON_AddStringToObject(event, "ph", "X");
    /* Ends are rounded as begins are, so that what nests still does. */
    const double begin = (double)(long long)((begin_ms - trace->began_ms) * 1e4 + 0.5) / 1e4;
    const double end = (double)(long long)((end_ms - trace->began_ms) * 1e4 + 0.5) / 1e4;
    add_us(event, "ts", begin);
    add_us(event, "dur", end - begin);
    cJSON_AddNumberToObject(event, "pid", 1);
    cJSON_AddNumberToObject(event, "tid", thread);
    cJSON *args = cJSON_AddObjectToObject(event, "args");
    cJSON_AddNumberToObject(args, "configuration", (double)trace->configuration);
    cJSON_AddNumberToObject(args, "run", trace->run);
    cJSON_AddStringToObject(args, "kind", kinds[trace->kind]);
    return event;
}

static status put_span(struct trace *trace, const struct miku_span *span)
{
    static const char *const categories[] = { "case", "stage", "step", "operator", "profile" };
    const int thread = span->level == MIKU_SPAN_PROFILE ? THREAD_PROFILE : THREAD_DEVICE;
    cJSON *event =
        complete(trace, span->name, categories[span->level], thread, span->begin_ms, span->end_ms);
    if (span->level == MIKU_SPAN_OPERATOR) {
        cJSON *args = cJSON_GetObjectItemCaseSensitive(event, "args");
        cJSON_AddStringToObject(args, "shape", span->shape);
        cJSON_AddNumberToObject(args, "flops", span->flops);
        cJSON_AddNumberToObject(args, "bytes", span->bytes);
    }
    return put(trace, event);
}

status trace_spans(struct trace *trace, const struct miku_span *span, size_t count)
{
    for (size_t i = 0; i < count; i++)
        TRY(put_span(trace, &span[i]));
    return STATUS_OK;
}

status trace_file(struct trace *trace, const struct shot *shot)
{
    if (!(shot->file_ms > 0))
        return STATUS_OK;
    trace_run(trace, shot->configuration, shot->run, (enum trace_run)shot->run_kind);
    return put(trace, complete(trace, "write", "stage", THREAD_WRITER,
                               shot->written_at_ms - shot->file_ms, shot->written_at_ms));
}

/* ---- the end ----------------------------------------------------------------------------- */

static status put_name(struct trace *trace, const char *what, int thread, const char *name)
{
    cJSON *event = cJSON_CreateObject();
    cJSON_AddStringToObject(event, "name", what);
    cJSON_AddStringToObject(event, "ph", "M");
    cJSON_AddNumberToObject(event, "pid", 1);
    cJSON_AddNumberToObject(event, "tid", thread);
    cJSON *args = cJSON_AddObjectToObject(event, "args");
    cJSON_AddStringToObject(args, "name", name);
    return put(trace, event);
}

status trace_finish(struct trace *trace, const char *device, const char **text, size_t *bytes)
{
    TRY(put_name(trace, "process_name", 0, "mikubench-cuda"));
    TRY(put_name(trace, "thread_name", THREAD_DEVICE, device));
    TRY(put_name(trace, "thread_name", THREAD_WRITER, "writer of files"));
    TRY(put_name(trace, "thread_name", THREAD_PROFILE, "profiler's bounds"));
    fputs("\n]}\n", trace->to);
    const int bad = ferror(trace->to);
    const int closed = fclose(trace->to);
    trace->to = NULL;
    if (bad || closed != 0)
        return no_memory();
    *text = trace->text;
    *bytes = trace->bytes;
    return STATUS_OK;
}
