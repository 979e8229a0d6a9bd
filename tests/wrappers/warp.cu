/* tests/wrappers/warp.cu - the wrappers of cuda/ptx.cuh. */
#include <math.h>

#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"
#include "host/base/dtype.h"
#include "tests/wrappers/wrappers.h"

static double f16_at(const uint16_t *p, size_t i) { return f16_to_f32(p[i]); }
static double bf16_at(const uint16_t *p, size_t i) { return bf16_to_f32(p[i]); }

/* ---- ldmatrix: 64 rows of 64 values; what each lane is given, two values a register ----- */

enum { LD_ROWS = 64, LD_ROW = 64 };

struct ld_tile {
    uint16_t v[LD_ROWS][LD_ROW];
};

/* Lane 8 i + j names row j of matrix i: two calls' worth, at columns 0 and 8 of scattered rows. */
static __host__ __device__ int ld_row(int n, int lane) { return (lane * 5 + n * 3) % LD_ROWS; }

template <int COUNT, int TRANSPOSED>
static __global__ void ldmatrix_case(const uint16_t *a, float *y)
{
    ld_tile &t = shared_as<ld_tile>();
    for (int i = threadIdx.x; i < LD_ROWS * LD_ROW; i += 32)
        t.v[i / LD_ROW][i % LD_ROW] = a[i];
    __syncthreads();
    const int lane = threadIdx.x;
    const void *row[2] = { &t.v[ld_row(0, lane)][0], &t.v[ld_row(1, lane)][8] };
    uint32_t r[2][COUNT];
    if constexpr (COUNT == 4) {
        if (TRANSPOSED)
            ldmatrix_x4_trans(r, row);
        else
            ldmatrix_x4(r, row);
    } else {
        if (TRANSPOSED)
            ldmatrix_x2_trans(r, row);
        else
            ldmatrix_x2(r, row);
    }
    for (int n = 0; n < 2; n++)
        for (int m = 0; m < COUNT; m++)
            for (int e = 0; e < 2; e++)
                y[((n * COUNT + m) * 32 + lane) * 2 + e] = (float)(r[n][m] >> e * 16 & 0xffff);
}

template <int COUNT, int TRANSPOSED>
static status ldmatrix_run(const uint16_t *a, const uint16_t *, float *out)
{
    return gpu_launch("ldmatrix", ldmatrix_case<COUNT, TRANSPOSED>, 1, 32, sizeof(ld_tile), 0, a,
                      out);
}

template <int COUNT, int TRANSPOSED>
static void ldmatrix_define(const uint16_t *a, const uint16_t *, double *want, double *)
{
    for (int n = 0; n < 2; n++)
        for (int m = 0; m < COUNT; m++)
            for (int i = 0; i < 8; i++)
                for (int j = 0; j < 8; j++) { /* element (i, j) of matrix m */
                    const int row = ld_row(n, m * 8 + i);
                    const int at = TRANSPOSED ? j * 8 + i : i * 8 + j; /* in the lanes' order */
                    want[(n * COUNT + m) * 64 + at] = a[row * LD_ROW + n * 8 + j];
                }
}

/* ---- mma: d = c + a b for 32 x 16 by 16 x 24, from fragments loaded value by value ------ */

enum { MM = 2, MN = 3 };

template <class T> static __global__ void mma_case(const uint16_t *a, const uint16_t *b, float *y)
{
    const int lane = threadIdx.x, g = lane / 4, t = lane % 4 * 2;
    uint32_t fa[MM][4], fb[MN][2];
    float d[MM][MN][4];
    for (int i = 0; i < MM; i++)
        for (int r = 0; r < 4; r++) {
            const uint16_t *at = a + (i * 16 + g + r % 2 * 8) * 16 + t + r / 2 * 8;
            fa[i][r] = at[0] | (uint32_t)at[1] << 16;
        }
    for (int j = 0; j < MN; j++)
        for (int r = 0; r < 2; r++) {
            const uint16_t *at = b + (j * 8 + g) * 16 + t + r * 8; /* b [n][k] */
            fb[j][r] = at[0] | (uint32_t)at[1] << 16;
        }
    for (int i = 0; i < MM; i++)
        for (int j = 0; j < MN; j++)
            for (int e = 0; e < 4; e++)
                d[i][j][e] = (float)(i + j + e);
    mma<T>(d, fa, fb);
    for (int i = 0; i < MM; i++)
        for (int j = 0; j < MN; j++)
            for (int e = 0; e < 4; e++)
                y[(i * 16 + g + e / 2 * 8) * (MN * 8) + j * 8 + t + e % 2] = d[i][j][e];
}

template <class T> static status mma_run(const uint16_t *a, const uint16_t *b, float *out)
{
    return gpu_launch("mma", mma_case<T>, 1, 32, 0, 0, a, b, out);
}

