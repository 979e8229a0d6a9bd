/* weights/store.c - walking through folders, and telling each file's kind. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "weights/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "weights/store_list.h"

enum {
    DEPTH_MAX = 32,     /* folders inside each other */
    FILES_MAX = 100000, /* one store */
    FACT_CAP = 512
};

/* ---- opening and asking ------------------------------------------------------------------ */

status store_create(const char *cache_dir, struct store **out)
{
    *out = NULL;
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory for a list of weights");
    const status result = file_facts_open(cache_dir, "kinds", &store->kinds);
    if (result != STATUS_OK)
        free(store);
    else
        *out = store;
    return result;
}

static void file_free(struct store_file *file)
{
    if (file == NULL)
        return;
    free((char *)file->name);
    free((char *)file->path);
    free((char *)file->below);
    free((char *)file->alias);
    free((char *)file->problem);
    free(file);
}

void store_destroy(struct store *store)
{
    if (store == NULL)
        return;
    for (size_t i = 0; i < store->count; i++)
        file_free(store->files[i]);
    free(store->files);
    free(store->folders);
    file_facts_close(store->kinds);
    free(store);
}

size_t store_count(const struct store *store) { return store->count; }

const struct store_file *store_at(const struct store *store, size_t i)
{
    return i < store->count ? store->files[i] : NULL;
}

/* ---- one file ---------------------------------------------------------------------------- */

/* Where the extension of a file name begins, or its end. */
static size_t stem_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot == NULL || dot == name ? strlen(name) : (size_t)(dot - name);
}

static int is_weights_name(const char *name)
{
    static const char *const extensions[] = { ".safetensors", ".ckpt", ".pt", ".pth", ".bin" };
    const char *extension = name + stem_length(name);
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
        if (strcasecmp(extension, extensions[i]) == 0)
            return 1;
    return 0;
}

/* Kind and alias by opening the file; a LoRA's alias is what its trainer called it. */
static void read_kind(struct store_file *file, char *alias, size_t cap)
{
    struct tensor_file *tensors;
    if (tensor_file_open(file->path, &tensors) != STATUS_OK) {
        file->problem = strdup(status_text());
        return;
    }
    file->kind = weights_kind_of(tensors);
    const char *note = tensor_file_note(tensors, "ss_output_name");
    if (file->kind == WEIGHTS_LORA && note != NULL && strlen(note) < cap &&
        strpbrk(note, "\t\n") == NULL)
        snprintf(alias, cap, "%s", note);
    tensor_file_close(tensors);
}

/* The cache's line is "kind alias". */
static void tell_kind(struct store *store, struct store_file *file)
{
    char fact[FACT_CAP], alias[FACT_CAP - 32] = "";
    struct file_stamp stamp;
    char *real = realpath(file->path, NULL);
    const int stamped = real != NULL && file_stamp_of(real, &stamp) == STATUS_OK;
    if (stamped && file_facts_get(store->kinds, real, &stamp, fact, sizeof fact)) {
        const size_t kind = strcspn(fact, " ");
        if (fact[kind] == ' ')
            snprintf(alias, sizeof alias, "%.*s", (int)sizeof alias - 1, fact + kind + 1);
        fact[kind] = 0;
        file->kind = weights_kind_named(fact);
    } else {
        read_kind(file, alias, sizeof alias);
        snprintf(fact, sizeof fact, "%s %s", weights_kind_name(file->kind), alias);
        if (stamped && file->problem == NULL)
            file_facts_put(store->kinds, real, &stamp, fact);
    }
    free(real);
    file->alias = strdup(alias);
    if (file->problem == NULL)
        file->problem = strdup("");
}

static int before(const struct store_file *a, const struct store_file *b)
{
    const int order = strcasecmp(a->path, b->path);
    return order < 0 || (order == 0 && strcmp(a->path, b->path) < 0);
}

/* Room for one more file in the list. */
static int has_room(struct store *store)
{
    if (store->count < store->cap)
        return 1;
    const size_t cap = store->cap == 0 ? 64 : 2 * store->cap;
    void *grown = realloc(store->files, cap * sizeof(struct store_file *));
    if (grown == NULL)
        return 0;
    store->files = grown;
    store->cap = cap;
    return 1;
}

static void insert(struct store *store, struct store_file *file)
{
    size_t at = store->count++;
    for (; at > 0 && before(file, store->files[at - 1]); at--)
        store->files[at] = store->files[at - 1];
    store->files[at] = file;
}

static int is_listed(const struct store *store, const char *path)
{
    for (size_t i = 0; i < store->count; i++)
        if (strcmp(store->files[i]->path, path) == 0)
            return 1;
    return 0;
}

