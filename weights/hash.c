/* weights/hash.c - SHA-256 through libcrypto, and what is known already. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "weights/hash.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weights/file_facts.h"

enum {
    CHUNK = 4 << 20,      /* bytes between two questions whether to go on */
    OLD_OFFSET = 1 << 20, /* the old hash looks at 64 KiB from here */
    OLD_BYTES = 1 << 16,
    PREFIX_LEAST = 8 /* hex digits that say enough */
};

struct hash_cache {
    struct file_facts *facts;
};

status hash_cache_open(const char *dir, struct hash_cache **out)
{
    *out = NULL;
    struct hash_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory for the cache of hashes");
    const status result = file_facts_open(dir, "sha256", &cache->facts);
    if (result != STATUS_OK)
        free(cache);
    else
        *out = cache;
    return result;
}

void hash_cache_close(struct hash_cache *cache)
{
    if (cache == NULL)
        return;
    file_facts_close(cache->facts);
    free(cache);
}

/* ---- reading ----------------------------------------------------------------------------- */

static status open_regular(const char *path, int *out)
{
    struct stat info;
    *out = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make us wait */
    if (*out < 0)
        return status_fail(STATUS_IO, "%s: %s", path, strerror(errno));
    if (fstat(*out, &info) == 0 && S_ISREG(info.st_mode))
        return STATUS_OK;
    close(*out);
    return status_fail(STATUS_IO, "%s: is no regular file", path);
}

/* Up to `most` bytes, as many as there are: 0 is the end, negative an error. */
static ssize_t read_some(int fd, unsigned char *buffer, size_t most)
{
    ssize_t got;
    do
        got = read(fd, buffer, most);
    while (got < 0 && errno == EINTR);
    return got;
}

static void hex(const unsigned char *bytes, size_t count, char *out)
{
    for (size_t i = 0; i < count; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* Hashes `most` bytes from where the file stands, or up to its end. */
static status digest(int fd, const char *path, uint64_t most, int (*cancel)(void *), void *user,
                     char sha256[HASH_TEXT])
{
    unsigned char sum[EVP_MAX_MD_SIZE] = { 0 }, *buffer = malloc(CHUNK);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    status result = STATUS_OK;
    int good =
        buffer != NULL && context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    if (!good)
        result = status_fail(STATUS_NO_MEMORY, "%s: no memory to hash it", path);
    while (result == STATUS_OK && most > 0) {
        if (cancel != NULL && cancel(user))
            result = status_fail(STATUS_CANCELLED, "%s: hashing was cancelled", path);
        const ssize_t got =
            result != STATUS_OK ? 0 : read_some(fd, buffer, most < CHUNK ? (size_t)most : CHUNK);
        if (got < 0)
            result = status_fail(STATUS_IO, "%s: %s", path, strerror(errno));
        if (got <= 0)
            break;
        good &= EVP_DigestUpdate(context, buffer, (size_t)got) == 1;
        most -= (uint64_t)got;
    }
    if (result == STATUS_OK && !(good && EVP_DigestFinal_ex(context, sum, NULL) == 1))
        result = status_fail(STATUS_DEVICE, "%s: libcrypto could not hash it", path);
    if (result == STATUS_OK)
        hex(sum, 32, sha256);
    EVP_MD_CTX_free(context);
    free(buffer);
    return result;
}

/* ---- asking ------------------------------------------------------------------------------ */

static int known(struct hash_cache *cache, const char *real, const struct file_stamp *stamp,
                 char sha256[HASH_TEXT])
{
    char text[HASH_TEXT];
    if (!file_facts_get(cache->facts, real, stamp, text, sizeof text) ||
        strlen(text) != HASH_TEXT - 1 || strspn(text, "0123456789abcdef") != HASH_TEXT - 1)
        return 0;
    memcpy(sha256, text, HASH_TEXT);
    return 1;
}

int hash_known(struct hash_cache *cache, const char *path, char sha256[HASH_TEXT])
{
    struct file_stamp stamp;
    sha256[0] = 0;
    char *real = realpath(path, NULL);
    const int found = real != NULL && file_stamp_of(real, &stamp) == STATUS_OK &&
                      known(cache, real, &stamp, sha256);
    free(real);
    return found;
}

static status hash_real(struct hash_cache *cache, const char *real, int (*cancel)(void *),
                        void *user, char sha256[HASH_TEXT])
{
    struct file_stamp before, after;
    int fd;
    TRY(file_stamp_of(real, &before));
    if (known(cache, real, &before, sha256))
        return STATUS_OK;
    TRY(open_regular(real, &fd));
    status result = digest(fd, real, UINT64_MAX, cancel, user, sha256);
    close(fd);
    if (result == STATUS_OK)
        result = file_stamp_of(real, &after);
    if (result == STATUS_OK && !file_stamp_same(&before, &after))
        result = status_fail(STATUS_BAD_FILE, "%s: changed while it was hashed", real);
    if (result == STATUS_OK) {
        file_facts_put(cache->facts, real, &before, sha256);
        file_facts_save(cache->facts);
    }
    return result;
}

status hash_file(struct hash_cache *cache, const char *path, int (*cancel)(void *user), void *user,
                 char sha256[HASH_TEXT])
{
    sha256[0] = 0;
    char *real = realpath(path, NULL);
    if (real == NULL)
        return status_fail(STATUS_IO, "%s: %s", path, strerror(errno));
    const status result = hash_real(cache, real, cancel, user, sha256);
    if (result != STATUS_OK)
        sha256[0] = 0;
    free(real);
    return result;
}

status hash_old(const char *path, char digits[HASH_OLD_TEXT])
{
    char sha256[HASH_TEXT];
    int fd;
    digits[0] = 0;
    TRY(open_regular(path, &fd));
    status result = lseek(fd, OLD_OFFSET, SEEK_SET) < 0
                        ? status_fail(STATUS_IO, "%s: %s", path, strerror(errno))
                        : digest(fd, path, OLD_BYTES, NULL, NULL, sha256);
    close(fd);
    if (result == STATUS_OK)
        snprintf(digits, HASH_OLD_TEXT, "%.8s", sha256);
    return result;
}

int hash_matches(const char *sha256, const char *wanted)
{
    const size_t length = strlen(wanted);
    if (length < PREFIX_LEAST || length > strlen(sha256))
        return 0;
    for (size_t i = 0; i < length; i++)
        if (tolower((unsigned char)wanted[i]) != sha256[i])
            return 0;
    return 1;
}
