/* weights/tensor_file.c - a file on disk, mapped or read, and the table of what is in it. */
#include "weights/tensor_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weights/readers.h"

/* Up to READ_MAX_BYTES a copy is cheap, and safe from what happens to the file. Any file may ask
 * for OWN_FREE_BYTES of gathered memory, and for OWN_FACTOR times its size beyond that: deflate
 * packs zeros tightly, and expand() repeats what is stored once. */
enum { READ_MAX_BYTES = 8 << 20, OWN_FREE_BYTES = 64 << 20, OWN_FACTOR = 32 };

struct tensor_file {
    char *path;
    struct stat opened;
    unsigned char *bytes;
    size_t size;
    int mapped;
    enum tensor_format format;
    struct tensor_table table;
};

/* ---- opening ------------------------------------------------------------------------- */

static status fail_errno(const char *doing)
{
    char text[128];
    const int code = errno;
    if (strerror_r(code, text, sizeof text) != 0)
        text[0] = 0;
    return status_fail(STATUS_IO, "%s: %s", doing, text);
}

static status check_kind(mode_t mode)
{
    const char *kind = S_ISDIR(mode)    ? "a folder"
                       : S_ISFIFO(mode) ? "a pipe"
                       : S_ISSOCK(mode) ? "a socket"
                       : S_ISREG(mode)  ? NULL
                                        : "a device";
    return kind == NULL ? STATUS_OK : status_fail(STATUS_IO, "is %s, not a file", kind);
}

/* Reads exactly `size` bytes; a file that got shorter since fstat() is refused. */
static status read_whole(int descriptor, unsigned char *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t got = pread(descriptor, to + done, size - done, (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno("cannot be read");
        if (got == 0)
            return status_fail(STATUS_BAD_FILE, "ended after %zu of %zu bytes while being read",
                               done, size);
        done += (size_t)got;
    }
    return STATUS_OK;
}

static status take_bytes(struct tensor_file *file, int descriptor)
{
    if (file->opened.st_size < 0 || (uintmax_t)file->opened.st_size > SIZE_MAX / 2)
        return status_fail(STATUS_BAD_FILE, "a size that cannot be");
    file->size = (size_t)file->opened.st_size;
    if (file->size > READ_MAX_BYTES) {
        void *at = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (at == MAP_FAILED)
            return fail_errno("cannot be mapped");
        file->bytes = at;
        file->mapped = 1;
        return STATUS_OK;
    }
    file->bytes = malloc(file->size + 1);
    if (file->bytes == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory for %zu bytes", file->size);
    return read_whole(descriptor, file->bytes, file->size);
}

static status open_descriptor(struct tensor_file *file, int *descriptor)
{
    struct stat before;
    if (stat(file->path, &before) != 0)
        return fail_errno("cannot be opened");
    TRY(check_kind(before.st_mode)); /* opening a socket fails without saying what it is */
    *descriptor = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*descriptor < 0)
        return fail_errno("cannot be opened");
    if (fstat(*descriptor, &file->opened) != 0)
        return fail_errno("cannot be read");
    return check_kind(file->opened.st_mode); /* it may have been exchanged between the two */
}

static status open_and_read(struct tensor_file *file)
{
    int descriptor = -1;
    status code = open_descriptor(file, &descriptor);
    if (code == STATUS_OK)
        code = take_bytes(file, descriptor);
    if (descriptor >= 0)
        close(descriptor);
    TRY(code);

    file->table.own_cap = OWN_FREE_BYTES;
    if (file->size <= (SIZE_MAX - OWN_FREE_BYTES) / OWN_FACTOR)
        file->table.own_cap += file->size * OWN_FACTOR;
    const struct file_bytes bytes = { file->bytes, file->size };
    TRY(tensor_bytes_read(bytes, &file->table, &file->format));
    return file->mapped ? tensor_file_unchanged(file) : STATUS_OK;
}

status tensor_file_open(const char *path, struct tensor_file **out)
{
    *out = NULL;
    struct tensor_file *file = calloc(1, sizeof *file);
    if (file == NULL || (file->path = malloc(strlen(path) + 1)) == NULL) {
        free(file);
        return status_fail(STATUS_NO_MEMORY, "%s: no memory", path);
    }
    memcpy(file->path, path, strlen(path) + 1);
    const status code = open_and_read(file);
    if (code != STATUS_OK) {
        tensor_file_close(file);
        return status_prefix(code, "%s", path);
    }
    *out = file;
    return STATUS_OK;
}

void tensor_file_close(struct tensor_file *file)
{
    if (file == NULL)
        return;
    tensor_table_release(&file->table);
    if (file->mapped)
        munmap(file->bytes, file->size);
    else
        free(file->bytes);
    free(file->path);
    free(file);
}

status tensor_file_unchanged(const struct tensor_file *file)
{
    struct stat now;
    if (stat(file->path, &now) != 0)
        return status_prefix(fail_errno("is gone since it was opened"), "%s", file->path);
    const struct stat *then = &file->opened;
    if (now.st_size != then->st_size)
        return status_fail(STATUS_BAD_FILE, "%s: had %jd bytes when it was opened, has %jd now",
                           file->path, (intmax_t)then->st_size, (intmax_t)now.st_size);
    if (now.st_ino != then->st_ino || now.st_dev != then->st_dev ||
        now.st_mtim.tv_sec != then->st_mtim.tv_sec || now.st_mtim.tv_nsec != then->st_mtim.tv_nsec)
        return status_fail(STATUS_BAD_FILE, "%s: was changed since it was opened", file->path);
    return STATUS_OK;
}

/* ---- what it lends ------------------------------------------------------------------- */

const struct tensor *tensor_file_find(const struct tensor_file *file, const char *name)
{
    return tensor_table_find(&file->table, name);
}

size_t tensor_file_count(const struct tensor_file *file) { return file->table.tensor_count; }

const struct tensor *tensor_file_at(const struct tensor_file *file, size_t i)
{
    return i < file->table.tensor_count ? &file->table.tensors[i] : NULL;
}

const char *tensor_file_note(const struct tensor_file *file, const char *key)
{
    const struct tensor_note *note = tensor_table_find_note(&file->table, key);
    return note == NULL ? NULL : note->value;
}

size_t tensor_file_class_count(const struct tensor_file *file) { return file->table.class_count; }

const char *tensor_file_class_at(const struct tensor_file *file, size_t i)
{
    return i < file->table.class_count ? file->table.classes[i] : NULL;
}

enum tensor_format tensor_file_format(const struct tensor_file *file) { return file->format; }
const char *tensor_file_path(const struct tensor_file *file) { return file->path; }

size_t tensor_elements(const struct tensor *tensor)
{
    return tensor->bytes / dtype_size(tensor->dtype);
}

void tensor_to_f32(const struct tensor *tensor, float *out)
{
    if (tensor->bytes > 0)
        dtype_to_f32(tensor->data, tensor->dtype, tensor_elements(tensor), out);
}
