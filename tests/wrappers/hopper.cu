/* tests/wrappers/hopper.cu - the wrappers of cuda/ptx_hopper.cuh. */
#include <math.h>

#include "cuda/launch.cuh"
#include "cuda/ptx_hopper.cuh"
#include "host/base/dtype.h"
#include "tests/wrappers/wrappers.h"

static double f16_at(const uint16_t *p, size_t i) { return f16_to_f32(p[i]); }
static double bf16_at(const uint16_t *p, size_t i) { return bf16_to_f32(p[i]); }

/* ---- bulk tensor loads: a box of a 4-D tensor, shared memory as it lies after ----------- */

/* The tensor is [2][6][10][72], 72 innermost: 8640 values. */
enum { TX = 72, TY = 10, TZ = 6, TW = 2 };

struct box { /* of a case: its size, the swizzle, and where it is taken */
    int size[4], swizzle, at[4], rank;
};
static const box boxes[] = {
    { { 64, 8, 1, 1 }, 128, { 16, 3, 0, 0 }, 2 }, /* 64 columns from 16: the last 8 are outside */
    { { 32, 9, 1, 1 }, 64, { -8, -2, 0, 0 }, 2 }, /* before the first column and row */
    { { 16, 16, 1, 1 }, 32, { 60, 5, 0, 0 }, 2 }, /* beyond the last */
    { { 40, 5, 1, 1 }, 0, { 0, 6, 0, 0 }, 2 },    /* no pattern */
    { { 64, 3, 4, 1 }, 128, { 0, -1, 3, 0 }, 3 }, /* three dimensions */
    { { 64, 4, 3, 2 }, 128, { 8, -1, 4, 0 }, 4 }, /* four: the rows of a convolution's tile */
};

struct landing {
    uint16_t v[8192];
    uint64_t bar;
};

static __global__ void load_case(const __grid_constant__ tensor_map map, box b, float *y,
                                 int multicast)
{
    landing &s = shared_as<landing>();
    const int bytes = b.size[0] * b.size[1] * b.size[2] * b.size[3] * 2;
    for (int i = threadIdx.x; i < 8192; i += blockDim.x)
        s.v[i] = 7;
    if (threadIdx.x == 0) {
        mbarrier_init(&s.bar, 1);
        mbarrier_init_done();
    }
    fence_async(); /* between what was stored here and the box that overwrites it */
    __syncthreads();
    if (multicast)
        cluster_sync();
    if (threadIdx.x == 0) {
        mbarrier_arrive_expect(&s.bar, bytes);
        if (multicast) {
            if (cluster_rank() == 1)
                tma_load_2d_multicast(s.v, &map, b.at[0], b.at[1], &s.bar, 3);
        } else if (b.rank == 2) {
            tma_load_2d(s.v, &map, b.at[0], b.at[1], &s.bar);
        } else if (b.rank == 3) {
            tma_load_3d(s.v, &map, b.at[0], b.at[1], b.at[2], &s.bar);
        } else {
            tma_load_4d(s.v, &map, b.at[0], b.at[1], b.at[2], b.at[3], &s.bar);
        }
    }
    mbarrier_wait(&s.bar, 0);
    for (int i = threadIdx.x; i < bytes / 2; i += blockDim.x)
        y[(int)blockIdx.x * (bytes / 2) + i] = (float)s.v[i];
    if (multicast)
        cluster_sync();
}

static status map_tensor(const void *base, const box &b, tensor_map *map)
{
    struct tensor_map_args m = {};
    const size_t dim[4] = { TX, TY, TZ, TW };
    m.base = base;
    m.dtype = DTYPE_F16;
    m.rank = b.rank;
    m.swizzle_bytes = b.swizzle;
    for (int i = 0; i < 4; i++) {
        m.dim[i] = dim[i];
        m.stride[i] = i == 0 ? 1 : m.stride[i - 1] * dim[i - 1];
        m.box[i] = b.size[i];
    }
    return tensor_map_encode(&m, map);
}

template <int I> static status load_run(const uint16_t *a, const uint16_t *, float *out)
{
    tensor_map map;
    TRY(map_tensor(a, boxes[I], &map));
    return gpu_launch("tma_load", load_case, 1, 64, sizeof(landing), 0, map, boxes[I], out, 0);
}

