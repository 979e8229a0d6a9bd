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
    char why[400]; /* what is wrong with a file of that name; "" */
};

static status compare(void *user, const struct miku_file *file)
{
    struct search *search = user;
    const int named = strcasecmp(file->name, search->wanted->name) == 0;
    if (strcmp(file->kind, search->wanted->kind) == 0)
        search->found |= named || strcmp(file->sha256, search->wanted->sha256) == 0;
    else if (named)
        snprintf(search->why, sizeof search->why, " (%s)", file->kind);
    return STATUS_OK;
}

static status append(char **names, const struct search *search)
{
    const char *name = search->wanted->name, *why = search->why;
    const size_t before = strlen(*names), bytes = before + strlen(name) + strlen(why) + 3;
    char *more = realloc(*names, bytes);
    if (more == NULL)
        return status_fail(STATUS_NO_MEMORY, "cases: no memory");
    snprintf(more + before, bytes - before, "%s%s%s", before > 0 ? ", " : "", name, why);
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
            TRY(append(names, &search));
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
