/* weights/file_facts.c - lines of "text TAB bytes TAB seconds TAB nanoseconds TAB path".
 *
 * Writers take a lock on a file beside it, read it again, merge, and rename a new one over it; so
 * readers need no lock, and no run undoes what another has learnt. */
#include "weights/file_facts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TEXT_CAP = 512,
    PATH_CAP = 4096,
    LINE_CAP = TEXT_CAP + PATH_CAP + 128,
    FACTS_MAX = 20000 /* then the oldest go */
};

struct fact {
    char *path, *text;
    struct file_stamp stamp;
};

struct fact_list {
    struct fact *items;
    size_t count, cap;
};

struct file_facts {
    pthread_mutex_t lock;
    char *file; /* null: nowhere */
    struct fact_list list;
};

/* ---- lists ------------------------------------------------------------------------------- */

static void fact_free(struct fact *fact)
{
    free(fact->path);
    free(fact->text);
}

static void list_free(struct fact_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        fact_free(&list->items[i]);
    free(list->items);
    *list = (struct fact_list){ 0 };
}

static struct fact *list_find(const struct fact_list *list, const char *path)
{
    for (size_t i = list->count; i-- > 0;)
        if (strcmp(list->items[i].path, path) == 0)
            return &list->items[i];
    return NULL;
}

static int list_room(struct fact_list *list)
{
    if (list->count < list->cap)
        return 1;
    const size_t cap = list->cap == 0 ? 64 : 2 * list->cap;
    void *grown = realloc(list->items, cap * sizeof *list->items);
    if (grown == NULL)
        return 0;
    list->items = grown;
    list->cap = cap;
    return 1;
}

/* What cannot be remembered is forgotten: facts are only there to save time. */
static void list_put(struct fact_list *list, const char *path, const struct file_stamp *stamp,
                     const char *text)
{
    struct fact fact = { strdup(path), strdup(text), *stamp };
    struct fact *there = list_find(list, path);
    if (fact.path == NULL || fact.text == NULL || (there == NULL && !list_room(list))) {
        fact_free(&fact);
        return;
    }
    if (there == NULL) {
        list->items[list->count++] = fact;
        return;
    }
    fact_free(there);
    *there = fact;
}

/* ---- the file ---------------------------------------------------------------------------- */

/* Splits one line in place; 0 if it is damaged. */
static int parse_line(char *line, struct file_stamp *stamp, char **text, char **path)
{
    char *field[5], *next = line;
    const size_t length = strlen(line);
    if (length == 0 || line[length - 1] != '\n')
        return 0;
    line[length - 1] = 0;
    for (int i = 0; i < 5; i++) {
        field[i] = next;
        next = i < 4 ? strchr(next, '\t') : NULL;
        if (i < 4 && next == NULL)
            return 0;
        if (next != NULL)
            *next++ = 0;
    }
    *text = field[0];
    *path = field[4];
    return sscanf(field[1], "%" SCNu64, &stamp->bytes) == 1 &&
           sscanf(field[2], "%" SCNd64, &stamp->seconds) == 1 &&
           sscanf(field[3], "%ld", &stamp->nanoseconds) == 1 && field[4][0] == '/';
}

static void read_into(const char *file, struct fact_list *list)
{
    FILE *in = fopen(file, "r");
    char line[LINE_CAP];
    if (in == NULL)
        return;
    for (int lines = 0; lines < 2 * FACTS_MAX && fgets(line, sizeof line, in) != NULL; lines++) {
        struct file_stamp stamp;
        char *text, *path;
        if (parse_line(line, &stamp, &text, &path))
            list_put(list, path, &stamp, text);
    }
    fclose(in);
}

static int write_all(const char *file, const struct fact_list *list)
{
    char temporary[PATH_CAP];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", file) >= (int)sizeof temporary)
        return 0;
    const int fd = mkstemp(temporary);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (out == NULL) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    const size_t first = list->count > FACTS_MAX ? list->count - FACTS_MAX : 0;
    for (size_t i = first; i < list->count; i++) {
        const struct fact *fact = &list->items[i];
        fprintf(out, "%s\t%" PRIu64 "\t%" PRId64 "\t%ld\t%s\n", fact->text, fact->stamp.bytes,
                fact->stamp.seconds, fact->stamp.nanoseconds, fact->path);
    }
    const int whole = !ferror(out);
    if (fclose(out) == 0 && whole && rename(temporary, file) == 0)
        return 1;
    unlink(temporary);
    return 0;
}