static status multicast_run(const uint16_t *a, const uint16_t *, float *out)
{
    tensor_map map;
    const gpu_launch_how two = { dim3(2, 1, 1), 0 };
    TRY(map_tensor(a, boxes[0], &map));
    return gpu_launch_with(two, "tma_load_multicast", load_case, 2, 64, sizeof(landing), 0, map,
                           boxes[0], out, 1);
}

/* Where value (x, row) of a box lies: rows of size[0] values one after another, and in each 8 rows
 * of the pattern's width chunks of 16 bytes change places. */
static size_t place_in_box(const box &b, int x, int row)
{
    const size_t byte = ((size_t)row * (size_t)b.size[0] + (size_t)x) * 2;
    size_t chunk = byte / 16;
    if (b.swizzle) {
        const size_t per = (size_t)b.swizzle / 16, line = byte / 128; /* lines of 32 banks */
        chunk ^= line % per;
    }
    return chunk * 8 + byte % 16 / 2;
}

template <int I>
static void load_define(const uint16_t *a, const uint16_t *, double *want, double *)
{
    const box &b = boxes[I];
    int row = 0;
    for (int w = 0; w < b.size[3]; w++)
        for (int z = 0; z < b.size[2]; z++)
            for (int y = 0; y < b.size[1]; y++, row++)
                for (int x = 0; x < b.size[0]; x++) {
                    const int at[4] = { x + b.at[0], y + b.at[1], z + b.at[2], w + b.at[3] };
                    const int inside = at[0] >= 0 && at[0] < TX && at[1] >= 0 && at[1] < TY &&
                                       at[2] >= 0 && at[2] < TZ && at[3] >= 0 && at[3] < TW;
                    want[place_in_box(b, x, row)] =
                        inside ? a[((at[3] * TZ + at[2]) * TY + at[1]) * TX + at[0]] : 0;
                }
}

static void multicast_define(const uint16_t *a, const uint16_t *b, double *want, double *room)
{
    load_define<0>(a, b, want, room);
    load_define<0>(a, b, want + 512, room);
}

/* ---- bulk stores: a box written with a pattern, read back by ordinary loads ------------- */

static __global__ void store_case(const __grid_constant__ tensor_map map, const uint16_t *a, box b)
{
    landing &s = shared_as<landing>();
    const int count = b.size[0] * b.size[1] * b.size[2] * b.size[3];
    for (int i = threadIdx.x; i < count; i += blockDim.x)
        s.v[i] = a[i];
    fence_async();
    __syncthreads();
    if (threadIdx.x != 0)
        return;
    if (b.rank == 2)
        tma_store_2d(&map, s.v, b.at[0], b.at[1]);
    else if (b.rank == 3)
        tma_store_3d(&map, s.v, b.at[0], b.at[1], b.at[2]);
    else
        tma_store_4d(&map, s.v, b.at[0], b.at[1], b.at[2], b.at[3]);
    tma_store_commit();
    tma_store_wait<0>();
}

static __global__ void widen_case(const uint16_t *from, float *y, int count)
{
    for (int i = threadIdx.x; i < count; i += blockDim.x)
        y[i] = (float)from[i];
}

static uint16_t *store_target; /* device memory of the tensor's size */

template <int I> static status store_run(const uint16_t *a, const uint16_t *, float *out)
{
    tensor_map map;
    enum { BYTES = TX * TY * TZ * TW * 2 };
    if (!store_target && cudaMalloc((void **)&store_target, BYTES) != cudaSuccess)
        return status_fail(STATUS_NO_MEMORY, "tma_store: no memory");
    (void)cudaMemsetAsync(store_target, 0, BYTES, 0);
    TRY(map_tensor(store_target, boxes[I], &map));
    TRY(gpu_launch("tma_store", store_case, 1, 64, sizeof(landing), 0, map, a, boxes[I]));
    return gpu_launch("tma_store read back", widen_case, 1, 256, 0, 0,
                      (const uint16_t *)store_target, out, (int)(BYTES / 2));
}

