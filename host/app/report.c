/* host/app/report.c - the file of --json. */
#include "host/app/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>

struct entry {
    cJSON *picture; /* belongs to the tree */
    const struct shot *shot;
};

struct report {
    cJSON *root, *environment, *pictures, *configurations, *configuration;
    const struct job *job;
    struct entry *entry;
    size_t count, job_first; /* entries; the first of this configuration */
    double began_ms;
};

static status no_memory(void) { return status_fail(STATUS_NO_MEMORY, "report: no memory"); }

static void add_text(cJSON *to, const char *key, const char *text)
{
    if (text == NULL)
        cJSON_AddNullToObject(to, key);
    else
        cJSON_AddStringToObject(to, key, text);
}

/* Beyond 2^53 a JSON number is not exact in most readers; the digits are written all the same. */
static void add_u64(cJSON *to, const char *key, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    cJSON_AddRawToObject(to, key, digits);
}

/* ---- the machine ------------------------------------------------------------------------- */

/* Each line of `text` as a string. */
static void add_lines(cJSON *to, const char *key, const char *text)
{
    cJSON *list = cJSON_AddArrayToObject(to, key);
    while (text != NULL && *text != 0) {
        char line[256] = "";
        const size_t length = strcspn(text, "\n");
        strncat(line, text, length < sizeof line - 1 ? length : sizeof line - 1);
        cJSON_AddItemToArray(list, cJSON_CreateString(line));
        text += length;
        text += *text == '\n';
    }
}

static void describe_machine(cJSON *to, int argc, char **argv)
{
    char *devices = NULL, when[32];
    struct utsname system;
    const time_t now = time(NULL);
    struct tm utc;
    add_text(to, "program", "mikubench-cuda");
    add_text(to, "version", miku_version());
    add_lines(to, "build", miku_build());
    if (miku_devices(&devices) == STATUS_OK)
        add_lines(to, "devices", devices);
    free(devices);
    if (uname(&system) == 0) {
        add_text(to, "system", system.sysname);
        add_text(to, "release", system.release);
        add_text(to, "machine", system.machine);
    }
    if (gmtime_r(&now, &utc) != NULL && strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0)
        add_text(to, "began", when);
    cJSON *command = cJSON_AddArrayToObject(to, "command");
    for (int i = 0; i < argc; i++)
        cJSON_AddItemToArray(command, cJSON_CreateString(argv[i]));
}

status report_open(int argc, char **argv, double began_ms, struct report **out)
{
    *out = NULL;
    struct report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return no_memory();
    report->began_ms = began_ms;
    report->root = cJSON_CreateObject();
    add_text(report->root, "schema", "mikubench-report-1");
    report->environment = cJSON_AddObjectToObject(report->root, "environment");
    report->pictures = cJSON_AddArrayToObject(report->root, "pictures");
    report->configurations = cJSON_AddArrayToObject(report->root, "configurations");
    if (report->configurations == NULL) {
        report_close(report);
        return no_memory();
    }
    describe_machine(report->environment, argc, argv);
    *out = report;
    return STATUS_OK;
}

void report_close(struct report *report)
{
    if (report == NULL)
        return;
    cJSON_Delete(report->root);
    free(report->entry);
    free(report);
}

/* ---- configurations ---------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Least, middle and largest of one clock over all runs of the configuration. */
static void add_spread(struct report *report, const char *key)
{
    double value[1024];
    size_t n = 0;
    for (size_t i = report->job_first; i < report->count; i++) {
        const cJSON *run, *runs = cJSON_GetObjectItem(report->entry[i].picture, "runs");
        cJSON_ArrayForEach(run, runs)
        {
            const cJSON *clock = cJSON_GetObjectItem(run, key);
            if (n < sizeof value / sizeof value[0] && cJSON_IsNumber(clock))
                value[n++] = clock->valuedouble;
        }
    }
    if (n == 0)
        return;
    qsort(value, n, sizeof value[0], by_value);
    cJSON *spread = cJSON_AddObjectToObject(report->configuration, key);
    cJSON_AddNumberToObject(spread, "least", value[0]);
    cJSON_AddNumberToObject(spread, "median", (value[(n - 1) / 2] + value[n / 2]) / 2);
    cJSON_AddNumberToObject(spread, "most", value[n - 1]);
}

