/* host/prompt/infotext_json.c - generation parameters as JSON. */
#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/prompt/infotext.h"
#include "host/prompt/number.h"

enum shape { TEXT, WHOLE, REAL };

static const struct field {
    const char *key, *name;
    enum shape shape;
    int last; /* of the first group: the size comes behind it */
} fields[] = {
    { "Steps", "steps", WHOLE, 0 },
    { "Sampler", "sampler", TEXT, 0 },
    { "CFG scale", "cfg_scale", REAL, 0 },
    { "Seed", "seed", WHOLE, 1 },
    { "Model", "model", TEXT, 0 },
    { "Model hash", "model_hash", TEXT, 0 },
    { "VAE", "vae", TEXT, 0 },
    { "Clip skip", "clip_skip", WHOLE, 0 },
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

/* The digits of a whole number as JSON writes them, since a double does not hold every seed.
 * Returns null if it is none. */
static const char *whole(const char *text)
{
    const size_t sign = text[0] == '-' || text[0] == '+';
    const char *digits = text + sign;
    const size_t count = strspn(digits, "0123456789");
    if (count == 0 || digits[count] != '\0' || (count > 1 && digits[0] == '0'))
        return NULL;
    return text[0] == '+' ? digits : text;
}

static int is_json_number(const char *text)
{
    const char *digits = text + (text[0] == '-');
    const size_t bytes = strlen(text);
    const char *point = strchr(text, '.');
    return number_length(text, bytes, 1) == bytes && digits[0] >= '0' && digits[0] <= '9' &&
           (digits[0] != '0' || digits[1] < '0' || digits[1] > '9') &&
           (point == NULL || (point[1] >= '0' && point[1] <= '9'));
}

static cJSON *value_of(const char *text, enum shape shape)
{
    if (text == NULL)
        return cJSON_CreateNull();
    if (shape == WHOLE && whole(text) != NULL)
        return cJSON_CreateRaw(whole(text));
    if (shape == REAL && is_json_number(text))
        return cJSON_CreateRaw(text);
    return cJSON_CreateString(text);
}

/* Takes `item` over; returns 0 when memory ran out. */
static int add(cJSON *object, const char *name, cJSON *item)
{
    if (item != NULL && cJSON_AddItemToObject(object, name, item))
        return 1;
    cJSON_Delete(item);
    return 0;
}

static int add_size(cJSON *object, const struct infotext *info)
{
    int width, height;
    if (!infotext_get_size(info, "Size", &width, &height))
        return add(object, "width", cJSON_CreateNull()) &&
               add(object, "height", cJSON_CreateNull());
    return add(object, "width", cJSON_CreateNumber(width)) &&
           add(object, "height", cJSON_CreateNumber(height));
}

static int is_field(const struct infotext *info, const char *key)
{
    int width, height;
    for (int i = 0; i < FIELDS; i++)
        if (strcmp(fields[i].key, key) == 0)
            return 1;
    return strcmp(key, "Size") == 0 && infotext_get_size(info, key, &width, &height);
}

/* A repeated key keeps its last value, as in the web UI. cJSON looks for a key along a list, so a
 * hostile text with thousands of them is kept as it is, repeated keys and all. */
static int add_extra(cJSON *extra, const struct infotext *info)
{
    enum { MANY = 1000 };
    for (size_t i = 0; i < info->count; i++) {
        const char *key = info->pair[i].key;
        if (is_field(info, key))
            continue;
        if (info->count <= MANY)
            cJSON_DeleteItemFromObjectCaseSensitive(extra, key);
        if (!add(extra, key, cJSON_CreateString(info->pair[i].value)))
            return 0;
    }
    return 1;
}

static int fill(cJSON *object, const struct infotext *info)
{
    int fine = add(object, "prompt", cJSON_CreateString(info->prompt)) &&
               add(object, "negative_prompt", cJSON_CreateString(info->negative));
    for (int i = 0; i < FIELDS && fine; i++) {
        const char *text = infotext_get(info, fields[i].key);
        if (text == NULL && strcmp(fields[i].key, "Clip skip") == 0)
            text = "1";
        fine = add(object, fields[i].name, value_of(text, fields[i].shape));
        if (fields[i].last)
            fine = fine && add_size(object, info);
    }
    cJSON *extra = fine ? cJSON_AddObjectToObject(object, "extra") : NULL;
    return extra != NULL && add_extra(extra, info);
}

status infotext_to_json(const char *text, size_t bytes, char **json)
{
    *json = NULL;
    struct infotext *info;
    TRY(infotext_parse(text, bytes, &info));
    cJSON *object = cJSON_CreateObject();
    if (object != NULL && fill(object, info))
        *json = cJSON_Print(object);
    cJSON_Delete(object);
    infotext_free(info);
    return *json != NULL ? STATUS_OK : status_fail(STATUS_NO_MEMORY, "infotext: no memory");
}