template <int I>
static void store_define(const uint16_t *a, const uint16_t *, double *want, double *)
{
    const box &b = boxes[I];
    int row = 0;
    for (int i = 0; i < TX * TY * TZ * TW; i++)
        want[i] = 0;
    for (int w = 0; w < b.size[3]; w++)
        for (int z = 0; z < b.size[2]; z++)
            for (int y = 0; y < b.size[1]; y++, row++)
                for (int x = 0; x < b.size[0]; x++) {
                    const int at[4] = { x + b.at[0], y + b.at[1], z + b.at[2], w + b.at[3] };
                    if (at[0] >= 0 && at[0] < TX && at[1] >= 0 && at[1] < TY && at[2] >= 0 &&
                        at[2] < TZ && at[3] >= 0 && at[3] < TW)
                        want[((at[3] * TZ + at[2]) * TY + at[1]) * TX + at[0]] =
                            a[place_in_box(b, x, row)];
                }
}

/* ---- bulk_load, mbarriers by many threads, parities ------------------------------------- */

struct pieces {
    uint16_t v[2][512];
    uint64_t full[2], empty[2];
};

/* Warp 0 brings 8 pieces through 2 places; warps 1 to 3 use them. */
static __global__ void ring_case(const uint16_t *a, float *y)
{
    pieces &s = shared_as<pieces>();
    if (threadIdx.x == 0) {
        for (int i = 0; i < 2; i++) {
            mbarrier_init(&s.full[i], 1);
            mbarrier_init(&s.empty[i], 96);
        }
        mbarrier_init_done();
    }
    __syncthreads();
    if (threadIdx.x < 32) {
        registers_fewer<24>();
        for (int i = 0; i < 8 && threadIdx.x == 0; i++) {
            mbarrier_wait(&s.empty[i % 2], i / 2 % 2 ^ 1); /* the first time at once */
            mbarrier_arrive_expect(&s.full[i % 2], 1024);
            bulk_load(s.v[i % 2], a + i * 512, 512, &s.full[i % 2]);
            bulk_load(s.v[i % 2] + 256, a + i * 512 + 256, 512, &s.full[i % 2]);
        }
        return;
    }
    for (int i = 0; i < 8; i++) {
        while (!mbarrier_test(&s.full[i % 2], i / 2 % 2))
            ;
        for (int k = threadIdx.x - 32; k < 512; k += 96)
            y[i * 512 + k] = (float)s.v[i % 2][511 - k];
        mbarrier_arrive(&s.empty[i % 2]);
    }
}
static status ring_run(const uint16_t *a, const uint16_t *, float *out)
{
    return gpu_launch("bulk_load ring", ring_case, 1, 128, sizeof(pieces), 0, a, out);
}
static void ring_define(const uint16_t *a, const uint16_t *, double *want, double *)
{
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 512; k++)
            want[i * 512 + k] = a[i * 512 + 511 - k];
}

/* ---- clusters: each block writes into the next one's memory ----------------------------- */

struct mail {
    float v[64];
    uint64_t bar;
};

static __global__ void cluster_case(const uint16_t *a, float *y)
{
    mail &s = shared_as<mail>();
    const int rank = cluster_rank(), size = cluster_size(), next = (rank + 1) % size;
    if (threadIdx.x == 0) {
        mbarrier_init(&s.bar, 64);
        mbarrier_init_done();
    }
    cluster_sync();
    cluster_map(&s, next)->v[threadIdx.x] = (float)a[rank * 64 + threadIdx.x];
    mbarrier_arrive_at(&s.bar, next);
    cluster_arrive();
    cluster_wait(); /* orders the stores; the barrier alone is for the count */
    mbarrier_wait(&s.bar, 0);
    y[(int)blockIdx.x * 64 + threadIdx.x] = s.v[63 - threadIdx.x] + (float)(rank * size);
    cluster_sync();
}
static status cluster_run(const uint16_t *a, const uint16_t *, float *out)
{
    const gpu_launch_how four = { dim3(4, 1, 1), 0 };
    return gpu_launch_with(four, "cluster", cluster_case, 8, 64, sizeof(mail), 0, a, out);
}
static void cluster_define(const uint16_t *a, const uint16_t *, double *want, double *)
{
    for (int block = 0; block < 8; block++)
        for (int t = 0; t < 64; t++)
            want[block * 64 + t] = a[(block + 3) % 4 * 64 + 63 - t] + block % 4 * 4.0;
}

/* ---- wgmma: d = a b + (add ? c : 0), 64 x N x 64 ---------------------------------------- */

struct operands {
    uint16_t a[64 * 64], b[256 * 64];
};

