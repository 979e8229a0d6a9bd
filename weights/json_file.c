/* weights/json_file.c - reading, and one line of text for each thing that can be wrong. */
#include "weights/json_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 1 << 20 };

static status read_text(const char *path, char *text, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return status_fail(errno == ENOENT || errno == ENOTDIR ? STATUS_NOT_FOUND : STATUS_IO,
                           "%s: %s", path, strerror(errno));
    *bytes = fread(text, 1, BYTES_MAX + 1, file);
    const int failed = ferror(file);
    const int why = errno;
    fclose(file);
    if (failed)
        return status_fail(STATUS_IO, "%s: %s", path, strerror(why));
    if (*bytes > BYTES_MAX)
        return status_fail(STATUS_BAD_FILE, "%s: longer than %d bytes", path, (int)BYTES_MAX);
    return STATUS_OK;
}

status json_file_read(const char *path, cJSON **out)
{
    size_t bytes = 0;
    *out = NULL;
    char *text = malloc(BYTES_MAX + 1);
    if (text == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for %d bytes", path,
                           (int)BYTES_MAX + 1);
    status result = read_text(path, text, &bytes);
    if (result == STATUS_OK) {
        *out = cJSON_ParseWithLength(text, bytes);
        if (*out == NULL)
            result = status_fail(STATUS_BAD_FILE, "%s: is no JSON", path);
    }
    free(text);
    return result;
}

status json_string(const cJSON *object, const char *path, const char *key, const char **out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsString(item))
        return status_fail(STATUS_BAD_FILE, "%s: \"%s\" is no text", path, key);
    *out = item->valuestring;
    return STATUS_OK;
}

status json_count(const cJSON *object, const char *path, const char *key, uint64_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 0x1p53))
        return status_fail(STATUS_BAD_FILE, "%s: \"%s\" is no count", path, key);
    *out = (uint64_t)item->valuedouble;
    return STATUS_OK;
}

status json_list(const cJSON *object, const char *path, const char *key, const cJSON **out)
{
    *out = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsArray(*out) ? STATUS_OK
                               : status_fail(STATUS_BAD_FILE, "%s: \"%s\" is no list", path, key);
}

const char *json_string_or(const cJSON *object, const char *key, const char *otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : otherwise;
}
