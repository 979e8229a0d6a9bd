/* cuda/ptx_wgmma.cuh - wgmma m64nNk16 for every N, which PTX wants spelled out register by register.
 * The one public name is wgmma_multiply<>, wrapped by cuda/ptx_hopper.cuh. */
#ifndef CUDA_PTX_WGMMA_CUH
#define CUDA_PTX_WGMMA_CUH

#include <stdint.h>

/* Names of the first N / 2 operands, and the operands: accumulators d[0] to d[N / 2 - 1]. */
#define WGMMA_R8 "%0, %1, %2, %3"
#define WGMMA_R16 WGMMA_R8 ", %4, %5, %6, %7"
#define WGMMA_R24 WGMMA_R16 ", %8, %9, %10, %11"
#define WGMMA_R32 WGMMA_R24 ", %12, %13, %14, %15"
#define WGMMA_R40 WGMMA_R32 ", %16, %17, %18, %19"
#define WGMMA_R48 WGMMA_R40 ", %20, %21, %22, %23"
#define WGMMA_R56 WGMMA_R48 ", %24, %25, %26, %27"
#define WGMMA_R64 WGMMA_R56 ", %28, %29, %30, %31"
#define WGMMA_R72 WGMMA_R64 ", %32, %33, %34, %35"
#define WGMMA_R80 WGMMA_R72 ", %36, %37, %38, %39"
#define WGMMA_R88 WGMMA_R80 ", %40, %41, %42, %43"
#define WGMMA_R96 WGMMA_R88 ", %44, %45, %46, %47"
#define WGMMA_R104 WGMMA_R96 ", %48, %49, %50, %51"
#define WGMMA_R112 WGMMA_R104 ", %52, %53, %54, %55"
#define WGMMA_R120 WGMMA_R112 ", %56, %57, %58, %59"
#define WGMMA_R128 WGMMA_R120 ", %60, %61, %62, %63"
#define WGMMA_R136 WGMMA_R128 ", %64, %65, %66, %67"
#define WGMMA_R144 WGMMA_R136 ", %68, %69, %70, %71"
#define WGMMA_R152 WGMMA_R144 ", %72, %73, %74, %75"
#define WGMMA_R160 WGMMA_R152 ", %76, %77, %78, %79"
#define WGMMA_R168 WGMMA_R160 ", %80, %81, %82, %83"
#define WGMMA_R176 WGMMA_R168 ", %84, %85, %86, %87"
#define WGMMA_R184 WGMMA_R176 ", %88, %89, %90, %91"
#define WGMMA_R192 WGMMA_R184 ", %92, %93, %94, %95"
#define WGMMA_R200 WGMMA_R192 ", %96, %97, %98, %99"
#define WGMMA_R208 WGMMA_R200 ", %100, %101, %102, %103"
#define WGMMA_R216 WGMMA_R208 ", %104, %105, %106, %107"
#define WGMMA_R224 WGMMA_R216 ", %108, %109, %110, %111"
#define WGMMA_R232 WGMMA_R224 ", %112, %113, %114, %115"
#define WGMMA_R240 WGMMA_R232 ", %116, %117, %118, %119"
#define WGMMA_R248 WGMMA_R240 ", %120, %121, %122, %123"
#define WGMMA_R256 WGMMA_R248 ", %124, %125, %126, %127"
#define WGMMA_D(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define WGMMA_D8 WGMMA_D(0)
#define WGMMA_D16 WGMMA_D8, WGMMA_D(4)
#define WGMMA_D24 WGMMA_D16, WGMMA_D(8)
#define WGMMA_D32 WGMMA_D24, WGMMA_D(12)
#define WGMMA_D40 WGMMA_D32, WGMMA_D(16)
#define WGMMA_D48 WGMMA_D40, WGMMA_D(20)
#define WGMMA_D56 WGMMA_D48, WGMMA_D(24)
#define WGMMA_D64 WGMMA_D56, WGMMA_D(28)
#define WGMMA_D72 WGMMA_D64, WGMMA_D(32)
#define WGMMA_D80 WGMMA_D72, WGMMA_D(36)
#define WGMMA_D88 WGMMA_D80, WGMMA_D(40)
#define WGMMA_D96 WGMMA_D88, WGMMA_D(44)
#define WGMMA_D104 WGMMA_D96, WGMMA_D(48)
#define WGMMA_D112 WGMMA_D104, WGMMA_D(52)
#define WGMMA_D120 WGMMA_D112, WGMMA_D(56)
#define WGMMA_D128 WGMMA_D120, WGMMA_D(60)
#define WGMMA_D136 WGMMA_D128, WGMMA_D(64)
#define WGMMA_D144 WGMMA_D136, WGMMA_D(68)
#define WGMMA_D152 WGMMA_D144, WGMMA_D(72)
#define WGMMA_D160 WGMMA_D152, WGMMA_D(76)
#define WGMMA_D168 WGMMA_D160, WGMMA_D(80)
#define WGMMA_D176 WGMMA_D168, WGMMA_D(84)
#define WGMMA_D184 WGMMA_D176, WGMMA_D(88)
#define WGMMA_D192 WGMMA_D184, WGMMA_D(92)
#define WGMMA_D200 WGMMA_D192, WGMMA_D(96)
#define WGMMA_D208 WGMMA_D200, WGMMA_D(100)
#define WGMMA_D216 WGMMA_D208, WGMMA_D(104)
#define WGMMA_D224 WGMMA_D216, WGMMA_D(108)
#define WGMMA_D232 WGMMA_D224, WGMMA_D(112)
#define WGMMA_D240 WGMMA_D232, WGMMA_D(116)
#define WGMMA_D248 WGMMA_D240, WGMMA_D(120)
#define WGMMA_D256 WGMMA_D248, WGMMA_D(124)

