/* host/app/measured.c - gathers times and facts of one configuration. */
#include "host/app/measured.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "host/app/text_file.h"

const char *const clock_names[CLOCKS] = { "sampling", "picture", "file", "cold" };
const char *const stage_names[STAGES] = { "load", "fuse", "encode", "sample", "decode", "write" };

static status no_memory(void) { return status_fail(STATUS_NO_MEMORY, "results: no memory"); }

static status keep(const char *text, char **out)
{
    *out = text == NULL ? NULL : text_keep(text, strlen(text));
    return text == NULL || *out != NULL ? STATUS_OK : no_memory();
}

size_t measured_host_peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}

/* "case 1 | cpu | fp32 | 512x768 | batch 1" */
static status write_key(const struct configuration *c, const struct miku_device *device, char **out)
{
    char key[256];
    const struct miku_request *r = &c->request;
    const char *label = c->job->label[0] == 0 ? "prompt" : c->job->label;
    snprintf(key, sizeof key, "%s | %s | %s | %dx%d | batch %d", label, device->name,
             device->precision, r->width, r->height, r->batch);
    return keep(key, out);
}

status measured_open(const struct configuration *configuration, const struct miku_device *device,
                     struct measured *out)
{
    *out = (struct measured){ .configuration = configuration,
                              .precision = device->precision,
                              .threads = device->threads };
    TRY(write_key(configuration, device, &out->key));
    TRY(keep(device->name, &out->device));
    return keep(device->summary, &out->summary);
}

static void free_weights(struct measured *m)
{
    for (size_t i = 0; i < m->weights_count; i++) {
        free((void *)m->weights[i].name);
        free((void *)m->weights[i].path);
        free((void *)m->weights[i].sha256);
    }
    free(m->weights);
}

void measured_free(struct measured *m)
{
    for (int i = 0; i < CLOCKS; i++)
        series_free(&m->clock[i]);
    for (int i = 0; i < STAGES; i++)
        series_free(&m->stage[i]);
    series_free(&m->steps_per_s);
    series_free(&m->step);
    free_weights(m);
    operators_free(&m->operators);
    free(m->key);
    free(m->device);
    free(m->summary);
    free(m->plan_hash);
    free(m->engine);
    free(m->engine_left);
    free(m->reason);
    free(m->error);
    *m = (struct measured){ .configuration = NULL };
}

/* ---- times ------------------------------------------------------------------------------- */

status measured_sample(struct measured *m, const struct miku_times *t)
{
    m->steps = t->steps;
    TRY(series_add(&m->clock[CLOCK_SAMPLING], t->sampling));
    TRY(series_add(&m->clock[CLOCK_PICTURE], t->picture));
    if (t->encode > 0) /* of a run's first batch */
        TRY(series_add(&m->stage[STAGE_ENCODE], t->encode));
    TRY(series_add(&m->stage[STAGE_SAMPLE], t->sample));
    TRY(series_add(&m->stage[STAGE_DECODE], t->decode));
    if (t->sampling > 0)
        TRY(series_add(&m->steps_per_s, t->steps / t->sampling * 1000));
    for (int i = 0; i < t->steps; i++)
        TRY(series_add(&m->step, t->step[i]));
    return STATUS_OK;
}

status measured_once(struct measured *m, const struct miku_times *t)
{
    if (t->load > 0)
        TRY(series_add(&m->stage[STAGE_LOAD], t->load));
    return t->fuse > 0 ? series_add(&m->stage[STAGE_FUSE], t->fuse) : STATUS_OK;
}

/* ---- facts ------------------------------------------------------------------------------- */

status measured_weights(struct measured *m, const struct miku_picture *picture)
{
    m->stand_in = picture->stand_in;
    m->synthetic = picture->synthetic;
    m->device_peak_bytes = picture->peak_device_bytes;
    m->host_peak_bytes = measured_host_peak_bytes();
    if (m->weights != NULL || picture->weights_count == 0)
        return STATUS_OK;
    m->weights = calloc(picture->weights_count, sizeof *m->weights);
    if (m->weights == NULL)
        return no_memory();
    for (size_t i = 0; i < picture->weights_count; i++) {
        const struct miku_weights_used *from = &picture->weights[i];
        char *name = NULL, *path = NULL, *sha256 = NULL;
        const int kept = keep(from->name, &name) == STATUS_OK &&
                         keep(from->path, &path) == STATUS_OK &&
                         keep(from->sha256, &sha256) == STATUS_OK;
        m->weights[m->weights_count++] = (struct miku_weights_used){ .role = from->role,
                                                                     .name = name,
                                                                     .path = path,
                                                                     .sha256 = sha256,
                                                                     .weight = from->weight,
                                                                     .stand_in = from->stand_in };
        if (!kept)
            return no_memory();
    }
    return STATUS_OK;
}

status measured_error(struct measured *m, const char *text)
{
    return m->error != NULL ? STATUS_OK : keep(text, &m->error);
}

status measured_reason(struct measured *m, const char *text)
{
    return m->reason != NULL ? STATUS_OK : keep(text, &m->reason);
}
