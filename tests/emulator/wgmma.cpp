/* tests/emulator/wgmma.cpp - warpgroup products. A product is computed when its group is waited
 * for, from what shared memory holds at that moment; its accumulators are NaN until then. Each warp
 * does its 16 rows. source   PTX ISA 8.5, "Asynchronous warpgroup-level matrix instructions":
 * "Matrix fragments", "Shared memory matrix layout", "Matrix descriptor format"; canonical layouts
 * also in CUTLASS, cute/arch/mma_sm90_desc.hpp */
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emulator/internal.h"

uint64_t emu_shared_offset(const void *shared)
{
    const block *b = emu_now->block;
    const size_t at = (size_t)((const unsigned char *)shared - b->shared);
    if (at >= b->shared_room)
        emu_fail("wgmma descriptor: not this block's shared memory: %s",
                 emu_describe(shared).c_str());
    return at;
}

/* ---- operands --------------------------------------------------------------------------- */

struct operand { /* a descriptor, decoded; in bytes */
    size_t start, leading, stride;
    int width; /* of the swizzle, 0 if none */
    int transposed;
};

static operand decode(uint64_t desc, int transposed)
{
    static const int widths[4] = { 0, 128, 64, 32 };
    return { (size_t)(desc & 0x3fff) << 4, (size_t)(desc >> 16 & 0x3fff) << 4,
             (size_t)(desc >> 32 & 0x3fff) << 4, widths[desc >> 62], transposed };
}

/* Offset of 8 neighbours (16 bytes) in shared memory: with K contiguous, values k .. k + 7 of row
 * m; transposed, values m .. m + 7 of column k. m counts rows of a or columns of b. */
static size_t chunk(const operand &o, int m, int k)
{
    size_t at;
    if (!o.transposed && o.width)
        at = (size_t)(m / 8) * o.stride + (size_t)(m % 8 * o.width) + (size_t)k * 2;
    else if (!o.transposed)
        at = (size_t)(m / 8) * o.stride + (size_t)(m % 8) * 16 + (size_t)(k / 8) * o.leading;
    else if (o.width)
        at = (size_t)(m / (o.width / 2)) * o.leading + (size_t)(m % (o.width / 2)) * 2 +
             (size_t)(k / 8) * o.stride + (size_t)(k % 8 * o.width);
    else
        at = (size_t)(m / 8) * o.stride + (size_t)(k / 8) * o.leading + (size_t)(k % 8) * 16;
    return emu_swizzled(o.start + at, o.width);
}

static const uint16_t *fetch(const operand &o, int m, int k, emu_site site)
{
    const block *b = emu_now->block;
    const size_t at = chunk(o, m, k);
    if (at + 16 > b->shared_bytes)
        emu_fail("wgmma at %s:%d reads outside shared memory: offset %zu of %zu", site.file,
                 site.line, at, b->shared_bytes);
    if (emu_checking)
        emu_check(b->shared + at, 16, ACCESS_PROXY, "wgmma", site, nullptr);
    return (const uint16_t *)(b->shared + at);
}

/* to[k][m] = value k of row m, m = first .. first + 7, k = 0 .. 15. */
static void fetch_columns(const operand &o, int first, emu_site site, uint16_t (*to)[8])
{
    if (o.transposed) {
        for (int k = 0; k < 16; k++)
            memcpy(to[k], fetch(o, first, k, site), 16);
        return;
    }
    for (int m = 0; m < 8; m++)
        for (int half = 0; half < 2; half++) {
            const uint16_t *from = fetch(o, first + m, half * 8, site);
            for (int k = 0; k < 8; k++)
                to[half * 8 + k][m] = from[k];
        }
}

static __m256 to_floats(const uint16_t *p, int bf16)
{
    const __m128i h = _mm_loadu_si128((const __m128i *)p);
    return bf16 ? _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16))
                : _mm256_cvtph_ps(h);
}

/* ---- one warp's product ----------------------------------------------------------------- */

/* a[row][k] of the warp's 16 rows. */
static void warp_rows(const product &p, int first_row, float (*a)[16])
{
    alignas(16) uint16_t narrow[16][16];
    const emu_wgmma &w = p.lane[0];
    if (w.regs) {
        for (int lane = 0; lane < 32; lane++)
            for (int r = 0; r < 4; r++)
                memcpy(&narrow[lane / 4 + r % 2 * 8][lane % 4 * 2 + r / 2 * 8], &p.regs[lane][r],
                       4);
    } else {
        uint16_t columns[16][8];
        const operand o = decode(w.a, w.transposed_a);
        for (int half = 0; half < 2; half++) {
            fetch_columns(o, first_row + half * 8, p.site, columns);
            for (int k = 0; k < 16; k++)
                for (int m = 0; m < 8; m++)
                    narrow[half * 8 + m][k] = columns[k][m];
        }
    }
    for (int row = 0; row < 16; row++)
        for (int k = 0; k < 16; k += 8)
            _mm256_storeu_ps(&a[row][k], to_floats(&narrow[row][k], w.bf16));
}

