/* weights/manifest.c - FOLDER/manifest.json. */
#include "weights/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights/json_file.h"

enum { SIDE_MAX = 8192 };

struct manifest {
    cJSON *json; /* owns the strings */
    struct manifest_file *files;
    size_t count;
    int stand_in, width, height;
    const char *recipe;
};

static status read_size(const cJSON *json, const char *path, struct manifest *manifest)
{
    const cJSON *size;
    int side[2];
    TRY(json_list(json, path, "size", &size));
    for (int i = 0; i < 2; i++) {
        const cJSON *item = cJSON_GetArrayItem(size, i);
        const double pixels = cJSON_IsNumber(item) ? item->valuedouble : 0;
        if (!(pixels >= 8 && pixels <= SIDE_MAX) || (int)pixels % 8 != 0)
            return status_fail(STATUS_BAD_FILE,
                               "%s: \"size\" is not two multiples of 8 from 8 to %d", path,
                               (int)SIDE_MAX);
        side[i] = (int)pixels;
    }
    manifest->width = side[0];
    manifest->height = side[1];
    return STATUS_OK;
}

static status read_entry(const cJSON *entry, const char *path, struct manifest_file *out)
{
    TRY(json_string(entry, path, "name", &out->name));
    TRY(json_count(entry, path, "bytes", &out->bytes));
    TRY(json_string(entry, path, "sha256", &out->sha256));
    out->kind = json_string_or(entry, "kind", "");
    out->stands_in_for = json_string_or(entry, "stands_in_for", "");
    return STATUS_OK;
}

static status fill(struct manifest *manifest, const char *path)
{
    const cJSON *list, *entry;
    TRY(json_file_read(path, &manifest->json));
    manifest->stand_in = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(manifest->json, "stand_in"));
    manifest->recipe = json_string_or(manifest->json, "recipe", "");
    TRY(read_size(manifest->json, path, manifest));
    TRY(json_list(manifest->json, path, "files", &list));
    manifest->files = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *manifest->files);
    if (manifest->files == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for its entries", path);
    cJSON_ArrayForEach(entry, list)
    {
        TRY(read_entry(entry, path, &manifest->files[manifest->count]));
        manifest->count++;
    }
    return STATUS_OK;
}

status manifest_open(const char *folder, struct manifest **out)
{
    *out = NULL;
    const size_t cap = strlen(folder) + sizeof "/manifest.json";
    char *path = malloc(cap);
    struct manifest *manifest = calloc(1, sizeof *manifest);
    status result;
    if (path == NULL || manifest == NULL) {
        result = status_fail(STATUS_NO_MEMORY, "%s: no memory for its manifest", folder);
    } else {
        snprintf(path, cap, "%s/manifest.json", folder);
        result = fill(manifest, path);
    }
    free(path);
    if (result != STATUS_OK)
        manifest_close(manifest);
    else
        *out = manifest;
    return result;
}

void manifest_close(struct manifest *manifest)
{
    if (manifest == NULL)
        return;
    cJSON_Delete(manifest->json);
    free(manifest->files);
    free(manifest);
}

int manifest_stand_in(const struct manifest *manifest) { return manifest->stand_in; }
int manifest_width(const struct manifest *manifest) { return manifest->width; }
int manifest_height(const struct manifest *manifest) { return manifest->height; }
const char *manifest_recipe(const struct manifest *manifest) { return manifest->recipe; }
size_t manifest_count(const struct manifest *manifest) { return manifest->count; }

const struct manifest_file *manifest_find(const struct manifest *manifest, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    for (size_t i = 0; i < manifest->count; i++)
        if (strcmp(manifest->files[i].name, name) == 0)
            return &manifest->files[i];
    return NULL;
}
