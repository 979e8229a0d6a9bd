/* host/pipeline/request.c - generation parameters: defaults, ranges, and the web UI's text. */
#include "host/pipeline/request.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

#include "host/prompt/infotext.h"

enum {
    SIDE_MIN = 8,
    SIDE_MAX = 4096,
    STEPS_MAX = 1000,
    COUNT_MAX = 100000,
    BATCH_MAX = 64,
    TEXT_MAX = 65536
};

struct miku_request miku_request_default(void)
{
    return (struct miku_request){ .prompt = "",
                                  .negative = "",
                                  .sampler = "Euler a",
                                  .steps = 20,
                                  .width = 512,
                                  .height = 512,
                                  .clip_skip = 1,
                                  .batch = 1,
                                  .count = 1,
                                  .cfg_scale = 7,
                                  .eta = -1,
                                  .downcast_alphas = -1 };
}

char *text_copy(const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    return copy == NULL ? NULL : memcpy(copy, text, bytes);
}

status request_compat(const struct miku_request *request, struct compat *compat)
{
    const int automatic =
        request->compat == NULL || request->compat[0] == 0 || strcmp(request->compat, "auto") == 0;
    if (!automatic) {
        TRY(compat_parse(request->compat, compat));
        if (compat_at_least(compat, COMPAT_LATEST_MAJOR, COMPAT_LATEST_MINOR + 1))
            return status_fail(STATUS_MISUSE, "compat %s is not known; versions up to %d.%d are",
                               request->compat, COMPAT_LATEST_MAJOR, COMPAT_LATEST_MINOR);
        return STATUS_OK;
    }
    /* A version nobody knows (a fork's, say) is no reason to refuse a picture's text. */
    if (compat_parse(request->version, compat) != STATUS_OK)
        return compat_parse(NULL, compat);
    return STATUS_OK;
}

/* ---- ranges ------------------------------------------------------------------------------ */

static status check_int(const char *what, long long value, long long low, long long high)
{
    if (value >= low && value <= high)
        return STATUS_OK;
    return status_fail(STATUS_MISUSE, "%s is %lld; wanted %lld to %lld", what, value, low, high);
}

static status check_side(const char *what, int value)
{
    TRY(check_int(what, value, SIDE_MIN, SIDE_MAX));
    if (value % 8 != 0)
        return status_fail(STATUS_MISUSE, "%s is %d; wanted a multiple of 8", what, value);
    return STATUS_OK;
}

static status check_real(const char *what, double value, double low, double high)
{
    if (value >= low && value <= high)
        return STATUS_OK;
    return status_fail(STATUS_MISUSE, "%s is %g; wanted %g to %g", what, value, low, high);
}

/* The text goes into a picture's chunk, which holds UTF-8. */
static status check_text(const char *what, const char *text)
{
    utf8proc_int32_t rune;
    if (text == NULL)
        return STATUS_OK;
    if (strlen(text) > TEXT_MAX)
        return status_fail(STATUS_MISUSE, "%s has %zu bytes; at most %d are taken", what,
                           strlen(text), TEXT_MAX);
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
    while (*at != 0) {
        const utf8proc_ssize_t bytes = utf8proc_iterate(at, -1, &rune);
        if (bytes <= 0)
            return status_fail(STATUS_MISUSE, "%s is not UTF-8 at byte %zu", what,
                               (size_t)((const char *)at - text));
        at += bytes;
    }
    return STATUS_OK;
}

status request_check(const struct miku_request *request)
{
    TRY(check_text("the prompt", request->prompt));
    TRY(check_text("the negative prompt", request->negative));
    TRY(check_side("width", request->width));
    TRY(check_side("height", request->height));
    TRY(check_int("steps", request->steps, 1, STEPS_MAX));
    TRY(check_int("count", request->count, 1, COUNT_MAX));
    TRY(check_int("batch", request->batch, 1, BATCH_MAX));
    TRY(check_int("clip skip", request->clip_skip, 1, 12));
    TRY(check_real("CFG scale", request->cfg_scale, -100, 100));
    TRY(check_real("subseed strength", request->subseed_strength, 0, 1));
    if (!(request->eta < 0))
        TRY(check_real("eta", request->eta, 0, 10));
    struct compat compat;
    return request_compat(request, &compat);
}

status request_sampler(const struct miku_request *request, const struct sampler **sampler)
{
    const struct sampler *found;
    TRY(sampler_find(request->sampler, &found));
    if (sampler != NULL)
        *sampler = found;
    return STATUS_OK;
}

/* ---- from infotext ----------------------------------------------------------------------- */

struct miku_text {
    struct infotext *info;
    char *sampler; /* joined from Sampler and Schedule type */
};

void miku_text_free(struct miku_text *owner)
{
    if (owner == NULL)
        return;
    infotext_free(owner->info);
    free(owner->sampler);
    free(owner);
}

