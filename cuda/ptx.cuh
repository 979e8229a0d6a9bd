/* cuda/ptx.cuh - the instructions CUDA C++ has no name for, sm_80 and up: inline PTX for the
 * device, a call into tests/emulator for the host compiler. Every wrapper takes ordinary (generic)
 * pointers.
 *
 * Matrix wrappers take tiles, not single instructions: on the device they unroll to the same code,
 * and the emulator has all 32 lanes meet once a call. */
#ifndef CUDA_PTX_CUH
#define CUDA_PTX_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>
#include <string.h>

#ifdef GPU_EMULATOR
#define PTX_SITE , emu_site site = EMU_SITE
#define PTX_SITE_ONLY emu_site site = EMU_SITE
#define PTX_BODY(host, ...) host
#else
#define PTX_SITE
#define PTX_SITE_ONLY
#define PTX_BODY(host, ...) __VA_ARGS__
static __device__ __forceinline__ uint32_t shared_u32(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}
#endif
#define PTX_FN static __device__ __forceinline__

/* Which of the two 16-bit formats a kernel's template parameter is. */
template <class T> struct ptx_is_bf16;
template <> struct ptx_is_bf16<__half> {
    enum { value = 0 };
};
template <> struct ptx_is_bf16<__nv_bfloat16> {
    enum { value = 1 };
};

/* ---- ldmatrix --------------------------------------------------------------------------- */

/* N times ldmatrix.x4: lane 8*i+j gives the address of row j (16 bytes, 16-aligned, shared) of 8x8
 * matrix i. */
template <int N> PTX_FN void ldmatrix_x4(uint32_t (&r)[N][4], const void *const (&row)[N] PTX_SITE)
{
#ifdef GPU_EMULATOR
    emu_ldmatrix(&r[0][0], 4, 0, row, N, site);
#else
#pragma unroll
    for (int i = 0; i < N; i++)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(r[i][0]), "=r"(r[i][1]), "=r"(r[i][2]), "=r"(r[i][3])
                     : "r"(shared_u32(row[i]))
                     : "memory");
#endif
}

/* Each matrix transposed as it is loaded. */
template <int N>
PTX_FN void ldmatrix_x4_trans(uint32_t (&r)[N][4], const void *const (&row)[N] PTX_SITE)
{
#ifdef GPU_EMULATOR
    emu_ldmatrix(&r[0][0], 4, 1, row, N, site);
#else
#pragma unroll
    for (int i = 0; i < N; i++)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(r[i][0]), "=r"(r[i][1]), "=r"(r[i][2]), "=r"(r[i][3])
                     : "r"(shared_u32(row[i]))
                     : "memory");
#endif
}

/* Two matrices: lanes 0 to 15 give the rows, the others any valid row. */
template <int N> PTX_FN void ldmatrix_x2(uint32_t (&r)[N][2], const void *const (&row)[N] PTX_SITE)
{
#ifdef GPU_EMULATOR
    emu_ldmatrix(&r[0][0], 2, 0, row, N, site);
#else
#pragma unroll
    for (int i = 0; i < N; i++)
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                     : "=r"(r[i][0]), "=r"(r[i][1])
                     : "r"(shared_u32(row[i]))
                     : "memory");
#endif
}

template <int N>
PTX_FN void ldmatrix_x2_trans(uint32_t (&r)[N][2], const void *const (&row)[N] PTX_SITE)
{
#ifdef GPU_EMULATOR
    emu_ldmatrix(&r[0][0], 2, 1, row, N, site);
#else
#pragma unroll
    for (int i = 0; i < N; i++)
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                     : "=r"(r[i][0]), "=r"(r[i][1])
                     : "r"(shared_u32(row[i]))
                     : "memory");
#endif
}

/* Two fragments of 8 columns as one ldmatrix.x4 delivers them. */
template <int N> PTX_FN uint32_t (&pairs(uint32_t (&b)[N][2]))[N / 2][4]
{
    static_assert(N % 2 == 0, "an odd fragment is left over");
    return reinterpret_cast<uint32_t(&)[N / 2][4]>(b);
}

/* ---- mma.sync m16n8k16 ------------------------------------------------------------------ */

#define PTX_MMA(type)                                                                              \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 "                    \
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                 \
                 : "+f"(d[i][j][0]), "+f"(d[i][j][1]), "+f"(d[i][j][2]), "+f"(d[i][j][3])          \
                 : "r"(a[i][0]), "r"(a[i][1]), "r"(a[i][2]), "r"(a[i][3]), "r"(b[j][0]),           \
                   "r"(b[j][1]))

/* d[i][j] += a[i] b[j] for one warp, T being __half or __nv_bfloat16: a 16x16 row major, b 16x8
 * column major, f32 sums. Element e of d is at row lane/4 + e/2*8, column lane%4*2 + e%2. */
template <class T, int M, int N>
PTX_FN void mma(float (&d)[M][N][4], const uint32_t (&a)[M][4], const uint32_t (&b)[N][2] PTX_SITE)
{
#ifdef GPU_EMULATOR
    emu_mma_16816(&d[0][0][0], &a[0][0], &b[0][0], M, N, ptx_is_bf16<T>::value, site);
#else
#pragma unroll
    for (int i = 0; i < M; i++)
#pragma unroll
        for (int j = 0; j < N; j++)
            if (ptx_is_bf16<T>::value)
                PTX_MMA("bf16");
            else
                PTX_MMA("f16");
#endif
}
#undef PTX_MMA

