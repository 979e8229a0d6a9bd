/* host/app/place.c - paths from the program's own, and from the environment. */
#include "host/app/place.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/app/text_file.h"

char *place_join(const char *a, const char *b)
{
    const size_t bytes = strlen(a) + strlen(b) + 2;
    char *joined = malloc(bytes);
    if (joined != NULL)
        snprintf(joined, bytes, "%s/%s", a, b);
    return joined;
}

/* The folder that the program lies in; "." if the system does not say. */
static void program_folder(char *folder, size_t cap)
{
    const ssize_t got = readlink("/proc/self/exe", folder, cap - 1);
    folder[got < 0 ? 0 : got] = 0;
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        memcpy(folder, ".", 2);
    else
        *slash = 0;
}

/* The first of the places that can be read. */
static status find(const char *what, const char *installed, const char *built, const char *source,
                   char **path)
{
    char folder[4096];
    program_folder(folder, sizeof folder);
    char *places[] = { place_join(folder, installed), place_join(folder, built),
                       text_keep(source, strlen(source)) };
    *path = NULL;
    for (int i = 0; i < 3; i++) {
        if (places[i] != NULL && *path == NULL && access(places[i], R_OK) == 0)
            *path = realpath(places[i], NULL);
        free(places[i]);
    }
    if (*path != NULL)
        return STATUS_OK;
    return status_fail(STATUS_NOT_FOUND, "%s: neither %s/%s nor %s/%s is there", what, folder,
                       installed, folder, built);
}

status place_cases(char **path)
{
    return find("the cases", "../share/mikubench/cases", "../bench/cases",
                MIKU_SOURCE_DIR "/bench/cases", path);
}

status place_weights(char **path)
{
    return find("the embedded weights", "../share/mikubench/mini", "../weights/mini",
                MIKU_SOURCE_DIR "/weights/mini", path);
}

status place_catalog(char **path)
{
    return find("the catalog", "../share/mikubench/catalog.json", "../weights/catalog.json",
                MIKU_SOURCE_DIR "/weights/catalog.json", path);
}

static const char *set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != 0 ? value : NULL;
}

char *place_cache(void)
{
    const char *cache = set("XDG_CACHE_HOME"), *home = set("HOME");
    char *path = cache != NULL  ? place_join(cache, "mikubench")
                 : home != NULL ? place_join(home, ".cache/mikubench")
                                : NULL;
    if (path != NULL && folder_make(path) != STATUS_OK) {
        free(path);
        return NULL;
    }
    return path;
}

const char *place_listed_weights(void) { return set("MIKUBENCH_WEIGHTS"); }