static int take_lock(const char *file)
{
    char path[PATH_CAP];
    if (snprintf(path, sizeof path, "%s.lock", file) >= (int)sizeof path)
        return -1;
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return -1;
    int refused;
    do
        refused = flock(fd, LOCK_EX);
    while (refused != 0 && errno == EINTR);
    if (!refused)
        return fd;
    close(fd);
    return -1;
}

void file_facts_save(struct file_facts *facts)
{
    pthread_mutex_lock(&facts->lock);
    const int fd = facts->file == NULL ? -1 : take_lock(facts->file);
    if (fd >= 0) {
        struct fact_list merged = { 0 };
        read_into(facts->file, &merged);
        for (size_t i = 0; i < facts->list.count; i++)
            list_put(&merged, facts->list.items[i].path, &facts->list.items[i].stamp,
                     facts->list.items[i].text);
        write_all(facts->file, &merged);
        list_free(&facts->list);
        facts->list = merged;
        close(fd);
    }
    pthread_mutex_unlock(&facts->lock);
}

/* ---- opening and asking ------------------------------------------------------------------ */

status file_stamp_of(const char *path, struct file_stamp *out)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return status_fail(STATUS_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return status_fail(STATUS_IO, "%s: is no regular file", path);
    *out = (struct file_stamp){ (uint64_t)info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec };
    return STATUS_OK;
}

int file_stamp_same(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->bytes == b->bytes && a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

/* mkdir -p; what fails shows when the file is written. */
static void make_folders(const char *dir)
{
    char path[PATH_CAP];
    if (snprintf(path, sizeof path, "%s", dir) >= (int)sizeof path)
        return;
    for (char *p = path + 1; *p != 0; p++)
        if (*p == '/') {
            *p = 0;
            mkdir(path, 0777);
            *p = '/';
        }
    mkdir(path, 0777);
}

status file_facts_open(const char *dir, const char *name, struct file_facts **out)
{
    *out = NULL;
    struct file_facts *facts = calloc(1, sizeof *facts);
    const size_t cap = dir == NULL ? 0 : strlen(dir) + strlen(name) + 2;
    if (facts != NULL && dir != NULL && dir[0] != 0)
        facts->file = malloc(cap);
    if (facts == NULL || (dir != NULL && dir[0] != 0 && facts->file == NULL)) {
        free(facts);
        return status_fail(STATUS_NO_MEMORY, "no memory for a cache of %s", name);
    }
    pthread_mutex_init(&facts->lock, NULL);
    if (facts->file != NULL) {
        make_folders(dir);
        snprintf(facts->file, cap, "%s/%s", dir, name);
        read_into(facts->file, &facts->list);
    }
    *out = facts;
    return STATUS_OK;
}

void file_facts_close(struct file_facts *facts)
{
    if (facts == NULL)
        return;
    pthread_mutex_destroy(&facts->lock);
    list_free(&facts->list);
    free(facts->file);
    free(facts);
}

int file_facts_get(struct file_facts *facts, const char *path, const struct file_stamp *stamp,
                   char *text, size_t cap)
{
    pthread_mutex_lock(&facts->lock);
    const struct fact *fact = list_find(&facts->list, path);
    const int found =
        fact != NULL && file_stamp_same(&fact->stamp, stamp) && strlen(fact->text) < cap;
    if (found)
        memcpy(text, fact->text, strlen(fact->text) + 1);
    pthread_mutex_unlock(&facts->lock);
    return found;
}

void file_facts_put(struct file_facts *facts, const char *path, const struct file_stamp *stamp,
                    const char *text)
{
    if (path[0] != '/' || strchr(path, '\n') != NULL || strlen(path) >= PATH_CAP ||
        strpbrk(text, "\t\n") != NULL || strlen(text) >= TEXT_CAP)
        return;
    pthread_mutex_lock(&facts->lock);
    list_put(&facts->list, path, stamp, text);
    pthread_mutex_unlock(&facts->lock);
}