/* Keys whose effect on the picture is not made here, by how they begin. */
static const char *const cannot[] = {
    "Hires",
    "Denoising strength",
    "ControlNet",
    "Face restoration",
    "Refiner",
    "Hypernet",
    "Image CFG scale",
    "Seed resize from",
    "Mask",
    "Conditional mask weight",
    "Init image hash",
    "Token merging ratio",
    "AddNet",
    "NGMS",
    "Tiling",
    "First pass size",
    "FreeU",
    "Dynamic thresholding",
    "Regional Prompter",
    "RP ",
    "ADetailer",
    "Ultimate SD upscale",
    "Latent Couple",
    "Extra noise",
    "UniPC",
    "Sigma churn",
    "Sigma tmin",
    "Sigma tmax",
    "Sigma noise",
    "SGM noise multiplier",
    "Noise Schedule",
    "Skip Early CFG",
};

static status refuse_unmade(const struct infotext *info)
{
    for (size_t i = 0; i < info->count; i++)
        for (size_t k = 0; k < sizeof cannot / sizeof cannot[0]; k++)
            if (strncasecmp(info->pair[i].key, cannot[k], strlen(cannot[k])) == 0)
                return status_fail(STATUS_UNSUPPORTED,
                                   "the text asks for \"%s: %s\", which this program does not do",
                                   info->pair[i].key, info->pair[i].value);
    return STATUS_OK;
}

/* An integer within a C int; absent leaves the default. */
static status take_int(const struct infotext *info, const char *key, int *out)
{
    long long value;
    if (infotext_get(info, key) == NULL)
        return STATUS_OK;
    if (!infotext_get_int(info, key, &value) || value < INT32_MIN || value > INT32_MAX)
        return status_fail(STATUS_BAD_TEXT, "%s: \"%s\" is not a whole number in range", key,
                           infotext_get(info, key));
    *out = (int)value;
    return STATUS_OK;
}

static status take_real(const struct infotext *info, const char *key, double *out)
{
    if (infotext_get(info, key) == NULL || infotext_get_double(info, key, out))
        return STATUS_OK;
    return status_fail(STATUS_BAD_TEXT, "%s: \"%s\" is not a number", key, infotext_get(info, key));
}

static status take_seed(const struct infotext *info, const char *key, uint64_t *out)
{
    const char *value = infotext_get(info, key);
    if (value == NULL)
        return STATUS_OK;
    char rest;
    if (value[0] < '0' || value[0] > '9' || strlen(value) > 20 ||
        sscanf(value, "%" SCNu64 "%c", out, &rest) != 1)
        return status_fail(STATUS_BAD_TEXT, "%s: \"%s\" is not a seed", key, value);
    return STATUS_OK;
}

static int is_true(const char *value) { return value != NULL && strcasecmp(value, "True") == 0; }

/* From 1.9 the schedule stands apart: "DPM++ 2M" and "Karras". */
static status take_sampler(struct miku_text *owner, struct miku_request *request)
{
    const char *sampler = infotext_get(owner->info, "Sampler");
    const char *schedule = infotext_get(owner->info, "Schedule type");
    if (sampler == NULL)
        return STATUS_OK;
    request->sampler = sampler;
    if (schedule == NULL || strcasecmp(schedule, "Automatic") == 0)
        return STATUS_OK;
    if (strcasecmp(schedule, "Karras") != 0)
        return status_fail(
            STATUS_UNSUPPORTED,
            "the text asks for \"Schedule type: %s\"; Karras and Automatic are known", schedule);
    const size_t bytes = strlen(sampler) + sizeof " Karras";
    owner->sampler = malloc(bytes);
    if (owner->sampler == NULL)
        return status_fail(STATUS_NO_MEMORY, "infotext: %zu bytes asked", bytes);
    snprintf(owner->sampler, bytes, "%s Karras", sampler);
    request->sampler = owner->sampler;
    return STATUS_OK;
}

static status take_all(struct miku_text *owner, struct miku_request *request)
{
    const struct infotext *info = owner->info;
    TRY(refuse_unmade(info));
    request->prompt = info->prompt;
    request->negative = info->negative;
    request->model = infotext_get(info, "Model");
    request->model_hash = infotext_get(info, "Model hash");
    request->vae = infotext_get(info, "VAE");
    request->version = infotext_get(info, "Version");
    TRY(take_sampler(owner, request));
    TRY(take_int(info, "Steps", &request->steps));
    TRY(take_int(info, "Clip skip", &request->clip_skip));
    TRY(take_real(info, "CFG scale", &request->cfg_scale));
    TRY(take_seed(info, "Seed", &request->seed));
    TRY(take_seed(info, "Variation seed", &request->subseed));
    TRY(take_real(info, "Variation seed strength", &request->subseed_strength));
    int ensd = 0;
    TRY(take_int(info, "ENSD", &ensd));
    request->ensd = ensd;
    TRY(take_real(info, "Eta", &request->eta));
    if (infotext_get(info, "Size") != NULL &&
        !infotext_get_size(info, "Size", &request->width, &request->height))
        return status_fail(STATUS_BAD_TEXT, "Size: \"%s\" is not WIDTHxHEIGHT",
                           infotext_get(info, "Size"));
    const char *rng = infotext_get(info, "RNG");
    if (rng != NULL && strcasecmp(rng, "CPU") != 0 && strcasecmp(rng, "GPU") != 0 &&
        strcasecmp(rng, "NV") != 0)
        return status_fail(STATUS_UNSUPPORTED,
                           "the text asks for \"RNG: %s\"; CPU, GPU and NV are known", rng);
    request->rng_cpu = rng != NULL && strcasecmp(rng, "CPU") == 0;
    request->discard_penultimate = is_true(infotext_get(info, "Discard penultimate sigma"));
    if (infotext_get(info, "Downcast alphas_cumprod") != NULL)
        request->downcast_alphas = is_true(infotext_get(info, "Downcast alphas_cumprod"));
    return STATUS_OK;
}