template <double (*AT)(const uint16_t *, size_t)>
static void mma_define(const uint16_t *a, const uint16_t *b, double *want, double *room)
{
    for (int i = 0; i < MM * 16; i++)
        for (int j = 0; j < MN * 8; j++) {
            const int e = i % 16 / 8 * 2 + j % 2;
            double sum = i / 16 + j / 8 + e, size = fabs(sum);
            for (int k = 0; k < 16; k++) {
                const double p = AT(a, (size_t)i * 16 + k) * AT(b, (size_t)j * 16 + k);
                sum += p;
                size += fabs(p);
            }
            want[i * MN * 8 + j] = sum;
            room[i * MN * 8 + j] = size;
        }
}

/* The same of a's and b's first 8 terms, by m16n8k8. */
template <class T>
static __global__ void mma_k8_case(const uint16_t *a, const uint16_t *b, float *y)
{
    const int lane = threadIdx.x, g = lane / 4, t = lane % 4 * 2;
    uint32_t fa[1][2], fb[1];
    float d[1][1][4] = {};
    for (int r = 0; r < 2; r++)
        fa[0][r] = a[(g + r * 8) * 8 + t] | (uint32_t)a[(g + r * 8) * 8 + t + 1] << 16;
    fb[0] = b[g * 8 + t] | (uint32_t)b[g * 8 + t + 1] << 16;
    mma_k8<T>(d, fa, fb);
    for (int e = 0; e < 4; e++)
        y[(g + e / 2 * 8) * 8 + t + e % 2] = d[0][0][e];
}
template <class T> static status mma_k8_run(const uint16_t *a, const uint16_t *b, float *out)
{
    return gpu_launch("mma k8", mma_k8_case<T>, 1, 32, 0, 0, a, b, out);
}
template <double (*AT)(const uint16_t *, size_t)>
static void mma_k8_define(const uint16_t *a, const uint16_t *b, double *want, double *room)
{
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++)
            for (int k = 0; k < 8; k++) {
                const double p = AT(a, (size_t)i * 8 + k) * AT(b, (size_t)j * 8 + k);
                want[i * 8 + j] += p;
                room[i * 8 + j] += fabs(p);
            }
}

/* ---- cp.async: 32 threads a piece each, part of it valid -------------------------------- */

template <int BYTES> struct cp_tile {
    alignas(16) uint16_t v[3][32][BYTES / 2];
};

template <int BYTES> static __global__ void cp_async_case(const uint16_t *a, float *y)
{
    cp_tile<BYTES> &t = shared_as<cp_tile<BYTES>>();
    const int lane = threadIdx.x, per = BYTES / 2;
    for (int i = 0; i < 3; i++) { /* the first two groups are waited for before the third */
        const int valid = i == 0 ? BYTES : lane * 2 % (BYTES + 2);
        const uint16_t *from = a + (i * 32 + lane) * per;
        if (BYTES == 16)
            cp_async_16(t.v[i][lane], from, valid);
        else if (BYTES == 8)
            cp_async_8(t.v[i][lane], from, valid);
        else
            cp_async_4(t.v[i][lane], from, valid);
        cp_async_commit();
    }
    cp_async_wait<1>();
    __syncthreads();
    for (int i = 0; i < 2; i++)
        for (int e = 0; e < per; e++)
            y[(i * 32 + lane) * per + e] = (float)t.v[i][31 - lane][e];
    cp_async_wait<0>();
    __syncthreads();
    for (int e = 0; e < per; e++)
        y[(2 * 32 + lane) * per + e] = (float)t.v[2][31 - lane][e];
}

template <int BYTES> static status cp_async_run(const uint16_t *a, const uint16_t *, float *out)
{
    return gpu_launch("cp.async", cp_async_case<BYTES>, 1, 32, sizeof(cp_tile<BYTES>), 0, a, out);
}

template <int BYTES>
static void cp_async_define(const uint16_t *a, const uint16_t *, double *want, double *)
{
    for (int i = 0; i < 3; i++)
        for (int lane = 0; lane < 32; lane++)
            for (int e = 0; e < BYTES / 2; e++) {
                const int from = 31 - lane;
                const int valid = i == 0 ? BYTES : from * 2 % (BYTES + 2);
                want[(i * 32 + lane) * (BYTES / 2) + e] =
                    e * 2 < valid ? a[(i * 32 + from) * (BYTES / 2) + e] : 0;
            }
}

/* ---- named barriers: warp 0 makes, warps 1 and 2 use ------------------------------------ */

struct hand_over {
    float v[4][32];
};

static __global__ void barrier_case(const uint16_t *a, float *y)
{
    hand_over &h = shared_as<hand_over>();
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int round = 0; round < 4; round++)
        if (warp == 0) {
            h.v[round][lane] = (float)a[round * 32 + lane];
            barrier_arrive(1 + round % 2, 96);
            barrier_sync(3, 96);
        } else {
            barrier_sync(1 + round % 2, 96);
            y[(round * 2 + warp - 1) * 32 + lane] = h.v[round][31 - lane];
            barrier_sync(3, 96);
        }
}

