/* tests/emulator/scheduler.cpp - coroutines, the order they run in, the life of a cluster. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/emulator/internal.h"

__thread worker *emu_worker;
__thread thread *emu_now;
__thread emu_place *emu_here;

/* ---- switching: System V x86-64; six registers and the stack pointer -------------------- */

extern "C" void emu_switch(void **save_sp, void *load_sp);
asm(R"(
.text
.globl emu_switch
.type emu_switch, @function
emu_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
.size emu_switch, .-emu_switch
)");

/* Goes on with `to`; returns when somebody comes back to this thread. Null: the worker itself. */
static inline void go_on_with(thread *to)
{
    worker *w = emu_worker;
    thread *from = emu_now;
    fiber *own = from ? &from->own : &w->main;
    emu_now = to;
    emu_here = to ? &to->place : nullptr;
    fiber_leave(own, to ? &to->own : &w->main);
    emu_switch(from ? &from->sp : &w->main_sp, to ? to->sp : w->main_sp);
    fiber_arrive(own);
}

/* The same, and this thread is no more. */
[[noreturn]] static void end_with(thread *to)
{
    worker *w = emu_worker;
    void *nowhere;
    emu_now = to;
    emu_here = to ? &to->place : nullptr;
    fiber_leave(nullptr, to ? &to->own : &w->main);
    emu_switch(&nowhere, to ? to->sp : w->main_sp);
    abort();
}

void emu_leave(void) { end_with(nullptr); }

/* ---- order ------------------------------------------------------------------------------ */

uint32_t emu_random(worker *w)
{
    w->rng ^= w->rng << 13;
    w->rng ^= w->rng >> 7;
    w->rng ^= w->rng << 17;
    return (uint32_t)(w->rng >> 32);
}

static int choose_bit(worker *w, uint32_t bits)
{
    if (emu_set.order == EMU_FORWARD)
        return __builtin_ctz(bits);
    if (emu_set.order == EMU_REVERSE)
        return 31 - __builtin_clz(bits);
    const int turn = (int)(emu_random(w) % 32);
    const uint32_t turned = turn ? bits >> turn | bits << (32 - turn) : bits;
    return (__builtin_ctz(turned) + turn) % 32;
}

/* Stays in the warp while it can: its stacks are warm, and the others fall behind, which is what
 * shows a missing barrier. */
static thread *pick(worker *w, warp *prefer, int after)
{
    if (prefer && prefer->ready) { /* the next lane round; where a round starts is chance */
        const uint32_t above = prefer->ready & ~0u << after << 1;
        const uint32_t below = prefer->ready & ~(~0u << after);
        if (w->backwards)
            return prefer->lane[31 - __builtin_clz(below ? below : prefer->ready)];
        return prefer->lane[__builtin_ctz(above ? above : prefer->ready)];
    }
    if (!w->ready_blocks)
        emu_idle(w);
    if (!w->ready_blocks)
        return nullptr;
    block *b = w->blocks[choose_bit(w, w->ready_blocks)];
    warp *next = &b->warps[choose_bit(w, b->ready_warps)];
    return next->lane[choose_bit(w, next->ready)];
}

void emu_wake(warp *w, uint32_t lanes)
{
    w->ready |= lanes;
    emu_worker->yields = 0;
    if (!w->ready)
        return;
    w->block->ready_warps |= 1u << w->index;
    emu_worker->ready_blocks |= 1u << w->block->rank;
}

static void put_to_sleep(worker *w, thread *t)
{
    t->warp->ready &= ~(1u << t->lane);
    if (t->warp->ready)
        return;
    t->block->ready_warps &= ~(1u << t->warp->index);
    if (!t->block->ready_warps)
        w->ready_blocks &= ~(1u << t->block->rank);
}

void emu_wait(const char *what, emu_site site)
{
    worker *w = emu_worker;
    thread *t = emu_now;
    t->waits_for = what;
    t->waits_at = site;
    put_to_sleep(w, t);
    thread *next = pick(w, t->warp, t->lane);
    if (!next)
        emu_fail_deadlock(w);
    w->count.switches++;
    if (next != t) /* what it waits for may just have arrived */
        go_on_with(next);
    t->waits_for = nullptr;
}