#define PTX_MMA(type)                                                                              \
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32." type "." type ".f32 "                     \
                 "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"                             \
                 : "+f"(d[i][j][0]), "+f"(d[i][j][1]), "+f"(d[i][j][2]), "+f"(d[i][j][3])          \
                 : "r"(a[i][0]), "r"(a[i][1]), "r"(b[j]))

/* The same with a 16x8 and b 8x8, m16n8k8: what mma() does when the other registers of a and b are
 * zero. */
template <class T, int M, int N>
PTX_FN void mma_k8(float (&d)[M][N][4], const uint32_t (&a)[M][2], const uint32_t (&b)[N] PTX_SITE)
{
#ifdef GPU_EMULATOR
    uint32_t whole_a[M][4] = {}, whole_b[N][2] = {};
    for (int i = 0; i < M; i++)
        memcpy(whole_a[i], a[i], sizeof a[i]);
    for (int j = 0; j < N; j++)
        whole_b[j][0] = b[j];
    emu_mma_16816(&d[0][0][0], &whole_a[0][0], &whole_b[0][0], M, N, ptx_is_bf16<T>::value, site);
#else
#pragma unroll
    for (int i = 0; i < M; i++)
#pragma unroll
        for (int j = 0; j < N; j++)
            if (ptx_is_bf16<T>::value)
                PTX_MMA("bf16");
            else
                PTX_MMA("f16");
#endif
}
#undef PTX_MMA

/* ---- cp.async --------------------------------------------------------------------------- */

/* Copies 16 bytes to shared memory, past L1; those past `valid` arrive as zeros and are not read.
 * Both addresses 16-aligned. Where nothing is valid `global` is still an address: any good one. */
PTX_FN void cp_async_16(void *shared, const void *global, int valid PTX_SITE)
{
    PTX_BODY(emu_cp_async(shared, global, 16, valid, site),
             asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_u32(shared)),
                          "l"(global), "r"(valid)
                          : "memory"));
}
PTX_FN void cp_async_8(void *shared, const void *global, int valid PTX_SITE)
{
    PTX_BODY(emu_cp_async(shared, global, 8, valid, site),
             asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared_u32(shared)),
                          "l"(global), "r"(valid)
                          : "memory"));
}
PTX_FN void cp_async_4(void *shared, const void *global, int valid PTX_SITE)
{
    PTX_BODY(emu_cp_async(shared, global, 4, valid, site),
             asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_u32(shared)),
                          "l"(global), "r"(valid)
                          : "memory"));
}
PTX_FN void cp_async_commit()
{
    PTX_BODY(emu_cp_async_commit(), asm volatile("cp.async.commit_group;" ::: "memory"));
}
/* Waits until at most KEEP of this thread's groups are unfinished. Others need a barrier after. */
template <int KEEP> PTX_FN void cp_async_wait()
{
    PTX_BODY(emu_cp_async_wait(KEEP), asm volatile("cp.async.wait_group %0;" ::"n"(KEEP)
                                                   : "memory"));
}

/* ---- barriers --------------------------------------------------------------------------- */

/* One of the block's 16 barriers (0 is __syncthreads) for `threads` threads, whole warps. */
PTX_FN void barrier_sync(int id, int threads PTX_SITE)
{
    PTX_BODY(emu_barrier(id, threads, site),
             asm volatile("barrier.sync %0, %1;" ::"r"(id), "r"(threads)
                          : "memory"));
}
/* The same without waiting: a producer's half. */
PTX_FN void barrier_arrive(int id, int threads PTX_SITE)
{
    PTX_BODY(emu_barrier_arrive(id, threads, site),
             asm volatile("barrier.arrive %0, %1;" ::"r"(id), "r"(threads)
                          : "memory"));
}

/* ---- arithmetic ------------------------------------------------------------------------- */

/* 2^x, 2 ulp, subnormal results 0; 2^-inf is 0. */
PTX_FN float ex2(float x)
{
#ifdef GPU_EMULATOR
    return exp2f(x);
#else
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#endif
}

/* Two floats rounded to T side by side, as fragments hold them. */
template <class T> PTX_FN uint32_t pack(float low, float high);
template <> __device__ __forceinline__ uint32_t pack<__half>(float low, float high)
{
    const __half2 both = __floats2half2_rn(low, high);
    uint32_t bits;
    memcpy(&bits, &both, 4);
    return bits;
}
template <> __device__ __forceinline__ uint32_t pack<__nv_bfloat16>(float low, float high)
{
    const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
    uint32_t bits;
    memcpy(&bits, &both, 4);
    return bits;
}

/* ---- one kernel after another ----------------------------------------------------------- */

/* A kernel launched by gpu_launch_after() begins with it, in every thread and before any access of
 * global memory: waits until the kernel before has ended and what it wrote is seen, and so all
 * those before that one. Then the next kernel's blocks may come up beside this one's last, to wait
 * here. */
PTX_FN void take_turn(PTX_SITE_ONLY)
{
#if defined GPU_EMULATOR
    emu_take_turn(site);
#elif __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;\n\t"
                 "griddepcontrol.launch_dependents;" ::
                     : "memory");
#endif
}

#endif
