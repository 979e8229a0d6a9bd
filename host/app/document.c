/* host/app/document.c - reading the JSON of an earlier run. */
#include "host/app/document.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/text_file.h"

static const char ours[] = "mikubench-results-";
static const char schema[] = "mikubench-results-1";

const cJSON *document_at(const cJSON *at, const char *key)
{
    return cJSON_IsObject(at) ? cJSON_GetObjectItemCaseSensitive(at, key) : NULL;
}

const char *document_text(const cJSON *at, const char *key)
{
    const cJSON *item = document_at(at, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

int document_flag(const cJSON *at, const char *key) { return cJSON_IsTrue(document_at(at, key)); }

double document_number(const cJSON *at, const char *key)
{
    const cJSON *item = document_at(at, key);
    return cJSON_IsNumber(item) && isfinite(item->valuedouble) ? item->valuedouble : NAN;
}

status document_values(const cJSON *array, double **values, size_t *count)
{
    const cJSON *item;
    const int most = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
    *count = 0;
    *values = malloc(((size_t)most + 1) * sizeof **values);
    if (*values == NULL)
        return status_fail(STATUS_NO_MEMORY, "document: no memory for %d values", most);
    cJSON_ArrayForEach(item, array)
    {
        if (cJSON_IsNumber(item) && isfinite(item->valuedouble))
            (*values)[(*count)++] = item->valuedouble;
    }
    return STATUS_OK;
}

/* ---- the file ---------------------------------------------------------------------------- */

static status check(const char *path, const cJSON *root)
{
    static const char *const lists[] = { "pictures", "configurations" };
    const char *name = document_text(root, "schema");
    if (name == NULL || strncmp(name, ours, sizeof ours - 1) != 0)
        return status_fail(STATUS_BAD_FILE, "%s: no JSON of mikubench-cuda --json", path);
    if (strcmp(name, schema) != 0)
        return status_fail(STATUS_BAD_FILE, "%s: schema \"%.60s\"; this program reads \"%s\"", path,
                           name, schema);
    if (!cJSON_IsObject(document_at(root, "environment")))
        return status_fail(STATUS_BAD_FILE, "%s: \"environment\" is missing", path);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (!cJSON_IsArray(document_at(root, lists[i])))
            return status_fail(STATUS_BAD_FILE, "%s: \"%s\" is missing", path, lists[i]);
    return STATUS_OK;
}

/* A document that begins as one and does not end as one was cut short, wherever the parser gave up.
 */
static int cut_short(const char *text, size_t bytes)
{
    static const char space[] = " \t\r\n";
    const char *first = text + strspn(text, space);
    while (bytes > 0 && strchr(space, text[bytes - 1]) != NULL)
        bytes--;
    return first >= text + bytes || (*first == '{' && text[bytes - 1] != '}');
}

static status not_json(const char *path, const char *text, size_t bytes, const char *stopped)
{
    size_t line = 1;
    if (stopped == NULL || stopped + 1 >= text + bytes || cut_short(text, bytes))
        return status_fail(STATUS_BAD_FILE, "%s: JSON that ends early", path);
    for (const char *at = text; at < stopped; at++)
        line += *at == '\n';
    return status_fail(STATUS_BAD_FILE, "%s: no JSON, from line %zu on", path, line);
}

status document_read(const char *path, cJSON **out)
{
    char *text;
    size_t bytes;
    const char *stopped = NULL;
    *out = NULL;
    TRY(text_file_read(path, &text, &bytes));
    cJSON *root = cJSON_ParseWithLengthOpts(text, bytes, &stopped, 0);
    const status result = root == NULL ? not_json(path, text, bytes, stopped) : check(path, root);
    free(text);
    if (result != STATUS_OK) {
        cJSON_Delete(root);
        return result;
    }
    *out = root;
    return STATUS_OK;
}