/* The next thread round that can go on, other than this one. */
static thread *next_round(worker *w, const thread *t)
{
    const int step = w->backwards ? w->thread_count - 1 : 1;
    for (int i = (t->id + step) % w->thread_count; i != t->id; i = (i + step) % w->thread_count) {
        thread *u = &w->threads[(size_t)i];
        if (u->warp->ready >> u->lane & 1)
            return u;
    }
    return nullptr;
}

/* Everybody gets a turn. Threads that only poll are none that can go on: a copy may arrive. */
void emu_yield(void)
{
    worker *w = emu_worker;
    thread *t = emu_now;
    if (++w->yields > 2 * w->alive) {
        emu_deliver(w);
        w->yields = 0;
    }
    thread *next = next_round(w, t);
    w->count.switches++;
    if (next)
        go_on_with(next);
}

int emu_lane(void) { return emu_now->lane; }

/* ---- the life of a thread --------------------------------------------------------------- */

enum { LAST_FRAMES = 24 * 1024 }; /* of a stack: where the tops lie, and thread_main()'s own frame */

static void thread_main(void)
{
    fiber_arrive(nullptr);
    emu_worker->grid->body.call(emu_worker->grid->body.closure.get());
    worker *w = emu_worker;
    thread *t = emu_now;
    emu_end_of_turn();
    emu_finish_stores();
    put_to_sleep(w, t);
    t->warp->alive &= ~(1u << t->lane);
    t->block->alive--;
    w->alive--;
    emu_exit_barrier(t->block);
    emu_exit_cluster(w);
    thread *next = pick(w, t->warp, t->lane);
    if (!next && w->alive)
        emu_fail_deadlock(w);
    end_with(next);
}

static void *fresh_stack(worker *w, int id)
{
    unsigned char *stack = w->stacks + (size_t)id * STACK_BYTES;
    fiber_forget(stack + STACK_BYTES - LAST_FRAMES, LAST_FRAMES);
    w->threads[(size_t)id].own = { nullptr, stack, STACK_BYTES };
    /* Tops differ by an odd number of cache lines, so that 32 lanes do not share 8 ways of L1. */
    unsigned char *top = stack + STACK_BYTES - id % 32 * 9 * 64;
    void **sp = (void **)((uintptr_t)top & ~(uintptr_t)63);
    *--sp = nullptr;             /* where thread_main would return to; keeps 16-byte alignment */
    *--sp = (void *)thread_main; /* popped by the first switch */
    for (int i = 0; i < 6; i++)
        *--sp = nullptr;
    return sp;
}

