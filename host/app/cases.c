/* host/app/cases.c - the benchmark's cases: infotexts, and what those leave out. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/jobs.h"
#include "host/app/place.h"
#include "host/app/text_file.h"
#include "host/app/weights_set.h"

static status open_table(const char *folder, cJSON **table)
{
    char *path = place_join(folder, "cases.json"), *text = NULL;
    size_t bytes;
    *table = NULL;
    if (path == NULL)
        return status_fail(STATUS_NO_MEMORY, "cases: no memory");
    status result = text_file_read(path, &text, &bytes);
    if (result == STATUS_OK) {
        *table = cJSON_ParseWithLength(text, bytes);
        if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(*table, "cases"))) {
            cJSON_Delete(*table);
            *table = NULL;
            result = status_fail(STATUS_BAD_FILE, "%s: no list of cases", path);
        }
    }
    free(text);
    free(path);
    return result;
}

/* What infotext leaves out, and what the cases promise. */
static status complete(struct job *job, const cJSON *row, const struct options *options,
                       const struct weights_set *weights)
{
    const cJSON *vae = cJSON_GetObjectItemCaseSensitive(row, "vae");
    if (cJSON_IsString(vae) && !options_given(options, "vae")) {
        job->request.vae = job_keep(job, vae->valuestring, strlen(vae->valuestring));
        if (job->request.vae == NULL)
            return status_fail(STATUS_NO_MEMORY, "cases: no memory");
    }
    job->request.strict = 1;
    if (weights->stand_in) {
        job->request.stand_ins = 1;
        weights_set_size(weights, options, &job->request);
    }
    return STATUS_OK;
}

static status add_case(struct jobs *jobs, const char *folder, const cJSON *row, int number,
                       const struct options *options, const struct weights_set *weights)
{
    char name[32], *path, *text = NULL;
    size_t bytes = 0;
    struct job *job = NULL;
    snprintf(name, sizeof name, "case %d", number);
    TRY(jobs_add(jobs, name, &job));
    job->case_number = number;
    snprintf(name, sizeof name, "%d.txt", number);
    path = place_join(folder, name);
    if (path == NULL)
        return status_fail(STATUS_NO_MEMORY, "cases: no memory");
    status result = text_file_read(path, &text, &bytes);
    if (result == STATUS_OK)
        result = job_from_infotext(job, text, bytes, options);
    if (result == STATUS_OK)
        result = complete(job, row, options, weights);
    free(text);
    free(path);
    return result;
}

static status add_cases(struct jobs *jobs, const char *folder, const cJSON *table, int number,
                        const struct options *options, const struct weights_set *weights)
{
    const cJSON *row, *rows = cJSON_GetObjectItemCaseSensitive(table, "cases");
    cJSON_ArrayForEach(row, rows)
    {
        const cJSON *its = cJSON_GetObjectItemCaseSensitive(row, "id");
        if (cJSON_IsNumber(its) && (number == 0 || its->valueint == number))
            TRY(add_case(jobs, folder, row, its->valueint, options, weights));
    }
    if (jobs->count == 0)
        return status_fail(STATUS_MISUSE, "--case %d: there are %d cases, from 1", number,
                           cJSON_GetArraySize(rows));
    return STATUS_OK;
}

status jobs_from_cases(struct jobs *jobs, int number, const struct options *options,
                       const struct weights_set *weights)
{
    char *folder;
    cJSON *table;
    TRY(place_cases(&folder));
    status result = open_table(folder, &table);
    if (result == STATUS_OK)
        result = add_cases(jobs, folder, table, number, options, weights);
    cJSON_Delete(table);
    free(folder);
    return result;
}
