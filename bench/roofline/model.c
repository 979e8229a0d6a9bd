/* bench/roofline/model.c - the model that model.h states. */
#include "bench/roofline/model.h"

#include <math.h>

#include "cuda/tiles.h"

enum { HALF = 2, SINGLE = 4, K_STEP = 64 };

static const double fill_us = 1.5;    /* first loads in flight until the first product */
static const double main_loop = 0.85; /* of the mma.sync rate, what a loop that also loads keeps */
static const double mma_sync_share = 0.63; /* of a Hopper's rate, for what wgmma does not take */
static const double exp_per_clock = 16;    /* a multiprocessor's special function unit */
static const double shorter_shows = 0.25;

const struct gpu gpus[] = {
    { "H200 wgmma", GPU_WGMMA, 132, 1.83, 790, 1.00, 4.3, 5.5, 50, 0.7,
      "rate and HBM measured elsewhere on one; L2 from public microbenchmarks; of 1.0 us from "
      "kernel "
      "to kernel 0.7 assumed to be left where kernels take turns" },
    { "H200 mma.sync", GPU_MMA, 132, 1.83, 790, 0.63, 4.3, 5.5, 50, 0.7,
      "as above; mma.sync's share from public microbenchmarks of H100" },
    { "RTX 4090", GPU_MMA, 128, 2.52, 165, 0.95, 1.008, 5.0, 72, 1.5,
      "vendor's rate and bandwidth; L2 assumed" },
    { "RTX 3090", GPU_MMA, 82, 1.70, 71, 0.95, 0.936, 2.2, 6, 2.0,
      "vendor's rate and bandwidth; L2 assumed" },
};
const int gpu_count = sizeof gpus / sizeof gpus[0];

static double ceil_to(double value, double unit) { return ceil(value / unit) * unit; }

static double larger(double a, double b) { return a > b ? a : b; }

/* Fills in the time: `compute_us` of a whole GPU's rate and the traffic are known. */
static void conclude(const struct gpu *gpu, double compute_us, double fixed_us,
                     struct prediction *p)
{
    const double l2_us = p->l2_bytes / gpu->l2_tbps / 1e6,
                 hbm_us = p->hbm_bytes / gpu->hbm_tbps / 1e6;
    const double longest = larger(compute_us, larger(l2_us, hbm_us));
    p->us = longest + fixed_us;
    p->bound = fixed_us > longest      ? "fixed"
               : longest == compute_us ? "compute"
               : longest == l2_us      ? "L2"
                                       : "HBM";
}

static double from_hbm(const struct gpu *gpu, const struct recorded *r)
{
    const double own = r->in_bytes + r->out_bytes, room = gpu->l2_mb * 1e6 / 2;
    return r->weight_bytes + (own > room ? own - room : 0);
}

/* As gemm_hopper_takes(). */
static int takes_wgmma(const struct recorded *r)
{
    if (r->stride != 1)
        return 0;
    if (r->kernel == 1 && r->c2 == 0)
        return r->c % 8 == 0;
    return r->c % HOPPER_K == 0 && r->c2 % HOPPER_K == 0 &&
           (r->kernel == 1 || hopper_width_fits(r->w));
}

/* As conv2d's table picks where no plan says otherwise. */
static int takes_windows(const struct recorded *r)
{
    const int width_kept = r->w_out == r->w * (r->upsample == 2 ? 2 : 1);
    return r->kernel == 3 && r->stride == 1 && tile_windowed(width_kept, r->c, r->c2, r->out);
}

/* How the kernels cut the product up: cuda/tiles.h is what they go by. */
struct cut {
    int m, n, splits;
    double step_bytes; /* that a block loads for K_STEP terms */
    long blocks;
};

static struct cut cut_up(const struct gpu *gpu, const struct recorded *r, int phases, int taps,
                         int columns, int k)
{
    const int all = r->h_out * r->w_out, pixels = all / phases, rows = (int)ceil_to(columns, 64);
    struct cut cut = { .splits = tile_splits(all, columns, k) };
    if (gpu->path == GPU_WGMMA && takes_wgmma(r)) {
        cut.m = HOPPER_M;
        cut.n = hopper_n(rows);
        cut.step_bytes = (cut.m + (double)cut.n / HOPPER_CLUSTER) * K_STEP * HALF;
        cut.blocks = hopper_blocks(r->n, phases, pixels, rows, cut.splits);
        return cut;
    }
    const int windows = takes_windows(r);
    const enum tile_name name =
        windows ? tile_pick_window(r->n, phases, pixels, columns, cut.splits, gpu->sm_count)
                : tile_pick(r->n, phases, pixels, columns, cut.splits, gpu->sm_count);
    cut.m = tile_of(name).m;
    cut.n = tile_of(name).n;
    cut.step_bytes = (double)tile_copied_bytes(name, taps, windows, r->w) / taps / TILE_K * K_STEP;
    cut.blocks = tile_blocks(name, r->n, phases, pixels, columns, cut.splits);
    return cut;
}