static void grow(worker *w, int threads)
{
    if (threads <= w->stack_count)
        return;
    if (w->stacks)
        munmap(w->stacks, (size_t)w->stack_count * STACK_BYTES);
    w->stacks =
        (unsigned char *)mmap(nullptr, (size_t)threads * STACK_BYTES, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (w->stacks == MAP_FAILED)
        abort();
    for (int i = 0; i < threads; i++) /* an overflow faults instead of meeting a neighbour */
        mprotect(w->stacks + (size_t)i * STACK_BYTES, PAGE, PROT_NONE);
    w->stack_count = threads;
    w->threads.resize((size_t)threads);
}

static block *make_block(int rank)
{
    block *b = new block();
    unsigned char *a = (unsigned char *)mmap(nullptr, ARENA_BYTES + 2 * PAGE, PROT_NONE,
                                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (a == MAP_FAILED)
        abort();
    b->rank = rank;
    b->arena = a + PAGE;
    mprotect(b->arena, ARENA_BYTES, PROT_READ | PROT_WRITE);
    return b;
}

/* ---- a cluster: one block mostly -------------------------------------------------------- */

static uint3 block_place(const launch *g, unsigned cluster, int rank)
{
    const dim3 &c = g->cluster;
    const unsigned across = g->grid.x / c.x, down = g->grid.y / c.y, r = (unsigned)rank;
    return { cluster % across * c.x + r % c.x, cluster / across % down * c.y + r / c.x % c.y,
             cluster / across / down * c.z + r / c.x / c.y };
}

static void begin_thread(worker *w, block *b, int tid, uint3 at)
{
    const launch *g = w->grid;
    const unsigned i = (unsigned)tid;
    const int id = b->rank * b->thread_count + tid;
    thread &t = w->threads[(size_t)id];
    t.tid = tid;
    t.id = id;
    t.lane = tid % 32;
    t.block = b;
    t.warp = &b->warps[tid / 32];
    t.warp->lane[t.lane] = &t;
    t.place.thread = { i % g->block.x, i / g->block.x % g->block.y, i / g->block.x / g->block.y };
    t.place.block = at;
    t.place.block_dim = g->block;
    t.place.grid_dim = g->grid;
    t.waits_for = nullptr;
    t.copies.clear();
    t.copy_group_end.clear();
    t.stores.clear();
    t.store_group_end.clear();
    t.wgmma_fenced = 0;
    t.took_turn = 0;
    t.cluster_arrivals = 0;
    t.sp = fresh_stack(w, id);
}

static void begin_block(worker *w, block *b, unsigned cluster)
{
    const launch *g = w->grid;
    const uint3 at = block_place(g, cluster, b->rank);
    b->unit = cluster;
    b->thread_count = b->alive = (int)(g->block.x * g->block.y * g->block.z);
    b->warp_count = (b->thread_count + 31) / 32;
    b->ready_warps = b->warp_count == 32 ? ~0u : (1u << b->warp_count) - 1;
    for (int i = 0; i < b->warp_count; i++) {
        warp *p = &b->warps[i];
        const int lanes = b->thread_count - i * 32;
        p->block = b;
        p->index = i;
        p->alive = p->ready = lanes >= 32 ? ~0u : (1u << lanes) - 1;
        for (warp_slot &s : p->slot)
            s.arrived = 0;
        for (product &q : p->products)
            free(q.before);
        p->products.clear();
        p->product_group_end.clear();
    }
    memset(b->barriers, 0, sizeof b->barriers);
    b->votes = 0;
    for (int i = 0; i < b->thread_count; i++)
        begin_thread(w, b, i, at);
    b->shared_bytes = g->shared_bytes;
    b->shared_room = (g->shared_bytes + 1023) & ~(size_t)1023;
    b->shared = b->arena + ARENA_BYTES - b->shared_room;
    memset(b->shared, 0xff, b->shared_room); /* NaN in f16, bf16 and f32 */
}

void emu_run_cluster(worker *w, unsigned index)
{
    const launch *g = w->grid;
    const int per_block = (int)(g->block.x * g->block.y * g->block.z);
    grow(w, per_block * (int)g->per_cluster);
    while (w->blocks.size() < g->per_cluster)
        w->blocks.push_back(make_block((int)w->blocks.size()));
    w->block_count = (int)g->per_cluster;
    w->thread_count = w->alive = per_block * w->block_count;
    w->ready_blocks = (uint32_t)((1ull << w->block_count) - 1);
    w->mbarriers.clear();
    w->agents = w->cluster_here = 0;
    w->cluster_phases = 0;
    w->cluster_waiting.clear();
    w->rng = (emu_set.seed * 0x9e3779b97f4a7c15u ^ (index + 1) * 0xd1342543de82ef95u) | 1;
    w->backwards =
        emu_set.order == EMU_REVERSE || (emu_set.order == EMU_RANDOM && emu_random(w) % 2);
    for (int i = 0; i < w->block_count; i++)
        begin_block(w, w->blocks[(size_t)i], index);
    if (emu_checking)
        emu_check_cluster_begins(w);
    go_on_with(pick(w, nullptr, 0));
    if (w->grid->failed) /* they may have been left anywhere */
        fiber_forget(w->stacks, (size_t)w->stack_count * STACK_BYTES);
    for (int i = 0; emu_set.count_banks && i < w->block_count; i++)
        emu_bank_block_ends(w->blocks[(size_t)i]);
}
