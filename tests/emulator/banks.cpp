/* tests/emulator/banks.cpp - how many passes over the 32 banks of shared memory accesses take.
 *
 * Lanes run one after another, so a warp's access is put together afterwards: the k-th access of
 * each lane at one place in the code. Where lanes take a loop a different number of times that is a
 * guess. ldmatrix, which is one instruction here too, is counted where it runs (matrix.cpp). */
#include <stdio.h>
#include <string.h>

#include <map>
#include <mutex>

#include "tests/emulator/internal.h"

struct request { /* one access of a warp */
    uint32_t lanes;
    uint32_t at[32]; /* offset in shared memory */
    uint32_t bytes;  /* of each */
};
struct bank_place {
    uint32_t next[32]; /* which request is each lane's next */
    std::vector<request> requests;
};
struct warp_banks {
    std::map<const void *, bank_place> places; /* by program counter */
};
struct bank_count {
    uint64_t requests, wavefronts, ideal;
};

static std::map<const void *, bank_count> counted;
static std::map<const void *, emu_site> sites;
static std::mutex counted_lock;

void emu_bank_site(const void *place, emu_site site)
{
    std::lock_guard<std::mutex> hold(counted_lock);
    sites.insert({ place, site });
}

void emu_bank_access(const void *p, size_t bytes, const void *place)
{
    const thread *t = emu_now;
    const size_t at = (size_t)((const unsigned char *)p - t->block->shared);
    if (at >= t->block->shared_room || bytes > 16)
        return;
    if (!t->warp->banks)
        t->warp->banks = new warp_banks();
    bank_place &here = t->warp->banks->places[place];
    const uint32_t k = here.next[t->lane]++;
    if (here.requests.size() <= k)
        here.requests.resize(k + 1);
    request &r = here.requests[k];
    r.lanes |= 1u << t->lane;
    r.at[t->lane] = (uint32_t)at;
    r.bytes = (uint32_t)bytes;
}

/* Lanes whose accesses are made together: all, a half or a quarter of the warp, so that a pass can
 * move 128 bytes. A word that several of them want is moved once. */
static int wavefronts_of(const request &r, int first, int count)
{
    std::vector<uint32_t> words[32];
    size_t most = 0;
    for (int lane = first; lane < first + count; lane++) {
        if (!(r.lanes >> lane & 1))
            continue;
        for (uint32_t word = r.at[lane] / 4; word <= (r.at[lane] + r.bytes - 1) / 4; word++) {
            std::vector<uint32_t> &bank = words[word % 32];
            int known = 0;
            for (const uint32_t w : bank)
                known |= w == word;
            if (!known)
                bank.push_back(word);
            most = bank.size() > most ? bank.size() : most;
        }
    }
    return (int)most;
}

static bank_count count(const request &r)
{
    const int together = r.bytes <= 4 ? 32 : r.bytes == 8 ? 16 : 8;
    bank_count c = { 1, 0, 0 };
    for (int first = 0; first < 32; first += together) {
        const int taken = wavefronts_of(r, first, together);
        c.wavefronts += (uint64_t)taken;
        c.ideal += taken > 0;
    }
    return c;
}

void emu_bank_block_ends(block *b)
{
    std::lock_guard<std::mutex> hold(counted_lock);
    for (int i = 0; i < b->warp_count; i++) {
        warp *w = &b->warps[i];
        if (!w->banks)
            continue;
        for (const auto &place : w->banks->places)
            for (const request &r : place.second.requests) {
                const bank_count c = count(r);
                bank_count &sum = counted[place.first];
                sum.requests += c.requests;
                sum.wavefronts += c.wavefronts;
                sum.ideal += c.ideal;
            }
        delete w->banks;
        w->banks = nullptr;
    }
}

emu_banks emu_take_banks(void)
{
    std::lock_guard<std::mutex> hold(counted_lock);
    emu_banks all = {};
    const void *worst = nullptr;
    for (const auto &c : counted) {
        all.requests += c.second.requests;
        all.wavefronts += c.second.wavefronts;
        all.ideal += c.second.ideal;
        const double ratio = (double)c.second.wavefronts / (double)c.second.ideal;
        if (ratio > all.worst) {
            all.worst = ratio;
            worst = c.first;
        }
    }
    const auto known = sites.find(worst);
    if (known != sites.end())
        snprintf(all.where, sizeof all.where, "%s:%d", known->second.file, known->second.line);
    else if (worst)
        snprintf(all.where, sizeof all.where, "%s", emu_source_line((void *)worst).c_str());
    counted.clear();
    return all;
}
