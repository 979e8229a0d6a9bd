/* tests/emulator/misuse_hopper.cu - the same for what sm_90a adds. One kernel, a product of 64 x 64
 * by 64 x 64 from tiles that bulk copies bring, with a number for each way to get it wrong. */
#include "cuda/launch.cuh"
#include "cuda/ptx_hopper.cuh"
#include "tests/emulator/misuse.h"

enum mistake {
    RIGHT,
    NO_WAIT,
    WRONG_PARITY,
    FEW_BYTES,
    MANY_BYTES,
    TWO_ARRIVALS,
    NO_INIT,
    NO_BARRIER_AFTER_INIT,
    NO_FENCE,
    NO_WGMMA_WAIT,
    REFILL_TOO_SOON,
    ODD_TARGET,
    WRONG_RANK,
    ORDINARY_STORE, /* the tile is stored by threads, and fenced */
    ORDINARY_STORE_NO_FENCE,
    STORE_NO_WAIT,
    STORE_NO_FENCE,
    OUTSIDE
};

struct tiles {
    __half a[64][64], b[64][64];
    float out[64][32];
    uint64_t full;
};

static __device__ void fill(tiles &s, const tensor_map *map, int mistake)
{
    const int bytes = (int)(sizeof s.a + sizeof s.b);
    mbarrier_arrive_expect(&s.full, mistake == FEW_BYTES    ? bytes / 2
                                    : mistake == MANY_BYTES ? bytes * 2
                                                            : bytes);
    if (mistake == TWO_ARRIVALS)
        mbarrier_arrive(&s.full);
    if (mistake == WRONG_RANK)
        tma_load_3d(s.a, map, 0, 0, 0, &s.full);
    else
        tma_load_2d(mistake == ODD_TARGET ? (void *)s.a[4]
                    : mistake == OUTSIDE  ? (void *)(s.out + 48)
                                          : (void *)s.a,
                    map, 0, 0, &s.full);
    tma_load_2d(s.b, map, 0, 64, &s.full);
}

static __global__ void product(const __grid_constant__ tensor_map map,
                               const __grid_constant__ tensor_map out, float *y, int mistake)
{
    tiles &s = shared_as<tiles>();
    float d[32] = {};
    const int stored = mistake == ORDINARY_STORE || mistake == ORDINARY_STORE_NO_FENCE;
    if (threadIdx.x == 0 && mistake != NO_INIT) {
        mbarrier_init(&s.full, 1);
        mbarrier_init_done();
    }
    if (mistake != NO_BARRIER_AFTER_INIT)
        __syncthreads();
    if (stored) {
        for (int i = threadIdx.x; i < 64 * 64; i += 128)
            s.a[i / 64][i % 64] = s.b[i / 64][i % 64] = __float2half(1.0f);
        if (mistake == ORDINARY_STORE)
            fence_async();
        __syncthreads();
    } else {
        if (threadIdx.x == 0)
            fill(s, &map, mistake);
        if (mistake != NO_WAIT)
            mbarrier_wait(&s.full, mistake == WRONG_PARITY);
    }
    if (mistake != NO_FENCE)
        wgmma_fence();
    for (int k = 0; k < 64; k += 16)
        wgmma<__half, 64>(d, wgmma_desc(&s.a[0][k], 128, 16, 1024),
                          wgmma_desc(&s.b[0][k], 128, 16, 1024), 1);
    wgmma_commit();
    if (mistake == REFILL_TOO_SOON && threadIdx.x == 0)
        fill(s, &map, RIGHT);
    wgmma_wait<0>(d);
    if (mistake == NO_WGMMA_WAIT) {
        wgmma_fence();
        wgmma<__half, 64>(d, wgmma_desc(s.a, 128, 16, 1024), wgmma_desc(s.b, 128, 16, 1024), 1);
        wgmma_commit();
    }
    for (int i = 0; i < 32; i++)
        if (!(d[i] == d[i]))
            __trap(); /* read before the wait */
    for (int i = threadIdx.x; i < 64 * 32; i += 128)
        s.out[i / 32][i % 32] = d[i % 32];
    if (mistake != STORE_NO_FENCE)
        fence_async();
    __syncthreads();
    if (threadIdx.x == 0 && y) {
        tma_store_2d(&out, s.out, 0, 0);
        tma_store_commit();
        if (mistake != STORE_NO_WAIT)
            tma_store_wait<0>();
    }
}

static status map_of(void *base, enum dtype dtype, int cols, int rows, int swizzle, tensor_map *map)
{
    struct tensor_map_args m = {};
    m.base = base;
    m.dtype = dtype;
    m.rank = 2;
    m.dim[0] = m.stride[1] = (size_t)cols;
    m.dim[1] = (size_t)rows;
    m.box[0] = cols;
    m.box[1] = 64;
    m.swizzle_bytes = swizzle;
    return tensor_map_encode(&m, map);
}

