/* tests/test_tensor_hostile.c - cut, flipped and exchanged files; things that are no files. What is
 * not refused has to be readable to its last byte: run under the address sanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "weights/readers.h"

static const char folder[] = TEST_SOURCE_DIR "/tests/vectors/formats";
static const char *const good[] = {
    "dtypes.safetensors", "unaligned.safetensors", "dtypes.pt",
    "nested.ckpt",        "deflated.ckpt",         "zip64.ckpt",
    "big_endian.pt",      "nested_legacy.ckpt",    "nested_protocol4.ckpt",
    "dtypes_legacy.pt"
};
enum { GOOD = sizeof good / sizeof good[0], OWN_CAP = 16 << 20 };

/* ---- in memory ----------------------------------------------------------------------- */

static unsigned char *load(const char *name, size_t *size)
{
    char path[1024];
    struct stat stat_of;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *from = fopen(path, "rb");
    assert_non_null(from);
    assert_int_equal(fstat(fileno(from), &stat_of), 0);
    *size = (size_t)stat_of.st_size;
    unsigned char *bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, from), *size);
    fclose(from);
    return bytes;
}

/* Reads the bytes from a block of their own size, and every byte of every tensor. */
static status read_copy(const unsigned char *bytes, size_t size, size_t *tensors)
{
    struct tensor_table table = { .own_cap = OWN_CAP };
    enum tensor_format format;
    unsigned char *copy = malloc(size);
    unsigned sum = 0;
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    const struct file_bytes file = { copy, size };
    const status code = tensor_bytes_read(file, &table, &format);
    for (size_t i = 0; code == STATUS_OK && i < table.tensor_count; i++)
        for (size_t k = 0; k < table.tensors[i].bytes; k++)
            sum += ((const unsigned char *)table.tensors[i].data)[k];
    *tensors = table.tensor_count + (sum & 0);
    tensor_table_release(&table);
    free(copy);
    return code;
}

static void a_cut_file_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    for (int f = 0; f < GOOD; f++) {
        size_t size, tensors;
        unsigned char *bytes = load(good[f], &size);
        assert_int_equal(read_copy(bytes, size, &tensors), STATUS_OK);
        for (size_t part = 0; part < 64; part++) {
            const size_t kept = size * part / 64;
            const status code = read_copy(bytes, kept == 0 ? 1 : kept, &tensors);
            if (code != STATUS_BAD_FILE)
                fail_msg("%s cut to %zu bytes: %s", good[f], kept, status_name(code));
        }
        assert_int_equal(read_copy(bytes, size - 1, &tensors), STATUS_BAD_FILE);
        free(bytes);
    }
}

static uint32_t draw(uint64_t *seed) /* Knuth's MMIX generator, upper half */
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 32);
}

static void flipped_bits_are_refused_or_harmless(void **state)
{
    (void)state;
    uint64_t seed = 39;
    size_t refused = 0, kept = 0, tensors;
    for (int f = 0; f < GOOD; f++) {
        size_t size;
        unsigned char *bytes = load(good[f], &size);
        for (int round = 0; round < 400; round++) {
            size_t at[8];
            const int flips = 1 + (int)(draw(&seed) % 8);
            for (int i = 0; i < flips; i++) {
                at[i] = draw(&seed) % size;
                if (round % 2 == 0) /* half of them where the headers are */
                    at[i] = size < 2048       ? at[i]
                            : draw(&seed) % 2 ? at[i] % 1024
                                              : size - 1 - at[i] % 1024;
                bytes[at[i]] ^= (unsigned char)(1u << draw(&seed) % 8);
            }
            unsigned char *before = load(good[f], &size);
            if (read_copy(bytes, size, &tensors) == STATUS_OK)
                kept++;
            else
                refused++;
            memcpy(bytes, before, size);
            free(before);
        }
        free(bytes);
    }
    assert_true(refused > 500 && kept > 100);
}

/* ---- on disk ------------------------------------------------------------------------- */

static void expect_open(const char *path, status want, const char *text)
{
    struct tensor_file *file = (struct tensor_file *)&file;
    const status code = tensor_file_open(path, &file);
    if (code != want || strstr(status_text(), text) == NULL || strstr(status_text(), path) == NULL)
        fail_msg("%s: %s, \"%s\"", path, status_name(code), status_text());
    assert_null(file);
}