static status barrier_run(const uint16_t *a, const uint16_t *, float *out)
{
    return gpu_launch("named barriers", barrier_case, 1, 96, sizeof(hand_over), 0, a, out);
}

static void barrier_define(const uint16_t *a, const uint16_t *, double *want, double *)
{
    for (int i = 0; i < 8; i++)
        for (int lane = 0; lane < 32; lane++)
            want[i * 32 + lane] = a[i / 2 * 32 + 31 - lane];
}

/* ---- arithmetic ------------------------------------------------------------------------- */

static __global__ void ex2_case(float *y)
{
    const int i = blockIdx.x * 128 + threadIdx.x;
    y[i] = i == 0 ? ex2(-INFINITY) : ex2((float)(i - 512) * 0.24f);
}
static status ex2_run(const uint16_t *, const uint16_t *, float *out)
{
    return gpu_launch("ex2", ex2_case, 8, 128, 0, 0, out);
}
static void ex2_define(const uint16_t *, const uint16_t *, double *want, double *room)
{
    for (int i = 0; i < 1024; i++) {
        want[i] = i == 0 ? 0 : exp2((double)((float)(i - 512) * 0.24f));
        room[i] = want[i];
    }
}

template <class T> static __global__ void pack_case(const uint16_t *a, float *y)
{
    const int i =
        blockIdx.x * 128 + threadIdx.x; /* ties, infinities and subnormals are among them */
    const float low = (float)(short)a[i] * 1.00048828125f, high = (float)a[i] * 0x1p-24f;
    const uint32_t both = pack<T>(low, high);
    y[i * 2] = (float)(both & 0xffff);
    y[i * 2 + 1] = (float)(both >> 16);
}
template <class T> static status pack_run(const uint16_t *a, const uint16_t *, float *out)
{
    return gpu_launch("pack", pack_case<T>, 8, 128, 0, 0, a, out);
}
template <uint16_t (*FROM)(float)>
static void pack_define(const uint16_t *a, const uint16_t *, double *want, double *)
{
    for (int i = 0; i < 1024; i++) {
        want[i * 2] = FROM((float)(short)a[i] * 1.00048828125f);
        want[i * 2 + 1] = FROM((float)a[i] * 0x1p-24f);
    }
}

/* ---- shuffles, votes and reductions ----------------------------------------------------- */

static __global__ void shuffle_case(const uint16_t *a, float *y)
{
    const int lane = threadIdx.x;
    const int v = a[lane];
    const unsigned long long wide = (unsigned long long)v << 32 | (unsigned)lane;
    int at = 0;
    y[at++ * 32 + lane] = (float)__shfl_sync(~0u, v, (lane * 7 + 3) % 32);
    y[at++ * 32 + lane] = (float)__shfl_sync(~0u, v, 5, 8);
    y[at++ * 32 + lane] = (float)__shfl_up_sync(~0u, v, 3);
    y[at++ * 32 + lane] = (float)__shfl_up_sync(~0u, v, 3, 8);
    y[at++ * 32 + lane] = (float)__shfl_down_sync(~0u, v, 5);
    y[at++ * 32 + lane] = (float)__shfl_down_sync(~0u, v, 5, 16);
    y[at++ * 32 + lane] = (float)__shfl_xor_sync(~0u, v, 9);
    y[at++ * 32 + lane] = (float)(unsigned)(__shfl_xor_sync(~0u, wide, 17) >> 32);
    y[at++ * 32 + lane] = (float)(__ballot_sync(~0u, v & 1) & 0xffff);
    y[at++ * 32 + lane] = (float)(__ballot_sync(~0u, v & 1) >> 16);
    y[at++ * 32 + lane] = (float)__any_sync(~0u, v > 40000);
    y[at++ * 32 + lane] = (float)__all_sync(~0u, v >= 0);
    y[at++ * 32 + lane] = (float)__reduce_add_sync(~0u, v);
    y[at++ * 32 + lane] = (float)__reduce_max_sync(~0u, v);
    y[at++ * 32 + lane] = (float)__reduce_min_sync(~0u, v);
    y[at++ * 32 + lane] = (float)__reduce_xor_sync(~0u, (unsigned)v);
}
static status shuffle_run(const uint16_t *a, const uint16_t *, float *out)
{
    return gpu_launch("shuffles", shuffle_case, 1, 32, 0, 0, a, out);
}
static void shuffle_define(const uint16_t *a, const uint16_t *, double *want, double *)
{
    double ballot = 0, sum = 0, top = 0, low = 65536, any = 0;
    unsigned parity = 0;
    for (int i = 0; i < 32; i++) {
        ballot += (a[i] & 1) * ldexp(1, i);
        sum += a[i];
        top = fmax(top, a[i]);
        low = fmin(low, a[i]);
        any = any || a[i] > 40000;
        parity ^= a[i];
    }
    for (int l = 0; l < 32; l++) {
        const double row[16] = { (double)a[(l * 7 + 3) % 32],
                                 (double)a[l / 8 * 8 + 5],
                                 (double)a[l < 3 ? l : l - 3],
                                 (double)a[l % 8 < 3 ? l : l - 3],
                                 (double)a[l + 5 > 31 ? l : l + 5],
                                 (double)a[l % 16 + 5 > 15 ? l : l + 5],
                                 (double)a[l ^ 9],
                                 (double)a[l ^ 17],
                                 fmod(ballot, 65536),
                                 floor(ballot / 65536),
                                 any,
                                 1,
                                 sum,
                                 top,
                                 low,
                                 (double)parity };
        for (int i = 0; i < 16; i++)
            want[i * 32 + l] = row[i];
    }
}

