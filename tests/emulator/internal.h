/* tests/emulator/internal.h - shared between the emulator's own files. */
#ifndef EMULATOR_INTERNAL_H
#define EMULATOR_INTERNAL_H

#include <time.h>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/emulator/include/cuda_runtime.h"

enum {
    STACK_BYTES = 128 * 1024,
    ARENA_BYTES = 256 * 1024, /* shared memory of a block, most */
    SHARED_MAX = 227 * 1024,  /* that a launch may ask for */
    FAULT_STACK = 64 * 1024,
    PAGE = 4096,
    CLUSTER_MAX = 16,
    BARRIERS = 16
};

struct launch { /* one grid */
    const char *name;
    dim3 grid, block, cluster;
    size_t shared_bytes;
    emu_body body;
    unsigned blocks, per_cluster;
    std::atomic<unsigned> next_cluster{ 0 };
    std::atomic<int> failed{ 0 };
    cudaError_t error;
    std::string report;
};

struct async_copy { /* cp.async, issued and not yet there */
    void *to;
    const void *from;
    int size, valid;
};

struct block;
struct warp;

struct thread {
    void *sp; /* of its coroutine, while it waits */
    emu_place place;
    int tid, lane; /* in its block; in its warp */
    int id;        /* in its cluster: index of its clock */
    struct block *block;
    struct warp *warp;
    const char *waits_for; /* null: it runs, or has exited */
    emu_site waits_at;
    std::vector<async_copy> copies;     /* oldest first */
    std::vector<size_t> copy_group_end; /* index past each committed group */
};

/* One calling thread's share in an instruction that a whole warp executes together. The last lane
 * to arrive runs it for all; the others' operands are reached through their pointers, which stay
 * good because those lanes sleep. */
struct warp_op {
    const char *name;
    void (*run)(void *const operand[32], uint32_t mask);
    int orders_memory; /* __syncwarp does; a shuffle does not */
};

struct warp_slot { /* an instruction that some lanes have reached */
    const warp_op *op;
    uint32_t mask, arrived;
    emu_site site;
    void *operand[32];
};

struct warp {
    struct block *block;
    int index;
    uint32_t alive, ready;
    thread *lane[32];
    warp_slot slot[32]; /* by lowest lane of the mask: disjoint masks do not meet */
};

struct barrier {
    int arrived, expected; /* expected 0: all threads that have not exited */
    emu_site site;
    uint32_t waiting[32], here[32]; /* lanes by warp: asleep at it; arrived at it */
};

struct cell {       /* what is known of two bytes of shared memory */
    uint32_t epoch; /* of the block that it belongs to: another one's is as good as unwritten */
    uint32_t write_clock, read_clock[2];
    uint16_t writer, reader[2];
    uint8_t state; /* CELL_... */
};
enum { CELL_UNWRITTEN, CELL_WRITTEN, CELL_IN_FLIGHT };

struct block { /* one that is running */
    int rank;  /* in its cluster */
    unsigned index;
    int thread_count, warp_count, alive;
    uint32_t ready_warps;
    warp warps[32];
    barrier barriers[BARRIERS];
    int votes, votes_done; /* of __syncthreads_count */
    unsigned char *arena;  /* of shared memory, followed by a guard page */
    unsigned char *shared;
    size_t shared_room, shared_bytes; /* room: rounded up to 1024 */
    std::vector<cell> cells;
};

struct worker { /* one OS thread; runs one cluster at a time */
    launch *grid;
    void *main_sp;
    unsigned char *stacks, *fault_stack;
    int stack_count;
    std::vector<thread> threads;
    std::vector<block *> blocks;
    int block_count, thread_count, alive; /* running now; threads of all blocks */
    uint32_t ready_blocks;
    uint64_t rng;
    int backwards; /* lanes of a warp take turns downwards */
    uint32_t epoch;
    std::vector<uint32_t> clocks; /* [thread][thread]: what each knows of the others */
    const void *fault_address;
    void *fault_pc;
    int fault_signal;
    timer_t timer; /* of processor time: the watchdog */
    int has_timer;
    emu_stats count;
};

extern __thread worker *emu_worker;
extern __thread thread *emu_now;
extern int emu_checking; /* some kernel is instrumented: see hooks.cpp */

/* scheduler.cpp */
uint32_t emu_random(worker *w);
void emu_wait(const char *what, emu_site site);
void emu_wake(warp *w, uint32_t lanes);
[[noreturn]] void emu_leave(void); /* abandons the cluster */
[[noreturn]] void emu_fail_deadlock(worker *w);
void emu_run_cluster(worker *w, unsigned index);
void emu_exit_barrier(block *b);

/* warp.cpp */
void emu_warp(const warp_op &op, uint32_t mask, void *operand, emu_site site);

/* report.cpp */
[[noreturn]] void emu_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
std::string emu_describe(const void *p);
std::string emu_source_line(void *pc);

/* workers.cpp */
void emu_run_grid(launch *g);

/* faults.cpp */
void emu_watch_faults(worker *w);
void emu_watchdog(worker *w, int seconds);

/* check.cpp */
enum emu_access { ACCESS_READ, ACCESS_WRITE, ACCESS_IN_FLIGHT };
void emu_check(const void *p, size_t bytes, emu_access a, const char *what, emu_site site,
               void *pc);
void emu_check_cluster_begins(worker *w);
/* The threads meet: each learns what all of them have done. */
void emu_check_join(block *b, const uint32_t *lanes_by_warp);
void emu_check_join_warp(warp *w, uint32_t lanes);

/* memory.cpp */
enum { GLOBAL_NONE, GLOBAL_UNWRITTEN, GLOBAL_WRITTEN };
extern unsigned char *emu_heap, *emu_heap_state; /* a state byte for each byte */
extern const size_t emu_heap_bytes;
void emu_mark_written(const void *p, size_t bytes);
int emu_is_pinned(const void *p);
std::string emu_describe_heap(const unsigned char *p);

/* streams.cpp */
int emu_capturing(void);
void emu_run_everything(void);

/* device.cpp */
extern std::recursive_mutex emu_lock;    /* one runtime call at a time */
cudaError_t emu_enter(const char *call); /* what the call has to return at once, if not success */
#define EMU_ENTER(call)                                                                            \
    std::lock_guard<std::recursive_mutex> hold(emu_lock);                                          \
    if (const cudaError_t entered = emu_enter(call))                                               \
    return entered
cudaError_t emu_keep(cudaError_t error); /* for cudaGetLastError(); gives it back */
void emu_launch_failed(cudaError_t error, const std::string &report);
cudaError_t emu_sticky(void);
extern std::string emu_first_report;

#endif
