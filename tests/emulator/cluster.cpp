/* tests/emulator/cluster.cpp - blocks that run together: their barrier, each other's memory. */
#include "tests/emulator/internal.h"

int emu_cluster_rank(void) { return emu_now->block->rank; }
int emu_cluster_size(void) { return emu_worker->block_count; }

block *emu_block_of_shared(const void *p)
{
    worker *w = emu_worker;
    for (int i = 0; i < w->block_count; i++) {
        block *b = w->blocks[(size_t)i];
        if ((size_t)((const unsigned char *)p - b->shared) < b->shared_room)
            return b;
    }
    return nullptr;
}

void *emu_cluster_map(const void *p, int rank, emu_site site)
{
    worker *w = emu_worker;
    const block *from = emu_block_of_shared(p);
    if (!from)
        emu_fail("mapa at %s:%d: not shared memory: %s", site.file, site.line,
                 emu_describe(p).c_str());
    if (rank < 0 || rank >= w->block_count)
        emu_fail("mapa at %s:%d: block %d of a cluster of %d", site.file, site.line, rank,
                 w->block_count);
    block *there = w->blocks[(size_t)rank];
    if (!there->alive)
        emu_fail("mapa at %s:%d: block %d of the cluster has ended", site.file, site.line, rank);
    return there->shared + ((const unsigned char *)p - from->shared);
}

/* ---- barrier.cluster -------------------------------------------------------------------- */

static void complete_if_all(worker *w)
{
    if (w->cluster_here < w->alive || !w->cluster_here)
        return;
    w->cluster_here = 0;
    w->cluster_phases++;
    if (emu_checking)
        emu_check_complete(&w->cluster_clocks);
    for (thread *t : w->cluster_waiting)
        emu_wake(t->warp, 1u << t->lane);
    w->cluster_waiting.clear();
}

void emu_cluster_arrive(emu_site site)
{
    worker *w = emu_worker;
    thread *t = emu_now;
    if (t->cluster_arrivals > w->cluster_phases)
        emu_fail("barrier.cluster.arrive at %s:%d: a second arrival before the wait", site.file,
                 site.line);
    t->cluster_arrivals = w->cluster_phases + 1;
    w->cluster_here++;
    if (emu_checking)
        emu_check_arrive(&w->cluster_clocks);
    complete_if_all(w);
}

void emu_cluster_wait(emu_site site)
{
    worker *w = emu_worker;
    thread *t = emu_now;
    if (t->cluster_arrivals == 0)
        emu_fail("barrier.cluster.wait at %s:%d: without an arrival", site.file, site.line);
    if (w->cluster_phases < t->cluster_arrivals) {
        w->cluster_waiting.push_back(t);
        emu_wait("the cluster's barrier", site);
    }
    if (emu_checking)
        emu_check_learn(&w->cluster_clocks);
}

void emu_exit_cluster(worker *w)
{
    if (w->alive)
        complete_if_all(w);
}