/* ---- kernels in turn -------------------------------------------------------------------- */

enum { TURNS = 20, TURN_VALUES = 512 };

/* Each reads what another block of the one before wrote, late. */
static __global__ void turn_case(const uint16_t *a, float *y, int turn)
{
    take_turn();
    const int i = blockIdx.x * 128 + threadIdx.x;
    const float *from = y + turn % 2 * TURN_VALUES;
    float v = turn ? from[(i + 133) % TURN_VALUES] : 0.0f;
    for (int k = 0; k < (int)blockIdx.x * 100; k++)
        v = fmaf(v, 1.0f, 0.0f);
    y[(turn + 1) % 2 * TURN_VALUES + i] = v + (float)a[i];
}
static status turn_run(const uint16_t *a, const uint16_t *, float *out)
{
    for (int turn = 0; turn < TURNS; turn++)
        TRY(gpu_launch_after("turn", turn_case, TURN_VALUES / 128, 128, 0, 0, a, out, turn));
    return STATUS_OK;
}
static void turn_define(const uint16_t *a, const uint16_t *, double *want, double *)
{
    for (int i = 0; i < 2 * TURN_VALUES; i++) {
        const int turns = TURNS - i / TURN_VALUES; /* the last one's values come first */
        want[i] = 0;
        for (int k = 0; k < turns; k++)
            want[i] += a[(i + k * 133) % TURN_VALUES];
    }
}

const wrapper_case wrappers_warp[] = {
    { "ldmatrix_x4", 80, 512, 0, ldmatrix_run<4, 0>, ldmatrix_define<4, 0> },
    { "ldmatrix_x4_trans", 80, 512, 0, ldmatrix_run<4, 1>, ldmatrix_define<4, 1> },
    { "ldmatrix_x2", 80, 256, 0, ldmatrix_run<2, 0>, ldmatrix_define<2, 0> },
    { "ldmatrix_x2_trans", 80, 256, 0, ldmatrix_run<2, 1>, ldmatrix_define<2, 1> },
    /* tensor cores may truncate where they align 17 terms: 2^-22 of the sum of their sizes */
    { "mma f16", 80, 32 * 24, 0x1p-22f, mma_run<__half>, mma_define<f16_at> },
    { "mma bf16", 80, 32 * 24, 0x1p-22f, mma_run<__nv_bfloat16>, mma_define<bf16_at> },
    { "mma_k8 f16", 80, 128, 0x1p-22f, mma_k8_run<__half>, mma_k8_define<f16_at> },
    { "mma_k8 bf16", 80, 128, 0x1p-22f, mma_k8_run<__nv_bfloat16>, mma_k8_define<bf16_at> },
    { "cp_async_16", 80, 3 * 32 * 8, 0, cp_async_run<16>, cp_async_define<16> },
    { "cp_async_8", 80, 3 * 32 * 4, 0, cp_async_run<8>, cp_async_define<8> },
    { "cp_async_4", 80, 3 * 32 * 2, 0, cp_async_run<4>, cp_async_define<4> },
    { "named barriers", 80, 256, 0, barrier_run, barrier_define },
    { "ex2", 80, 1024, 0x1p-22f, ex2_run, ex2_define }, /* 2 ulp */
    { "pack to f16", 80, 2048, 0, pack_run<__half>, pack_define<f16_from_f32> },
    { "pack to bf16", 80, 2048, 0, pack_run<__nv_bfloat16>, pack_define<bf16_from_f32> },
    { "shuffles", 80, 512, 0, shuffle_run, shuffle_define },
    { "take_turn", 80, 2 * TURN_VALUES, 0, turn_run, turn_define },
};
const size_t wrappers_warp_count = sizeof wrappers_warp / sizeof wrappers_warp[0];