static void end_job(struct report *report)
{
    if (report->configuration == NULL)
        return;
    cJSON_AddNumberToObject(report->configuration, "pictures",
                            (double)(report->count - report->job_first));
    add_spread(report, "sampling_ms");
    add_spread(report, "picture_ms");
    report->configuration = NULL;
}

status report_job(struct report *report, const struct job *job)
{
    end_job(report);
    report->job = job;
    report->job_first = report->count;
    cJSON *to = cJSON_CreateObject();
    if (to == NULL)
        return no_memory();
    cJSON_AddItemToArray(report->configurations, to);
    report->configuration = to;
    add_text(to, "label", job->label);
    if (job->case_number > 0)
        cJSON_AddNumberToObject(to, "case", job->case_number);
    cJSON_AddNumberToObject(to, "count", job->request.count);
    cJSON_AddNumberToObject(to, "batch", job->request.batch);
    return STATUS_OK;
}

status report_failure(struct report *report, const char *why)
{
    add_text(report->configuration, "error", why);
    return STATUS_OK;
}

/* ---- pictures ---------------------------------------------------------------------------- */

static void add_request(cJSON *to, const struct miku_request *request)
{
    cJSON *at = cJSON_AddObjectToObject(to, "request");
    add_text(at, "prompt", request->prompt);
    add_text(at, "negative_prompt", request->negative);
    add_text(at, "model", request->model);
    add_text(at, "model_hash", request->model_hash);
    add_text(at, "vae", request->vae);
    add_text(at, "sampler", request->sampler);
    cJSON_AddNumberToObject(at, "steps", request->steps);
    cJSON_AddNumberToObject(at, "cfg_scale", request->cfg_scale);
    add_u64(at, "seed", request->seed);
    cJSON_AddNumberToObject(at, "width", request->width);
    cJSON_AddNumberToObject(at, "height", request->height);
    cJSON_AddNumberToObject(at, "clip_skip", request->clip_skip);
    if (!(request->eta < 0))
        cJSON_AddNumberToObject(at, "eta", request->eta);
    if (request->ensd != 0)
        cJSON_AddNumberToObject(at, "ensd", (double)request->ensd);
    if (request->subseed_strength > 0) {
        add_u64(at, "subseed", request->subseed);
        cJSON_AddNumberToObject(at, "subseed_strength", request->subseed_strength);
    }
    add_text(at, "compat", request->compat == NULL ? "auto" : request->compat);
}

static void add_weights(cJSON *to, const struct miku_picture *picture)
{
    cJSON *list = cJSON_AddArrayToObject(to, "weights");
    for (size_t i = 0; i < picture->weights_count; i++) {
        const struct miku_weights_used *used = &picture->weights[i];
        cJSON *at = cJSON_CreateObject();
        add_text(at, "role", used->role);
        add_text(at, "name", used->name);
        add_text(at, "path", used->path);
        add_text(at, "sha256", used->sha256);
        if (used->role != NULL && strcmp(used->role, "lora") == 0)
            cJSON_AddNumberToObject(at, "weight", used->weight);
        cJSON_AddBoolToObject(at, "stand_in", used->stand_in);
        cJSON_AddItemToArray(list, at);
    }
}

/* What only the notes know; the numbers of the clocks are the batch's. */
static void add_notes(cJSON *to, const struct miku_picture *picture)
{
    static const char *const keys[] = { "device", "precision", "threads", "compat" };
    cJSON *notes = picture->notes == NULL ? NULL : cJSON_Parse(picture->notes);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        cJSON *value = cJSON_DetachItemFromObjectCaseSensitive(notes, keys[i]);
        if (value != NULL)
            cJSON_AddItemToObject(to, keys[i], value);
    }
    cJSON_Delete(notes);
}

