/* tests/emulator/emulator.h - the emulator as a test drives it: order, faults, reports, counts.
 *
 * A grid runs block by block, a block (or a cluster of them) on one OS thread, its threads as
 * coroutines. A thread runs until it has to wait for others, so the order between waits is the
 * emulator's choice: first to last, last to first, or random by seed.
 */
#ifndef EMULATOR_EMULATOR_H
#define EMULATOR_EMULATOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum emu_order { EMU_FORWARD, EMU_REVERSE, EMU_RANDOM };

/* From the environment, if it has EMU_ORDER (forward, reverse, random), EMU_SEED, EMU_THREADS,
 * EMU_QUIET, EMU_ARCH, EMU_SM, EMU_MEMORY_MB, EMU_DEVICE, EMU_WATCHDOG_S, EMU_FAIL_CALL. */
struct emu_settings {
    enum emu_order order;
    uint64_t seed;
    int os_threads;    /* that blocks are dealt to */
    int quiet;         /* 1: reports of failures are kept, not printed */
    int arch;          /* what the device says it is: 90 */
    int sm_count;      /* 132 */
    int memory_mb;     /* 8192 */
    int device;        /* 0: there is one; otherwise the cudaError_t of asking for one: 100 no
                          device, 35 driver too old, 46 in use */
    int watchdog_s;    /* processor seconds that a block may take: 20 */
    int64_t fail_call; /* the runtime call to fail, counted from 1; 0: none */
    int count_banks;   /* 1: emu_take_banks() has something to say; checked builds, slow */
    int fail_error;    /* with which cudaError_t; 0: out of memory for an allocation, otherwise a
                          launch failure, after which every call fails */
};
extern struct emu_settings emu_set;

/* What the first failed launch since emu_forget_failure() did wrong; "" if none did. */
const char *emu_last_report(void);
void emu_forget_failure(void); /* and the sticky error with it */

int64_t emu_calls(void);           /* runtime calls so far: a number for fail_call */
const char *emu_failed_call(void); /* the name of the last that was made to fail */

/* What is held now: bytes of device memory, and one for each block of pinned memory, stream, event
 * and graph. */
size_t emu_held(void);

/* Does something on this device check every access? 1 in a checked build. */
int emu_is_checked(void);

struct emu_stats {
    uint64_t launches, switches, warp_ops, mmas;
    uint64_t checks;     /* accesses looked at */
    uint64_t ldmatrix;   /* 8-row phases of ldmatrix ... */
    uint64_t wavefronts; /* ... and how many passes over the banks they took; as many if free of
                            conflicts */
};
struct emu_stats emu_take_stats(void); /* since the last call */

/* Ordinary loads and stores of shared memory and cp.async, a warp's accesses at one place in the
 * code taken together: the k-th of each lane. */
struct emu_banks {
    uint64_t requests, wavefronts; /* passes over the 32 banks that they took ... */
    uint64_t ideal;                /* ... and would take without conflicts */
    double worst;                  /* wavefronts / ideal of the worst line, */
    char where[120];               /* which is this one */
};
struct emu_banks emu_take_banks(void);

#ifdef __cplusplus
}
#endif

#endif
