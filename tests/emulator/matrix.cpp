/* tests/emulator/matrix.cpp - ldmatrix and mma.sync m16n8k16.
 * source   PTX ISA 8.5, "ldmatrix" and "Matrix fragments for mma.m16n8k16 with floating point type"
 */
#include <immintrin.h>
#include <string.h>

#include "tests/emulator/internal.h"

/* ---- ldmatrix --------------------------------------------------------------------------- */

struct ldmatrix {
    uint32_t *r;
    const void *const *row;
    int count, n;
    emu_site site;
};

/* Passes over the banks that 8 rows of 16 bytes need: as many as rows share 4 banks. */
static int passes(const unsigned char *const row[8])
{
    int most = 0;
    for (int i = 0; i < 8; i++) {
        int same = 1;
        for (int j = 0; j < i; j++)
            same +=
                row[i] != row[j] && ((uintptr_t)row[i] >> 4 & 7) == ((uintptr_t)row[j] >> 4 & 7);
        most = same > most ? same : most;
    }
    return most;
}

static void check_rows(ldmatrix *const *op, int at, const unsigned char *row[32])
{
    const block *b = emu_now->block;
    const int count = op[0]->count;
    for (int i = 0; i < count * 8; i++) {
        const emu_site s = op[i]->site;
        row[i] = (const unsigned char *)op[i]->row[at];
        const size_t offset = (size_t)(row[i] - b->shared);
        if (offset >= b->shared_room || offset + 16 > b->shared_bytes)
            emu_fail("ldmatrix at %s:%d: lane %d gives a row outside shared memory: %s", s.file,
                     s.line, i, emu_describe(row[i]).c_str());
        if (offset % 16 != 0)
            emu_fail("ldmatrix at %s:%d: lane %d gives a row that is not 16-aligned", s.file,
                     s.line, i);
        if (emu_checking)
            emu_check(row[i], 16, ACCESS_READ, "ldmatrix", s, nullptr);
    }
    emu_worker->count.ldmatrix += (uint64_t)count;
    for (int m = 0; m < count; m++)
        emu_worker->count.wavefronts += (uint64_t)passes(row + m * 8);
}

template <int TRANSPOSED> static void run_ldmatrix(void *const operand[32], uint32_t)
{
    ldmatrix *const *op = (ldmatrix *const *)operand;
    const int count = op[0]->count;
    const unsigned char *row[32];
    for (int at = 0; at < op[0]->n; at++) {
        check_rows(op, at, row);
        for (int lane = 0; lane < 32; lane++)
            for (int m = 0; m < count; m++) {
                uint32_t *r = &op[lane]->r[at * count + m];
                if (!TRANSPOSED) {
                    memcpy(r, row[m * 8 + lane / 4] + lane % 4 * 4, 4);
                } else {
                    memcpy(r, row[m * 8 + lane % 4 * 2] + lane / 4 * 2, 2);
                    memcpy((char *)r + 2, row[m * 8 + lane % 4 * 2 + 1] + lane / 4 * 2, 2);
                }
            }
    }
}

void emu_ldmatrix(uint32_t *r, int count, int transposed, const void *const *row, int n,
                  emu_site site)
{
    static const warp_op plain = { "ldmatrix", run_ldmatrix<0>, 0 };
    static const warp_op trans = { "ldmatrix.trans", run_ldmatrix<1>, 0 };
    ldmatrix mine = { r, row, count, n, site };
    emu_warp(transposed ? trans : plain, ~0u, &mine, site);
}

/* ---- mma -------------------------------------------------------------------------------- */

struct mma {
    float *d;
    const uint32_t *a, *b;
    int m, n;
};

template <int BF16> static __m256 widen(const uint16_t *p)
{
    const __m128i h = _mm_load_si128((const __m128i *)p);
    return BF16 ? _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16))
                : _mm256_cvtph_ps(h);
}

