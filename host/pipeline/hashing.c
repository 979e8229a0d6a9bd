/* host/pipeline/hashing.c - one thread, a list of files, a condition. */
#include "host/pipeline/hashing.h"

#include <pthread.h>
#include <stdlib.h>

#include "host/pipeline/request.h" /* text_copy() */

struct hashing {
    struct hash_cache *cache;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    size_t count, done; /* files 0 .. done - 1 are hashed */
    int stop;
    char **path;
    char (*sha256)[HASH_TEXT];
};

static int stopped(void *user)
{
    struct hashing *hashing = user;
    pthread_mutex_lock(&hashing->lock);
    const int stop = hashing->stop;
    pthread_mutex_unlock(&hashing->lock);
    return stop;
}

static void *work(void *user)
{
    struct hashing *hashing = user;
    for (size_t i = 0; i < hashing->count && !stopped(hashing); i++) {
        char sha256[HASH_TEXT] = "";
        /* A file that cannot be read has failed, or will fail, where it is used. */
        if (hashing->path[i] != NULL)
            (void)hash_file(hashing->cache, hashing->path[i], stopped, hashing, sha256);
        pthread_mutex_lock(&hashing->lock);
        for (size_t k = 0; k < HASH_TEXT; k++)
            hashing->sha256[i][k] = sha256[k];
        hashing->done = i + 1;
        pthread_cond_broadcast(&hashing->change);
        pthread_mutex_unlock(&hashing->lock);
    }
    return NULL;
}

static void free_all(struct hashing *hashing)
{
    for (size_t i = 0; hashing->path != NULL && i < hashing->count; i++)
        free(hashing->path[i]);
    free(hashing->path);
    free(hashing->sha256);
    free(hashing);
}

status hashing_start(struct hash_cache *cache, const char *const *paths, size_t count,
                     struct hashing **out)
{
    *out = NULL;
    struct hashing *hashing = calloc(1, sizeof *hashing);
    if (hashing == NULL)
        return status_fail(STATUS_NO_MEMORY, "hashes: %zu bytes asked", sizeof *hashing);
    hashing->cache = cache;
    hashing->count = count;
    hashing->path = calloc(count + 1, sizeof *hashing->path);
    hashing->sha256 = calloc(count + 1, sizeof *hashing->sha256);
    int whole = hashing->path != NULL && hashing->sha256 != NULL;
    for (size_t i = 0; whole && i < count; i++)
        whole = paths[i] == NULL || (hashing->path[i] = text_copy(paths[i])) != NULL;
    if (!whole) {
        free_all(hashing);
        return status_fail(STATUS_NO_MEMORY, "hashes: no memory for %zu paths", count);
    }
    pthread_mutex_init(&hashing->lock, NULL);
    pthread_cond_init(&hashing->change, NULL);
    if (pthread_create(&hashing->thread, NULL, work, hashing) != 0) {
        pthread_cond_destroy(&hashing->change);
        pthread_mutex_destroy(&hashing->lock);
        free_all(hashing);
        return status_fail(STATUS_NO_MEMORY, "hashes: no thread to be had");
    }
    *out = hashing;
    return STATUS_OK;
}

const char *hashing_get(struct hashing *hashing, size_t i)
{
    pthread_mutex_lock(&hashing->lock);
    while (hashing->done <= i)
        pthread_cond_wait(&hashing->change, &hashing->lock);
    pthread_mutex_unlock(&hashing->lock);
    return hashing->sha256[i];
}

const char *hashing_peek(struct hashing *hashing, size_t i)
{
    pthread_mutex_lock(&hashing->lock);
    const char *sha256 = hashing->done > i ? hashing->sha256[i] : NULL;
    pthread_mutex_unlock(&hashing->lock);
    return sha256;
}

void hashing_stop(struct hashing *hashing)
{
    if (hashing == NULL)
        return;
    pthread_mutex_lock(&hashing->lock);
    hashing->stop = 1;
    pthread_mutex_unlock(&hashing->lock);
    pthread_join(hashing->thread, NULL);
    pthread_cond_destroy(&hashing->change);
    pthread_mutex_destroy(&hashing->lock);
    free_all(hashing);
}