/* `below` is where the path goes on behind the folder that was added. */
static status add_file(struct store *store, const char *path, size_t below, const struct stat *info)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    if (is_listed(store, path))
        return STATUS_OK;
    if (store->count >= FILES_MAX)
        return status_fail(STATUS_IO, "%s: more than %d weights files", path, (int)FILES_MAX);
    struct store_file *file = has_room(store) ? calloc(1, sizeof *file) : NULL;
    if (file == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory to list it", path);
    file->path = strdup(path);
    file->name = strndup(name, stem_length(name));
    file->below = strndup(path + below, (size_t)(name - path) - below + stem_length(name));
    file->bytes = (uint64_t)info->st_size;
    file->device = (uint64_t)info->st_dev;
    file->inode = (uint64_t)info->st_ino;
    if (file->path != NULL)
        tell_kind(store, file);
    if (file->path == NULL || file->name == NULL || file->below == NULL || file->alias == NULL ||
        file->problem == NULL) {
        file_free(file);
        return status_fail(STATUS_NO_MEMORY, "%s: no memory to list it", path);
    }
    insert(store, file);
    return STATUS_OK;
}

/* ---- folders ----------------------------------------------------------------------------- */

/* 1 if the folder was not seen before; a link that leads back up is seen already. */
static status enter(struct store *store, const struct stat *info, int *fresh)
{
    *fresh = 0;
    for (size_t i = 0; i < store->folder_count; i++)
        if (store->folders[i].device == (uint64_t)info->st_dev &&
            store->folders[i].inode == (uint64_t)info->st_ino)
            return STATUS_OK;
    if (store->folder_count == store->folder_cap) {
        const size_t cap = store->folder_cap == 0 ? 64 : 2 * store->folder_cap;
        void *grown = realloc(store->folders, cap * sizeof *store->folders);
        if (grown == NULL)
            return status_fail(STATUS_NO_MEMORY, "no memory for a list of folders");
        store->folders = grown;
        store->folder_cap = cap;
    }
    store->folders[store->folder_count++] =
        (struct store_folder){ (uint64_t)info->st_dev, (uint64_t)info->st_ino };
    *fresh = 1;
    return STATUS_OK;
}

static status walk(struct store *store, const char *folder, size_t below, int depth);

/* Passes over what is neither a folder nor a file that may hold weights. */
static status visit(struct store *store, const char *folder, const char *name, size_t below,
                    int depth)
{
    struct stat info;
    const size_t cap = strlen(folder) + strlen(name) + 2;
    if (name[0] == '.')
        return STATUS_OK;
    char *path = malloc(cap);
    if (path == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory to list it", folder);
    snprintf(path, cap, "%s/%s", folder, name);
    status result = STATUS_OK;
    int fresh = 0;
    if (stat(path, &info) != 0)
        ; /* a link that leads nowhere */
    else if (S_ISDIR(info.st_mode))
        result = depth < DEPTH_MAX ? enter(store, &info, &fresh) : STATUS_OK;
    else if (S_ISREG(info.st_mode) && is_weights_name(name))
        result = add_file(store, path, below, &info);
    if (result == STATUS_OK && fresh)
        result = walk(store, path, below, depth + 1);
    free(path);
    return result;
}

static status walk(struct store *store, const char *folder, size_t below, int depth)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    status result = STATUS_OK;
    if (dir == NULL && depth == 0)
        return status_fail(STATUS_IO, "%s: %s", folder, strerror(errno));
    while (dir != NULL && result == STATUS_OK && (entry = readdir(dir)) != NULL)
        result = visit(store, folder, entry->d_name, below, depth);
    if (dir != NULL)
        closedir(dir);
    return result;
}

status store_add(struct store *store, const char *folder)
{
    struct stat info;
    int fresh;
    if (stat(folder, &info) != 0)
        return status_fail(STATUS_IO, "%s: %s", folder, strerror(errno));
    const char *slash = strrchr(folder, '/');
    if (S_ISREG(info.st_mode)) {
        const status result =
            add_file(store, folder, slash == NULL ? 0 : (size_t)(slash + 1 - folder), &info);
        file_facts_save(store->kinds);
        return result;
    }
    if (!S_ISDIR(info.st_mode))
        return status_fail(STATUS_IO, "%s: is neither a folder nor a file", folder);
    TRY(enter(store, &info, &fresh));
    if (!fresh)
        return STATUS_OK;
    char *plain = strdup(folder); /* without slashes at its end */
    if (plain == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory to list it", folder);
    size_t length = strlen(plain);
    while (length > 1 && plain[length - 1] == '/')
        plain[--length] = 0;
    const status result = walk(store, plain, length + (strcmp(plain, "/") != 0), 0);
    free(plain);
    file_facts_save(store->kinds);
    return result;
}
