/* tests/emulator/barrier.cpp - the barriers of a block: __syncthreads and the numbered ones. */
#include <string.h>

#include "tests/emulator/internal.h"

static void release(block *b, barrier *at)
{
    if (emu_checking)
        emu_check_join(b, at->here);
    for (int i = 0; i < b->warp_count; i++)
        if (at->waiting[i])
            emu_wake(&b->warps[i], at->waiting[i]);
    memset(at->waiting, 0, sizeof at->waiting);
    memset(at->here, 0, sizeof at->here);
    at->arrived = 0;
    if (at == &b->barriers[0]) {
        b->votes_done = b->votes;
        b->votes = 0;
    }
}

/* Returns 1 if this thread was the last. */
static int arrive(int id, int threads, emu_site site, int one_line)
{
    thread *t = emu_now;
    block *b = t->block;
    if (id < 0 || id >= BARRIERS)
        emu_fail("barrier at %s:%d: there is no barrier %d", site.file, site.line, id);
    if (threads % 32 != 0 || threads > b->thread_count)
        emu_fail("barrier at %s:%d: for %d of %d threads", site.file, site.line, threads,
                 b->thread_count);
    barrier *at = &b->barriers[id];
    if (at->arrived && (at->expected != threads || (one_line && at->site.line != site.line)))
        emu_fail("divergent barrier: it is at %s:%d while others wait at line %d", site.file,
                 site.line, at->site.line);
    at->site = site;
    at->expected = threads;
    if (at->here[t->warp->index] >> t->lane & 1)
        emu_fail("barrier at %s:%d: a second arrival before the others' first", site.file,
                 site.line);
    at->here[t->warp->index] |= 1u << t->lane;
    if (++at->arrived != (threads ? threads : b->alive))
        return 0;
    release(b, at);
    return 1;
}

/* All threads meet at one place in the source, unless it is a numbered barrier, where producers and
 * consumers come from different ones. */
void emu_barrier(int id, int threads, emu_site site)
{
    thread *t = emu_now;
    if (arrive(id, threads, site, id == 0))
        return;
    t->block->barriers[id].waiting[t->warp->index] |= 1u << t->lane;
    emu_wait("a barrier", site);
}

void emu_barrier_arrive(int id, int threads, emu_site site) { arrive(id, threads, site, 0); }

int emu_barrier_count(int predicate, emu_site site)
{
    block *b = emu_now->block;
    b->votes += predicate != 0;
    emu_barrier(0, 0, site);
    return b->votes_done;
}

/* Those that have exited are not waited for, as on the device. */
void emu_exit_barrier(block *b)
{
    barrier *at = &b->barriers[0];
    if (at->arrived && !at->expected && at->arrived == b->alive)
        release(b, at);
}

[[noreturn]] void emu_fail_deadlock(worker *w)
{
    std::string text = "no thread can go on:";
    std::vector<char> told((size_t)w->thread_count, 0);
    for (int i = 0; i < w->thread_count; i++) {
        const thread &t = w->threads[(size_t)i];
        if (!t.waits_for || told[(size_t)i])
            continue;
        int same = 0;
        for (int j = i; j < w->thread_count; j++) {
            const thread &u = w->threads[(size_t)j];
            if (u.waits_for == t.waits_for && u.waits_at.line == t.waits_at.line) {
                told[(size_t)j] = 1;
                same++;
            }
        }
        text += " " + std::to_string(same) + " (first: " + std::to_string(i) + ") wait for " +
                t.waits_for + " at " + t.waits_at.file + ":" + std::to_string(t.waits_at.line) +
                ";";
    }
    emu_fail("%s %d have exited", text.c_str(), w->thread_count - w->alive);
}
