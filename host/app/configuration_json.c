/* host/app/configuration_json.c - measurements to JSON: every value, and what sums them up. */
#include "host/app/configuration_json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/text_file.h"
#include "host/base/statistics.h"

enum { SHAPES_SHOWN = 5 };

/* ---- numbers ----------------------------------------------------------------------------- */

/* A tenth of a microsecond is finer than any clock here, and keeps files short. */
static double tidy(double value) { return round(value * 1e4) / 1e4; }

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

static void add_number_or_null(cJSON *to, const char *key, double value, int known)
{
    if (known && isfinite(value))
        cJSON_AddNumberToObject(to, key, value);
    else
        cJSON_AddNullToObject(to, key);
}

static cJSON *numbers(const double *value, size_t count)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber(tidy(value[i])));
    return list;
}

/* ---- series ------------------------------------------------------------------------------ */

static void add_outliers(cJSON *to, const struct series *series)
{
    cJSON *list = cJSON_AddArrayToObject(to, "outliers");
    unsigned char *outlier = calloc(series->count, 1);
    if (outlier != NULL && statistics_outliers(series->value, series->count, outlier) == STATUS_OK)
        for (size_t i = 0; i < series->count; i++)
            if (outlier[i])
                cJSON_AddItemToArray(list, cJSON_CreateNumber((double)i));
    free(outlier);
}

static void add_drift(cJSON *to, const struct summary *summary)
{
    if (isnan(summary->first_half)) {
        cJSON_AddNullToObject(to, "drift");
        return;
    }
    cJSON *drift = cJSON_AddObjectToObject(to, "drift");
    cJSON_AddNumberToObject(drift, "first", tidy(summary->first_half));
    cJSON_AddNumberToObject(drift, "second", tidy(summary->second_half));
    add_number_or_null(drift, "ratio", summary->second_half / summary->first_half,
                       summary->first_half > 0);
}

cJSON *configuration_series_json(const struct series *series, const char *unit)
{
    struct summary summary;
    if (series->count == 0 ||
        statistics_summary(series->value, series->count, &summary) != STATUS_OK)
        return cJSON_CreateNull();
    cJSON *to = cJSON_CreateObject();
    cJSON_AddStringToObject(to, "unit", unit);
    cJSON_AddNumberToObject(to, "median", tidy(summary.median));
    cJSON_AddNumberToObject(to, "p10", tidy(summary.p10));
    cJSON_AddNumberToObject(to, "p90", tidy(summary.p90));
    cJSON_AddNumberToObject(to, "min", tidy(summary.min));
    cJSON_AddNumberToObject(to, "max", tidy(summary.max));
    add_outliers(to, series);
    add_drift(to, &summary);
    cJSON_AddItemToObject(to, "values", numbers(series->value, series->count));
    return to;
}

/* One list of summaries: of each step over the samples. */
static void add_steps(cJSON *to, const struct measured *m)
{
    const size_t steps = (size_t)m->steps, samples = steps == 0 ? 0 : m->step.count / steps;
    double *column = malloc((samples + 1) * sizeof *column);
    if (samples == 0 || column == NULL) {
        free(column);
        cJSON_AddNullToObject(to, "step");
        return;
    }
    cJSON *at = cJSON_AddObjectToObject(to, "step");
    cJSON *median = cJSON_AddArrayToObject(at, "median"), *p10 = cJSON_AddArrayToObject(at, "p10"),
          *p90 = cJSON_AddArrayToObject(at, "p90");
    for (size_t step = 0; step < steps; step++) {
        struct summary summary = { 0 };
        for (size_t i = 0; i < samples; i++)
            column[i] = m->step.value[i * steps + step];
        if (statistics_summary(column, samples, &summary) != STATUS_OK)
            break;
        cJSON_AddItemToArray(median, cJSON_CreateNumber(tidy(summary.median)));
        cJSON_AddItemToArray(p10, cJSON_CreateNumber(tidy(summary.p10)));
        cJSON_AddItemToArray(p90, cJSON_CreateNumber(tidy(summary.p90)));
    }
    free(column);
    cJSON *values = cJSON_AddArrayToObject(at, "values");
    for (size_t i = 0; i < samples; i++)
        cJSON_AddItemToArray(values, numbers(m->step.value + i * steps, steps));
    cJSON_AddItemToObject(at, "all", configuration_series_json(&m->step, "ms"));
}

