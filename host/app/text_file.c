/* host/app/text_file.c - reading texts, and looking at folders before work begins. */
#include "host/app/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utf8proc.h>

static status read_all(FILE *file, const char *name, char **text, size_t *bytes)
{
    char *data = NULL;
    size_t used = 0, cap = 0, got = 1;
    while (got > 0) {
        if (used + 1 >= cap) {
            cap = cap == 0 ? 1 << 14 : 2 * cap;
            char *more = realloc(data, cap);
            if (more == NULL) {
                free(data);
                return status_fail(STATUS_NO_MEMORY, "%s: %zu bytes asked", name, cap);
            }
            data = more;
        }
        got = fread(data + used, 1, cap - used - 1, file);
        used += got;
        if (used > TEXT_FILE_LIMIT) {
            free(data);
            return status_fail(STATUS_BAD_FILE, "%s: longer than %d bytes", name, TEXT_FILE_LIMIT);
        }
    }
    if (ferror(file)) {
        const int why = errno;
        free(data);
        return status_fail(STATUS_IO, "%s: %s", name, strerror(why));
    }
    data[used] = 0;
    *text = data;
    *bytes = used;
    return STATUS_OK;
}

status text_file_read(const char *path, char **text, size_t *bytes)
{
    *text = NULL;
    *bytes = 0;
    if (strcmp(path, "-") == 0)
        return read_all(stdin, "standard input", text, bytes);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return status_fail(STATUS_IO, "%s: %s", path, strerror(errno));
    const status result = read_all(file, path, text, bytes);
    fclose(file);
    return result;
}

status text_check(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        utf8proc_int32_t point;
        const utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                                       (utf8proc_ssize_t)(bytes - i), &point);
        if (step <= 0)
            return status_fail(STATUS_BAD_TEXT, "byte %zu is no UTF-8", i);
        if (point == 0)
            return status_fail(STATUS_BAD_TEXT, "byte %zu is a NUL", i);
        i += (size_t)step;
    }
    return STATUS_OK;
}

status text_check_string(const char *what, const char *text)
{
    const status result = text == NULL ? STATUS_OK : text_check(text, strlen(text));
    return result == STATUS_OK ? STATUS_OK : status_prefix(result, "%s", what);
}

char *text_keep(const char *text, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    return copy;
}

status folder_make(const char *path)
{
    char *copy = text_keep(path, strlen(path));
    if (copy == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for the name", path);
    int bad = 0, why = 0;
    for (char *slash = strchr(copy + (copy[0] != 0), '/'); !bad && slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        bad = mkdir(copy, 0777) != 0 && errno != EEXIST, why = errno;
        *slash = '/';
    }
    if (!bad)
        bad = mkdir(copy, 0777) != 0 && errno != EEXIST, why = errno;
    struct stat found;
    if (!bad && stat(copy, &found) == 0 && !S_ISDIR(found.st_mode))
        bad = 1, why = ENOTDIR;
    free(copy);
    return bad ? status_fail(STATUS_IO, "%s: %s", path, strerror(why)) : STATUS_OK;
}

status text_file_check_writable(const char *path)
{
    struct stat found;
    const char *slash = strrchr(path, '/');
    if (stat(path, &found) == 0) {
        if (S_ISDIR(found.st_mode))
            return status_fail(STATUS_IO, "%s: %s", path, strerror(EISDIR));
        if (access(path, W_OK) != 0)
            return status_fail(STATUS_IO, "%s: %s", path, strerror(errno));
        if (!S_ISREG(found.st_mode))
            return STATUS_OK;
    }
    char *folder = slash == NULL ? text_keep(".", 1) : text_keep(path, (size_t)(slash - path) + 1);
    if (folder == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for the name", path);
    const int bad = access(folder, W_OK | X_OK) != 0, why = errno;
    free(folder);
    return bad ? status_fail(STATUS_IO, "%s: %s", path, strerror(why)) : STATUS_OK;
}