/* d = a b + (add ? d : 0); f16 or bf16 in, f32 sums. */
template <int N, int BF16, int TRANSPOSED_A, int TRANSPOSED_B> struct wgmma_multiply;

/* o0 to o7: numbers of the operands after the accumulators. The signs of a and b stay as they are. */
#define WGMMA_SS(N, type, o0, o1, o2, o3, o4)                                                      \
    asm volatile("{\n\t.reg .pred add;\n\tsetp.ne.b32 add, " o2 ", 0;\n\t"                          \
                 "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." type "." type " {" WGMMA_R##N   \
                 "}, " o0 ", " o1 ", add, 1, 1, " o3 ", " o4 ";\n\t}"                              \
                 : WGMMA_D##N                                                                      \
                 : "l"(a), "l"(b), "r"(add), "n"(TRANSPOSED_A), "n"(TRANSPOSED_B))
#define WGMMA_RS(N, type, o0, o1, o2, o3, o4, o5, o6)                                              \
    asm volatile("{\n\t.reg .pred add;\n\tsetp.ne.b32 add, " o5 ", 0;\n\t"                          \
                 "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." type "." type " {" WGMMA_R##N   \
                 "}, {" o0 ", " o1 ", " o2 ", " o3 "}, " o4 ", add, 1, 1, " o6 ";\n\t}"            \
                 : WGMMA_D##N                                                                      \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add),                   \
                   "n"(TRANSPOSED_B))

#define WGMMA_SIZE(N, o0, o1, o2, o3, o4, o5, o6)                                                  \
    template <int BF16, int TRANSPOSED_A, int TRANSPOSED_B>                                        \
    struct wgmma_multiply<N, BF16, TRANSPOSED_A, TRANSPOSED_B> {                                   \
        static __device__ __forceinline__ void go(float (&d)[N / 2], uint64_t a, uint64_t b,       \
                                                  int add)                                         \
        {                                                                                          \
            if (BF16)                                                                              \
                WGMMA_SS(N, "bf16", o0, o1, o2, o3, o4);                                           \
            else                                                                                   \
                WGMMA_SS(N, "f16", o0, o1, o2, o3, o4);                                            \
        }                                                                                          \
        static __device__ __forceinline__ void go(float (&d)[N / 2], const uint32_t (&a)[4],       \
                                                  uint64_t b, int add)                             \
        {                                                                                          \
            if (BF16)                                                                              \
                WGMMA_RS(N, "bf16", o0, o1, o2, o3, o4, o5, o6);                                   \
            else                                                                                   \
                WGMMA_RS(N, "f16", o0, o1, o2, o3, o4, o5, o6);                                    \
        }                                                                                          \
    };