/* Puts value (row, k) of an operand where the descriptor of its layout has it: written from the
 * layout's definition, not from the emulator. M is the rows of the whole operand. */
template <int WIDTH, int TRANSPOSED> static __host__ __device__ int spot(int row, int k, int rows)
{
    constexpr int LINE = WIDTH ? WIDTH : 16; /* so that no branch divides by zero */
    int byte;
    if (WIDTH == 0) /* 8 x 16-byte cores; along K first (128 bytes on), then along rows */
        byte = TRANSPOSED ? row / 8 * 1024 + k / 8 * 128 + k % 8 * 16 + row % 8 * 2
                          : row / 8 * 1024 + k / 8 * 128 + row % 8 * 16 + k % 8 * 2;
    else if (!TRANSPOSED) /* panels of WIDTH bytes of K, each all the rows high */
        byte = k * 2 / LINE * (rows * LINE) + row * LINE + k * 2 % LINE;
    else /* panels of WIDTH bytes of rows, each 64 k high */
        byte = row * 2 / LINE * (64 * LINE) + k * LINE + row * 2 % LINE;
    if (WIDTH)
        byte ^= byte / 128 % (LINE / 16) * 16;
    return byte / 2;
}

/* Descriptor of 16 of K from `k` on. */
template <int WIDTH, int TRANSPOSED>
static __device__ uint64_t step(const uint16_t *tile, int k, int rows)
{
    if (WIDTH == 0) /* transposed: `stride` steps along rows, `leading` along K, as without */
        return wgmma_desc(tile + k / 8 * 64, 0, 128, 1024);
    if (!TRANSPOSED) {
        constexpr int LINE = WIDTH ? WIDTH : 16;
        const int panel = k * 2 / LINE, rest = k * 2 % LINE;
        return wgmma_desc(tile + (panel * rows * LINE + rest) / 2, WIDTH, 16, 8 * WIDTH);
    }
    return wgmma_desc(tile + k * WIDTH / 2, WIDTH, 64 * WIDTH, 8 * WIDTH);
}

template <class T, int N, int WIDTH, int TA, int TB, int ADD, int REGS>
static __global__ void wgmma_case(const uint16_t *a, const uint16_t *b, float *y)
{
    operands &s = shared_as<operands>();
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int i = threadIdx.x; i < 64 * 64; i += 128)
        s.a[spot<WIDTH, TA>(i / 64, i % 64, 64)] = a[i];
    for (int i = threadIdx.x; i < N * 64; i += 128)
        s.b[spot<WIDTH, TB>(i / 64, i % 64, N)] = b[i];
    fence_async();
    __syncthreads();

    float d[N / 2];
    for (int i = 0; i < N / 2; i++)
        d[i] = ADD ? (float)(i % 8) : NAN;
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 64; k += 16) {
        const int add = ADD || k > 0;
        if (REGS) {
            uint32_t f[4];
            for (int r = 0; r < 4; r++) {
                const int row = warp * 16 + lane / 4 + r % 2 * 8, at = k + lane % 4 * 2 + r / 2 * 8;
                f[r] = a[row * 64 + at] | (uint32_t)a[row * 64 + at + 1] << 16;
            }
            wgmma_fence();
            wgmma<T, N, TB>(d, f, step<WIDTH, TB>(s.b, k, N), add);
        } else {
            wgmma<T, N, TA, TB>(d, step<WIDTH, TA>(s.a, k, 64), step<WIDTH, TB>(s.b, k, N), add);
        }
    }
    wgmma_commit();
    wgmma_wait<0>(d);
    for (int i = 0; i < N / 2; i++) {
        const int row = warp * 16 + lane / 4 + i / 2 % 2 * 8,
                  col = i / 4 * 8 + lane % 4 * 2 + i % 2;
        y[row * N + col] = d[i];
    }
}

template <class T, int N, int WIDTH, int TA, int TB, int ADD, int REGS>
static status wgmma_run(const uint16_t *a, const uint16_t *b, float *out)
{
    return gpu_launch("wgmma", wgmma_case<T, N, WIDTH, TA, TB, ADD, REGS>, 1, 128, sizeof(operands),
                      0, a, b, out);
}

