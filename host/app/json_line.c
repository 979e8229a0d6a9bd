/* host/app/json_line.c - a request from one line of JSON, keys as --parse writes them. */
#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "host/app/jobs.h"
#include "host/app/number.h"
#include "host/app/text_file.h"

enum kind { TEXT, INT, REAL, SEED, INT64, FLAG, SIZE };

static const struct row {
    const char *key, *extra; /* `extra`: how an infotext spells it, where --parse leaves it there */
    enum kind kind;
    size_t offset;
} rows[] = {
    { "prompt", NULL, TEXT, offsetof(struct miku_request, prompt) },
    { "negative_prompt", NULL, TEXT, offsetof(struct miku_request, negative) },
    { "negative", NULL, TEXT, offsetof(struct miku_request, negative) },
    { "model", NULL, TEXT, offsetof(struct miku_request, model) },
    { "model_hash", NULL, TEXT, offsetof(struct miku_request, model_hash) },
    { "vae", NULL, TEXT, offsetof(struct miku_request, vae) },
    { "sampler", NULL, TEXT, offsetof(struct miku_request, sampler) },
    { "compat", NULL, TEXT, offsetof(struct miku_request, compat) },
    { "version", "Version", TEXT, offsetof(struct miku_request, version) },
    { "steps", NULL, INT, offsetof(struct miku_request, steps) },
    { "width", NULL, INT, offsetof(struct miku_request, width) },
    { "height", NULL, INT, offsetof(struct miku_request, height) },
    { "clip_skip", NULL, INT, offsetof(struct miku_request, clip_skip) },
    { "batch", NULL, INT, offsetof(struct miku_request, batch) },
    { "count", NULL, INT, offsetof(struct miku_request, count) },
    { "cfg_scale", NULL, REAL, offsetof(struct miku_request, cfg_scale) },
    { "cfg", NULL, REAL, offsetof(struct miku_request, cfg_scale) },
    { "eta", "Eta", REAL, offsetof(struct miku_request, eta) },
    { "subseed_strength", "Variation seed strength", REAL,
      offsetof(struct miku_request, subseed_strength) },
    { "seed", NULL, SEED, offsetof(struct miku_request, seed) },
    { "subseed", "Variation seed", SEED, offsetof(struct miku_request, subseed) },
    { "ensd", "ENSD", INT64, offsetof(struct miku_request, ensd) },
    { "strict", NULL, FLAG, offsetof(struct miku_request, strict) },
    { "any_weights", NULL, FLAG, offsetof(struct miku_request, any_weights) },
    { "size", NULL, SIZE, 0 },
};

static const struct row *find(const char *key, int extra)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *name = extra ? rows[i].extra : rows[i].key;
        if (name != NULL && strcmp(name, key) == 0)
            return &rows[i];
    }
    return NULL;
}

static status wrong(const cJSON *item, const char *wanted)
{
    return status_fail(STATUS_BAD_TEXT, "\"%s\": wanted %s", item->string, wanted);
}

