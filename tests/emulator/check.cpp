/* tests/emulator/check.cpp - what is known of memory, and every access held against it.
 *
 * Shared memory by vector clocks: a write and another thread's access with no barrier between them
 * is a race, in whatever order they ran. Global memory by a state per byte. */
#include <string.h>

#include "tests/emulator/internal.h"

extern "C" char __executable_start, end;
/* In place of a block's number: written by atomics, read by more than one block. */
enum { EVERYBODY = 0xfffff, SEVERAL = 0xffffe };

static std::string place(const char *what, emu_site site, void *pc)
{
    if (pc)
        return std::string(what) + " at " + emu_source_line(pc);
    return site.line ? std::string(what) + " at " + site.file + ":" + std::to_string(site.line)
                     : what;
}

static uint32_t *clock_of(worker *w, int id) { return &w->clocks[(size_t)id * (size_t)w->stride]; }

/* ---- shared memory ---------------------------------------------------------------------- */

static std::string who(const worker *w, int id)
{
    if (id >= w->thread_count)
        return "a bulk copy";
    const thread &t = w->threads[(size_t)id];
    return w->block_count == 1
               ? "thread " + std::to_string(t.tid)
               : "thread " + std::to_string(t.tid) + " of block " + std::to_string(t.block->rank);
}

/* By the thread that wrote, after it did; or by the one that reads now, after it was told. */
static int is_fenced(const worker *w, const cell *c)
{
    const size_t row = (size_t)w->stride;
    if (w->fenced.empty())
        return 0;
    return w->fenced[c->writer * row + c->writer] >= c->write_clock ||
           w->fenced[(size_t)emu_now->id * row + c->writer] >= c->write_clock;
}

static void check_read(worker *w, cell *c, size_t at, emu_access a, const char *what, emu_site site,
                       void *pc)
{
    const int me = emu_now->id;
    const uint32_t *clock = clock_of(w, me);
    if (c->state == CELL_UNWRITTEN)
        emu_fail("%s: reads shared memory nobody has written (offset %zu)",
                 place(what, site, pc).c_str(), at);
    if (c->state == CELL_IN_FLIGHT)
        emu_fail("%s: reads what an asynchronous copy of %s has not delivered (offset %zu)",
                 place(what, site, pc).c_str(), who(w, c->writer).c_str(), at);
    if (c->writer != me && clock[c->writer] < c->write_clock)
        emu_fail("%s: race: reads what %s wrote, no barrier between (offset %zu)",
                 place(what, site, pc).c_str(), who(w, c->writer).c_str(), at);
    if (a == ACCESS_PROXY && c->writer < w->thread_count && !is_fenced(w, c))
        emu_fail("%s: reads what %s stored, with no fence.proxy.async between (offset %zu)",
                 place(what, site, pc).c_str(), who(w, c->writer).c_str(), at);
    if (c->reader[0] != me) { /* the last two readers are remembered */
        c->reader[1] = c->reader[0];
        c->read_clock[1] = c->read_clock[0];
    }
    c->reader[0] = (uint16_t)me;
    c->read_clock[0] = clock[me];
}

static void check_write(worker *w, cell *c, size_t at, emu_access a, const char *what,
                        emu_site site, void *pc)
{
    const int me = emu_now->id;
    const uint32_t *clock = clock_of(w, me);
    if (c->state != CELL_UNWRITTEN && c->writer != me && clock[c->writer] < c->write_clock)
        emu_fail("%s: race: overwrites what %s wrote, no barrier between (offset %zu)",
                 place(what, site, pc).c_str(), who(w, c->writer).c_str(), at);
    for (int k = 0; k < 2; k++)
        if (c->read_clock[k] && c->reader[k] != me && clock[c->reader[k]] < c->read_clock[k])
            emu_fail("%s: race: overwrites what %s read, no barrier between (offset %zu)",
                     place(what, site, pc).c_str(), who(w, c->reader[k]).c_str(), at);
    if (a == ACCESS_BULK && c->state == CELL_WRITTEN && c->writer < w->thread_count &&
        !is_fenced(w, c))
        emu_fail("%s: overwrites what %s stored, with no fence.proxy.async between (offset %zu)",
                 place(what, site, pc).c_str(), who(w, c->writer).c_str(), at);
    c->writer = (uint16_t)me;
    c->write_clock = clock[me];
    c->state = a != ACCESS_WRITE ? CELL_IN_FLIGHT : CELL_WRITTEN;
}

