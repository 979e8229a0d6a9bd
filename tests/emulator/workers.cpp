/* tests/emulator/workers.cpp - a grid's blocks dealt to OS threads, which are kept from launch to
 * launch. */
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/emulator/internal.h"

static emu_stats total;

struct pool {
    std::mutex lock;
    std::condition_variable work, done;
    launch *grid;
    uint64_t number; /* of the launch at hand */
    int wanted;      /* helpers that may still join it */
    int busy;        /* helpers at work on it */
    int size;
};
static pool &the_pool =
    *new pool(); /* never destroyed: helpers wait in it until the process ends */

/* The i-th cluster to run: up, down, or by a stride that has no factor in common with their number.
 */
static unsigned in_order(const launch *g, unsigned i)
{
    const unsigned clusters = g->blocks / g->per_cluster;
    if (emu_set.order == EMU_FORWARD)
        return i;
    if (emu_set.order == EMU_REVERSE)
        return clusters - 1 - i;
    static const unsigned primes[] = { 7919, 104729, 15485863, 1299709 };
    const unsigned stride = primes[emu_set.seed % 4];
    return (unsigned)(((uint64_t)i * (clusters % stride ? stride : 1) + emu_set.seed * 31) %
                      clusters);
}

static void take_part(launch *g)
{
    if (!emu_worker) {
        emu_worker = new worker(); /* one per OS thread, kept */
        emu_worker->main = fiber_here();
        emu_watch_faults(emu_worker);
    }
    worker *w = emu_worker;
    w->grid = g;
    const unsigned clusters = g->blocks / g->per_cluster;
    for (unsigned i; !g->failed && (i = g->next_cluster++) < clusters;) {
        emu_watchdog(w, emu_set.watchdog_s);
        emu_run_cluster(w, in_order(g, i));
    }
    emu_watchdog(w, 0);
    std::lock_guard<std::mutex> hold(the_pool.lock);
    total.switches += w->count.switches;
    total.warp_ops += w->count.warp_ops;
    total.mmas += w->count.mmas;
    total.checks += w->count.checks;
    total.ldmatrix += w->count.ldmatrix;
    total.wavefronts += w->count.wavefronts;
    w->count = {};
}

static void help(void)
{
    uint64_t seen = 0;
    for (;;) {
        launch *g;
        {
            std::unique_lock<std::mutex> hold(the_pool.lock);
            the_pool.work.wait(hold,
                               [&] { return the_pool.number != seen && the_pool.wanted > 0; });
            seen = the_pool.number;
            the_pool.wanted--;
            the_pool.busy++;
            g = the_pool.grid;
        }
        take_part(g);
        std::lock_guard<std::mutex> hold(the_pool.lock);
        if (--the_pool.busy == 0)
            the_pool.done.notify_all();
    }
}

void emu_run_grid(launch *g)
{
    const unsigned clusters = g->blocks / g->per_cluster;
    const int helpers =
        clusters < (unsigned)emu_set.os_threads ? (int)clusters - 1 : emu_set.os_threads - 1;
    if (helpers > 0) {
        std::lock_guard<std::mutex> hold(the_pool.lock);
        for (; the_pool.size < helpers; the_pool.size++)
            std::thread(help).detach();
        the_pool.grid = g;
        the_pool.number++;
        the_pool.wanted = helpers;
        the_pool.work.notify_all();
    }
    take_part(g);
    std::unique_lock<std::mutex> hold(the_pool.lock);
    the_pool.wanted = 0; /* who has not come by now need not */
    the_pool.done.wait(hold, [] { return the_pool.busy == 0; });
    total.launches++;
}

emu_stats emu_take_stats(void)
{
    std::lock_guard<std::mutex> hold(the_pool.lock);
    const emu_stats s = total;
    total = {};
    return s;
}