static void add_times(cJSON *to, const struct miku_times *times)
{
    cJSON_AddNumberToObject(to, "load_ms", times->load);
    cJSON_AddNumberToObject(to, "fuse_ms", times->fuse);
    cJSON_AddNumberToObject(to, "encode_ms", times->encode);
    cJSON_AddItemToObject(to, "step_ms", cJSON_CreateDoubleArray(times->step, times->steps));
    cJSON_AddNumberToObject(to, "sample_ms", times->sample);
    cJSON_AddNumberToObject(to, "decode_ms", times->decode);
    cJSON_AddNumberToObject(to, "sampling_ms", times->sampling);
    cJSON_AddNumberToObject(to, "picture_ms", times->picture);
}

static size_t peak_memory_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}

static cJSON *describe(const struct report *report, const struct miku_picture *picture)
{
    cJSON *to = cJSON_CreateObject();
    add_text(to, "label", report->job->label);
    if (report->job->case_number > 0)
        cJSON_AddNumberToObject(to, "case", report->job->case_number);
    cJSON_AddNumberToObject(to, "index", picture->index);
    cJSON_AddNumberToObject(to, "of", picture->of);
    add_u64(to, "seed", picture->seed);
    cJSON_AddNumberToObject(to, "width", picture->width);
    cJSON_AddNumberToObject(to, "height", picture->height);
    add_text(to, "rgb_sha256", picture->rgb_sha256);
    cJSON_AddBoolToObject(to, "stand_in", picture->stand_in);
    cJSON_AddBoolToObject(to, "synthetic", picture->synthetic);
    add_request(to, &report->job->request);
    add_text(to, "infotext", picture->infotext);
    add_weights(to, picture);
    add_notes(to, picture);
    cJSON_AddNumberToObject(to, "peak_device_bytes", (double)picture->peak_device_bytes);
    cJSON_AddNumberToObject(to, "peak_memory_bytes", (double)peak_memory_bytes());
    add_times(to, &picture->times);
    cJSON_AddArrayToObject(to, "runs");
    return to;
}

status report_picture(struct report *report, const struct miku_picture *picture,
                      const struct shot *shot)
{
    struct entry *more = realloc(report->entry, (report->count + 1) * sizeof *more);
    if (more == NULL)
        return no_memory();
    report->entry = more;
    cJSON *described = describe(report, picture);
    if (described == NULL)
        return no_memory();
    cJSON_AddItemToArray(report->pictures, described);
    more[report->count++] = (struct entry){ .picture = described, .shot = shot };
    return report_run(report, picture);
}

status report_run(struct report *report, const struct miku_picture *picture)
{
    const size_t at = report->job_first + (size_t)picture->index;
    if (at >= report->count)
        return STATUS_OK;
    cJSON *run = cJSON_CreateObject();
    if (run == NULL)
        return no_memory();
    add_times(run, &picture->times);
    cJSON_AddItemToArray(cJSON_GetObjectItem(report->entry[at].picture, "runs"), run);
    return STATUS_OK;
}

/* ---- the file ---------------------------------------------------------------------------- */

/* What the writer came to know: where the picture is, and the clocks `file` and `cold`. */
static void add_file(const struct report *report, const struct entry *entry, int first)
{
    const struct shot *shot = entry->shot;
    if (shot == NULL || !(shot->file_ms > 0))
        return;
    add_text(entry->picture, "file", shot->path);
    cJSON_AddNumberToObject(entry->picture, "file_ms", shot->file_ms);
    if (first)
        cJSON_AddNumberToObject(entry->picture, "cold_ms", shot->written_at_ms - report->began_ms);
}

status report_write(struct report *report, const char *path)
{
    end_job(report);
    for (size_t i = 0; i < report->count; i++)
        add_file(report, &report->entry[i], i == 0);
    cJSON_AddNumberToObject(report->environment, "peak_memory_bytes", (double)peak_memory_bytes());
    char *text = cJSON_Print(report->root);
    if (text == NULL)
        return no_memory();
    const size_t bytes = strlen(text);
    text[bytes] = '\n'; /* in place of the NUL: what is written needs none */
    const status result = miku_file_write(path, text, bytes + 1);
    cJSON_free(text);
    return result;
}
