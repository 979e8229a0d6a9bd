/* tests/emulator/bulk.cpp - bulk copies by tensor map. What goes to shared memory lands when no
 * thread can go on without it, its target being NaN until then; what comes from it is read at the
 * wait that covers it.
 * source   PTX ISA 8.5, "cp.async.bulk.tensor" and "Swizzling modes"; CUDA driver API,
 *          cuTensorMapEncodeTiled */
#include <string.h>

#include "tests/emulator/internal.h"

enum { MAP_MAGIC = 0x7e50a4 };

/* ---- tensor maps ------------------------------------------------------------------------ */

CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                                void *base, const cuuint64_t *dims, const cuuint64_t *strides,
                                const cuuint32_t *box, const cuuint32_t *element_strides,
                                CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion, CUtensorMapFloatOOBfill)
{
    const unsigned bytes = type == CU_TENSOR_MAP_DATA_TYPE_FLOAT32 ? 4 : 2;
    const unsigned width = swizzle == CU_TENSOR_MAP_SWIZZLE_NONE ? 0 : 16u << swizzle;
    if (rank < 1 || rank > 5 || (uintptr_t)base % 16 || interleave || (uintptr_t)map % 64)
        return CUDA_ERROR_INVALID_VALUE;
    CUtensorMap m = {};
    for (cuuint32_t i = 0; i < rank; i++) {
        if (dims[i] < 1 || dims[i] > UINT32_MAX || box[i] < 1 || box[i] > 256 ||
            element_strides[i] != 1)
            return CUDA_ERROR_INVALID_VALUE;
        m.dim[i] = (uint32_t)dims[i];
        m.box[i] = box[i];
        if (i == 0)
            continue;
        if (strides[i - 1] % 16 || strides[i - 1] >= (cuuint64_t)1 << 40)
            return CUDA_ERROR_INVALID_VALUE;
        m.stride[i - 1] = strides[i - 1];
    }
    if (box[0] * bytes % 16 || (width && box[0] * bytes > width))
        return CUDA_ERROR_INVALID_VALUE;
    m.magic = MAP_MAGIC;
    m.base = base;
    m.rank = (uint16_t)rank;
    m.element_bytes = (uint16_t)bytes;
    m.swizzle = swizzle;
    *map = m;
    return CUDA_SUCCESS;
}

static int width_of(const CUtensorMap *m) { return m->swizzle ? 16 << m->swizzle : 0; }

static int box_bytes(const CUtensorMap *m)
{
    int bytes = m->element_bytes;
    for (int i = 0; i < m->rank; i++)
        bytes *= (int)m->box[i];
    return bytes;
}

/* Bits 4 and up of a shared address change with bits 7 and up: as many of them as the width has
 * chunks of 16 bytes. */
size_t emu_swizzled(size_t offset, int bytes)
{
    const size_t bits = bytes == 128 ? 7 : bytes == 64 ? 3 : bytes == 32 ? 1 : 0;
    return offset ^ (offset >> 7 & bits) << 4;
}

static const CUtensorMap *checked_map(const CUtensorMap *m, int rank, const char *what,
                                      emu_site site)
{
    if (m->magic != MAP_MAGIC)
        emu_fail("%s at %s:%d: not a tensor map", what, site.file, site.line);
    if (m->swizzle && m->box[0] * m->element_bytes != 16u << m->swizzle)
        emu_fail(
            "%s at %s:%d: rows of %u bytes are narrower than the pattern; what a device makes of "
            "that is not known here",
            what, site.file, site.line, m->box[0] * m->element_bytes);
    if (m->rank != rank)
        emu_fail("%s at %s:%d: %d coordinates for a map of rank %d", what, site.file, site.line,
                 rank, m->rank);
    return m;
}

/* Shared memory of a box: inside, and aligned so that the pattern begins where it does. */
static void check_box(const block *b, const void *shared, int bytes, int width, const char *what,
                      emu_site site)
{
    const size_t at = (size_t)((const unsigned char *)shared - b->shared);
    const size_t align = width ? (size_t)width * 8 : 128;
    if (at >= b->shared_room || at + (size_t)bytes > b->shared_bytes)
        emu_fail("%s at %s:%d: %d bytes leave shared memory: %s", what, site.file, site.line, bytes,
                 emu_describe(shared).c_str());
    if (at % align != 0)
        emu_fail("%s at %s:%d: shared memory at offset %zu is not aligned to %zu", what, site.file,
                 site.line, at, align);
}

