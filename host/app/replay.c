/* host/app/replay.c - parameters out of a picture, and the picture out of them. */
#include "host/app/replay.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/say.h"
#include "host/app/text_file.h"

/* ---- reading ----------------------------------------------------------------------------- */

static int is_png(const char *text, size_t bytes)
{
    static const char signature[] = "\x89PNG\r\n\x1a\n";
    return bytes >= 8 && memcmp(text, signature, 8) == 0;
}

static status refuse_binary(const char *path, const char *text, size_t bytes)
{
    if (bytes >= 3 && memcmp(text, "\xff\xd8\xff", 3) == 0)
        return status_fail(STATUS_WRONG_KIND, "%s: a JPEG; PNG and text are read", path);
    if (bytes >= 12 && memcmp(text, "RIFF", 4) == 0 && memcmp(text + 8, "WEBP", 4) == 0)
        return status_fail(STATUS_WRONG_KIND, "%s: a WebP; PNG and text are read", path);
    if (memchr(text, 0, bytes) != NULL)
        return status_fail(STATUS_WRONG_KIND, "%s: neither a PNG nor text", path);
    return STATUS_OK;
}

status replay_read_text(const char *path, char **text, size_t *bytes, struct replay *replay)
{
    *replay = (struct replay){ .rgb = NULL };
    TRY(text_file_read(path, text, bytes));
    if (!is_png(*text, *bytes)) {
        const status result = refuse_binary(path, *text, *bytes);
        if (result != STATUS_OK) {
            free(*text);
            *text = NULL;
        }
        return result;
    }
    free(*text);
    *text = NULL;
    TRY(miku_png_read(path, &replay->rgb, &replay->width, &replay->height, text, &replay->notes));
    if (*text == NULL)
        return status_fail(STATUS_BAD_TEXT, "%s: a PNG without parameters", path);
    *bytes = strlen(*text);
    return STATUS_OK;
}

void replay_free(struct replay *replay)
{
    free(replay->rgb);
    free(replay->notes);
    free(replay->device);
    free(replay->precision);
    *replay = (struct replay){ .rgb = NULL };
}

/* ---- notes ------------------------------------------------------------------------------- */

/* A string of the notes, or null. */
static const char *note(const cJSON *notes, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(notes, key));
}

static char *copy(const char *text) { return text == NULL ? NULL : text_keep(text, strlen(text)); }

static void take_notes(struct job *job, struct options *options, struct replay *replay)
{
    cJSON *notes = replay->notes == NULL ? NULL : cJSON_Parse(replay->notes);
    const char *vae = note(notes, "vae"), *compat = note(notes, "compat");
    if (vae != NULL && !options_given(options, "vae"))
        job->request.vae = job_keep(job, vae, strlen(vae));
    if (compat != NULL && !options_given(options, "compat"))
        job->request.compat = job_keep(job, compat, strlen(compat));
    replay->device = copy(note(notes, "device"));
    replay->precision = copy(note(notes, "precision"));
    cJSON_Delete(notes);
}

/* ---- the whole --------------------------------------------------------------------------- */

static status prepare(const char *path, struct job *job, struct options *options,
                      struct replay *replay)
{
    char *text;
    size_t bytes;
    TRY(replay_read_text(path, &text, &bytes, replay));
    const int parameters = strstr(text, "Steps:") != NULL;
    const status result = job_from_infotext(job, text, bytes, options);
    free(text);
    if (result != STATUS_OK)
        return status_prefix(result, "%s", path);
    if (!parameters)
        return status_fail(STATUS_BAD_TEXT, "%s: no parameters in it", path);
    take_notes(job, options, replay);
    if (replay->rgb != NULL &&
        (job->request.width != replay->width || job->request.height != replay->height))
        return status_fail(STATUS_UNSUPPORTED, "%s: %dx%d pixels, and its parameters say %dx%d",
                           path, replay->width, replay->height, job->request.width,
                           job->request.height);
    if (replay->rgb == NULL && options->min_psnr >= 0)
        return status_fail(STATUS_MISUSE, "--min-psnr: %s is text; there is no picture to compare",
                           path);
    return STATUS_OK;
}

status replay_open(const char *path, struct options *options, struct jobs *jobs,
                   struct replay *replay)
{
    struct job *job = NULL;
    *replay = (struct replay){ .rgb = NULL };
    TRY(jobs_add(jobs, "", &job));
    const status result = prepare(path, job, options, replay);
    if (result != STATUS_OK)
        replay_free(replay);
    return result;
}

status replay_compare(const struct replay *replay, const struct options *options,
                      const struct miku_picture *made)
{
    char psnr[32] = "infinite";
    const struct miku_difference difference =
        miku_compare(replay->rgb, made->rgb, replay->width, replay->height);
    if (isfinite(difference.psnr))
        snprintf(psnr, sizeof psnr, "%.2f dB", difference.psnr);
    say_result("PSNR %s, largest difference %d, within one grey level %.4f %%", psnr,
               difference.largest, 100 * difference.within_one);
    if (options->min_psnr >= 0 && !(difference.psnr >= options->min_psnr))
        return status_fail(STATUS_NOT_FINITE, "PSNR %s; wanted %g dB at least", psnr,
                           options->min_psnr);
    return STATUS_OK;
}
