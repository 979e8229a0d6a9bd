/* host/cpu/cpu.h - the CPU device. */
#ifndef HOST_CPU_CPU_H
#define HOST_CPU_CPU_H

#include "host/base/ops.h"

/* Opens the CPU device.
 *
 * threads  size of its pool; 0: the physical cores available to the process. Work is cut by shape
 *          alone and oneDNN splits no sum between threads, so the bytes do not depend on it
 *          (tested for 1 to 3 threads; 1 to 4 at the sizes of SD 1.x, on AVX2, AVX-512 and AMX)
 * dtype    of the runs it will be used for: F32, or BF16 where the CPU multiplies it natively
 * returns  STATUS_UNSUPPORTED  F16, or BF16 on a CPU without AVX512-BF16 or AMX; the text says
 * which STATUS_MISUSE       a negative or absurd thread count
 */
status cpu_open(int threads, enum dtype dtype, struct ops **out);

/* Physical cores this process may run on (affinity and cgroup respected), at least 1. */
int cpu_cores(void);

/* 1 if cpu_open() takes the dtype here. */
int cpu_computes(enum dtype dtype);

#endif
