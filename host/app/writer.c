/* host/app/writer.c - a queue of two pictures and the thread that empties it. */
#include "host/app/writer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/out_folder.h"
#include "host/app/say.h"
#include "host/app/signals.h"
#include "host/base/clock.h"
#include "host/mikubench.h"

enum { WAITING_MAX = 2 };

struct writer {
    const char *folder;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct shot *first, *last;
    int waiting, closing;
    status failed;
    char why[1024]; /* status_text() is its thread's own */
};

/* ---- the thread -------------------------------------------------------------------------- */

static status write_file(const struct shot *shot)
{
    const char *path = shot->again != NULL ? shot->again->path : shot->path;
    return miku_png_write(path, shot->rgb, shot->width, shot->height, shot->infotext, shot->notes);
}

/* The number is taken and used while the folder is held, so two runs never share one. */
static status write_numbered(const struct writer *writer, struct shot *shot)
{
    int hold;
    TRY(out_folder_enter(writer->folder, &hold));
    status result = out_folder_next(writer->folder, shot->seed, &shot->path);
    if (result == STATUS_OK)
        result = write_file(shot);
    out_folder_leave(hold);
    return result;
}

static status write_shot(const struct writer *writer, struct shot *shot)
{
    const double began = clock_now_ms();
    const int named = shot->path != NULL || shot->again != NULL;
    TRY(named ? write_file(shot) : write_numbered(writer, shot));
    shot->written_at_ms = clock_now_ms();
    shot->file_ms = shot->written_at_ms - began;
    if (shot->line != NULL)
        say_result("%s  %s", shot->path, shot->line);
    return STATUS_OK;
}

static void let_go(struct shot *shot)
{
    free(shot->infotext);
    free(shot->notes);
    free(shot->line);
    shot->infotext = shot->notes = shot->line = NULL;
    if (!shot->keep) {
        free(shot->rgb);
        shot->rgb = NULL;
    }
}

static struct shot *take(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    while (writer->first == NULL && !writer->closing)
        pthread_cond_wait(&writer->changed, &writer->lock);
    struct shot *shot = writer->first;
    pthread_mutex_unlock(&writer->lock);
    return shot;
}

/* Leaves the queue only when it is done with, so that at most two pictures wait in memory. */
static void finish(struct writer *writer, struct shot *shot, status result)
{
    pthread_mutex_lock(&writer->lock);
    if (result != STATUS_OK && writer->failed == STATUS_OK) {
        writer->failed = result;
        snprintf(writer->why, sizeof writer->why, "%s", status_text());
    }
    writer->first = shot->next;
    if (writer->first == NULL)
        writer->last = NULL;
    writer->waiting--;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

static void *run(void *arg)
{
    struct writer *writer = arg;
    status result = STATUS_OK;
    signals_block();
    for (struct shot *shot = take(writer); shot != NULL; shot = take(writer)) {
        if (result == STATUS_OK)
            result = write_shot(writer, shot);
        let_go(shot);
        finish(writer, shot, result);
    }
    return NULL;
}

/* ---- from outside ------------------------------------------------------------------------ */

status writer_open(const char *folder, struct writer **out)
{
    *out = NULL;
    struct writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return status_fail(STATUS_NO_MEMORY, "writer: %zu bytes asked", sizeof *writer);
    writer->folder = folder;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->changed, NULL);
    const int why = pthread_create(&writer->thread, NULL, run, writer);
    if (why != 0) {
        free(writer);
        return status_fail(STATUS_NO_MEMORY, "writer: no thread: %s", strerror(why));
    }
    *out = writer;
    return STATUS_OK;
}

/* In the caller's thread, with the caller's text. */
static status outcome(const struct writer *writer)
{
    return writer->failed == STATUS_OK ? STATUS_OK : status_fail(writer->failed, "%s", writer->why);
}

status writer_put(struct writer *writer, struct shot *shot)
{
    pthread_mutex_lock(&writer->lock);
    while (writer->waiting >= WAITING_MAX)
        pthread_cond_wait(&writer->changed, &writer->lock);
    const status result = outcome(writer);
    shot->next = NULL;
    if (result == STATUS_OK) {
        if (writer->last != NULL)
            writer->last->next = shot;
        else
            writer->first = shot;
        writer->last = shot;
        writer->waiting++;
        pthread_cond_broadcast(&writer->changed);
    }
    pthread_mutex_unlock(&writer->lock);
    return result;
}

void writer_settle(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    while (writer->waiting > 0)
        pthread_cond_wait(&writer->changed, &writer->lock);
    pthread_mutex_unlock(&writer->lock);
}

status writer_close(struct writer *writer)
{
    if (writer == NULL)
        return STATUS_OK;
    pthread_mutex_lock(&writer->lock);
    writer->closing = 1;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    const status result = outcome(writer);
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
    return result;
}
