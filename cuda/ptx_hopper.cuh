/* cuda/ptx_hopper.cuh - the instructions of sm_90a: mbarriers, bulk tensor copies, wgmma, clusters.
 *
 * A kernel that uses them compiles for any architecture, and traps on all but sm_90a.
 * source   PTX ISA 8.5: "mbarrier", "cp.async.bulk.tensor", "Asynchronous warpgroup level matrix
 *          multiply-accumulate instructions", "barrier.cluster" */
#ifndef CUDA_PTX_HOPPER_CUH
#define CUDA_PTX_HOPPER_CUH

#include "cuda/ptx.cuh"
#include "cuda/tensor_map.cuh"

#if defined GPU_EMULATOR
#define HOPPER_BODY(host, ...) host
#elif defined __CUDA_ARCH_FEAT_SM90_ALL
#include "cuda/ptx_wgmma.cuh"
#define HOPPER_BODY(host, ...) __VA_ARGS__
#else
#define HOPPER_BODY(host, ...) __trap()
#endif

/* ---- mbarriers: uint64_t in shared memory ----------------------------------------------- */

/* One thread initialises; then mbarrier_init_done(), and a barrier before anybody's first use. */
PTX_FN void mbarrier_init(uint64_t *bar, int arrivals PTX_SITE)
{
    HOPPER_BODY(
        emu_mbarrier_init(bar, arrivals, site),
        asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_u32(bar)), "r"(arrivals)
                     : "memory"));
}
/* Makes initialised barriers known to the cluster and to bulk copies. */
PTX_FN void mbarrier_init_done()
{
    HOPPER_BODY((void)0, asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"));
}
PTX_FN void mbarrier_arrive(uint64_t *bar PTX_SITE)
{
    HOPPER_BODY(emu_mbarrier_arrive(bar, 0, 1, site),
                asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_u32(bar))
                             : "memory"));
}
/* Arrives, and makes the phase wait for `bytes` more from bulk copies. */
PTX_FN void mbarrier_arrive_expect(uint64_t *bar, int bytes PTX_SITE)
{
    HOPPER_BODY(emu_mbarrier_arrive(bar, bytes, 1, site),
                asm volatile(
                    "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_u32(bar)),
                    "r"(bytes)
                    : "memory"));
}
/* The same without arriving. */
PTX_FN void mbarrier_expect(uint64_t *bar, int bytes PTX_SITE)
{
    HOPPER_BODY(emu_mbarrier_arrive(bar, bytes, 0, site),
                asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(
                                 shared_u32(bar)),
                             "r"(bytes)
                             : "memory"));
}
/* Has the phase of this parity completed? The first phase has parity 0. */
PTX_FN int mbarrier_test(uint64_t *bar, int parity PTX_SITE)
{
    int done = 0;
    HOPPER_BODY(done = emu_mbarrier_test(bar, parity, site),
                asm volatile("{\n\t.reg .pred done;\n\t"
                             "mbarrier.test_wait.parity.shared::cta.b64 done, [%1], %2;\n\t"
                             "selp.s32 %0, 1, 0, done;\n\t}"
                             : "=r"(done)
                             : "r"(shared_u32(bar)), "r"(parity)
                             : "memory"));
    return done;
}
/* Waits until the phase of this parity has completed. */
PTX_FN void mbarrier_wait(uint64_t *bar, int parity PTX_SITE)
{
    HOPPER_BODY(emu_mbarrier_wait(bar, parity, site),
                asm volatile("{\n\t.reg .pred done;\n\t"
                             "again:\n\t"
                             "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n\t"
                             "@done bra through;\n\t"
                             "bra again;\n\t"
                             "through:\n\t}" ::"r"(shared_u32(bar)),
                             "r"(parity)
                             : "memory"));
}

/* ---- bulk copies, one thread for a whole box -------------------------------------------- */

/* Bring the map's box at (x, y, ...), x innermost, to shared memory; its bytes count towards `bar`.
 * Shared memory is 128-byte aligned, with a swizzle to 8 of its rows (1024 bytes at width 128). */
