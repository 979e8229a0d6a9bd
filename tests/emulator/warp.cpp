/* tests/emulator/warp.cpp - what a warp does together: shuffles, votes, reductions. */
#include "tests/emulator/internal.h"

void emu_warp(const warp_op &op, uint32_t mask, void *operand, emu_site site)
{
    thread *t = emu_now;
    warp *w = t->warp;
    if (!(mask >> t->lane & 1))
        emu_fail("%s at %s:%d: mask %08x leaves out the calling lane", op.name, site.file,
                 site.line, mask);
    if (mask & ~w->alive)
        emu_fail("%s at %s:%d: mask %08x names lanes that have exited", op.name, site.file,
                 site.line, mask);
    warp_slot &s = w->slot[__builtin_ctz(mask)];
    if (!s.arrived) {
        s.op = &op;
        s.mask = mask;
        s.site = site;
    } else if (s.op != &op || s.mask != mask || s.site.line != site.line) {
        emu_fail("divergent warp: %s at %s:%d while other lanes are in %s at line %d", op.name,
                 site.file, site.line, s.op->name, s.site.line);
    }
    s.arrived |= 1u << t->lane;
    s.operand[t->lane] = operand;
    if (s.arrived != mask) {
        emu_wait(op.name, site);
        return;
    }
    s.arrived = 0;
    emu_worker->count.warp_ops++;
    if (op.run)
        op.run(s.operand, mask);
    if (op.orders_memory && emu_checking)
        emu_check_join_warp(w, mask);
    emu_wake(w, mask);
}

struct shuffle {
    uint64_t bits, result;
    int source;
};

static void run_shuffle(void *const operand[32], uint32_t mask)
{
    for (uint32_t m = mask; m; m &= m - 1) {
        shuffle *mine = (shuffle *)operand[__builtin_ctz(m)];
        if (mine->source < 0 || mine->source > 31 || !(mask >> mine->source & 1))
            emu_fail("shuffle: lane %d reads lane %d, which takes no part", __builtin_ctz(m),
                     mine->source);
        mine->result = ((shuffle *)operand[mine->source])->bits;
    }
}

uint64_t emu_shuffle(uint32_t mask, uint64_t bits, int source, emu_site site)
{
    static const warp_op op = { "shuffle", run_shuffle, 0 };
    shuffle mine = { bits, 0, source };
    emu_warp(op, mask, &mine, site);
    return mine.result;
}

static void run_ballot(void *const operand[32], uint32_t mask)
{
    uint32_t all = 0;
    for (uint32_t m = mask; m; m &= m - 1)
        all |= *(uint32_t *)operand[__builtin_ctz(m)] << __builtin_ctz(m);
    for (uint32_t m = mask; m; m &= m - 1)
        *(uint32_t *)operand[__builtin_ctz(m)] = all;
}

uint32_t emu_ballot(uint32_t mask, int predicate, emu_site site)
{
    static const warp_op op = { "vote", run_ballot, 0 };
    uint32_t mine = predicate != 0;
    emu_warp(op, mask, &mine, site);
    return mine;
}

struct reduction {
    emu_fold fold;
    int64_t value;
};

static int64_t fold(emu_fold how, int64_t a, int64_t b)
{
    switch (how) {
    case EMU_ADD:
        return a + b;
    case EMU_MIN:
        return b < a ? b : a;
    case EMU_MAX:
        return b > a ? b : a;
    case EMU_AND:
        return a & b;
    case EMU_OR:
        return a | b;
    default:
        return a ^ b;
    }
}

static void run_reduction(void *const operand[32], uint32_t mask)
{
    const reduction *first = (reduction *)operand[__builtin_ctz(mask)];
    const emu_fold how = first->fold;
    int64_t all = first->value;
    for (uint32_t m = mask & (mask - 1); m; m &= m - 1) {
        const reduction *next = (reduction *)operand[__builtin_ctz(m)];
        if (next->fold != how)
            emu_fail("divergent warp: lanes reduce in different ways");
        all = fold(how, all, next->value);
    }
    for (uint32_t m = mask; m; m &= m - 1)
        ((reduction *)operand[__builtin_ctz(m)])->value = all;
}

int64_t emu_reduce(uint32_t mask, emu_fold how, int64_t value, emu_site site)
{
    static const warp_op op = { "reduction", run_reduction, 0 };
    reduction mine = { how, value };
    emu_warp(op, mask, &mine, site);
    return mine.value;
}

void emu_syncwarp(uint32_t mask, emu_site site)
{
    static const warp_op op = { "__syncwarp", nullptr, 1 };
    emu_warp(op, mask, nullptr, site);
}

void emu_threadfence(void)
{
    launch *g = emu_worker->grid;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!g->marks.empty())
        g->marks[emu_now->block->unit].fenced = 1;
}

void emu_trap(emu_site site) { emu_fail("__trap at %s:%d", site.file, site.line); }