static status take_text(struct job *job, const cJSON *item, void *field)
{
    if (!cJSON_IsString(item))
        return wrong(item, "a string");
    const char *kept = job_keep(job, item->valuestring, strlen(item->valuestring));
    if (kept == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompts: no memory");
    *(const char **)field = kept;
    return STATUS_OK;
}

/* A whole number that a double holds exactly. */
static int whole(const cJSON *item, double low, double high, double *out)
{
    *out = item->valuedouble;
    return cJSON_IsNumber(item) && *out >= low && *out <= high && *out == floor(*out);
}

static status take_seed(const cJSON *item, void *field)
{
    uint64_t seed = 0;
    int random = 0;
    double number;
    if (cJSON_IsString(item)) { /* beyond 2^53 a number in JSON is not exact */
        if (!number_seed(item->valuestring, &seed, &random))
            return wrong(item, "a seed from 0 to 18446744073709551615, or -1");
    } else if (whole(item, -1, 0x1p53, &number)) {
        random = number < 0;
        seed = random ? 0 : (uint64_t)number;
    } else {
        return wrong(item, "a seed from 0 to 2^53, or -1; a string beyond that");
    }
    *(uint64_t *)field = random ? number_random_seed() : seed;
    return STATUS_OK;
}

static status take_size(struct job *job, const cJSON *item)
{
    if (cJSON_IsString(item) &&
        number_size(item->valuestring, &job->request.width, &job->request.height))
        return STATUS_OK;
    return wrong(item, "\"WIDTHxHEIGHT\"");
}

static status take(struct job *job, const struct row *row, const cJSON *item)
{
    void *field = (char *)&job->request + row->offset;
    double number;
    if (cJSON_IsNull(item))
        return STATUS_OK;
    switch (row->kind) {
    case TEXT:
        return take_text(job, item, field);
    case INT:
        if (!whole(item, INT_MIN, INT_MAX, &number))
            return wrong(item, "a whole number");
        *(int *)field = (int)number;
        return STATUS_OK;
    case INT64:
        if (!whole(item, -0x1p53, 0x1p53, &number))
            return wrong(item, "a whole number");
        *(int64_t *)field = (int64_t)number;
        return STATUS_OK;
    case REAL:
        if (!cJSON_IsNumber(item))
            return wrong(item, "a number");
        *(double *)field = item->valuedouble;
        return STATUS_OK;
    case SEED:
        return take_seed(item, field);
    case FLAG:
        if (!cJSON_IsBool(item))
            return wrong(item, "true or false");
        *(int *)field = cJSON_IsTrue(item);
        return STATUS_OK;
    case SIZE:
        return take_size(job, item);
    }
    return STATUS_OK;
}

/* Values under "extra" are strings as the infotext has them. */
static status take_extra(struct job *job, const cJSON *item, const struct row *row)
{
    void *field = (char *)&job->request + row->offset;
    long long number;
    if (!cJSON_IsString(item) || row->kind == TEXT || row->kind == SEED)
        return take(job, row, item);
    if (row->kind == REAL && number_real(item->valuestring, -1e9, 1e9, (double *)field))
        return STATUS_OK;
    if (row->kind == INT64 && number_int(item->valuestring, INT_MIN, INT_MAX, &number)) {
        *(int64_t *)field = number;
        return STATUS_OK;
    }
    return wrong(item, "a number");
}

static status take_object(struct job *job, const cJSON *object, int extra)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        if (!extra && strcmp(item->string, "extra") == 0) {
            TRY(take_object(job, item, 1));
            continue;
        }
        const struct row *row = find(item->string, extra);
        if (row == NULL)
            return status_fail(STATUS_BAD_TEXT, "\"%s\": a key that this program does not know",
                               item->string);
        TRY(extra ? take_extra(job, item, row) : take(job, row, item));
    }
    return STATUS_OK;
}

status job_from_json(struct job *job, const char *line, size_t bytes)
{
    TRY(text_check(line, bytes));
    /* cJSON ends a string at an escaped NUL without a word. */
    for (size_t i = 0; i + 6 <= bytes; i++)
        if (memcmp(line + i, "\\u0000", 6) == 0)
            return status_fail(STATUS_BAD_TEXT, "byte %zu is a NUL", i);
    const char *end = NULL;
    cJSON *object = cJSON_ParseWithLengthOpts(line, bytes, &end, 0);
    if (!cJSON_IsObject(object)) {
        cJSON_Delete(object);
        return status_fail(STATUS_BAD_TEXT, "no JSON object");
    }
    status result = STATUS_OK;
    for (; result == STATUS_OK && end < line + bytes; end++)
        if (strchr(" \t\r", *end) == NULL)
            result = status_fail(STATUS_BAD_TEXT, "more after the JSON object");
    if (result == STATUS_OK)
        result = take_object(job, object, 0);
    cJSON_Delete(object);
    return result;
}
