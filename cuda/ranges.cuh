/* cuda/ranges.cuh - what a profiler that is attached is told: NVTX ranges, and from where to where
 * it is to record. Next to nothing without one, and nothing where the toolkit is not (the
 * emulator). */
#ifndef CUDA_RANGES_CUH
#define CUDA_RANGES_CUH

#ifdef GPU_EMULATOR
static inline void range_push(const char *name) { (void)name; }
static inline void range_pop(void) {}
static inline void profiler_record(int wanted) { (void)wanted; }
#else
#include <cuda_profiler_api.h>
#include <nvtx3/nvToolsExt.h>
static inline void range_push(const char *name) { nvtxRangePushA(name); }
static inline void range_pop(void) { nvtxRangePop(); }
static inline void profiler_record(int wanted)
{
    (void)(wanted ? cudaProfilerStart() : cudaProfilerStop());
}
#endif

#endif
