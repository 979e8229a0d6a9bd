/* tests/emulator/mbarrier.cpp - mbarriers: arrivals, bytes of bulk copies, phases.
 * source   PTX ISA 8.5, "mbarrier" */
#include "tests/emulator/internal.h"

mbarrier *emu_mbarrier_find(uint64_t *bar, emu_site site)
{
    worker *w = emu_worker;
    for (mbarrier &b : w->mbarriers) {
        if (b.where != bar)
            continue;
        if (emu_checking && b.by != emu_now->id &&
            w->clocks[(size_t)emu_now->id * (size_t)w->stride + (size_t)b.by] < b.by_clock)
            emu_fail("mbarrier at %s:%d: used with no barrier since thread %d initialised it",
                     site.file, site.line, w->threads[(size_t)b.by].tid);
        return &b;
    }
    emu_fail("mbarrier at %s:%d was never initialised: %s", site.file, site.line,
             emu_describe(bar).c_str());
}

static void complete_if_done(mbarrier *b)
{
    if (b->pending || b->tx)
        return;
    b->phase++;
    b->pending = b->count;
    if (emu_checking)
        emu_check_complete(&b->clocks);
    for (thread *t : b->waiting)
        emu_wake(t->warp, 1u << t->lane);
    b->waiting.clear();
}

void emu_mbarrier_init(uint64_t *bar, int count, emu_site site)
{
    worker *w = emu_worker;
    thread *t = emu_now;
    if (emu_block_of_shared(bar) != t->block || (uintptr_t)bar % 8 != 0 ||
        (unsigned char *)(bar + 1) > t->block->shared + t->block->shared_bytes)
        emu_fail("mbarrier at %s:%d: not 8 aligned bytes of this block's shared memory: %s",
                 site.file, site.line, emu_describe(bar).c_str());
    if (count < 1 || count >= 1 << 20)
        emu_fail("mbarrier at %s:%d: %d arrivals", site.file, site.line, count);
    if (emu_checking)
        emu_check(bar, 8, ACCESS_WRITE, "mbarrier.init", site, nullptr);
    for (const mbarrier &b : w->mbarriers)
        if (b.where == bar)
            emu_fail("mbarrier at %s:%d is initialised a second time", site.file, site.line);
    mbarrier b = {};
    b.where = bar;
    b.count = b.pending = count;
    b.agent = w->agents++ % AGENTS;
    b.by = t->id;
    if (emu_checking)
        b.by_clock = w->clocks[(size_t)t->id * (size_t)w->stride + (size_t)t->id];
    w->mbarriers.push_back(b);
}

void emu_mbarrier_invalidate(uint64_t *bar, emu_site site)
{
    worker *w = emu_worker;
    mbarrier *b = emu_mbarrier_find(bar, site);
    if (!b->waiting.empty() || !b->copies.empty())
        emu_fail("mbarrier at %s:%d: invalidated while in use", site.file, site.line);
    w->mbarriers.erase(w->mbarriers.begin() + (b - w->mbarriers.data()));
}

void emu_mbarrier_arrive(uint64_t *bar, int expect_bytes, int arrivals, emu_site site)
{
    mbarrier *b = emu_mbarrier_find(bar, site);
    b->tx += expect_bytes;
    if (!arrivals)
        return;
    if (--b->pending < 0)
        emu_fail("mbarrier at %s:%d: more than its %d arrivals in one phase", site.file, site.line,
                 b->count);
    if (emu_checking)
        emu_check_arrive(&b->clocks);
    complete_if_done(b);
}

void emu_mbarrier_transfer(mbarrier *b, long bytes)
{
    b->tx -= bytes;
    complete_if_done(b);
}

static int completed(const mbarrier *b, int parity) { return (int)(b->phase & 1) != (parity & 1); }

void emu_mbarrier_wait(uint64_t *bar, int parity, emu_site site)
{
    while (!completed(emu_mbarrier_find(bar, site), parity)) {
        emu_mbarrier_find(bar, site)->waiting.push_back(emu_now);
        emu_wait("an mbarrier", site);
    }
    if (emu_checking)
        emu_check_learn(&emu_mbarrier_find(bar, site)->clocks);
}

/* A thread that polls lets the others go on. */
int emu_mbarrier_test(uint64_t *bar, int parity, emu_site site)
{
    if (!completed(emu_mbarrier_find(bar, site), parity))
        emu_yield();
    const mbarrier *b = emu_mbarrier_find(bar, site);
    if (!completed(b, parity))
        return 0;
    if (emu_checking)
        emu_check_learn(&b->clocks);
    return 1;
}
