/* host/prompt/bytes.h - bytes that grow. */
#ifndef HOST_PROMPT_BYTES_H
#define HOST_PROMPT_BYTES_H

#include <stddef.h>

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A zeroed one is empty. */
struct bytes {
    char *at;
    size_t count, room;
};

status bytes_append(struct bytes *bytes, const char *from, size_t count);
status bytes_text(struct bytes *bytes, const char *text); /* without its NUL */
status bytes_end(struct bytes *bytes);                    /* a NUL */
void bytes_free(struct bytes *bytes);

/* Makes room for one more element of `size` in an array that grows; *array may be null. */
status array_grow(void **array, size_t *room, size_t count, size_t size);

#ifdef __cplusplus
}
#endif

#endif
