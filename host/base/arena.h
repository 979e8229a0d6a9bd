/* host/base/arena.h - memory of one lifetime, handed out by moving an offset. */
#ifndef HOST_BASE_ARENA_H
#define HOST_BASE_ARENA_H

#include <stddef.h>

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ARENA_ALIGN = 64 }; /* every block starts on a cache line */

/* Open, so that a device can keep one over memory of its own. */
struct arena {
    unsigned char *base; /* ARENA_ALIGN aligned; null while planning: then nothing may be touched */
    size_t cap;          /* bytes at base; ignored while planning */
    size_t used;         /* bytes handed out now */
    size_t peak;         /* most that was ever handed out */
    int planning;        /* 1: hand out addresses that only add up */
};

/* Takes `bytes` (0 is legal) from the arena. Planning addresses are never null and never mapped.
 * returns  STATUS_NO_MEMORY, with the bytes asked and left; *out is null */
status arena_alloc(struct arena *arena, size_t bytes, void **out);

size_t arena_mark(const struct arena *arena);
void arena_release(struct arena *arena, size_t mark); /* all handed out since the mark */

#ifdef __cplusplus
}
#endif

#endif