PTX_FN void tma_load_2d(void *shared, const tensor_map *map, int x, int y, uint64_t *bar PTX_SITE)
{
#ifdef GPU_EMULATOR
    const int at[2] = { x, y };
#endif
    HOPPER_BODY(
        emu_tensor_load(shared, map, at, 2, bar, 0, site),
        asm volatile(
            "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
            " [%0], [%1, {%2, %3}], [%4];" ::"r"(shared_u32(shared)),
            "l"(map), "r"(x), "r"(y), "r"(shared_u32(bar))
            : "memory"));
}
PTX_FN void tma_load_3d(void *shared, const tensor_map *map, int x, int y, int z,
                        uint64_t *bar PTX_SITE)
{
#ifdef GPU_EMULATOR
    const int at[3] = { x, y, z };
#endif
    HOPPER_BODY(
        emu_tensor_load(shared, map, at, 3, bar, 0, site),
        asm volatile(
            "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
            " [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(shared_u32(shared)),
            "l"(map), "r"(x), "r"(y), "r"(z), "r"(shared_u32(bar))
            : "memory"));
}
PTX_FN void tma_load_4d(void *shared, const tensor_map *map, int x, int y, int z, int w,
                        uint64_t *bar PTX_SITE)
{
#ifdef GPU_EMULATOR
    const int at[4] = { x, y, z, w };
#endif
    HOPPER_BODY(
        emu_tensor_load(shared, map, at, 4, bar, 0, site),
        asm volatile(
            "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
            " [%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(shared_u32(shared)),
            "l"(map), "r"(x), "r"(y), "r"(z), "r"(w), "r"(shared_u32(bar))
            : "memory"));
}

/* The same into every block of the cluster whose bit is set in `mask`, at the same place of its
 * shared memory as `shared` and `bar` have in this one's. Each block's barrier counts its own. */
PTX_FN void tma_load_2d_multicast(void *shared, const tensor_map *map, int x, int y, uint64_t *bar,
                                  unsigned mask PTX_SITE)
{
#ifdef GPU_EMULATOR
    const int at[2] = { x, y };
#endif
    HOPPER_BODY(
        emu_tensor_load(shared, map, at, 2, bar, mask, site),
        asm volatile(
            "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
            ".multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(shared_u32(shared)),
            "l"(map), "r"(x), "r"(y), "r"(shared_u32(bar)), "h"((uint16_t)mask)
            : "memory"));
}
PTX_FN void tma_load_3d_multicast(void *shared, const tensor_map *map, int x, int y, int z,
                                  uint64_t *bar, unsigned mask PTX_SITE)
{
#ifdef GPU_EMULATOR
    const int at[3] = { x, y, z };
#endif
    HOPPER_BODY(
        emu_tensor_load(shared, map, at, 3, bar, mask, site),
        asm volatile(
            "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
            ".multicast::cluster [%0], [%1, {%2, %3, %4}], [%5], %6;" ::"r"(shared_u32(shared)),
            "l"(map), "r"(x), "r"(y), "r"(z), "r"(shared_u32(bar)), "h"((uint16_t)mask)
            : "memory"));
}
PTX_FN void tma_load_4d_multicast(void *shared, const tensor_map *map, int x, int y, int z, int w,
                                  uint64_t *bar, unsigned mask PTX_SITE)
{
#ifdef GPU_EMULATOR
    const int at[4] = { x, y, z, w };
#endif
    HOPPER_BODY(
        emu_tensor_load(shared, map, at, 4, bar, mask, site),
        asm volatile(
            "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
            ".multicast::cluster [%0], [%1, {%2, %3, %4, %5}], [%6], %7;" ::"r"(shared_u32(shared)),
            "l"(map), "r"(x), "r"(y), "r"(z), "r"(w), "r"(shared_u32(bar)), "h"((uint16_t)mask)
            : "memory"));
}

/* Contiguous bytes (a multiple of 16, both ends 16-aligned) without a map. */
PTX_FN void bulk_load(void *shared, const void *global, int bytes, uint64_t *bar PTX_SITE)
{
    HOPPER_BODY(emu_bulk_load(shared, global, bytes, bar, site),
                asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                             " [%0], [%1], %2, [%3];" ::"r"(shared_u32(shared)),
                             "l"(global), "r"(bytes), "r"(shared_u32(bar))
                             : "memory"));
}

/* A box from shared memory to the tensor; what lies outside is not stored. What ordinary stores
 * wrote needs fence_async() before. */