template <int MISTAKE> static status run(float *, float *)
{
    static void *operands, *results;
    tensor_map in, out;
    if (!operands) {
        if (cudaMalloc(&operands, 128 * 64 * 2) || cudaMalloc(&results, 64 * 32 * 4))
            return status_fail(STATUS_NO_MEMORY, "misuse: no memory");
        (void)cudaMemset(operands, 0, 128 * 64 * 2);
    }
    TRY(map_of(operands, DTYPE_F16, 64, 128, 128, &in));
    TRY(map_of(results, DTYPE_F32, 32, 64, 0, &out));
    return gpu_launch("product", product, 1, 128, sizeof(tiles), 0, in, out, (float *)results,
                      MISTAKE);
}

/* ---- clusters ------------------------------------------------------------------------------- */

enum cluster_mistake { CLUSTER_RIGHT, NO_FIRST_SYNC, NO_LAST_SYNC, NO_ARRIVAL, NO_SUCH_BLOCK };

struct letter {
    float v[32];
};

static __global__ void exchange(float *y, int mistake)
{
    letter &s = shared_as<letter>();
    const int rank = cluster_rank();
    s.v[threadIdx.x] = (float)rank;
    if (mistake == NO_ARRIVAL)
        cluster_wait();
    else if (mistake != NO_FIRST_SYNC)
        cluster_sync();
    const letter *there = cluster_map(&s, mistake == NO_SUCH_BLOCK ? 2 : rank ^ 1);
    y[(int)blockIdx.x * 32 + (int)threadIdx.x] = there->v[31 - threadIdx.x];
    if (mistake != NO_LAST_SYNC)
        cluster_sync();
    else if (rank == 1) /* has gone before the other has read */
        s.v[threadIdx.x] = 7.0f;
}

template <int MISTAKE> static status run_cluster(float *y, float *)
{
    const gpu_launch_how pair = { dim3(2, 1, 1), 0 };
    return gpu_launch_with(pair, "exchange", exchange, 2, 32, sizeof(letter), 0, y, MISTAKE);
}

const misuse misuses_hopper[] = {
    { "a product by wgmma", nullptr, nullptr, run<RIGHT> },
    { "... before its tiles are there", "nobody has written|not delivered", nullptr, run<NO_WAIT> },
    { "... waiting for the wrong parity", "nobody has written|not delivered", nullptr,
      run<WRONG_PARITY> },
    { "... expecting too few bytes", "not delivered|nobody has written|__trap", nullptr,
      run<FEW_BYTES> },
    { "... expecting too many", "wait for an mbarrier", "wait for an mbarrier", run<MANY_BYTES> },
    { "... with one arrival too many", "more than its 1 arrivals", "more than its 1 arrivals",
      run<TWO_ARRIVALS> },
    { "... with a barrier not initialised", "never initialised", "never initialised",
      run<NO_INIT> },
    { "... used before others know of it", "initialised", nullptr, run<NO_BARRIER_AFTER_INIT> },
    { "... without wgmma.fence", "no wgmma.fence", "no wgmma.fence", run<NO_FENCE> },
    { "... whose sums are read too soon", "__trap", "__trap", run<NO_WGMMA_WAIT> },
    { "... whose tiles are refilled too soon", "race|not delivered", nullptr,
      run<REFILL_TOO_SOON> },
    { "... with its tile off the pattern", "not aligned to 1024", "not aligned to 1024",
      run<ODD_TARGET> },
    { "... with too many coordinates", "map of rank 2", "map of rank 2", run<WRONG_RANK> },
    { "... with a tile beyond shared memory", "leave shared memory", "leave shared memory",
      run<OUTSIDE> },
    { "... of tiles stored by threads", nullptr, nullptr, run<ORDINARY_STORE> },
    { "... and not fenced", "no fence.proxy.async", nullptr, run<ORDINARY_STORE_NO_FENCE> },
    { "a bulk store not waited for", "before it has been waited for",
      "before it has been waited for", run<STORE_NO_WAIT> },
    { "a bulk store of what is not fenced", "no fence.proxy.async", nullptr, run<STORE_NO_FENCE> },
    { "an exchange in a cluster", nullptr, nullptr, run_cluster<CLUSTER_RIGHT> },
    { "... before the other has written", "race|nobody has written", nullptr,
      run_cluster<NO_FIRST_SYNC> },
    { "... with one that has ended", "race|has ended", nullptr, run_cluster<NO_LAST_SYNC> },
    { "... waiting without arriving", "without an arrival", "without an arrival",
      run_cluster<NO_ARRIVAL> },
    { "... with no such block", "block 2 of a cluster of 2", "block 2 of a cluster of 2",
      run_cluster<NO_SUCH_BLOCK> },
};
const size_t misuses_hopper_count = sizeof misuses_hopper / sizeof misuses_hopper[0];