static void check_shared(worker *w, block *b, size_t at, size_t bytes, emu_access a,
                         const char *what, emu_site site, void *pc)
{
    if (b != emu_now->block && !b->alive)
        emu_fail("%s: shared memory of block %d of the cluster, which has ended",
                 place(what, site, pc).c_str(), b->rank);
    if (at + bytes > b->shared_bytes)
        emu_fail("%s: %zu bytes at offset %zu of %zu bytes of shared memory",
                 place(what, site, pc).c_str(), bytes, at, b->shared_bytes);
    for (size_t i = at / 2; i <= (at + bytes - 1) / 2; i++) {
        cell *c = &b->cells[i];
        if (c->epoch != w->epoch) {
            *c = {};
            c->epoch = w->epoch;
        }
        if (a == ACCESS_READ || a == ACCESS_PROXY)
            check_read(w, c, i * 2, a, what, site, pc);
        else
            check_write(w, c, i * 2, a, what, site, pc);
    }
}

/* ---- global memory ---------------------------------------------------------------------- */

static void check_state(size_t at, size_t bytes, emu_access a, const char *what, emu_site site,
                        void *pc)
{
    const unsigned char *state = emu_heap_state + at;
    for (size_t i = 0; i < bytes; i++) {
        if (state[i] == GLOBAL_NONE)
            emu_fail("%s: %s of %zu bytes at %s", place(what, site, pc).c_str(),
                     a == ACCESS_WRITE ? "write" : "read", bytes,
                     emu_describe(emu_heap + at + i).c_str());
        if (a != ACCESS_WRITE && state[i] == GLOBAL_UNWRITTEN)
            emu_fail("%s: reads global memory nobody has written: %s",
                     place(what, site, pc).c_str(), emu_describe(emu_heap + at + i).c_str());
    }
}

/* The block of this launch that a mark names, or -1: another launch's, this block's own, atomics'.
 */
static int other_block(uint32_t mark)
{
    const uint32_t block = mark & EVERYBODY;
    return mark - block != emu_worker->grid->number << 20 || block == EVERYBODY ||
                   block == emu_now->block->unit
               ? -1
               : (int)block;
}

/* Blocks of one launch may not write one place, nor write what another reads: nothing orders them.
 * The exception is "the last to arrive": the other block fenced what it wrote and did an atomic,
 * and so did this one since. The blocks of one cluster count as one here. */
static void check_blocks(size_t at, size_t bytes, emu_access a, const char *what, emu_site site,
                         void *pc)
{
    launch *g = emu_worker->grid;
    const block *b = emu_now->block;
    const uint32_t mine = g->number << 20 | b->unit;
    const int writes = a == ACCESS_WRITE;
    if (bytes == 1 && at % 2) /* it has no mark of its own */
        return;
    for (size_t i = at / 2; i <= (at + bytes - 1) / 2; i++) {
        const int writer = other_block(emu_heap_writer[i]);
        const int reader = writes ? other_block(emu_heap_reader[i]) : -1;
        if (writer >= 0 && !(g->marks[b->unit].told && g->marks[(size_t)writer].fenced))
            emu_fail("%s: %s block %d of the same launch wrote: %s", place(what, site, pc).c_str(),
                     writes ? "two blocks write one output: overwrites what" : "reads what", writer,
                     emu_describe(emu_heap + i * 2).c_str());
        if (reader >= 0 &&
            !(g->marks[b->unit].told && (reader == SEVERAL || g->marks[(size_t)reader].told)))
            emu_fail("%s: overwrites what other blocks of the same launch read: %s",
                     place(what, site, pc).c_str(), emu_describe(emu_heap + i * 2).c_str());
        if (writes)
            emu_heap_writer[i] = mine;
        else
            emu_heap_reader[i] =
                other_block(emu_heap_reader[i]) < 0 ? mine : g->number << 20 | SEVERAL;
    }
    if (writes)
        g->marks[b->unit].fenced = 0;
}