static struct prediction product(const struct gpu *gpu, const struct recorded *r)
{
    struct prediction p = { 0 };
    const int phases = r->upsample == 2 ? 4 : 1,
              taps = r->upsample == 2 ? 4 : r->kernel * r->kernel;
    const int columns = r->out * (r->geglu ? 2 : 1);
    const double k = ceil_to((double)taps * (ceil_to(r->c, 8) + ceil_to(r->c2, 8)), K_STEP);
    const struct cut cut = cut_up(gpu, r, phases, taps, columns, (int)k);
    p.flops = 2.0 * r->n * r->h_out * r->w_out * columns * r->kernel * r->kernel * (r->c + r->c2);
    p.tile_m = cut.m;
    p.tile_n = cut.n;
    p.split = cut.splits;
    p.blocks = cut.blocks;
    p.waves = (double)p.blocks / gpu->sm_count;
    const double block_k = ceil(k / cut.splits / K_STEP) * K_STEP;
    const double block_flops = 2.0 * cut.m * cut.n * block_k;
    p.run_flops = p.blocks * block_flops;
    p.l2_bytes = p.blocks * block_k / K_STEP * cut.step_bytes + r->out_bytes;
    if (cut.splits > 1)
        p.l2_bytes += 2.0 * p.blocks * cut.m * cut.n * SINGLE;
    p.hbm_bytes = from_hbm(gpu, r);
    const double share =
        gpu->path == GPU_WGMMA && cut.m != HOPPER_M ? mma_sync_share : gpu->mma_share;
    const double sm_flops_us = gpu->tensor_tflops * share * main_loop * 1e6 / gpu->sm_count;
    const double fixed = gpu->launch_us * (cut.splits > 1 ? 2 : 1) + fill_us;
    conclude(gpu, ceil(p.waves) * block_flops / sm_flops_us, fixed, &p);
    return p;
}

/* How attention is cut up by attention_mma.cu, _short.cu and _wide.cu, or by attention_hopper.cu.
 */
struct attention_cut {
    int queries, keys; /* of a block; of a tile */
    double share;      /* of the tensor rate */
};

static struct attention_cut cut_attention(const struct gpu *gpu, const struct recorded *r,
                                          enum gpu_path path)
{
    const int heads = r->n * r->heads;
    if (path == GPU_WGMMA)
        return (struct attention_cut){ HOPPER_QUERIES * hopper_groups(r->d, r->w_out, r->s_kv,
                                                                      heads, gpu->sm_count),
                                       hopper_keys(r->d, r->s_kv), gpu->mma_share };
    const double share = gpu->path == GPU_WGMMA ? mma_sync_share : gpu->mma_share;
    if (r->s_kv <= 80 || (r->d == 160 && r->s_kv <= 96))
        return (struct attention_cut){ r->d == 160 ? 32 : 64, 16, share };
    if (r->d == 512)
        return (struct attention_cut){ 64, 64, share };
    const int most = r->d == 40 ? 128 : 64, keys = r->d == 160 ? 32 : 64;
    const int few = (r->w_out + most - 1) / most * heads < gpu->sm_count;
    return (struct attention_cut){ few ? most / 2 : most, keys, share };
}

static struct prediction attention_by(const struct gpu *gpu, const struct recorded *r,
                                      enum gpu_path path)
{
    struct prediction p = { 0 };
    const struct attention_cut cut = cut_attention(gpu, r, path);
    const double scores = (double)r->n * r->heads * r->w_out * r->s_kv;
    p.flops = 4.0 * scores * r->d;
    p.tile_m = cut.queries;
    p.blocks = (long)(r->n * r->heads * ceil((double)r->w_out / cut.queries));
    p.waves = (double)p.blocks / gpu->sm_count;
    const double padded = scores * (ceil_to(r->w_out, cut.queries) / r->w_out) *
                          (ceil_to(r->s_kv, cut.keys) / r->s_kv);
    p.run_flops = padded * 2 * (ceil_to(r->d, 16) + ceil_to(r->d, 8));
    p.l2_bytes = p.blocks * 2.0 * r->s_kv * r->d * HALF + r->in_bytes + r->out_bytes;
    p.hbm_bytes = from_hbm(gpu, r);
    const double uneven = ceil(p.waves) / p.waves;
    const double products =
        p.run_flops / (gpu->tensor_tflops * cut.share * main_loop * 1e6) * uneven;
    const double exps = padded / (exp_per_clock * gpu->clock_ghz * 1e3 * gpu->sm_count) * uneven;
    const double shorter = products < exps ? products : exps;
    conclude(gpu, larger(products, exps) + shorter_shows * shorter, gpu->launch_us + fill_us, &p);
    return p;
}

/* The faster of the two where there are two: a plan names it. */
static struct prediction attention(const struct gpu *gpu, const struct recorded *r)
{
    const struct prediction plain = attention_by(gpu, r, GPU_MMA);
    if (gpu->path != GPU_WGMMA || !hopper_attention_takes(r->d))
        return plain;
    const struct prediction hopper = attention_by(gpu, r, GPU_WGMMA);
    return hopper.us < plain.us ? hopper : plain;
}

static struct prediction moving(const struct gpu *gpu, const struct recorded *r)
{
    struct prediction p = { .l2_bytes = r->in_bytes + r->out_bytes };
    const int launches = r->kind == RECORDED_GROUP_NORM ? 2 : 1;
    p.hbm_bytes = from_hbm(gpu, r);
    conclude(gpu, 0, gpu->launch_us * launches, &p);
    return p;
}

struct prediction predict(const struct gpu *gpu, const struct recorded *call)
{
    switch (call->kind) {
    case RECORDED_CONV:
    case RECORDED_LINEAR:
        return product(gpu, call);
    case RECORDED_ATTENTION:
        return attention(gpu, call);
    default:
        return moving(gpu, call);
    }
}
