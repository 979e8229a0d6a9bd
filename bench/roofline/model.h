/* bench/roofline/model.h - how long a recorded call should take on a GPU, by a stated model.
 *
 * The model, all of it:
 *   compute  every multiprocessor works through ceil(blocks / multiprocessors) blocks at its share
 * of the tensor rate that mma.sync reaches, padding of tiles included. Attention adds its
 *            exponentials on the special function unit; of the shorter of the two a quarter shows.
 *   L2       what the blocks load (a tile of each operand per block) and store, by the L2's rate.
 *   HBM      weights always; activations only as far as a call's own exceed half of the L2.
 *   fixed    one launch inside a graph, and one filling of the pipeline; split sums add a second
 *            launch and their partial sums through L2.
 *   time     the largest of compute, L2 and HBM, plus fixed.
 * What it leaves out: clocks that fall under load, bank conflicts, register pressure, the tail of
 * memory latency. Nothing here was measured on a GPU. */
#ifndef BENCH_ROOFLINE_MODEL_H
#define BENCH_ROOFLINE_MODEL_H

#include "bench/record/recorder.h"

enum gpu_path { GPU_MMA, GPU_WGMMA }; /* which kernels: mma.sync, or Hopper's */

struct gpu {
    const char *name;
    enum gpu_path path;
    int sm_count;
    double clock_ghz;
    double tensor_tflops; /* dense 16-bit with f32 sums */
    double mma_share;     /* of that rate, what mma.sync gets at best */
    double hbm_tbps, l2_tbps;
    double l2_mb;
    double launch_us; /* kernel to kernel inside a graph */
    const char *source;
};

extern const struct gpu gpus[];
extern const int gpu_count;

struct prediction {
    double flops;     /* as counted: direct, without padding */
    double run_flops; /* as run: folded upsampling, padded tiles */
    double l2_bytes, hbm_bytes;
    int tile_m, tile_n, split; /* 0: no matrix product */
    long blocks;
    double waves;
    double us;
    const char *bound; /* "compute", "L2", "HBM", "fixed": the largest share of the time */
};

struct prediction predict(const struct gpu *gpu, const struct recorded *call);

#endif
