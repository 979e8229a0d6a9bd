/* weights/store_find.c - names, hashes and neighbours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/base/near_names.h"
#include "weights/store_list.h"

enum { NAME_CAP = 1024 };

/* ---- forms of a name --------------------------------------------------------------------- */

/* The benchmark's own text misspells it. */
static const char *mend(const char *name, char out[NAME_CAP])
{
    static const char wrong[] = "oramgemix", right[] = "orangemix";
    if (strncmp(name, wrong, strlen(wrong)) != 0)
        return name;
    snprintf(out, NAME_CAP, "%s%s", right, name + strlen(wrong));
    return out;
}

/* A path as `Model:` has it. */
static void model_text(const char *below, char *out)
{
    for (; *below != 0; below++)
        if (*below != ',' && *below != ':')
            *out++ = *below == '/' || *below == '\\' ? '_' : *below;
    *out = 0;
}

char *store_model_name(const struct store_file *checkpoint)
{
    char *name = malloc(strlen(checkpoint->below) + 1);
    if (name != NULL)
        model_text(checkpoint->below, name);
    return name;
}

static int is_without_vae(const char *stem, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(stem, name, length) == 0 && strcmp(stem + length, ".vae") == 0;
}

static const char *file_name(const struct store_file *file)
{
    const char *slash = strrchr(file->path, '/');
    return slash == NULL ? file->path : slash + 1;
}

enum { LEVELS = 6 };

/* Whether a name fits a file, in one of the ways of store_find(), the surest first. */
static int fits(const struct store_file *file, const char *name, int level)
{
    char model[NAME_CAP];
    switch (level) {
    case 0:
        return strcmp(file->name, name) == 0;
    case 1:
        return is_without_vae(file->name, name);
    case 2:
        return strcmp(file_name(file), name) == 0;
    case 3:
        if (strcmp(file->below, name) == 0 || strlen(file->below) >= sizeof model)
            return strcmp(file->below, name) == 0;
        model_text(file->below, model);
        return strcmp(model, name) == 0;
    case 4:
        return file->alias[0] != 0 && strcmp(file->alias, name) == 0;
    default:
        return (file->kind == WEIGHTS_CHECKPOINT || file->kind == WEIGHTS_VAE) &&
               strcasecmp(file->name, name) == 0;
    }
}

static int same_file(const struct store_file *a, const struct store_file *b)
{
    return a->device == b->device && a->inode == b->inode;
}

/* Different files of the kind that the name fits on its surest level; the last one is *last.
 * `each` (may be null) sees them all. */
static size_t match(const struct store *store, enum weights_kind kind, const char *name,
                    const struct store_file **last,
                    void (*each)(void *user, const struct store_file *file), void *user)
{
    char mended[NAME_CAP];
    name = mend(name, mended);
    size_t found = 0;
    *last = NULL;
    for (int level = 0; level < LEVELS && found == 0; level++)
        for (size_t i = 0; i < store->count; i++) {
            const struct store_file *file = store->files[i];
            if (file->kind != kind || !fits(file, name, level))
                continue;
            found += *last == NULL || !same_file(*last, file);
            *last = file;
            if (each != NULL)
                each(user, file);
        }
    return found;
}

/* ---- failures ---------------------------------------------------------------------------- */

struct line {
    char text[600];
    size_t used;
};

static void add_path(void *user, const struct store_file *file)
{
    struct line *line = user;
    if (line->used < sizeof line->text)
        line->used += (size_t)snprintf(line->text + line->used, sizeof line->text - line->used,
                                       "%s%s", line->used == 0 ? "" : ", ", file->path);
}

static status not_found(const struct store *store, enum weights_kind kind, const char *name)
{
    char mended[NAME_CAP], near_text[400];
    const char *right = mend(name, mended);
    struct near_names near = { 0 };
    const struct store_file *other = NULL;
    size_t of_kind = 0;
    for (size_t i = 0; i < store->count; i++) {
        const struct store_file *file = store->files[i];
        if (file->kind == kind) {
            of_kind++;
            near_names_offer(&near, right, file->name);
        } else if (fits(file, right, 0) || fits(file, right, 2)) {
            other = file;
        }
    }
    const char *what = weights_kind_name(kind);
    if (other != NULL && other->problem[0] != 0)
        return status_fail(STATUS_NOT_FOUND, "no %s called \"%s\": %s", what, name, other->problem);
    if (other != NULL)
        return status_fail(STATUS_NOT_FOUND, "no %s called \"%s\": %s is %s", what, name,
                           other->path, weights_kind_phrase(other->kind));
    near_names_text(&near, near_text, sizeof near_text);
    return status_fail(STATUS_NOT_FOUND, "no %s called \"%.300s\" among the %zu found%s", what,
                       name, of_kind, near_text);
}

