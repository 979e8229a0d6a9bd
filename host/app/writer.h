/* host/app/writer.h - pictures to files, in a thread beside the next picture. */
#ifndef HOST_APP_WRITER_H
#define HOST_APP_WRITER_H

#include <stdint.h>

#include "host/base/status.h"

/* One picture on its way: filled by who made it, then the writer's until writer_close(). */
struct shot {
    int width, height;
    uint8_t *rgb;           /* let go of once written, unless `keep` */
    char *infotext, *notes; /* let go of once written */
    char *path;             /* given: that file; null: numbered in the writer's folder */
    char *line;             /* what is said of it, after its path; let go of once said */
    uint64_t seed;
    int keep;

    double file_ms, written_at_ms; /* out: encoded and on disk; clock_now_ms() then */
    struct shot *next;             /* the writer's */
};

struct writer;

/* `folder` is lent and exists; null if every shot has a path. */
status writer_open(const char *folder, struct writer **out);

/* Takes the shot in; waits while two others are before it.
 * returns  what an earlier shot failed with: nothing more is written then */
status writer_put(struct writer *writer, struct shot *shot);

/* Waits until all is written. returns what a shot failed with; null is fine */
status writer_close(struct writer *writer);

#endif