/* ---- operators --------------------------------------------------------------------------- */

static cJSON *describe_work(const struct work *work, const char *key, const struct measured *m)
{
    int compute = 0;
    const int timed = work->total_ms > 0;
    const double of_ceiling =
        m->has_ceiling ? operators_of_ceiling(work, &m->ceiling, &compute) : 0;
    cJSON *to = cJSON_CreateObject();
    cJSON_AddStringToObject(to, key, work->name);
    cJSON_AddNumberToObject(to, "count", (double)work->count);
    cJSON_AddNumberToObject(to, "total_ms", tidy(work->total_ms));
    cJSON_AddNumberToObject(
        to, "share", m->operators.covered_ms > 0 ? work->total_ms / m->operators.covered_ms : 0);
    cJSON_AddNumberToObject(to, "flops", work->flops);
    cJSON_AddNumberToObject(to, "bytes", work->bytes);
    add_number_or_null(to, "gflops", work->flops / (work->total_ms * 1e6), timed);
    add_number_or_null(to, "gbytes", work->bytes / (work->total_ms * 1e6), timed);
    add_number_or_null(to, "of_ceiling", of_ceiling, timed && m->has_ceiling);
    add_text(to, "bound", !m->has_ceiling ? NULL : compute ? "compute" : "memory");
    return to;
}

static void add_operators(cJSON *to, const struct measured *m)
{
    if (!m->has_operators) {
        cJSON_AddNullToObject(to, "operators");
        return;
    }
    cJSON *at = cJSON_AddObjectToObject(to, "operators");
    cJSON_AddNumberToObject(at, "picture_ms", tidy(m->operators.picture_ms));
    cJSON_AddNumberToObject(at, "covered_ms", tidy(m->operators.covered_ms));
    cJSON *rows = cJSON_AddArrayToObject(at, "rows");
    for (size_t i = 0; i < m->operators.count; i++) {
        const struct operator_row *row = &m->operators.row[i];
        cJSON *described = describe_work(&row->work, "name", m);
        cJSON_AddNumberToObject(described, "shapes_count", (double)row->shapes);
        cJSON *shapes = cJSON_AddArrayToObject(described, "shapes");
        for (size_t k = 0; k < row->shapes && k < SHAPES_SHOWN; k++)
            cJSON_AddItemToArray(shapes, describe_work(&row->shape[k], "shape", m));
        cJSON_AddItemToArray(rows, described);
    }
}

static void add_ceiling(cJSON *to, const struct measured *m)
{
    const struct miku_ceiling *c = &m->ceiling;
    if (!m->has_ceiling) {
        cJSON_AddNullToObject(to, "ceiling");
        return;
    }
    cJSON *at = cJSON_AddObjectToObject(to, "ceiling");
    const int shape[] = { c->rows, c->inputs, c->outputs };
    cJSON_AddNumberToObject(at, "matrix_gflops", tidy(c->matrix_gflops));
    cJSON_AddItemToObject(at, "matrix_shape", cJSON_CreateIntArray(shape, 3));
    cJSON_AddNumberToObject(at, "copy_gbytes", tidy(c->copy_gbytes));
    cJSON_AddNumberToObject(at, "copy_bytes", (double)c->copy_bytes);
}

/* ---- the configuration ------------------------------------------------------------------- */

static void add_weights(cJSON *to, const struct measured *m)
{
    cJSON *list = cJSON_AddArrayToObject(to, "weights");
    for (size_t i = 0; i < m->weights_count; i++) {
        const struct miku_weights_used *used = &m->weights[i];
        cJSON *at = cJSON_CreateObject();
        add_text(at, "role", used->role);
        add_text(at, "name", used->name);
        add_text(at, "path", used->path);
        add_text(at, "sha256", used->sha256);
        if (strcmp(used->role, "lora") == 0)
            cJSON_AddNumberToObject(at, "weight", used->weight);
        cJSON_AddBoolToObject(at, "stand_in", used->stand_in);
        cJSON_AddItemToArray(list, at);
    }
}

