/* tests/test_cuda_wrappers.cpp - every wrapper of cuda/ptx*.cuh against its definition.
 *
 *   test_cuda_wrappers                 on a GPU or the emulator
 *   test_cuda_wrappers --record FILE   and writes what they gave: on a GPU, by tools/gpu-check
 *   test_cuda_wrappers --held-to FILE  and compares with what a GPU gave; skipped without the file
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/device.cuh"
#include "tests/check.h"
#include "tests/gpu.h"
#include "tests/wrappers/wrappers.h"

enum { EVERY = 13 }; /* of a result that may differ in its last bits, so many are recorded */

static FILE *record, *held_to;
static int compared;

static const uint16_t *input(const wrapper_case *c, uint64_t seed)
{
    const enum dtype dtype = strstr(c->name, "bf16") ? DTYPE_BF16 : DTYPE_F16;
    return (const uint16_t *)test_values(dtype, WRAPPER_IN, 0, 1, seed);
}

/* FNV-1a of a result that has to be the same bit for bit. */
static uint64_t hash_of(const float *values, size_t count)
{
    uint64_t hash = 0xcbf29ce484222325u;
    const unsigned char *bytes = (const unsigned char *)values;
    for (size_t i = 0; i < count * sizeof *values; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

static void write_record(const wrapper_case *c, const float *got)
{
    fprintf(record, "%s\t%zu", c->name, c->count);
    if (c->bound == 0)
        fprintf(record, "\thash\t%016" PRIx64, hash_of(got, c->count));
    else
        for (size_t i = 0; i < c->count; i += EVERY)
            fprintf(record, "%s%a", i ? " " : "\tvalues\t", (double)got[i]);
    fputc('\n', record);
}

/* The record's line of this case, past its name and count; null if it has none. */
static char *recorded(const wrapper_case *c, char *line, int size)
{
    char head[80];
    const int length = snprintf(head, sizeof head, "%s\t%zu\t", c->name, c->count);
    rewind(held_to);
    while (fgets(line, size, held_to))
        if (strncmp(line, head, (size_t)length) == 0)
            return line + length;
    return nullptr;
}

static void compare(const wrapper_case *c, const float *got, const double *room)
{
    enum { LINE = 1 << 20 };
    char *line = (char *)test_alloc(LINE), *at = recorded(c, line, LINE);
    if (!at)
        return; /* recorded before the wrapper was written */
    compared++;
    if (c->bound == 0) {
        const uint64_t hash = strtoull(at + strlen("hash\t"), nullptr, 16);
        if (hash != hash_of(got, c->count))
            check_failed(__FILE__, __LINE__, c->name);
        return;
    }
    at += strlen("values\t");
    for (size_t i = 0; i < c->count; i += EVERY) {
        const double value = strtod(at, &at);
        if (!(fabs(got[i] - value) <= 2 * c->bound * room[i])) { /* each has its own error */
            fprintf(stderr, "%s: [%zu] is %g, and %g on a GPU\n", c->name, i, (double)got[i],
                    value);
            check_failed(__FILE__, __LINE__, c->name);
            return;
        }
    }
}

static void check_case(const wrapper_case *c)
{
    const uint16_t *a = input(c, 1), *b = input(c, 2);
    const size_t bytes = c->count * sizeof(float);
    float *got = (float *)test_alloc(bytes);
    double *want = (double *)test_alloc(c->count * sizeof *want);
    double *room = (double *)test_alloc(c->count * sizeof *room);
    c->define(a, b, want, room);

    float *out = (float *)gpu_poison(bytes);
    CHECK_OK(c->run((const uint16_t *)gpu_copy(a, WRAPPER_IN * 2),
                    (const uint16_t *)gpu_copy(b, WRAPPER_IN * 2), out));
    gpu_download(got, out, bytes);
    struct bound bound = {};
    bound.factor = c->bound;
    bound.room = room;
    CHECK(check_close(got, DTYPE_F32, want, c->count, bound, c->name) == 0);
    if (record)
        write_record(c, got);
    if (held_to)
        compare(c, got, room);
    gpu_release();
    test_release();
}

/* The emulator's own record would prove nothing. */
static int is_of_a_gpu(void)
{
    char head[400] = "";
    if (fgets(head, sizeof head, held_to) && head[0] == '#' && !strstr(head, "emulated"))
        return 1;
    fprintf(stderr, "no record of a GPU: %s\n", head);
    return 0;
}

static int open_files(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--record") == 0)
        record = fopen(argv[2], "w");
    else if (argc == 3 && strcmp(argv[1], "--held-to") == 0)
        held_to = fopen(argv[2], "r");
    else if (argc != 1)
        return 2;
    if (held_to)
        return !is_of_a_gpu();
    if (argc == 1 || record)
        return 0;
    if (strcmp(argv[1], "--record") == 0) {
        perror(argv[2]);
        return 1;
    }
    printf("skipped: no record of a GPU yet (%s); tools/gpu-check makes one\n", argv[2]);
    return TEST_SKIP;
}

int main(int argc, char **argv)
{
    const int opened = open_files(argc, argv);
    if (opened)
        return opened;
    if (!gpu_present())
        return TEST_SKIP;
    if (record)
        fprintf(record, "# %s\n", gpu_name());
    const int arch = cuda_device(gpu_device())->arch;
    for (size_t i = 0; i < wrappers_warp_count; i++)
        check_case(&wrappers_warp[i]);
    for (size_t i = 0; i < wrappers_hopper_count; i++)
        if (wrappers_hopper[i].arch == arch)
            check_case(&wrappers_hopper[i]);
    printf("%zu wrappers, %s of them for sm_90a", wrappers_warp_count + wrappers_hopper_count,
           arch == 90 ? "with those" : "without those");
    if (held_to) {
        printf(", %d held to a GPU's record", compared);
        CHECK(compared > 0);
    }
    printf("\n");
    if (record && fclose(record) != 0)
        return 1;
    return check_failures != 0;
}
