/* host/prompt/bytes.c */
#include "host/prompt/bytes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

status array_grow(void **array, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return STATUS_OK;
    const size_t wanted = *room + *room / 2 + 16;
    void *grown = wanted <= SIZE_MAX / size ? realloc(*array, wanted * size) : NULL;
    if (grown == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory for %zu entries", wanted);
    *array = grown;
    *room = wanted;
    return STATUS_OK;
}

status bytes_append(struct bytes *bytes, const char *from, size_t count)
{
    if (count > bytes->room - bytes->count) {
        const size_t room = bytes->count + bytes->room / 2 + count + 64;
        char *grown = realloc(bytes->at, room);
        if (grown == NULL)
            return status_fail(STATUS_NO_MEMORY, "prompt: no memory for %zu bytes", room);
        bytes->at = grown;
        bytes->room = room;
    }
    if (count > 0)
        memcpy(bytes->at + bytes->count, from, count);
    bytes->count += count;
    return STATUS_OK;
}

status bytes_text(struct bytes *bytes, const char *text)
{
    return bytes_append(bytes, text, strlen(text));
}

status bytes_end(struct bytes *bytes) { return bytes_append(bytes, "", 1); }

void bytes_free(struct bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct bytes){ 0 };
}