/* a[i][k] of one 16x16 fragment. */
template <int BF16> static void gather_a(mma *const *op, int i, float (*a)[16])
{
    alignas(32) uint16_t narrow[16][16];
    for (int lane = 0; lane < 32; lane++) {
        const int g = lane / 4, t = lane % 4 * 2;
        const uint32_t *r = op[lane]->a + i * 4;
        memcpy(&narrow[g][t], &r[0], 4);
        memcpy(&narrow[g + 8][t], &r[1], 4);
        memcpy(&narrow[g][t + 8], &r[2], 4);
        memcpy(&narrow[g + 8][t + 8], &r[3], 4);
    }
    for (int row = 0; row < 16; row++) {
        _mm256_store_ps(&a[row][0], widen<BF16>(&narrow[row][0]));
        _mm256_store_ps(&a[row][8], widen<BF16>(&narrow[row][8]));
    }
}

/* b[k][j] of one 16x8 fragment. */
template <int BF16> static void gather_b(mma *const *op, int j, float (*b)[8])
{
    alignas(32) uint16_t narrow[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const int g = lane / 4, t = lane % 4 * 2;
        const uint32_t *r = op[lane]->b + j * 2;
        narrow[t][g] = (uint16_t)r[0];
        narrow[t + 1][g] = (uint16_t)(r[0] >> 16);
        narrow[t + 8][g] = (uint16_t)r[1];
        narrow[t + 9][g] = (uint16_t)(r[1] >> 16);
    }
    for (int k = 0; k < 16; k++)
        _mm256_store_ps(b[k], widen<BF16>(narrow[k]));
}

static void multiply(mma *const *op, int at, const float (*a)[16], const float (*b)[8])
{
    alignas(32) float c[16][8];
    for (int lane = 0; lane < 32; lane++) {
        memcpy(&c[lane / 4][lane % 4 * 2], op[lane]->d + at * 4, 8);
        memcpy(&c[lane / 4 + 8][lane % 4 * 2], op[lane]->d + at * 4 + 2, 8);
    }
    for (int i = 0; i < 16; i += 8) {
        __m256 sum[8];
        for (int e = 0; e < 8; e++)
            sum[e] = _mm256_load_ps(c[i + e]);
        for (int k = 0; k < 16; k++) {
            const __m256 bk = _mm256_load_ps(b[k]);
            for (int e = 0; e < 8; e++)
                sum[e] = _mm256_fmadd_ps(_mm256_broadcast_ss(&a[i + e][k]), bk, sum[e]);
        }
        for (int e = 0; e < 8; e++)
            _mm256_store_ps(c[i + e], sum[e]);
    }
    for (int lane = 0; lane < 32; lane++) {
        memcpy(op[lane]->d + at * 4, &c[lane / 4][lane % 4 * 2], 8);
        memcpy(op[lane]->d + at * 4 + 2, &c[lane / 4 + 8][lane % 4 * 2], 8);
    }
    emu_worker->count.mmas++;
}

template <int BF16> static void run_mma(void *const operand[32], uint32_t)
{
    enum { MAX_N = 32 };
    alignas(32) float a[16][16], b[MAX_N][16][8];
    mma *const *op = (mma *const *)operand;
    const int m = op[0]->m, n = op[0]->n;
    if (n > MAX_N)
        emu_fail("mma: at most %d columns of fragments", MAX_N);
    for (int j = 0; j < n; j++)
        gather_b<BF16>(op, j, b[j]);
    for (int i = 0; i < m; i++) {
        gather_a<BF16>(op, i, a);
        for (int j = 0; j < n; j++)
            multiply(op, i * n + j, a, b[j]);
    }
}

void emu_mma_16816(float *d, const uint32_t *a, const uint32_t *b, int m, int n, int bf16,
                   emu_site site)
{
    static const warp_op f16_op = { "mma f16", run_mma<0>, 0 };
    static const warp_op bf16_op = { "mma bf16", run_mma<1>, 0 };
    mma mine = { d, a, b, m, n };
    emu_warp(bf16 ? bf16_op : f16_op, ~0u, &mine, site);
}
