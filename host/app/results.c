/* host/app/results.c - gathers configurations and pictures, and makes the document of them. */
#include "host/app/results.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/app/configuration_json.h"
#include "host/app/text_file.h"
#include "host/app/trace.h"
#include "host/base/clock.h"

struct entry {
    cJSON *picture; /* belongs to the list */
    size_t configuration;
};

struct kept_shot {
    const struct shot *shot;
    size_t configuration, entry;
    int first; /* of the picture */
};

struct results {
    const struct options *options;
    double began_ms;
    cJSON *environment, *pictures, *left_out;
    struct measured **configuration;
    size_t count;
    struct entry *entry;
    size_t entries;
    struct kept_shot *shot;
    size_t shots;
    char *stopped;
};

static status no_memory(void) { return status_fail(STATUS_NO_MEMORY, "results: no memory"); }

/* ---- opening ----------------------------------------------------------------------------- */

static void describe_run(const struct options *options, int argc, char **argv, cJSON *to)
{
    char when[32] = "";
    const time_t now = time(NULL);
    struct tm utc;
    cJSON *command = cJSON_AddArrayToObject(to, "command");
    for (int i = 0; i < argc; i++)
        cJSON_AddItemToArray(command, cJSON_CreateString(argv[i]));
    if (gmtime_r(&now, &utc) != NULL)
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    cJSON_AddStringToObject(to, "began", when);
    cJSON *asked = cJSON_AddObjectToObject(to, "asked");
    cJSON_AddNumberToObject(asked, "warmup", options->warmup);
    cJSON_AddNumberToObject(asked, "repeat", options->repeat);
    if (options->budget > 0)
        cJSON_AddNumberToObject(asked, "budget_s", options->budget);
    else
        cJSON_AddNullToObject(asked, "budget_s");
}

status results_open(int argc, char **argv, double began_ms, const struct options *options,
                    struct results **out)
{
    *out = NULL;
    struct results *r = calloc(1, sizeof *r);
    if (r == NULL)
        return no_memory();
    r->options = options;
    r->began_ms = began_ms;
    r->environment = cJSON_CreateObject();
    r->pictures = cJSON_CreateArray();
    r->left_out = cJSON_CreateArray();
    if (r->environment == NULL || r->pictures == NULL || r->left_out == NULL) {
        results_close(r);
        return no_memory();
    }
    machine_describe(r->environment);
    describe_run(options, argc, argv, r->environment);
    *out = r;
    return STATUS_OK;
}

void results_close(struct results *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->count; i++) {
        measured_free(r->configuration[i]);
        free(r->configuration[i]);
    }
    free(r->configuration);
    cJSON_Delete(r->environment);
    cJSON_Delete(r->pictures);
    cJSON_Delete(r->left_out);
    free(r->entry);
    free(r->shot);
    free(r->stopped);
    free(r);
}

/* ---- configurations ---------------------------------------------------------------------- */

status results_add(struct results *r, const struct configuration *configuration,
                   const struct miku_device *device, struct measured **out)
{
    struct measured **more = realloc(r->configuration, (r->count + 1) * sizeof(struct measured *));
    if (more == NULL)
        return no_memory();
    r->configuration = more;
    struct measured *m = malloc(sizeof *m);
    if (m == NULL)
        return no_memory();
    const status result = measured_open(configuration, device, m);
    more[r->count++] = m;
    m->asked = r->options->repeat;
    m->energy_reason = "nothing was measured";
    *out = m;
    return result;
}

size_t results_count(const struct results *r) { return r->count; }
struct measured *results_at(const struct results *r, size_t index)
{
    return r->configuration[index];
}

status results_left_out(struct results *r, const struct configuration *configuration,
                        const char *reason)
{
    const char *label = configuration->label[0] == 0 ? "prompt" : configuration->label;
    cJSON *at = cJSON_CreateObject();
    if (at == NULL || cJSON_AddStringToObject(at, "key", label) == NULL ||
        cJSON_AddStringToObject(at, "reason", reason) == NULL) {
        cJSON_Delete(at);
        return no_memory();
    }
    cJSON_AddItemToArray(r->left_out, at);
    return STATUS_OK;
}

status results_stopped(struct results *r, const char *why)
{
    if (r->stopped == NULL)
        r->stopped = text_keep(why, strlen(why));
    return r->stopped == NULL ? no_memory() : STATUS_OK;
}

