/* tests/device.c - planned calls on a device, guards, hashes, and counting of allocations. */
#include "tests/device.h"

#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/check.h"

enum { GUARD = 64, GUARD_BYTE = 0xff, SMALL = 1 << 16 };

static size_t allocations; /* by our own code, since the program began */
static uint64_t hash;
enum dtype device_opened_for;
static struct {
    size_t allocations, heap_bytes, peak_bytes;
} before;

/* ---- counting: the linker sends our calls here (--wrap) ----------------------------------- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    allocations++;
    return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    allocations++;
    return __real_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
    allocations++;
    return __real_aligned_alloc(align, bytes);
}

/* What the C library has given out and not got back, oneDNN's share included. A freed block that a
 * thread keeps for itself counts, so a few KiB come and go. */
static size_t heap_bytes(void)
{
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

void device_call_begin(struct ops *ops)
{
    before.allocations = allocations;
    before.heap_bytes = heap_bytes();
    before.peak_bytes = ops->peak_bytes(ops);
}

static int settled; /* a second run: even libraries have what they want */

status device_call_end(struct ops *ops, status result)
{
    if (!ops->planning(ops) && result == STATUS_OK) {
        assert_int_equal(allocations - before.allocations, 0);
        assert_int_equal(ops->peak_bytes(ops), before.peak_bytes);
        if (settled && device_keeps_heap())
            assert_true(heap_bytes() <= before.heap_bytes + SMALL);
    }
    return result;
}

/* ---- running ------------------------------------------------------------------------------ */

static status run_once(struct ops *ops, device_work work, void *arg)
{
    const size_t mark = ops->mark(ops);
    hash = 0xcbf29ce484222325u;
    const status result = work(ops, arg);
    ops->release(ops, mark);
    return result;
}

status device_run(struct ops *ops, device_work work, void *arg)
{
    size_t bytes;
    assert_int_equal(ops->plan_begin(ops), STATUS_OK);
    const status planned = run_once(ops, work, arg);
    assert_int_equal(ops->plan_end(ops, 0, &bytes), STATUS_OK);
    if (planned != STATUS_OK)
        return planned;

    settled = 0;
    TRY(run_once(ops, work, arg));
    const uint64_t first = hash;
    settled = 1;
    TRY(run_once(ops, work, arg));
    assert_true(hash == first);
    return STATUS_OK;
}

uint64_t device_hash(void) { return hash; }

void *device_in(struct ops *ops, const void *host, size_t bytes)
{
    void *device = NULL;
    if (!host)
        return NULL;
    assert_int_equal(ops->alloc(ops, bytes, &device), STATUS_OK);
    assert_int_equal(ops->upload(ops, device, host, bytes), STATUS_OK);
    return device;
}

void *device_inout(struct ops *ops, const void *host, size_t bytes)
{
    void *device = NULL;
    unsigned char *guarded = test_alloc(bytes + 2 * GUARD);
    memset(guarded, GUARD_BYTE, bytes + 2 * GUARD);
    if (host)
        memcpy(guarded + GUARD, host, bytes);
    assert_int_equal(ops->alloc(ops, bytes + 2 * GUARD, &device), STATUS_OK);
    assert_int_equal(ops->upload(ops, device, guarded, bytes + 2 * GUARD), STATUS_OK);
    return (unsigned char *)device + GUARD;
}

/* 0xff throughout is a NaN in every floating type. */
void *device_out(struct ops *ops, size_t bytes) { return device_inout(ops, NULL, bytes); }

void device_back(struct ops *ops, void *host, const void *device, size_t bytes)
{
    unsigned char *guarded = test_alloc(bytes + 2 * GUARD);
    if (ops->planning(ops))
        return;
    assert_int_equal(
        ops->download(ops, guarded, (const unsigned char *)device - GUARD, bytes + 2 * GUARD),
        STATUS_OK);
    assert_int_equal(ops->sync(ops), STATUS_OK);
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(guarded[i], GUARD_BYTE);
        assert_int_equal(guarded[GUARD + bytes + i], GUARD_BYTE);
    }
    memcpy(host, guarded + GUARD, bytes);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ guarded[GUARD + i]) * 0x100000001b3u;
}

void check_places(enum dtype dtype, device_images images, const void *shape, const char *what)
{
    static const int batch[3][3] = { { 0, 1, 2 }, { 1, 2, 0 }, { 2, 0, 1 } };
    const char *want[3] = { NULL, NULL, NULL };
    for (int threads = 1; threads <= 3; threads++) {
        device_schedule(threads);
        struct ops *ops = device_open(dtype, threads);
        size_t bytes;
        for (int i = 0; i < 3; i++) {
            const char *alone = images(ops, dtype, shape, 1, &i, &bytes);
            if (threads == 1)
                want[i] = alone;
            assert_int_equal(check_equal(alone, want[i], bytes, what), 0);
        }
        for (int b = 0; b < 3; b++) {
            const char *all = images(ops, dtype, shape, 3, batch[b], &bytes);
            for (int i = 0; i < 3; i++)
                assert_int_equal(
                    check_equal(all + (size_t)i * bytes, want[batch[b][i]], bytes, what), 0);
        }
        ops->destroy(ops);
    }
    device_schedule(0);
}

/* ---- weights ------------------------------------------------------------------------------ */

struct weight *device_weight(struct ops *ops, const struct weight_args *args)
{
    struct weight *weight = NULL;
    const status result = ops->weight_create(ops, args, &weight);
    if (result != STATUS_OK)
        print_error("%s\n", status_text());
    assert_int_equal(result, STATUS_OK);
    return weight;
}

struct weight *device_vector(struct ops *ops, const float *values, int count)
{
    const struct weight_args args = {
        .kind = WEIGHT_VECTOR,
        .part = { { .data = values, .dtype = DTYPE_F32, .out = count } },
        .parts = 1,
        .in = 1,
        .kernel = 1,
        .stride = 1,
        .upsample = 1,
        .scale = 1,
        .dtype = device_opened_for,
        .name = "vector",
    };
    return device_weight(ops, &args);
}

struct weight_args test_matrix(enum weight_kind kind, enum dtype dtype, int out, int in, int kernel,
                               uint64_t seed)
{
    const size_t terms = (size_t)in * (size_t)kernel * (size_t)kernel;
    return (struct weight_args){
        .kind = kind,
        .part = { { .data =
                        test_values(dtype, (size_t)out * terms, 0, 1 / sqrt((double)terms), seed),
                    .dtype = dtype,
                    .out = out,
                    .bias = test_values(DTYPE_F32, (size_t)out, 0, 0.5, seed + 1),
                    .bias_dtype = DTYPE_F32 } },
        .parts = 1,
        .in = in,
        .kernel = kernel,
        .stride = 1,
        .upsample = 1,
        .scale = 1,
        .dtype = dtype,
        .name = "matrix",
    };
}