/* Walks the rows of a box: offset of the row in it, and the row's place in the tensor (null if all
 * of it lies outside). */
template <class F> static void each_row(const CUtensorMap *m, const int *at, F f)
{
    int index[5] = {};
    size_t offset = 0;
    const size_t row_bytes = (size_t)m->box[0] * m->element_bytes;
    for (;;) {
        const char *row = (const char *)m->base;
        for (int i = 1; i < m->rank && row; i++) {
            const long k = (long)at[i] + index[i];
            row = k < 0 || k >= (long)m->dim[i] ? nullptr : row + k * (long)m->stride[i - 1];
        }
        f(offset, row);
        offset += row_bytes;
        int i = 1;
        while (i < m->rank && ++index[i] == (int)m->box[i])
            index[i++] = 0;
        if (i >= m->rank)
            return;
    }
}

/* ---- to shared memory ------------------------------------------------------------------- */

static void issue(mbarrier *b, const block *to, const bulk_copy &c, int width)
{
    check_box(to, c.to, c.bytes, width, "bulk copy", c.site);
    emu_check_turn("bulk copy", c.site, nullptr);
    if (emu_checking)
        emu_check(c.to, (size_t)c.bytes, ACCESS_BULK, "bulk copy", c.site, nullptr);
    memset(c.to, 0xff, (size_t)c.bytes);
    b->copies.push_back(c);
}

void emu_tensor_load(void *shared, const CUtensorMap *map, const int *at, int rank, uint64_t *bar,
                     unsigned mask, emu_site site)
{
    worker *w = emu_worker;
    const block *mine = emu_now->block;
    bulk_copy c = {};
    c.map = *checked_map(map, rank, "bulk copy", site);
    c.mapped = 1;
    c.bytes = box_bytes(map);
    c.site = site;
    for (int i = 0; i < rank; i++)
        c.at[i] = at[i];
    if (mask >> w->block_count)
        emu_fail("bulk copy at %s:%d: mask %x for a cluster of %d", site.file, site.line, mask,
                 w->block_count);
    if (!emu_block_of_shared(shared))
        emu_fail("bulk copy at %s:%d: not shared memory: %s", site.file, site.line,
                 emu_describe(shared).c_str());
    for (int i = 0; i < w->block_count; i++) {
        if (mask ? !(mask >> i & 1) : i != mine->rank)
            continue;
        c.to = (unsigned char *)(mask ? emu_cluster_map(shared, i, site) : shared);
        uint64_t *there = (uint64_t *)(mask ? emu_cluster_map(bar, i, site) : bar);
        issue(emu_mbarrier_find(there, site), w->blocks[(size_t)i], c, width_of(map));
    }
}

void emu_bulk_load(void *shared, const void *global, int bytes, uint64_t *bar, emu_site site)
{
    bulk_copy c = {};
    c.from = global;
    c.to = (unsigned char *)shared;
    c.bytes = bytes;
    c.site = site;
    if (bytes < 16 || bytes % 16 || (uintptr_t)global % 16)
        emu_fail("bulk copy at %s:%d: %d bytes from %p: both go by 16", site.file, site.line, bytes,
                 global);
    if (emu_checking)
        emu_check(global, (size_t)bytes, ACCESS_READ, "bulk copy", site, nullptr);
    issue(emu_mbarrier_find(bar, site), emu_now->block, c, 0);
}

/* One row of a box, element by element where it crosses the tensor's edge. */
static void land_row(const bulk_copy &c, unsigned char *base, size_t offset, const char *row)
{
    const CUtensorMap *m = &c.map;
    const int step = 16 / m->element_bytes;
    for (int k = 0; k < (int)m->box[0]; k += step) {
        unsigned char *to =
            base + emu_swizzled((size_t)(c.to - base) + offset + (size_t)k * m->element_bytes,
                                width_of(m));
        memset(to, 0, 16);
        for (int e = 0; row && e < step; e++) {
            const long x = (long)c.at[0] + k + e;
            if (x >= 0 && x < (long)m->dim[0])
                memcpy(to + e * m->element_bytes, row + x * m->element_bytes, m->element_bytes);
        }
    }
}

/* That part of the row that lies in the tensor. */
static void check_row(const CUtensorMap *m, int x, const char *row, emu_access a, emu_site site)
{
    const long from = x < 0 ? 0 : x, end = (long)x + (long)m->box[0];
    const long to = end < (long)m->dim[0] ? end : (long)m->dim[0];
    if (row && from < to)
        emu_check(row + from * m->element_bytes, (size_t)(to - from) * m->element_bytes, a,
                  "bulk copy", site, nullptr);
}