static void check_global(size_t at, size_t bytes, emu_access a, const char *what, emu_site site,
                         void *pc)
{
    emu_check_turn(what, site, pc);
    check_state(at, bytes, a, what, site, pc);
    if (emu_worker->grid->blocks > emu_worker->grid->per_cluster)
        check_blocks(at, bytes, a, what, site, pc);
    if (a == ACCESS_WRITE)
        memset(emu_heap_state + at, GLOBAL_WRITTEN, bytes);
}

/* Atomics on one address do not race with each other: bounds, and whether it was ever written. */
void emu_check_atomic(const void *p, size_t bytes, void *pc)
{
    const size_t at = (size_t)((const unsigned char *)p - emu_heap);
    if (emu_block_of_shared(p))
        return;
    if (!emu_heap || at >= emu_heap_bytes) {
        emu_check(p, bytes, ACCESS_READ, "atomic", { "", 0 }, pc);
        return;
    }
    emu_check_turn("atomic", { "", 0 }, pc);
    check_state(at, bytes, ACCESS_READ, "atomic", { "", 0 }, pc);
    emu_worker->grid->marks[emu_now->block->unit].told = 1;
    for (size_t i = at / 2; i <= (at + bytes - 1) / 2; i++)
        emu_heap_writer[i] = emu_worker->grid->number << 20 | EVERYBODY;
}

/* ---- any access ------------------------------------------------------------------------- */

/* Its own registers and locals, threadIdx and its kin, tables of constants, the arguments. */
static int is_private(const worker *w, const unsigned char *u, emu_access a)
{
    const unsigned char *threads = (const unsigned char *)w->threads.data();
    const unsigned char *arguments = (const unsigned char *)w->grid->body.closure.get();
    if ((size_t)(u - threads) < w->threads.size() * sizeof(thread) ||
        u == (const unsigned char *)&emu_here)
        return 1;
    return a == ACCESS_READ &&
           ((u >= (unsigned char *)&__executable_start && u < (unsigned char *)&end) ||
            (size_t)(u - arguments) < w->grid->body.bytes);
}

void emu_check(const void *p, size_t bytes, emu_access a, const char *what, emu_site site, void *pc)
{
    worker *w = emu_worker;
    const unsigned char *u = (const unsigned char *)p;
    if ((size_t)(u - w->stacks) < (size_t)w->stack_count * STACK_BYTES)
        return;
    if (block *b = emu_block_of_shared(u))
        check_shared(w, b, (size_t)(u - b->shared), bytes, a, what, site, pc);
    else if (emu_heap && (size_t)(u - emu_heap) < emu_heap_bytes)
        check_global((size_t)(u - emu_heap), bytes, a, what, site, pc);
    else if (!is_private(w, u, a))
        emu_fail("%s: %s", place(what, site, pc).c_str(), emu_describe(p).c_str());
}

/* ---- clocks ----------------------------------------------------------------------------- */

void emu_check_cluster_begins(worker *w)
{
    w->epoch++;
    w->stride = w->thread_count + AGENTS;
    w->clocks.assign((size_t)w->thread_count * (size_t)w->stride, 0);
    w->fenced.clear(); /* until the first fence */
    for (int i = 0; i < w->thread_count; i++)
        clock_of(w, i)[i] = 1;
    w->cluster_clocks.gathered.assign((size_t)w->stride, 0);
    w->cluster_clocks.told.assign((size_t)w->stride, 0);
    for (int i = 0; i < w->block_count; i++) {
        block *b = w->blocks[(size_t)i];
        if (b->cells.size() < b->shared_room / 2)
            b->cells.resize(b->shared_room / 2);
    }
}

