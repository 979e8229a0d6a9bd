/* weights/catalog.c - weights/catalog.json. */
#include "weights/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "weights/json_file.h"

enum { CASES_MAX = 31 };

struct catalog {
    cJSON *json; /* owns the strings */
    struct catalog_file *files;
    size_t count;
};

static status read_cases(const cJSON *entry, const char *path, unsigned *out)
{
    const cJSON *list, *item;
    TRY(json_list(entry, path, "cases", &list));
    cJSON_ArrayForEach(item, list)
    {
        const double number = cJSON_IsNumber(item) ? item->valuedouble : 0;
        if (!(number >= 1 && number <= CASES_MAX))
            return status_fail(STATUS_BAD_FILE, "%s: a case is no number from 1 to %d", path,
                               (int)CASES_MAX);
        *out |= 1u << (unsigned)number;
    }
    return STATUS_OK;
}

static status read_entry(const cJSON *entry, const char *path, struct catalog_file *out)
{
    TRY(json_string(entry, path, "name", &out->name));
    TRY(json_string(entry, path, "file", &out->file));
    TRY(json_string(entry, path, "kind", &out->kind));
    TRY(json_string(entry, path, "sha256", &out->sha256));
    TRY(json_string(entry, path, "address", &out->address));
    TRY(json_count(entry, path, "bytes", &out->bytes));
    out->role = json_string_or(entry, "role", "");
    if (strchr(out->file, '/') != NULL || out->file[0] == '.' || out->file[0] == 0)
        return status_fail(STATUS_BAD_FILE, "%s: \"%s\" is no plain file name", path, out->file);
    if (strlen(out->sha256) != 64 || strspn(out->sha256, "0123456789abcdef") != 64)
        return status_fail(STATUS_BAD_FILE, "%s: the sha256 of %s is not 64 hex digits", path,
                           out->name);
    return read_cases(entry, path, &out->cases);
}

static status fill(struct catalog *catalog, const char *path)
{
    const cJSON *list, *entry;
    TRY(json_file_read(path, &catalog->json));
    TRY(json_list(catalog->json, path, "files", &list));
    catalog->files = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *catalog->files);
    if (catalog->files == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for its entries", path);
    cJSON_ArrayForEach(entry, list)
    {
        TRY(read_entry(entry, path, &catalog->files[catalog->count]));
        catalog->count++;
    }
    return STATUS_OK;
}

status catalog_open(const char *path, struct catalog **out)
{
    *out = NULL;
    struct catalog *catalog = calloc(1, sizeof *catalog);
    if (catalog == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for the catalog", path);
    const status result = fill(catalog, path);
    if (result != STATUS_OK)
        catalog_close(catalog);
    else
        *out = catalog;
    return result;
}

void catalog_close(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    cJSON_Delete(catalog->json);
    free(catalog->files);
    free(catalog);
}

size_t catalog_count(const struct catalog *catalog) { return catalog->count; }

const struct catalog_file *catalog_at(const struct catalog *catalog, size_t i)
{
    return i < catalog->count ? &catalog->files[i] : NULL;
}

const struct catalog_file *catalog_find(const struct catalog *catalog, const char *name)
{
    for (size_t i = 0; i < catalog->count; i++)
        if (strcmp(catalog->files[i].name, name) == 0 || strcmp(catalog->files[i].file, name) == 0)
            return &catalog->files[i];
    return NULL;
}