/* ---- pictures ---------------------------------------------------------------------------- */

static status keep_shot(struct results *r, const struct shot *shot, size_t entry, int first)
{
    struct kept_shot *more = realloc(r->shot, (r->shots + 1) * sizeof *more);
    if (more == NULL)
        return no_memory();
    r->shot = more;
    more[r->shots++] = (struct kept_shot){ shot, r->count - 1, entry, first };
    return STATUS_OK;
}

status results_picture(struct results *r, const struct miku_picture *picture,
                       const struct shot *shot)
{
    struct entry *more = realloc(r->entry, (r->entries + 1) * sizeof *more);
    if (more == NULL)
        return no_memory();
    r->entry = more;
    cJSON *described =
        configuration_picture_json(r->configuration[r->count - 1], r->count - 1, picture);
    if (described == NULL)
        return no_memory();
    cJSON_AddItemToArray(r->pictures, described);
    more[r->entries] = (struct entry){ described, r->count - 1 };
    return keep_shot(r, shot, r->entries++, 1);
}

status results_shot(struct results *r, const struct shot *shot) { return keep_shot(r, shot, 0, 0); }

status results_settle(struct results *r)
{
    double first_ms = 0; /* when the first PNG was there */
    for (size_t i = 0; i < r->shots; i++) {
        const struct kept_shot *kept = &r->shot[i];
        const struct shot *shot = kept->shot;
        if (!(shot->file_ms > 0)) /* not written */
            continue;
        struct measured *m = r->configuration[kept->configuration];
        if (shot->run_kind == TRACE_COUNTED) {
            TRY(series_add(&m->clock[CLOCK_FILE], shot->file_ms));
            TRY(series_add(&m->stage[STAGE_WRITE], shot->file_ms));
        }
        if (kept->first)
            cJSON_ReplaceItemInObjectCaseSensitive(r->entry[kept->entry].picture, "file",
                                                   cJSON_CreateString(shot->path));
        if (!(first_ms > 0)) {
            first_ms = shot->written_at_ms;
            TRY(series_add(&m->clock[CLOCK_COLD], first_ms - r->began_ms));
        }
    }
    r->shots = 0;
    return STATUS_OK;
}

/* ---- the document ------------------------------------------------------------------------ */

/* Pictures are in the order of their configurations: *at is the first of this one. */
static cJSON *describe_configuration(const struct results *r, size_t index, size_t *at)
{
    cJSON *places = cJSON_CreateArray();
    for (; *at < r->entries && r->entry[*at].configuration == index; ++*at)
        cJSON_AddItemToArray(places, cJSON_CreateNumber((double)*at));
    return configuration_json(r->configuration[index], places);
}

/* Something was asked for and is not in here. */
static int is_partial(const struct results *r)
{
    int partial = r->stopped != NULL || cJSON_GetArraySize(r->left_out) > 0;
    for (size_t i = 0; i < r->count; i++)
        partial |= r->configuration[i]->error != NULL || r->configuration[i]->reason != NULL;
    return partial;
}

status results_document(const struct results *r, const struct nvml *nvml, const char *reason,
                        const struct machine_cards *cards, cJSON **out)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "schema", "mikubench-results-1");
    cJSON_AddBoolToObject(root, "partial", is_partial(r));
    if (r->stopped == NULL)
        cJSON_AddNullToObject(root, "stopped");
    else
        cJSON_AddStringToObject(root, "stopped", r->stopped);
    cJSON_AddItemToObject(root, "left_out", cJSON_Duplicate(r->left_out, 1));
    cJSON *environment = cJSON_Duplicate(r->environment, 1);
    cJSON_AddItemToObject(root, "environment", environment);
    cJSON_AddNumberToObject(environment, "wall_ms", clock_now_ms() - r->began_ms);
    cJSON_AddNumberToObject(environment, "host_peak_bytes", (double)measured_host_peak_bytes());
    machine_describe_cards(environment, nvml, reason, cards);
    cJSON_AddItemToObject(root, "pictures", cJSON_Duplicate(r->pictures, 1));
    cJSON *list = cJSON_AddArrayToObject(root, "configurations");
    size_t at = 0;
    for (size_t i = 0; i < r->count; i++)
        cJSON_AddItemToArray(list, describe_configuration(r, i, &at));
    *out = root;
    return cJSON_GetArraySize(list) == (int)r->count ? STATUS_OK : no_memory();
}
