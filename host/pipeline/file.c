/* host/pipeline/file.c - whole files: read at once, and written so that they appear whole or not
 * at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/mikubench.h"
#include "host/pipeline/image.h"

/* ---- reading ----------------------------------------------------------------------------- */

static status read_stream(FILE *file, const char *path, size_t limit, uint8_t **bytes,
                          size_t *count)
{
    uint8_t *data = NULL;
    size_t used = 0, cap = 0;
    for (;;) {
        if (used + 1 >= cap) {
            cap = cap == 0 ? 1 << 16 : 2 * cap;
            uint8_t *more = realloc(data, cap);
            if (more == NULL) {
                free(data);
                return status_fail(STATUS_NO_MEMORY, "%s: %zu bytes asked", path, cap);
            }
            data = more;
        }
        const size_t got = fread(data + used, 1, cap - used - 1, file);
        used += got;
        if (used > limit) {
            free(data);
            return status_fail(STATUS_BAD_FILE, "%s: longer than %zu bytes", path, limit);
        }
        if (got == 0)
            break;
    }
    if (ferror(file)) {
        const int why = errno;
        free(data);
        return status_fail(STATUS_IO, "%s: %s", path, strerror(why));
    }
    data[used] = 0;
    *bytes = data;
    *count = used;
    return STATUS_OK;
}

status file_read(const char *path, size_t limit, uint8_t **bytes, size_t *count)
{
    *bytes = NULL;
    *count = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return status_fail(STATUS_IO, "%s: %s", path, strerror(errno));
    const status result = read_stream(file, path, limit, bytes, count);
    fclose(file);
    return result;
}

/* ---- writing ----------------------------------------------------------------------------- */

static int write_all(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        const ssize_t put = write(fd, at, count);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return -1;
        at += put;
        count -= (size_t)put;
    }
    return 0;
}

/* A device or a pipe is written into, never replaced. */
static status write_into(const char *path, const void *bytes, size_t count)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return status_fail(STATUS_IO, "%s: %s", path, strerror(errno));
    const int bad = write_all(fd, bytes, count) != 0, why = errno;
    close(fd);
    return bad ? status_fail(STATUS_IO, "%s: %s", path, strerror(why)) : STATUS_OK;
}

/* The name's folder with "/", as a length: 0 where there is none. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

/* So that the new name survives a crash of the machine. What cannot be done is not asked for. */
static void sync_folder(const char *path, size_t length)
{
    char *folder = malloc(length + 2);
    if (folder == NULL)
        return;
    memcpy(folder, path, length);
    memcpy(folder + length, ".", 2);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static status fill_and_rename(const char *part, const char *path, const void *bytes, size_t count)
{
    const int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return status_fail(STATUS_IO, "%s: %s", path, strerror(errno));
    int bad = write_all(fd, bytes, count) != 0 || fsync(fd) != 0, why = errno;
    if (close(fd) != 0 && !bad)
        bad = 1, why = errno;
    if (!bad && rename(part, path) != 0)
        bad = 1, why = errno;
    if (!bad)
        return STATUS_OK;
    unlink(part);
    return status_fail(STATUS_IO, "%s: %s", path, strerror(why));
}

static status write_beside(const char *path, const void *bytes, size_t count)
{
    static atomic_uint serial; /* two contexts may write into one folder */
    const size_t folder = folder_length(path), cap = folder + 64;
    char *part = malloc(cap);
    if (part == NULL)
        return status_fail(STATUS_NO_MEMORY, "%s: %zu bytes asked", path, cap);
    memcpy(part, path, folder);
    snprintf(part + folder, cap - folder, ".mikubench-%ld-%u.part", (long)getpid(),
             atomic_fetch_add(&serial, 1u));
    const status result = fill_and_rename(part, path, bytes, count);
    if (result == STATUS_OK)
        sync_folder(path, folder);
    free(part);
    return result;
}

status miku_file_write(const char *path, const void *bytes, size_t count)
{
    struct stat found;
    if (stat(path, &found) != 0)
        return write_beside(path, bytes, count);
    if (S_ISDIR(found.st_mode))
        return status_fail(STATUS_IO, "%s: %s", path, strerror(EISDIR));
    if (!S_ISREG(found.st_mode))
        return write_into(path, bytes, count);
    char *target = realpath(path, NULL); /* a link stays a link */
    if (target == NULL)
        return status_fail(STATUS_IO, "%s: %s", path, strerror(errno));
    const status result = write_beside(target, bytes, count);
    free(target);
    return result;
}