/* The lines of a text, each ended, as an array; null: none. */
static void add_lines(cJSON *to, const char *name, const char *text)
{
    cJSON *list = cJSON_AddArrayToObject(to, name);
    while (text != NULL && *text) {
        const size_t length = strcspn(text, "\n");
        char *line = text_keep(text, length);
        if (line != NULL)
            cJSON_AddItemToArray(list, cJSON_CreateString(line));
        free(line);
        text += length + (text[length] != 0);
    }
}

static void add_what(cJSON *to, const struct measured *m)
{
    const struct configuration *c = m->configuration;
    const struct miku_request *r = &c->request;
    add_text(to, "key", m->key);
    add_text(to, "label", c->label);
    add_number_or_null(to, "case", c->job->case_number, c->job->case_number > 0);
    add_text(to, "device", m->device);
    add_text(to, "device_summary", m->summary);
    add_text(to, "precision", m->precision);
    cJSON_AddNumberToObject(to, "threads", m->threads);
    cJSON_AddNumberToObject(to, "width", r->width);
    cJSON_AddNumberToObject(to, "height", r->height);
    cJSON_AddNumberToObject(to, "batch", r->batch);
    cJSON_AddNumberToObject(to, "count", r->count);
    cJSON_AddNumberToObject(to, "steps", r->steps);
    add_text(to, "sampler", r->sampler);
    cJSON_AddBoolToObject(to, "stand_in", m->stand_in);
    cJSON_AddBoolToObject(to, "synthetic", m->synthetic);
    add_weights(to, m);
    add_text(to, "plan_hash", m->plan_hash);
    add_text(to, "engine", m->engine);
    add_lines(to, "engine_left", m->engine_left);
    add_text(to, "error", m->error);
    cJSON *runs = cJSON_AddObjectToObject(to, "runs");
    cJSON_AddNumberToObject(runs, "warmup", m->warmups);
    cJSON_AddNumberToObject(runs, "counted", m->counted);
    cJSON_AddNumberToObject(runs, "asked", m->asked);
    add_text(runs, "reason", m->reason);
}

static void add_resources(cJSON *to, const struct measured *m)
{
    cJSON *at = cJSON_AddObjectToObject(to, "memory");
    cJSON_AddNumberToObject(at, "device_peak_bytes", (double)m->device_peak_bytes);
    cJSON_AddNumberToObject(at, "host_peak_bytes", (double)m->host_peak_bytes);
    at = cJSON_AddObjectToObject(to, "energy");
    add_number_or_null(at, "joules_per_picture", m->joules_per_picture, m->energy_source != NULL);
    add_text(at, "source", m->energy_source);
    add_text(at, "reason", m->energy_source != NULL ? NULL : m->energy_reason);
}

cJSON *configuration_json(const struct measured *m, cJSON *places)
{
    cJSON *to = cJSON_CreateObject();
    add_what(to, m);
    cJSON_AddItemToObject(to, "pictures", places);
    cJSON *clocks = cJSON_AddObjectToObject(to, "clocks");
    for (int i = 0; i < CLOCKS; i++)
        cJSON_AddItemToObject(clocks, clock_names[i],
                              configuration_series_json(&m->clock[i], "ms"));
    cJSON *stages = cJSON_AddObjectToObject(to, "stages");
    for (int i = 0; i < STAGES; i++)
        cJSON_AddItemToObject(stages, stage_names[i],
                              configuration_series_json(&m->stage[i], "ms"));
    add_steps(to, m);
    cJSON_AddItemToObject(to, "steps_per_s", configuration_series_json(&m->steps_per_s, "1/s"));
    add_operators(to, m);
    add_ceiling(to, m);
    add_resources(to, m);
    return to;
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

cJSON *configuration_picture_json(const struct measured *m, size_t index,
                                  const struct miku_picture *picture)
{
    cJSON *to = cJSON_CreateObject();
    cJSON_AddNumberToObject(to, "configuration", (double)index);
    cJSON_AddNumberToObject(to, "index", picture->index);
    cJSON_AddNumberToObject(to, "of", picture->of);
    add_u64(to, "seed", picture->seed);
    cJSON_AddNumberToObject(to, "width", picture->width);
    cJSON_AddNumberToObject(to, "height", picture->height);
    add_text(to, "rgb_sha256", picture->rgb_sha256);
    cJSON_AddNullToObject(to, "file");
    add_text(to, "infotext", picture->infotext);
    add_request(to, &m->configuration->request);
    return to;
}
