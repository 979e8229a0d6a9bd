/* host/app/shot.h - a picture on its way to a file. */
#ifndef HOST_APP_SHOT_H
#define HOST_APP_SHOT_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/mikubench.h"

/* One picture on its way: filled by who made it, then the writer's until writer_close(). */
struct shot {
    int width, height;
    uint8_t *rgb;           /* let go of once written, unless `keep` */
    char *infotext, *notes; /* let go of once written */
    char *path;             /* given: that file; null: numbered in the writer's folder */
    char *line;             /* what is said of it, after its path; let go of once said */
    uint64_t seed;
    int keep;
    const struct shot *again; /* of a later run: the shot whose file is written once more; null */

    size_t configuration; /* for traces: whose it is, and of which run */
    int run, run_kind;

    double file_ms, written_at_ms; /* out: encoded and on disk; clock_now_ms() then */
    struct shot *next;             /* the writer's */
};

/* A copy of all that a picture lends. path null: numbered by the writer. line: what is said of it.
 * Null if there is no memory. */
struct shot *shot_make(const struct miku_picture *picture, const char *path, const char *line);
void shot_free(struct shot *shot); /* null is fine */

/* What is said of a picture, behind its name; free() it. */
char *shot_line(const struct miku_picture *picture, const char *label);

#endif
