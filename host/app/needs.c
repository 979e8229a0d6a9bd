/* host/app/needs.c - the catalog's rows of a case against the files found. */
#include "host/app/needs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/app/place.h"
#include "weights/catalog.h"

struct search {
    const struct catalog_file *wanted;
    int found;
};

static status compare(void *user, const struct miku_file *file)
{
    struct search *search = user;
    if (strcasecmp(file->name, search->wanted->name) == 0 ||
        (file->sha256[0] != 0 && strcmp(file->sha256, search->wanted->sha256) == 0))
        search->found = 1;
    return STATUS_OK;
}

static status append(char **names, const char *name)
{
    const size_t before = strlen(*names), bytes = before + strlen(name) + 3;
    char *more = realloc(*names, bytes);
    if (more == NULL)
        return status_fail(STATUS_NO_MEMORY, "cases: no memory");
    snprintf(more + before, bytes - before, "%s%s", before > 0 ? ", " : "", name);
    *names = more;
    return STATUS_OK;
}

static status collect(struct miku *miku, const struct catalog *catalog, int number,
                      const char *kind, int hashes, char **names)
{
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct catalog_file *wanted = catalog_at(catalog, i);
        struct search search = { .wanted = wanted };
        if (number < 0 || number > 31 || (wanted->cases >> number & 1) == 0 ||
            (kind != NULL && strcmp(kind, wanted->kind) != 0))
            continue;
        TRY(miku_list(miku, hashes, compare, &search));
        if (!search.found)
            TRY(append(names, wanted->name));
    }
    return STATUS_OK;
}

status needs_missing(struct miku *miku, int number, const char *kind, int hashes, char **names)
{
    char *path;
    struct catalog *catalog = NULL;
    *names = calloc(1, 1);
    if (*names == NULL)
        return status_fail(STATUS_NO_MEMORY, "cases: no memory");
    if (place_catalog(&path) != STATUS_OK)
        return STATUS_OK; /* without it nothing is known to be missing */
    status result = catalog_open(path, &catalog);
    if (result == STATUS_OK)
        result = collect(miku, catalog, number, kind, hashes, names);
    catalog_close(catalog);
    free(path);
    if (result != STATUS_OK) {
        free(*names);
        *names = NULL;
    }
    return result;
}