template <int N, int ADD, double (*AT)(const uint16_t *, size_t)>
static void wgmma_define(const uint16_t *a, const uint16_t *b, double *want, double *room)
{
    for (int i = 0; i < 64; i++)
        for (int j = 0; j < N; j++) {
            const int e = j / 8 * 4 + i % 16 / 8 * 2 + j % 2; /* the accumulator's number */
            double sum = ADD ? e % 8 : 0, size = sum;
            for (int k = 0; k < 64; k++) {
                const double p = AT(a, (size_t)i * 64 + k) * AT(b, (size_t)j * 64 + k);
                sum += p;
                size += fabs(p);
            }
            want[i * N + j] = sum;
            room[i * N + j] = size;
        }
}

#define H __half
#define B __nv_bfloat16
#define LOAD(i, name)                                                                              \
    {                                                                                              \
        name, 90,                                                                                  \
            (size_t)boxes[i].size[0] * boxes[i].size[1] * boxes[i].size[2] * boxes[i].size[3], 0,  \
            load_run<i>, load_define<i>                                                            \
    }
#define STORE(i, name)                                                                             \
    {                                                                                              \
        name, 90, (size_t)TX *TY *TZ *TW, 0, store_run<i>, store_define<i>                         \
    }
/* four sums one after another, each as mma's: 2^-20 */
#define WGMMA(name, T, at, N, W, TA, TB, ADD, REGS)                                                \
    {                                                                                              \
        name, 90, 64 * N, 0x1p-20f, wgmma_run<T, N, W, TA, TB, ADD, REGS>,                         \
            wgmma_define<N, ADD, at>                                                               \
    }

const wrapper_case wrappers_hopper[] = {
    LOAD(0, "tma_load_2d 128"),
    LOAD(1, "tma_load_2d 64"),
    LOAD(2, "tma_load_2d 32"),
    LOAD(3, "tma_load_2d plain"),
    LOAD(4, "tma_load_3d"),
    LOAD(5, "tma_load_4d"),
    { "tma_load_multicast", 90, 1024, 0, multicast_run, multicast_define },
    STORE(0, "tma_store_2d 128"),
    STORE(3, "tma_store_2d plain"),
    STORE(4, "tma_store_3d"),
    STORE(5, "tma_store_4d"),
    { "bulk_load ring", 90, 8 * 512, 0, ring_run, ring_define },
    { "cluster", 90, 512, 0, cluster_run, cluster_define },
    WGMMA("wgmma f16 n64", H, f16_at, 64, 128, 0, 0, 0, 0),
    WGMMA("wgmma f16 n64 add", H, f16_at, 64, 128, 0, 0, 1, 0),
    WGMMA("wgmma bf16 n128", B, bf16_at, 128, 128, 0, 0, 1, 0),
    WGMMA("wgmma f16 n256", H, f16_at, 256, 128, 0, 0, 0, 0),
    WGMMA("wgmma f16 n8", H, f16_at, 8, 128, 0, 0, 0, 0),
    WGMMA("wgmma f16 n40 registers", H, f16_at, 40, 128, 0, 0, 1, 1),
    WGMMA("wgmma bf16 n80 registers", B, bf16_at, 80, 128, 0, 0, 0, 1),
    WGMMA("wgmma f16 n96 width 64", H, f16_at, 96, 64, 0, 0, 0, 0),
    WGMMA("wgmma f16 n48 width 32", H, f16_at, 48, 32, 0, 0, 0, 0),
    WGMMA("wgmma f16 n64 plain", H, f16_at, 64, 0, 0, 0, 0, 0),
    WGMMA("wgmma f16 n128 b transposed", H, f16_at, 128, 128, 0, 1, 0, 0),
    WGMMA("wgmma bf16 n64 both transposed", B, bf16_at, 64, 128, 1, 1, 0, 0),
    WGMMA("wgmma f16 n64 transposed width 64", H, f16_at, 64, 64, 1, 1, 0, 0),
    WGMMA("wgmma f16 n64 transposed width 32", H, f16_at, 64, 32, 1, 1, 0, 0),
    WGMMA("wgmma f16 n64 transposed plain", H, f16_at, 64, 0, 1, 1, 0, 0),
    WGMMA("wgmma f16 n64 registers transposed", H, f16_at, 64, 128, 0, 1, 1, 1),
};
const size_t wrappers_hopper_count = sizeof wrappers_hopper / sizeof wrappers_hopper[0];
