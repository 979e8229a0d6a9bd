/* tests/emulator/internal.h - shared between the emulator's own files. */
#ifndef EMULATOR_INTERNAL_H
#define EMULATOR_INTERNAL_H

#include <time.h>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/emulator/fibers.h"
#include "tests/emulator/include/cuda.h"
#include "tests/emulator/include/cuda_runtime.h"

enum {
    STACK_BYTES = 128 * 1024,
    ARENA_BYTES = 256 * 1024, /* shared memory of a block, most */
    SHARED_MAX = 227 * 1024,  /* that a launch may ask for */
    FAULT_STACK = 64 * 1024,
    PAGE = 4096,
    BARRIERS = 16,
    AGENTS = 64 /* clocks of bulk copies, one for each mbarrier of a cluster */
};

struct launch { /* one grid */
    const char *name;
    dim3 grid, block, cluster;
    int after; /* it may begin before the launch before it has ended: threads take their turn */
    size_t shared_bytes;
    emu_body body;
    unsigned blocks, per_cluster;
    unsigned number; /* of the launch, 12 bits */
    struct mark {
        uint8_t fenced; /* __threadfence since its last store to global memory */
        uint8_t told;   /* it has done an atomic on global memory */
    };
    std::vector<mark> marks; /* by block; of a checked build */
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

struct bulk_store { /* a box on its way from shared memory to a tensor */
    const CUtensorMap *map;
    const unsigned char *from;
    int at[5];
    emu_site site;
};

struct block;
struct warp;

struct thread {
    void *sp; /* of its coroutine, while it waits */
    fiber own;
    emu_place place;
    int tid, lane; /* in its block; in its warp */
    int id;        /* in its cluster: index of its clock */
    struct block *block;
    struct warp *warp;
    const char *waits_for; /* null: it runs, or has exited */
    emu_site waits_at;
    std::vector<async_copy> copies;     /* oldest first */
    std::vector<size_t> copy_group_end; /* index past each committed group */
    std::vector<bulk_store> stores;     /* likewise */
    std::vector<size_t> store_group_end;
    int wgmma_fenced;
    int took_turn;
    uint64_t cluster_arrivals;
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

struct product { /* a warp's share of a wgmma, issued and not yet computed */
    emu_wgmma lane[32];
    uint32_t regs[32][4];
    float *before; /* [32][n / 2], d as it was, if this one is the first on it: d reads NaN until
                      the wait; null otherwise */
    emu_site site;
};

struct warp {
    struct block *block;
    int index;
    uint32_t alive, ready;
    thread *lane[32];
    warp_slot slot[32];            /* by lowest lane of the mask: disjoint masks do not meet */
    struct warp_banks *banks;      /* null unless they are counted */
    std::vector<product> products; /* oldest first */
    std::vector<size_t> product_group_end;
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

struct bulk_copy {   /* on its way to shared memory */
    int mapped;      /* 0: `bytes` from `from` */
    CUtensorMap map; /* its own: the parameter that the caller has goes with the caller */
    const void *from;
    unsigned char *to;
    int at[5], bytes;
    emu_site site;
};

/* What a thread that waits for an mbarrier or a cluster barrier learns of the others. */
struct meeting {
    std::vector<uint32_t> gathered, told; /* by those who arrived; of the last full phase */
};

struct mbarrier { /* the state behind 64 bits of shared memory */
    uint64_t *where;
    int count, pending;
    unsigned phase; /* how many have completed */
    long tx;        /* bytes expected less bytes arrived */
    int agent;      /* of its copies */
    int by;         /* thread that initialised it, at ... */
    uint32_t by_clock;
    meeting clocks;
    std::vector<bulk_copy> copies;
    std::vector<thread *> waiting;
};

struct block {     /* one that is running */
    int rank;      /* in its cluster */
    unsigned unit; /* number of its cluster: itself mostly */
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
    fiber main;
    unsigned char *stacks, *fault_stack, *signal_stack;
    int stack_count;
    std::vector<thread> threads;
    std::vector<block *> blocks;
    int block_count, thread_count, alive; /* running now; threads of all blocks */
    uint32_t ready_blocks;
    uint64_t rng;
    int backwards; /* lanes of a warp take turns downwards */
    int yields;    /* since anything else happened: polling alone */
    std::vector<mbarrier> mbarriers;
    int agents;              /* handed out */
    int cluster_here;        /* threads that have arrived at the cluster's barrier */
    uint64_t cluster_phases; /* of it, completed */
    meeting cluster_clocks;
    std::vector<thread *> cluster_waiting;
    uint32_t epoch;
    int stride;                   /* of the clocks: threads, then agents */
    std::vector<uint32_t> clocks; /* [thread][stride]: what each knows of the others */
    std::vector<uint32_t> fenced; /* [thread][stride]: what each has made known to bulk copies */
    const void *fault_address;
    void *fault_pc;
    int fault_signal;
    emu_site probing; /* the line on whose behalf memory is touched; file null: the code's own */
    timer_t timer;    /* of processor time: the watchdog */
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

/* turns.cpp */
void emu_check_turn(const char *what, emu_site site, void *pc); /* may it touch global memory? */
void emu_end_of_turn(void);                                     /* the thread ends */

/* workers.cpp */
void emu_run_grid(launch *g);

/* faults.cpp */
void emu_watch_faults(worker *w);
void emu_watchdog(worker *w, int seconds);

/* check.cpp */
/* IN_FLIGHT: written by cp.async, later; BULK: by a bulk copy; PROXY: read by wgmma or a bulk
 * store. */
enum emu_access { ACCESS_READ, ACCESS_WRITE, ACCESS_IN_FLIGHT, ACCESS_BULK, ACCESS_PROXY };
void emu_check(const void *p, size_t bytes, emu_access a, const char *what, emu_site site,
               void *pc);
void emu_check_atomic(const void *p, size_t bytes, void *pc);
void emu_check_cluster_begins(worker *w);
/* The threads meet: each learns what all of them have done. */
void emu_check_join(block *b, const uint32_t *lanes_by_warp);
void emu_check_join_warp(warp *w, uint32_t lanes);
void emu_check_share(const warp *w);
void emu_check_arrive(meeting *m); /* this thread tells */
void emu_check_complete(meeting *m);
void emu_check_learn(const meeting *m); /* and is told */
void emu_check_landing(const void *p, size_t bytes, mbarrier *b);
void emu_check_fence(void); /* fence.proxy.async */

/* banks.cpp: accesses of shared memory that a warp makes at one place in the code */
void emu_bank_access(const void *p, size_t bytes, const void *place);
void emu_bank_site(const void *place, emu_site site); /* what it is called */
void emu_bank_block_ends(block *b);

/* cluster.cpp */
block *emu_block_of_shared(const void *p); /* of the cluster that runs; null if in none's */
void emu_exit_cluster(worker *w);

/* mbarrier.cpp */
mbarrier *emu_mbarrier_find(uint64_t *bar, emu_site site);
void emu_mbarrier_transfer(mbarrier *b, long bytes); /* that have arrived */

/* bulk.cpp */
void emu_idle(worker *w);    /* no thread can go on: something asynchronous may arrive now */
void emu_deliver(worker *w); /* one copy, if there is one */
void emu_finish_stores(void);
size_t emu_swizzled(size_t offset, int bytes); /* width of the pattern: 0, 32, 64, 128 */

/* memory.cpp */
enum { GLOBAL_NONE, GLOBAL_UNWRITTEN, GLOBAL_WRITTEN };
extern unsigned char *emu_heap, *emu_heap_state; /* a state byte for each byte */
/* For each 2 bytes: 12 bits of launch and 20 of block that wrote, or read, them last. */
extern uint32_t *emu_heap_writer, *emu_heap_reader;
extern const size_t emu_heap_bytes;
void emu_forget_blocks(void);
void emu_mark_written(const void *p, size_t bytes);
int emu_is_pinned(const void *p);
size_t emu_objects(void); /* streams, events and graphs that are not destroyed */
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