status store_only(const struct store *store, enum weights_kind kind, const char *name)
{
    struct line line = { .text = "" };
    const struct store_file *last;
    const size_t found = match(store, kind, name, &last, add_path, &line);
    if (found < 2)
        return STATUS_OK;
    return status_fail(STATUS_MISUSE, "%zu files are a %s called \"%.200s\": %s", found,
                       weights_kind_name(kind), name, line.text);
}

/* ---- looking up -------------------------------------------------------------------------- */

status store_find(const struct store *store, enum weights_kind kind, const char *name,
                  const struct store_file **out)
{
    const size_t found = match(store, kind, name, out, NULL, NULL);
    if (found == 0)
        return not_found(store, kind, name);
    if (found > 1 && (kind == WEIGHTS_CHECKPOINT || kind == WEIGHTS_VAE)) {
        *out = NULL;
        return store_only(store, kind, name);
    }
    return STATUS_OK;
}

/* 1 if the file has the hash, the old one or a piece of SHA-256. Known ones cost nothing; others
 * are computed only if `read`. */
static int has_hash(struct hash_cache *hashes, const struct store_file *file, const char *hash,
                    int read)
{
    char sha256[HASH_TEXT], old[HASH_OLD_TEXT];
    if (strlen(hash) == HASH_OLD_TEXT - 1)
        return read && hash_old(file->path, old) == STATUS_OK && hash_matches(old, hash);
    if (hash_known(hashes, file->path, sha256))
        return hash_matches(sha256, hash);
    return read && hash_file(hashes, file->path, NULL, NULL, sha256) == STATUS_OK &&
           hash_matches(sha256, hash);
}

/* The checkpoint that has the hash, and the name if one is given; null if there is none. */
static const struct store_file *by_hash(const struct store *store, struct hash_cache *hashes,
                                        const char *name, const char *hash)
{
    char mended[NAME_CAP];
    for (int read = 0; read < 2; read++)
        for (size_t i = 0; i < store->count; i++) {
            const struct store_file *file = store->files[i];
            int named = name == NULL;
            for (int level = 0; level < LEVELS && !named; level++)
                named = fits(file, mend(name, mended), level);
            if (file->kind == WEIGHTS_CHECKPOINT && named && has_hash(hashes, file, hash, read))
                return file;
        }
    return NULL;
}

status store_find_model(const struct store *store, struct hash_cache *hashes, const char *name,
                        const char *hash, const struct store_file **out)
{
    status result = STATUS_NOT_FOUND;
    *out = NULL;
    if (name != NULL) {
        result = store_find(store, WEIGHTS_CHECKPOINT, name, out);
        if (result == STATUS_OK || hash == NULL)
            return result;
    }
    if (hash != NULL) {
        *out = by_hash(store, hashes, result == STATUS_MISUSE ? name : NULL, hash);
        if (*out != NULL)
            return STATUS_OK;
        if (result == STATUS_MISUSE)
            return store_only(store, WEIGHTS_CHECKPOINT, name);
        if (name == NULL)
            return status_fail(STATUS_NOT_FOUND, "no checkpoint has the hash %.80s", hash);
        result = not_found(store, WEIGHTS_CHECKPOINT, name);
        return status_fail(result, "%s, and none has the hash %.80s", status_text(), hash);
    }
    for (size_t i = 0; i < store->count && *out == NULL; i++)
        if (store->files[i]->kind == WEIGHTS_CHECKPOINT)
            *out = store->files[i];
    return *out != NULL ? STATUS_OK
                        : status_fail(STATUS_NOT_FOUND,
                                      "no Stable Diffusion 1.x checkpoint among the %zu files "
                                      "found",
                                      store->count);
}

const struct store_file *store_vae_beside(const struct store *store,
                                          const struct store_file *checkpoint)
{
    static const char *const endings[] = { ".vae.pt", ".vae.ckpt", ".vae.safetensors" };
    const char *name = file_name(checkpoint);
    const char *dot = strrchr(name, '.');
    const size_t stem = dot == NULL ? strlen(checkpoint->path) : (size_t)(dot - checkpoint->path);
    for (size_t e = 0; e < sizeof endings / sizeof endings[0]; e++)
        for (size_t i = 0; i < store->count; i++) {
            const struct store_file *file = store->files[i];
            if (file->kind == WEIGHTS_VAE && strncmp(file->path, checkpoint->path, stem) == 0 &&
                strcmp(file->path + stem, endings[e]) == 0)
                return file;
        }
    return NULL;
}