PTX_FN void tma_store_2d(const tensor_map *map, const void *shared, int x, int y PTX_SITE)
{
#ifdef GPU_EMULATOR
    const int at[2] = { x, y };
#endif
    HOPPER_BODY(emu_tensor_store(map, shared, at, 2, site),
                asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group"
                             " [%0, {%1, %2}], [%3];" ::"l"(map),
                             "r"(x), "r"(y), "r"(shared_u32(shared))
                             : "memory"));
}
PTX_FN void tma_store_3d(const tensor_map *map, const void *shared, int x, int y, int z PTX_SITE)
{
#ifdef GPU_EMULATOR
    const int at[3] = { x, y, z };
#endif
    HOPPER_BODY(emu_tensor_store(map, shared, at, 3, site),
                asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group"
                             " [%0, {%1, %2, %3}], [%4];" ::"l"(map),
                             "r"(x), "r"(y), "r"(z), "r"(shared_u32(shared))
                             : "memory"));
}
PTX_FN void tma_store_4d(const tensor_map *map, const void *shared, int x, int y, int z,
                         int w PTX_SITE)
{
#ifdef GPU_EMULATOR
    const int at[4] = { x, y, z, w };
#endif
    HOPPER_BODY(emu_tensor_store(map, shared, at, 4, site),
                asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group"
                             " [%0, {%1, %2, %3, %4}], [%5];" ::"l"(map),
                             "r"(x), "r"(y), "r"(z), "r"(w), "r"(shared_u32(shared))
                             : "memory"));
}
PTX_FN void tma_store_commit()
{
    HOPPER_BODY(emu_store_commit(), asm volatile("cp.async.bulk.commit_group;" ::: "memory"));
}
/* Waits until at most KEEP of this thread's groups have not yet read shared memory. Needed before
 * it is written again, and before the block ends. */
template <int KEEP> PTX_FN void tma_store_wait()
{
    HOPPER_BODY(emu_store_wait(KEEP), asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(KEEP)
                                                   : "memory"));
}
/* Fetches the map itself ahead of its first use. */
PTX_FN void tma_prefetch(const tensor_map *map)
{
    HOPPER_BODY((void)map, asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"));
}

/* Between ordinary accesses of shared memory and those of wgmma and bulk copies: what this thread
 * wrote, or has been told of by a barrier, they see. */
PTX_FN void fence_async()
{
    HOPPER_BODY(emu_fence_async(), asm volatile("fence.proxy.async.shared::cta;" ::: "memory"));
}

/* ---- wgmma: 64 x N x 16 by a warpgroup of 128 threads ----------------------------------- */

/* Where an operand of 16-bit values lies in shared memory. With a swizzle of W bytes:
 *   K contiguous  rows of W bytes, 8 of them together; `stride`: bytes from 8 rows to the next 8. A
 *                 step of 16 in K is 32 bytes on `shared`, up to W; `leading` is not used.
 *   M (or N) contiguous, TRANSPOSED  runs of W bytes of M for each k, 8 k together; `stride`: bytes
 *                 from 8 k to the next 8; `leading`: bytes from W / 2 of M to the next.
 * Without one, 8 rows of 16 bytes lie together, `leading` and `stride` are the steps in K and M.
 * Tiles are aligned to 8 rows of W bytes. */
PTX_FN uint64_t wgmma_desc(const void *shared, int swizzle_bytes, int leading, int stride)
{
#ifdef GPU_EMULATOR
    const uint64_t at = emu_shared_offset(shared);
#else
    const uint64_t at = shared_u32(shared);
#endif
    const uint64_t mode = swizzle_bytes == 128  ? 1
                          : swizzle_bytes == 64 ? 2
                          : swizzle_bytes == 32 ? 3
                                                : 0;
    return (at & 0x3ffff) >> 4 | (uint64_t)(leading >> 4 & 0x3fff) << 16 |
           (uint64_t)(stride >> 4 & 0x3fff) << 32 | mode << 62;
}

/* Before the first wgmma, and again after its accumulators or register operands were touched. */
PTX_FN void wgmma_fence(PTX_SITE_ONLY)
{
    HOPPER_BODY(emu_wgmma_fence(site), asm volatile("wgmma.fence.sync.aligned;" ::: "memory"));
}
PTX_FN void wgmma_commit(PTX_SITE_ONLY)
{
    HOPPER_BODY(emu_wgmma_commit(site), asm volatile("wgmma.commit_group.sync.aligned;" ::
                                                         : "memory"));
}

/* Keeps uses of d on their side of a fence or wait. No instruction. */
template <int N> PTX_FN void wgmma_hold(float (&d)[N])
{
#ifdef GPU_EMULATOR
    (void)d;
#else
#pragma unroll
    for (int i = 0; i < N; i++)
        asm volatile("" : "+f"(d[i])::"memory");
#endif
}

/* Waits until at most KEEP groups are unfinished; d of those that are may be used after it. */
template <int KEEP, int N> PTX_FN void wgmma_wait(float (&d)[N] PTX_SITE)
{
    HOPPER_BODY(emu_wgmma_wait(KEEP, site),
                asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(KEEP)
                             : "memory"));
    wgmma_hold(d);
}

