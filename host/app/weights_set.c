/* host/app/weights_set.c - folders from the command line, the environment, or beside the program.
 */
#include "host/app/weights_set.h"

#include <stdlib.h>
#include <string.h>

#include "host/app/place.h"
#include "host/app/text_file.h"
#include "weights/manifest.h"

static status add(struct weights_set *set, const char *folder, size_t bytes)
{
    char **more = realloc(set->folder, (set->count + 1) * sizeof *more);
    if (more != NULL)
        set->folder = more;
    char *copy = more == NULL ? NULL : text_keep(folder, bytes);
    if (copy == NULL)
        return status_fail(STATUS_NO_MEMORY, "weights: no memory for a folder's name");
    set->folder[set->count++] = copy;
    return STATUS_OK;
}

static status add_listed(struct weights_set *set, const char *list)
{
    while (*list != 0) {
        const size_t length = strcspn(list, ":");
        if (length > 0)
            TRY(add(set, list, length));
        list += length;
        list += *list == ':';
    }
    return STATUS_OK;
}

static status add_embedded(struct weights_set *set)
{
    char *path;
    const status result = place_weights(&path);
    if (result != STATUS_OK)
        return status_prefix(result, "no --weights, no MIKUBENCH_WEIGHTS");
    set->embedded = 1;
    set->folder = malloc(sizeof *set->folder);
    if (set->folder == NULL) {
        free(path);
        return status_fail(STATUS_NO_MEMORY, "weights: no memory for a folder's name");
    }
    set->folder[set->count++] = path;
    return STATUS_OK;
}

static status read_manifest(struct weights_set *set)
{
    struct manifest *manifest;
    if (set->count != 1)
        return STATUS_OK;
    const status result = manifest_open(set->folder[0], &manifest);
    if (result == STATUS_NOT_FOUND)
        return STATUS_OK;
    TRY(result);
    set->stand_in = manifest_stand_in(manifest);
    set->width = manifest_width(manifest);
    set->height = manifest_height(manifest);
    manifest_close(manifest);
    return STATUS_OK;
}

static status choose(const struct options *options, struct weights_set *set)
{
    for (size_t i = 0; i < options->weights.count; i++)
        TRY(add(set, options->weights.word[i], strlen(options->weights.word[i])));
    if (set->count == 0 && place_listed_weights() != NULL)
        TRY(add_listed(set, place_listed_weights()));
    if (set->count == 0)
        TRY(add_embedded(set));
    return read_manifest(set);
}

status weights_set_choose(const struct options *options, struct weights_set *set)
{
    *set = (struct weights_set){ .folder = NULL };
    const status result = choose(options, set);
    if (result != STATUS_OK)
        weights_set_free(set);
    return result;
}

void weights_set_free(struct weights_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->folder[i]);
    free(set->folder);
    *set = (struct weights_set){ .folder = NULL };
}

void weights_set_size(const struct weights_set *set, const struct options *options,
                      struct miku_request *request)
{
    if (set->width > 0 && !options_given(options, "width"))
        request->width = set->width;
    if (set->height > 0 && !options_given(options, "height"))
        request->height = set->height;
}
