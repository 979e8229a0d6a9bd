/* weights/tensor_format.c - which reader a file's first bytes ask for. */
#include "weights/readers.h"

#include <string.h>

static int bytes_begin(struct file_bytes file, size_t at, const char *text, size_t length)
{
    return file.size >= at + length && memcmp(file.at + at, text, length) == 0;
}

/* Eight bytes of length, then JSON. A zip or a pickle has other things than zeros in bytes 4 to 7.
 */
static int looks_safetensors(struct file_bytes file)
{
    return bytes_begin(file, 4, "\0\0\0\0{", 5);
}

/* A pickle of protocol 2 to 5 whose first value is torch's ten-byte magic number. */
static int looks_torch_legacy(struct file_bytes file)
{
    static const char magic[] = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    if (file.size < 2 || file.at[0] != 0x80 || file.at[1] < 2 || file.at[1] > 5)
        return 0;
    return bytes_begin(file, 2, magic, sizeof magic - 1) ||
           (file.at[1] >= 4 && bytes_begin(file, 11, magic, sizeof magic - 1)); /* after FRAME */
}

status tensor_bytes_read(struct file_bytes file, struct tensor_table *table,
                         enum tensor_format *format)
{
    if (file.size == 0)
        return status_fail(STATUS_BAD_FILE, "the file is empty");
    if (looks_safetensors(file)) {
        *format = TENSOR_SAFETENSORS;
        return safetensors_read(file, table);
    }
    if (bytes_begin(file, 0, "PK\x03\x04", 4) || bytes_begin(file, 0, "PK\x05\x06", 4)) {
        *format = TENSOR_TORCH_ZIP;
        return torch_zip_read(file, table);
    }
    if (looks_torch_legacy(file)) {
        *format = TENSOR_TORCH_LEGACY;
        return torch_legacy_read(file, table);
    }
    if (bytes_begin(file, 8, "{", 1)) { /* a length of 2^32 and more: the reader says so */
        *format = TENSOR_SAFETENSORS;
        return safetensors_read(file, table);
    }
    if (bytes_begin(file, 257, "ustar", 5))
        return status_fail(STATUS_UNSUPPORTED,
                           "a tar file, as torch wrote before 2017; load it with torch and save it "
                           "again");
    if (bytes_begin(file, 0, "version https://git-lfs", 23))
        return status_fail(STATUS_BAD_FILE,
                           "a Git LFS pointer: the file itself was not downloaded");
    if (bytes_begin(file, 0, "<!DOCTYPE", 9) || bytes_begin(file, 0, "<html", 5))
        return status_fail(STATUS_BAD_FILE, "a web page: the file itself was not downloaded");
    return status_fail(STATUS_BAD_FILE, "neither safetensors nor a torch file");
}
