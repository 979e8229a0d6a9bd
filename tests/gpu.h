/* tests/gpu.h - device memory for kernel tests: on a GPU, or on tests/emulator.
 *
 * A kernel test is a plain program, compiled for each: exit 0 is passed, TEST_SKIP skipped, the
 * rest failed. CHECK() reports and goes on. */
#ifndef TESTS_GPU_H
#define TESTS_GPU_H

#include <stddef.h>

#include "host/base/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TEST_SKIP = 77 };

/* 1 if kernels can run here; says why not. Call it first. */
int gpu_present(void);

/* Its name, capability and driver: what a record is of. */
const char *gpu_name(void);

/* Device memory holding `bytes` of the host's; null stays null. Good until gpu_release(). */
void *gpu_copy(const void *host, size_t bytes);

/* Device memory for a result: NaN in every format, a guard on either side (the emulator's own
 * guards are tighter, so there it has none). */
void *gpu_poison(size_t bytes);

/* Waits, then copies to the host. A guard that has been written on is a failure. */
void gpu_download(void *host, const void *device, size_t bytes);

/* Waits for all work. STATUS_DEVICE with CUDA's words, or the emulator's report, if it failed. */
status gpu_sync(void);

void gpu_release(void);

/* A device that has just what cuda_run() in cuda/device.cuh needs, so that an operator can be
 * tested with nothing else linked. Its operators are called by name: cuda_scale(gpu_device(),
 * &args). */
struct ops *gpu_device(void);
void gpu_device_for(enum dtype dtype); /* what it is opened for; f32 at first */
void gpu_step(int row);                /* current row of the step table, until gpu_release() */
void gpu_force(int row); /* run this row of the next operators' tables; -1: as the plan would */
int gpu_ran(void);       /* row of the last operator that ran */

extern int check_failures;
void check_failed(const char *file, int line, const char *what);
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            check_failed(__FILE__, __LINE__, #condition);                                          \
    } while (0)
#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        if ((call) != STATUS_OK)                                                                   \
            check_failed(__FILE__, __LINE__, status_text());                                       \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