/* d (64 x N, f32) = a (64 x 16) b (16 x N) + (add ? d : 0), T being __half or __nv_bfloat16; both
 * operands by descriptor. Element e of d: row warp % 4 * 16 + lane / 4 + e / 2 % 2 * 8, column
 * e / 4 * 8 + lane % 4 * 2 + e % 2. */
template <class T, int N, int TRANSPOSED_A = 0, int TRANSPOSED_B = 0>
PTX_FN void wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, int add PTX_SITE)
{
    static_assert(N % 8 == 0 && N >= 8 && N <= 256, "N is a multiple of 8 up to 256");
#ifdef GPU_EMULATOR
    const emu_wgmma w = { d,   nullptr,      a,           b, N, ptx_is_bf16<T>::value,
                          add, TRANSPOSED_A, TRANSPOSED_B };
#endif
    HOPPER_BODY(
        emu_wgmma_issue(&w, site),
        (wgmma_multiply<N, ptx_is_bf16<T>::value, TRANSPOSED_A, TRANSPOSED_B>::go(d, a, b, add)));
}
/* The same with a in registers, in the fragments of mma m16n8k16 for each warp's 16 rows. They may
 * not change before the wait. */
template <class T, int N, int TRANSPOSED_B = 0>
PTX_FN void wgmma(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, int add PTX_SITE)
{
    static_assert(N % 8 == 0 && N >= 8 && N <= 256, "N is a multiple of 8 up to 256");
#ifdef GPU_EMULATOR
    const emu_wgmma w = { d, a, 0, b, N, ptx_is_bf16<T>::value, add, 0, TRANSPOSED_B };
#endif
    HOPPER_BODY(emu_wgmma_issue(&w, site),
                (wgmma_multiply<N, ptx_is_bf16<T>::value, 0, TRANSPOSED_B>::go(d, a, b, add)));
}

/* ---- warp-specialised roles ------------------------------------------------------------- */

/* Registers per thread of this warpgroup: a multiple of 8, 24 to 240. */
template <int N> PTX_FN void registers_more()
{
    HOPPER_BODY((void)0, asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N)));
}
template <int N> PTX_FN void registers_fewer()
{
    HOPPER_BODY((void)0, asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N)));
}

/* ---- clusters: blocks that reach each other's shared memory ----------------------------- */

PTX_FN int cluster_rank()
{
    int rank = 0;
    HOPPER_BODY(rank = emu_cluster_rank(), asm volatile("mov.u32 %0, %%cluster_ctarank;"
                                                        : "=r"(rank)));
    return rank;
}
PTX_FN int cluster_size()
{
    int size = 1;
    HOPPER_BODY(size = emu_cluster_size(), asm volatile("mov.u32 %0, %%cluster_nctarank;"
                                                        : "=r"(size)));
    return size;
}
/* All threads of all its blocks. Needed before the first access of another block's memory and
 * before a block ends whose memory others still use. */
PTX_FN void cluster_arrive(PTX_SITE_ONLY)
{
    HOPPER_BODY(emu_cluster_arrive(site), asm volatile("barrier.cluster.arrive.release.aligned;" ::
                                                           : "memory"));
}
PTX_FN void cluster_wait(PTX_SITE_ONLY)
{
    HOPPER_BODY(emu_cluster_wait(site), asm volatile("barrier.cluster.wait.acquire.aligned;" ::
                                                         : "memory"));
}
#ifdef GPU_EMULATOR
PTX_FN void cluster_sync(PTX_SITE_ONLY)
{
    cluster_arrive(site);
    cluster_wait(site);
}
#else
PTX_FN void cluster_sync()
{
    cluster_arrive();
    cluster_wait();
}
#endif

/* The same object in the shared memory of block `rank`: an ordinary pointer. */
template <class T> PTX_FN T *cluster_map(T *shared, int rank PTX_SITE)
{
    T *there = shared;
    HOPPER_BODY(there = (T *)emu_cluster_map(shared, rank, site),
                asm volatile("mapa.u64 %0, %1, %2;"
                             : "=l"(there)
                             : "l"(shared), "r"(rank)));
    return there;
}
/* Arrives at the mbarrier that block `rank` has at this one's `bar`. */
PTX_FN void mbarrier_arrive_at(uint64_t *bar, int rank PTX_SITE)
{
    HOPPER_BODY(
        emu_mbarrier_arrive((uint64_t *)emu_cluster_map(bar, rank, site), 0, 1, site),
        asm volatile("{\n\t.reg .b32 there;\n\t"
                     "mapa.shared::cluster.u32 there, %0, %1;\n\t"
                     "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there];\n\t}" ::"r"(
                         shared_u32(bar)),
                     "r"(rank)
                     : "memory"));
}

#endif
