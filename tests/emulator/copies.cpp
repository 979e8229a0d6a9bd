/* tests/emulator/copies.cpp - cp.async: the data comes as late as it may, at the wait that covers
 * it, and until then its target is NaN. */
#include <string.h>

#include "tests/emulator/internal.h"

static void land(const async_copy &c)
{
    memcpy(c.to, c.from, (size_t)c.valid);
    memset((char *)c.to + c.valid, 0, (size_t)(c.size - c.valid));
}

void emu_cp_async(void *to, const void *from, int size, int valid, emu_site site)
{
    thread *t = emu_now;
    const block *b = t->block;
    const size_t at = (size_t)((unsigned char *)to - b->shared);
    if (at >= b->shared_room || at + (size_t)size > b->shared_bytes)
        emu_fail("cp.async at %s:%d writes outside shared memory: %s", site.file, site.line,
                 emu_describe(to).c_str());
    if ((uintptr_t)to % (unsigned)size || (uintptr_t)from % (unsigned)size)
        emu_fail("cp.async at %s:%d: misaligned for %d bytes", site.file, site.line, size);
    if (valid < 0 || valid > size)
        emu_fail("cp.async at %s:%d: %d valid bytes of %d", site.file, site.line, valid, size);
    if (valid)
        emu_check_turn("cp.async", site, nullptr);
    if (emu_set.count_banks) {
        const void *place = (const char *)site.file + site.line; /* one for each line */
        emu_bank_site(place, site);
        emu_bank_access(to, (size_t)size, place);
    }
    if (emu_checking) {
        emu_check(to, (size_t)size, ACCESS_IN_FLIGHT, "cp.async", site, nullptr);
        if (valid)
            emu_check(from, (size_t)valid, ACCESS_READ, "cp.async", site, nullptr);
    }
    if (valid) { /* a fault in the source shows here, at the line that asked for it */
        emu_worker->probing = site;
        volatile char probe =
            *(const volatile char *)from + ((const volatile char *)from)[valid - 1];
        (void)probe;
        emu_worker->probing = { nullptr, 0 };
    }
    memset(to, 0xff, (size_t)size);
    t->copies.push_back({ to, from, size, valid });
}

void emu_cp_async_commit(void) { emu_now->copy_group_end.push_back(emu_now->copies.size()); }

void emu_cp_async_wait(int keep)
{
    thread *t = emu_now;
    const int groups = (int)t->copy_group_end.size() - keep;
    if (groups <= 0)
        return;
    const size_t count = t->copy_group_end[(size_t)groups - 1];
    for (size_t i = 0; i < count; i++) {
        land(t->copies[i]);
        if (emu_checking)
            emu_check(t->copies[i].to, (size_t)t->copies[i].size, ACCESS_WRITE,
                      "the landing of cp.async", { "", 0 }, nullptr);
    }
    t->copies.erase(t->copies.begin(), t->copies.begin() + (long)count);
    t->copy_group_end.erase(t->copy_group_end.begin(), t->copy_group_end.begin() + groups);
    for (size_t &end : t->copy_group_end)
        end -= count;
}

void *emu_shared(size_t bytes)
{
    const block *b = emu_now->block;
    if (bytes > b->shared_bytes)
        emu_fail("kernel wants %zu bytes of shared memory, launched with %zu", bytes,
                 b->shared_bytes);
    return b->shared;
}