status miku_request_parse(const char *text, size_t bytes, struct miku_request *request,
                          struct miku_text **out)
{
    *out = NULL;
    struct miku_text *owner = calloc(1, sizeof *owner);
    if (owner == NULL)
        return status_fail(STATUS_NO_MEMORY, "infotext: %zu bytes asked", sizeof *owner);
    struct miku_request parsed = miku_request_default();
    status result = infotext_parse(text, bytes, &owner->info);
    if (result == STATUS_OK)
        result = take_all(owner, &parsed);
    if (result != STATUS_OK) {
        miku_text_free(owner);
        return result;
    }
    *request = parsed;
    *out = owner;
    return STATUS_OK;
}

status miku_infotext_json(const char *text, size_t bytes, char **json)
{
    return infotext_to_json(text, bytes, json);
}

/* ---- to infotext ------------------------------------------------------------------------- */

enum { PAIR_MAX = 24, VALUE_CAP = 48 };

struct pairs {
    struct infotext_pair pair[PAIR_MAX];
    char value[PAIR_MAX][VALUE_CAP];
    size_t count;
};

static void add(struct pairs *pairs, const char *key, const char *value)
{
    pairs->pair[pairs->count++] = (struct infotext_pair){ .key = key, .value = value };
}

static void add_u64(struct pairs *pairs, const char *key, uint64_t value)
{
    char *text = pairs->value[pairs->count];
    snprintf(text, VALUE_CAP, "%" PRIu64, value);
    add(pairs, key, text);
}

static void add_real(struct pairs *pairs, const char *key, double value)
{
    char *text = pairs->value[pairs->count];
    infotext_number(value, text, VALUE_CAP);
    add(pairs, key, text);
}

status request_infotext(const struct miku_request *request, int k, const char *model,
                        const char *model_hash, char **text)
{
    struct compat compat;
    struct pairs pairs = { .count = 0 };
    char size[VALUE_CAP];
    const int varied = request->subseed_strength > 0;
    *text = NULL;
    TRY(request_compat(request, &compat));
    snprintf(size, sizeof size, "%dx%d", request->width, request->height);

    add_u64(&pairs, "Steps", (uint64_t)request->steps);
    add(&pairs, "Sampler", request->sampler);
    add_real(&pairs, "CFG scale", request->cfg_scale);
    add_u64(&pairs, "Seed", request->seed + (varied ? 0 : (uint64_t)k));
    add(&pairs, "Size", size);
    if (model_hash != NULL && model_hash[0] != 0)
        add(&pairs, "Model hash", model_hash);
    add(&pairs, "Model", model);
    if (compat_at_least(&compat, 1, 6) && request->vae != NULL)
        add(&pairs, "VAE", request->vae);
    if (varied) {
        add_u64(&pairs, "Variation seed", request->subseed + (uint64_t)k);
        add_real(&pairs, "Variation seed strength", request->subseed_strength);
    }
    if (request->clip_skip > 1)
        add_u64(&pairs, "Clip skip", (uint64_t)request->clip_skip);
    if (request->ensd != 0)
        add_real(&pairs, "ENSD", (double)request->ensd);
    if (request->rng_cpu)
        add(&pairs, "RNG", "CPU");
    const int version_early = !compat_at_least(&compat, 1, 6);
    if (version_early && request->version != NULL)
        add(&pairs, "Version", request->version);
    if (!(request->eta < 0) && request->eta != 1)
        add_real(&pairs, "Eta", request->eta);
    if (request->discard_penultimate)
        add(&pairs, "Discard penultimate sigma", "True");
    if (request->downcast_alphas == 1 && compat_at_least(&compat, 1, 7))
        add(&pairs, "Downcast alphas_cumprod", "True");
    if (!version_early && request->version != NULL)
        add(&pairs, "Version", request->version);
    return infotext_write(request->prompt, request->negative, pairs.pair, pairs.count, &compat,
                          text);
}