static void deliver(mbarrier *b, size_t which)
{
    const bulk_copy c = b->copies[which];
    block *to = emu_block_of_shared(c.to);
    b->copies.erase(b->copies.begin() + (long)which);
    if (!c.mapped) {
        memcpy(c.to, c.from, (size_t)c.bytes);
    } else {
        each_row(&c.map, c.at, [&](size_t offset, const char *row) {
            if (emu_checking)
                check_row(&c.map, c.at[0], row, ACCESS_READ, c.site);
            land_row(c, to->shared, offset, row);
        });
    }
    if (emu_checking)
        emu_check_landing(c.to, (size_t)c.bytes, b);
    emu_mbarrier_transfer(b, c.bytes);
}

/* In the order of the run: the barrier first initialised, the last, or any. */
void emu_deliver(worker *w)
{
    std::vector<size_t> with;
    for (size_t i = 0; i < w->mbarriers.size(); i++)
        if (!w->mbarriers[i].copies.empty())
            with.push_back(i);
    if (with.empty())
        return;
    const size_t at = emu_set.order == EMU_FORWARD   ? 0
                      : emu_set.order == EMU_REVERSE ? with.size() - 1
                                                     : emu_random(w) % with.size();
    mbarrier *b = &w->mbarriers[with[at]];
    deliver(b, emu_set.order == EMU_FORWARD ? 0 : emu_random(w) % b->copies.size());
}

/* No more than it takes for somebody to go on. */
void emu_idle(worker *w)
{
    for (size_t left = 1; left && !w->ready_blocks;) {
        left = 0;
        for (const mbarrier &b : w->mbarriers)
            left += b.copies.size();
        if (left)
            emu_deliver(w);
    }
}

/* ---- from shared memory ----------------------------------------------------------------- */

void emu_tensor_store(const CUtensorMap *map, const void *shared, const int *at, int rank,
                      emu_site site)
{
    bulk_store s = {};
    s.map = checked_map(map, rank, "bulk store", site);
    s.from = (const unsigned char *)shared;
    s.site = site;
    for (int i = 0; i < rank; i++)
        s.at[i] = at[i];
    check_box(emu_now->block, shared, box_bytes(map), width_of(map), "bulk store", site);
    if (emu_checking)
        emu_check(shared, (size_t)box_bytes(map), ACCESS_PROXY, "bulk store", site, nullptr);
    emu_now->stores.push_back(s);
}

void emu_store_commit(void) { emu_now->store_group_end.push_back(emu_now->stores.size()); }

static void store_row(const bulk_store &s, unsigned char *base, size_t offset, const char *row)
{
    const CUtensorMap *m = s.map;
    if (!row)
        return;
    if (emu_checking)
        check_row(m, s.at[0], row, ACCESS_WRITE, s.site);
    for (int k = 0; k < (int)m->box[0]; k++) {
        const size_t at = offset + (size_t)k * m->element_bytes;
        const long x = (long)s.at[0] + k;
        if (x >= 0 && x < (long)m->dim[0])
            memcpy((char *)row + x * m->element_bytes,
                   base + emu_swizzled((size_t)(s.from - base) + at, width_of(m)),
                   m->element_bytes);
    }
}

void emu_store_wait(int keep)
{
    thread *t = emu_now;
    unsigned char *base = t->block->shared;
    const int groups = (int)t->store_group_end.size() - keep;
    if (groups <= 0)
        return;
    const size_t count = t->store_group_end[(size_t)groups - 1];
    for (size_t i = 0; i < count; i++) {
        const bulk_store s = t->stores[i];
        each_row(s.map, s.at,
                 [&](size_t offset, const char *row) { store_row(s, base, offset, row); });
    }
    t->stores.erase(t->stores.begin(), t->stores.begin() + (long)count);
    t->store_group_end.erase(t->store_group_end.begin(), t->store_group_end.begin() + groups);
    for (size_t &end : t->store_group_end)
        end -= count;
}

/* Shared memory is gone when the block is: what has not been read by then is lost. */
void emu_finish_stores(void)
{
    const thread *t = emu_now;
    if (!t->stores.empty())
        emu_fail("bulk store at %s:%d: the thread exits before it has been waited for",
                 t->stores[0].site.file, t->stores[0].site.line);
}

void emu_fence_async(void)
{
    if (emu_checking)
        emu_check_fence();
}