/* Columns j * 8 .. + 7 of the warp's 16 rows. */
static void eight_columns(const product &p, int j, const float (*a)[16])
{
    const emu_wgmma &w = p.lane[0];
    uint16_t narrow[16][8];
    __m256 b[16];
    float c[16][8];
    fetch_columns(decode(w.b, w.transposed_b), j * 8, p.site, narrow);
    for (int k = 0; k < 16; k++)
        b[k] = to_floats(narrow[k], w.bf16);
    for (int lane = 0; lane < 32; lane++)
        for (int r = 0; r < 2; r++)
            memcpy(&c[lane / 4 + r * 8][lane % 4 * 2], p.lane[lane].d + j * 4 + r * 2, 8);
    for (int row = 0; row < 16; row++) {
        __m256 sum = w.accumulate ? _mm256_loadu_ps(c[row]) : _mm256_setzero_ps();
        for (int k = 0; k < 16; k++)
            sum = _mm256_fmadd_ps(_mm256_broadcast_ss(&a[row][k]), b[k], sum);
        _mm256_storeu_ps(c[row], sum);
    }
    for (int lane = 0; lane < 32; lane++)
        for (int r = 0; r < 2; r++)
            memcpy(p.lane[lane].d + j * 4 + r * 2, &c[lane / 4 + r * 8][lane % 4 * 2], 8);
}

static void compute(product *p, int first_row)
{
    const int n = p->lane[0].n;
    if (p->before)
        for (int lane = 0; lane < 32; lane++)
            memcpy(p->lane[lane].d, p->before + lane * (n / 2), (size_t)(n / 2) * sizeof(float));
    free(p->before);
    p->before = nullptr;
    float a[16][16];
    warp_rows(*p, first_row, a);
    for (int j = 0; j < n / 8; j++)
        eight_columns(*p, j, a);
    emu_worker->count.mmas += (uint64_t)(n / 8);
}

/* ---- issue, commit, wait: each by a whole warp ------------------------------------------ */

void emu_wgmma_fence(emu_site) { emu_now->wgmma_fenced = 1; }

static int is_first_on(const warp *w, const float *d)
{
    for (const product &p : w->products)
        if (p.lane[0].d == d)
            return 0;
    return 1;
}

static void run_issue(void *const lanes[32], uint32_t)
{
    warp *w = emu_now->warp;
    const warp_slot &slot = w->slot[0];
    product p = {};
    p.site = slot.site;
    for (int i = 0; i < 32; i++) {
        p.lane[i] = *(const emu_wgmma *)lanes[i];
        if (p.lane[i].regs)
            memcpy(p.regs[i], p.lane[i].regs, sizeof p.regs[i]);
        if (p.lane[i].a != p.lane[0].a || p.lane[i].b != p.lane[0].b ||
            p.lane[i].accumulate != p.lane[0].accumulate)
            emu_fail("wgmma at %s:%d: lane %d has another descriptor than lane 0", p.site.file,
                     p.site.line, i);
    }
    const size_t bytes = (size_t)(p.lane[0].n / 2) * sizeof(float);
    if (is_first_on(w, p.lane[0].d)) {
        p.before = (float *)malloc(32 * bytes);
        for (int i = 0; i < 32; i++) {
            memcpy((char *)p.before + (size_t)i * bytes, p.lane[i].d, bytes);
            memset(p.lane[i].d, 0xff, bytes);
        }
    }
    w->products.push_back(p);
}

void emu_wgmma_issue(const emu_wgmma *mine, emu_site site)
{
    static const warp_op op = { "wgmma", run_issue, 0 };
    const thread *t = emu_now;
    if (t->block->thread_count % 128 != 0)
        emu_fail("wgmma at %s:%d: a block of %d threads is no number of warpgroups", site.file,
                 site.line, t->block->thread_count);
    if (!t->wgmma_fenced)
        emu_fail("wgmma at %s:%d: no wgmma.fence since its registers were touched", site.file,
                 site.line);
    emu_warp(op, ~0u, (void *)mine, site);
}

static void run_commit(void *const[32], uint32_t)
{
    warp *w = emu_now->warp;
    w->product_group_end.push_back(w->products.size());
}

void emu_wgmma_commit(emu_site site)
{
    static const warp_op op = { "wgmma.commit_group", run_commit, 0 };
    emu_warp(op, ~0u, nullptr, site);
}

static void run_wait(void *const keeps[32], uint32_t)
{
    warp *w = emu_now->warp;
    const int groups = (int)w->product_group_end.size() - *(const int *)keeps[0];
    if (groups <= 0)
        return;
    const size_t count = w->product_group_end[(size_t)groups - 1];
    for (size_t i = 0; i < count; i++)
        compute(&w->products[i], w->index % 4 * 16);
    if (emu_checking)
        emu_check_share(w);
    w->products.erase(w->products.begin(), w->products.begin() + (long)count);
    w->product_group_end.erase(w->product_group_end.begin(), w->product_group_end.begin() + groups);
    for (size_t &end : w->product_group_end)
        end -= count;
}

void emu_wgmma_wait(int keep, emu_site site)
{
    static const warp_op op = { "wgmma.wait_group", run_wait, 0 };
    emu_warp(op, ~0u, &keep, site);
    if (emu_now->warp->products.empty())
        emu_now->wgmma_fenced = 0;
}