static void join(uint32_t *into, const uint32_t *from, int count)
{
    for (int k = 0; k < count; k++)
        into[k] = from[k] > into[k] ? from[k] : into[k];
}

static void gather(worker *w, const warp *from, uint32_t lanes, uint32_t *all)
{
    for (uint32_t m = lanes; m; m &= m - 1)
        join(all, clock_of(w, from->lane[__builtin_ctz(m)]->id), w->stride);
}

static void spread(worker *w, const warp *to, uint32_t lanes, const uint32_t *all)
{
    for (uint32_t m = lanes; m; m &= m - 1) {
        const int id = to->lane[__builtin_ctz(m)]->id;
        memcpy(clock_of(w, id), all, (size_t)w->stride * sizeof *all);
        clock_of(w, id)[id]++;
    }
}

void emu_check_join(block *b, const uint32_t *lanes)
{
    worker *w = emu_worker;
    std::vector<uint32_t> all((size_t)w->stride, 0);
    for (int i = 0; i < b->warp_count; i++)
        gather(w, &b->warps[i], lanes[i], all.data());
    for (int i = 0; i < b->warp_count; i++)
        spread(w, &b->warps[i], lanes[i], all.data());
}

void emu_check_join_warp(warp *w, uint32_t lanes)
{
    std::vector<uint32_t> all((size_t)emu_worker->stride, 0);
    gather(emu_worker, w, lanes, all.data());
    spread(emu_worker, w, lanes, all.data());
}

/* What this lane has just read in the name of the warp, all its lanes know to be done. */
void emu_check_share(const warp *w)
{
    const int me = emu_now->id;
    uint32_t *mine = clock_of(emu_worker, me);
    for (uint32_t m = w->alive; m; m &= m - 1)
        clock_of(emu_worker, w->lane[__builtin_ctz(m)]->id)[me] = mine[me];
    mine[me]++;
}

void emu_check_arrive(meeting *m)
{
    worker *w = emu_worker;
    m->gathered.resize((size_t)w->stride, 0);
    join(m->gathered.data(), clock_of(w, emu_now->id), w->stride);
    clock_of(w, emu_now->id)[emu_now->id]++;
}

void emu_check_complete(meeting *m) { m->told = m->gathered; }

void emu_check_learn(const meeting *m)
{
    worker *w = emu_worker;
    if (!m->told.empty())
        join(clock_of(w, emu_now->id), m->told.data(), w->stride);
}

/* ---- bulk copies ------------------------------------------------------------------------ */

/* What an mbarrier's copies have brought, those know who have waited for it. */
void emu_check_landing(const void *p, size_t bytes, mbarrier *m)
{
    worker *w = emu_worker;
    block *b = emu_block_of_shared(p);
    const size_t at = (size_t)((const unsigned char *)p - b->shared);
    const int agent = w->thread_count + m->agent;
    m->clocks.gathered.resize((size_t)w->stride, 0);
    const uint32_t clock = ++m->clocks.gathered[(size_t)agent];
    for (size_t i = at / 2; i < (at + bytes) / 2; i++) {
        cell *c = &b->cells[i];
        c->state = CELL_WRITTEN;
        c->writer = (uint16_t)agent;
        c->write_clock = clock;
    }
}

void emu_check_fence(void)
{
    worker *w = emu_worker;
    if (w->fenced.empty())
        w->fenced.assign(w->clocks.size(), 0);
    uint32_t *clock = clock_of(w, emu_now->id);
    memcpy(&w->fenced[(size_t)emu_now->id * (size_t)w->stride], clock,
           (size_t)w->stride * sizeof *clock);
    clock[emu_now->id]++; /* what it writes from here on is not covered */
}