WGMMA_SIZE(8, "%4", "%5", "%6", "%7", "%8", "%9", "%10")
WGMMA_SIZE(16, "%8", "%9", "%10", "%11", "%12", "%13", "%14")
WGMMA_SIZE(24, "%12", "%13", "%14", "%15", "%16", "%17", "%18")
WGMMA_SIZE(32, "%16", "%17", "%18", "%19", "%20", "%21", "%22")
WGMMA_SIZE(40, "%20", "%21", "%22", "%23", "%24", "%25", "%26")
WGMMA_SIZE(48, "%24", "%25", "%26", "%27", "%28", "%29", "%30")
WGMMA_SIZE(56, "%28", "%29", "%30", "%31", "%32", "%33", "%34")
WGMMA_SIZE(64, "%32", "%33", "%34", "%35", "%36", "%37", "%38")
WGMMA_SIZE(72, "%36", "%37", "%38", "%39", "%40", "%41", "%42")
WGMMA_SIZE(80, "%40", "%41", "%42", "%43", "%44", "%45", "%46")
WGMMA_SIZE(88, "%44", "%45", "%46", "%47", "%48", "%49", "%50")
WGMMA_SIZE(96, "%48", "%49", "%50", "%51", "%52", "%53", "%54")
WGMMA_SIZE(104, "%52", "%53", "%54", "%55", "%56", "%57", "%58")
WGMMA_SIZE(112, "%56", "%57", "%58", "%59", "%60", "%61", "%62")
WGMMA_SIZE(120, "%60", "%61", "%62", "%63", "%64", "%65", "%66")
WGMMA_SIZE(128, "%64", "%65", "%66", "%67", "%68", "%69", "%70")
WGMMA_SIZE(136, "%68", "%69", "%70", "%71", "%72", "%73", "%74")
WGMMA_SIZE(144, "%72", "%73", "%74", "%75", "%76", "%77", "%78")
WGMMA_SIZE(152, "%76", "%77", "%78", "%79", "%80", "%81", "%82")
WGMMA_SIZE(160, "%80", "%81", "%82", "%83", "%84", "%85", "%86")
WGMMA_SIZE(168, "%84", "%85", "%86", "%87", "%88", "%89", "%90")
WGMMA_SIZE(176, "%88", "%89", "%90", "%91", "%92", "%93", "%94")
WGMMA_SIZE(184, "%92", "%93", "%94", "%95", "%96", "%97", "%98")
WGMMA_SIZE(192, "%96", "%97", "%98", "%99", "%100", "%101", "%102")
WGMMA_SIZE(200, "%100", "%101", "%102", "%103", "%104", "%105", "%106")
WGMMA_SIZE(208, "%104", "%105", "%106", "%107", "%108", "%109", "%110")
WGMMA_SIZE(216, "%108", "%109", "%110", "%111", "%112", "%113", "%114")
WGMMA_SIZE(224, "%112", "%113", "%114", "%115", "%116", "%117", "%118")
WGMMA_SIZE(232, "%116", "%117", "%118", "%119", "%120", "%121", "%122")
WGMMA_SIZE(240, "%120", "%121", "%122", "%123", "%124", "%125", "%126")
WGMMA_SIZE(248, "%124", "%125", "%126", "%127", "%128", "%129", "%130")
WGMMA_SIZE(256, "%128", "%129", "%130", "%131", "%132", "%133", "%134")

#undef WGMMA_SIZE
#undef WGMMA_RS
#undef WGMMA_SS

#endif