static void what_is_no_file_is_named(void **state)
{
    const char *dir = *state;
    char path[512];
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    expect_open(dir, STATUS_IO, "folder");
    snprintf(path, sizeof path, "%s/missing", dir);
    expect_open(path, STATUS_IO, "No such file");
    snprintf(path, sizeof path, "%s/pipe", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_open(path, STATUS_IO, "pipe");
    unlink(path);
    snprintf(path, sizeof path, "%s/socket", dir);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    const int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    expect_open(path, STATUS_IO, "socket");
    close(descriptor);
    unlink(path);
    expect_open("/dev/null", STATUS_IO, "device");
}

static void write_file(const char *path, const unsigned char *bytes, size_t size)
{
    FILE *to = fopen(path, "wb");
    assert_non_null(to);
    assert_int_equal(fwrite(bytes, 1, size, to), size);
    fclose(to);
}

static void a_file_without_permission_is_said_to_be(void **state)
{
    char path[512];
    if (geteuid() == 0) {
        skip(); /* root may read everything */
        return;
    }
    snprintf(path, sizeof path, "%s/secret", (const char *)*state);
    write_file(path, (const unsigned char *)"x", 1);
    assert_int_equal(chmod(path, 0), 0);
    expect_open(path, STATUS_IO, "ermission");
    unlink(path);
}

/* A safetensors file of one u8 tensor of `bytes` bytes. */
static void write_large(const char *path, size_t bytes)
{
    char header[128];
    const int length = snprintf(
        header + 8, sizeof header - 8,
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", bytes, bytes);
    memset(header, 0, 8);
    header[0] = (char)length;
    write_file(path, (const unsigned char *)header, 8 + (size_t)length);
    assert_int_equal(truncate(path, (off_t)(8 + (size_t)length + bytes)), 0);
}

static void a_file_that_changes_is_noticed(void **state)
{
    char path[512];
    struct tensor_file *file;
    snprintf(path, sizeof path, "%s/large", (const char *)*state);
    write_large(path, 20 << 20); /* mapped */
    assert_int_equal(tensor_file_open(path, &file), STATUS_OK);
    assert_int_equal(tensor_file_find(file, "x")->bytes, 20 << 20);
    assert_int_equal(tensor_file_unchanged(file), STATUS_OK);

    const struct timespec other[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    assert_int_equal(utimensat(AT_FDCWD, path, other, 0), 0);
    assert_int_equal(tensor_file_unchanged(file), STATUS_BAD_FILE);
    assert_non_null(strstr(status_text(), "changed"));
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(tensor_file_unchanged(file), STATUS_BAD_FILE);
    assert_non_null(strstr(status_text(), "has 100 now"));
    unlink(path);
    assert_int_equal(tensor_file_unchanged(file), STATUS_IO);
    tensor_file_close(file);
}

static void a_small_file_may_be_cut_while_it_is_open(void **state)
{
    char path[512];
    struct tensor_file *file;
    float sum = 0, *wide = malloc((1 << 20) * sizeof *wide);
    assert_non_null(wide);
    snprintf(path, sizeof path, "%s/small", (const char *)*state);
    write_large(path, 1 << 20);
    assert_int_equal(tensor_file_open(path, &file), STATUS_OK);
    assert_int_equal(truncate(path, 0), 0);
    tensor_to_f32(tensor_file_find(file, "x"), wide); /* a mapping would raise SIGBUS here */
    for (size_t i = 0; i < 1 << 20; i++)
        sum += wide[i];
    assert_true(sum == 0);
    tensor_file_close(file);
    unlink(path);
    free(wide);
}

/* ---- a folder of the test's own ------------------------------------------------------ */

static int make_folder(void **state)
{
    static char name[] = "tensor_hostile.XXXXXX";
    *state = mkdtemp(name);
    return *state == NULL;
}

static int remove_folder(void **state) { return rmdir(*state); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_file_is_refused_wherever_it_is_cut),
        cmocka_unit_test(flipped_bits_are_refused_or_harmless),
        cmocka_unit_test(what_is_no_file_is_named),
        cmocka_unit_test(a_file_without_permission_is_said_to_be),
        cmocka_unit_test(a_file_that_changes_is_noticed),
        cmocka_unit_test(a_small_file_may_be_cut_while_it_is_open),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
