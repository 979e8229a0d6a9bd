/* tests/device.h - an operator's call with host data, on a device, as a program would make it:
 * planned, run, and run again. Everything here stops the test (cmocka) when it fails. */
#ifndef TESTS_DEVICE_H
#define TESTS_DEVICE_H

#include "host/base/ops.h"

struct CMUnitTest;

/* ---- the device: device_cpu.c, device_cuda.c ----------------------------------------------- */

/* Runs the tests, with `operators` ("embed noise") under test: once on a CPU; on CUDA once for each
 * row of their tables of variants, which device_open() then prefers to others. A call that the row
 * does not take runs as it would without; a row that ran in no test is a failure. */
int device_tests(const char *operators, const struct CMUnitTest *tests, size_t count);

/* Opens the device, or skips the test and says why. `threads` are a CPU's. */
struct ops *device_open(enum dtype dtype, int threads);
extern enum dtype device_opened_for; /* by the last device_open() */

/* Makes the devices opened from here on schedule their work in the k-th way, k from 1 to 3; 0: as
 * usual. On emulated CUDA they are seeds of a random order; nothing elsewhere. */
void device_schedule(int k);

/* Products in one call that a test may ask for: all there are, or what takes emulated kernels a
 * fraction of a second (larger shapes have kernel tests of their own there). */
double device_products_most(void);

/* 1 if what the C library's heap holds says something of the device: not so if it is emulated. */
int device_keeps_heap(void);

/* ---- calls: device.c ------------------------------------------------------------------------ */

/* Plans `work`, then runs it twice. Checks that the second run gave the same bytes as the first,
 * and that neither asked for memory between device_call_begin() and _end(). Returns what the calls
 * gave: a failure while planning ends it. */
typedef status (*device_work)(struct ops *ops, void *arg);
status device_run(struct ops *ops, device_work work, void *arg);

/* Bytes of everything that device_back() returned in the last run, hashed. */
uint64_t device_hash(void);

/* For `work`: device memory with a copy of host bytes (null stays null); device memory for a
 * result, full of NaN, between guards; a result back, guards checked. */
void *device_in(struct ops *ops, const void *host, size_t bytes);
void *device_out(struct ops *ops, size_t bytes);
/* A result that the operator also reads: device_out() holding `host`. */
void *device_inout(struct ops *ops, const void *host, size_t bytes);
void device_back(struct ops *ops, void *host, const void *device, size_t bytes);

/* Around the operator's own call. */
void device_call_begin(struct ops *ops);
status device_call_end(struct ops *ops, status result);

/* Runs an operator on a batch of n images whose data `id` names; returns the result, [n, *bytes].
 */
typedef void *(*device_images)(struct ops *ops, enum dtype dtype, const void *shape, int n,
                               const int *id, size_t *bytes);

/* An image alone, at each place of a batch of 3, on 1, 2 and 3 threads or by three schedules: the
 * same bytes. */
void check_places(enum dtype dtype, device_images images, const void *shape, const char *what);

/* A weight of the device, from host data. */
struct weight *device_weight(struct ops *ops, const struct weight_args *args);
struct weight *device_vector(struct ops *ops, const float *values, int count);

/* As above but everything for a matrix of one part: rounded values of variance 1 / terms. */
struct weight_args test_matrix(enum weight_kind kind, enum dtype dtype, int out, int in, int kernel,
                               uint64_t seed);

/* Runs a test in each type that the device is for. */
#define DTYPE_TEST(test, name, dtype)                                                              \
    static void test##name(void **state)                                                           \
    {                                                                                              \
        (void)state;                                                                               \
        test(dtype);                                                                               \
    }
#if TEST_ON_CUDA
#define EACH_DTYPE(test)                                                                           \
    DTYPE_TEST(test, _f32, DTYPE_F32)                                                              \
    DTYPE_TEST(test, _f16, DTYPE_F16) DTYPE_TEST(test, _bf16, DTYPE_BF16)
#define UNIT_TESTS(test)                                                                           \
    cmocka_unit_test(test##_f32), cmocka_unit_test(test##_f16), cmocka_unit_test(test##_bf16)
#else
#define EACH_DTYPE(test) DTYPE_TEST(test, _f32, DTYPE_F32) DTYPE_TEST(test, _bf16, DTYPE_BF16)
#define UNIT_TESTS(test) cmocka_unit_test(test##_f32), cmocka_unit_test(test##_bf16)
#endif

#endif
