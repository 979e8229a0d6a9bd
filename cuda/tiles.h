/* cuda/tiles.h - how a product is cut up: tiles, and the chunks that its K is summed in.
 *
 * Plain C, so that the program, tests and bench/roofline see what the kernels do. The number of
 * chunks S fixes the order of every sum and is a function of one image's shape alone; tiles change
 * which block does what, never a sum, so they may follow the batch and the GPU. */
#ifndef CUDA_TILES_H
#define CUDA_TILES_H

enum { TILE_K = 32 }; /* of one step of the mma kernels */

/* A block's tile, the steps of copies it keeps in flight, and its threads. */
struct tile {
    int m, n; /* pixels, outputs */
    int stages, threads;
};

enum tile_name { TILE_128X16, TILE_64X64, TILE_128X64, TILE_128X128, TILE_COUNT };

static inline struct tile tile_of(enum tile_name name)
{
    static const struct tile tiles[TILE_COUNT] = {
        { 128, 16, 4, 128 }, { 64, 64, 4, 128 }, { 128, 64, 4, 128 }, { 128, 128, 4, 256 }
    };
    return tiles[name];
}

/* Chunks of K for an image of `pixels` output pixels (of all parities together), `columns` outputs
 * and `k` terms: doubled until an image has about 64 tiles of 192 x 160, so that guidance's two
 * images give 128 blocks of the largest tile, but no chunk shorter than 20 steps, since partial
 * sums cost a pass of their own (bench/roofline weighs them).
 * 3x3: 1 at 96x64 (320 outputs), 2 at 48x32 (640), 4 at 24x16 and 16 at 12x8 (1280). */
static inline int tile_splits(int pixels, int columns, int k)
{
    enum { ENOUGH_TILES = 60, SHORTEST = 20, MOST = 16 };
    const int steps = (k + TILE_K - 1) / TILE_K;
    const double tiles = (((double)pixels + 63) / 64) / 3 * (((double)columns + 159) / 160);
    int splits = 1;
    while (splits < MOST && tiles * splits < ENOUGH_TILES && steps / (2 * splits) >= SHORTEST)
        splits *= 2;
    return splits;
}

/* Blocks of a product of `images` times `phases` interleaved images of `pixels` each. */
static inline long tile_blocks(enum tile_name name, int images, int phases, int pixels, int columns,
                               int splits)
{
    const struct tile t = tile_of(name);
    return (long)images * phases * ((pixels + t.m - 1) / t.m) * ((columns + t.n - 1) / t.n) *
           splits;
}

/* What tile `name` costs: the rounds of blocks that `sm_count` multiprocessors make, in products.
 * Blocks that share a multiprocessor share its tensor cores, so they count as rounds. */
static inline double tile_cost(enum tile_name name, int images, int phases, int pixels, int columns,
                               int splits, int sm_count)
{
    const struct tile t = tile_of(name);
    const long blocks = tile_blocks(name, images, phases, pixels, columns, splits);
    return (double)((blocks + sm_count - 1) / sm_count) * t.m * t.n;
}

/* The largest tile from `smallest` on that costs at most a tenth more than the cheapest: a larger
 * one copies fewer bytes for each product. */
static inline enum tile_name tile_cheapest(enum tile_name smallest, int images, int phases,
                                           int pixels, int columns, int splits, int sm_count)
{
    double least = 0;
    enum tile_name pick = smallest;
    for (int i = smallest; i < TILE_COUNT; i++) {
        const double cost =
            tile_cost((enum tile_name)i, images, phases, pixels, columns, splits, sm_count);
        if (i == (int)smallest || cost < least)
            least = cost;
    }
    for (int i = smallest; i < TILE_COUNT; i++)
        if (tile_cost((enum tile_name)i, images, phases, pixels, columns, splits, sm_count) <=
            1.1 * least)
            pick = (enum tile_name)i;
    return pick;
}

/* The tile of gemm.cu's kernels. `pixels`: of the largest phase of one image. */
static inline enum tile_name tile_pick(int images, int phases, int pixels, int columns, int splits,
                                       int sm_count)
{
    return columns <= tile_of(TILE_128X16).n
               ? TILE_128X16
               : tile_cheapest(TILE_64X64, images, phases, pixels, columns, splits, sm_count);
}

/* The tile of gemm_window.cu's kernels. */
static inline enum tile_name tile_pick_window(int images, int phases, int pixels, int columns,
                                              int splits, int sm_count)
{
    return tile_cheapest(TILE_64X64, images, phases, pixels, columns, splits, sm_count);
}

/* Whether a 3x3 convolution of stride 1 runs by windows where no plan says otherwise: if they take
 * it, and there are more outputs than the narrow tile's. */
static inline int tile_windowed(int width_kept, int c, int c2, int columns)
{
    return width_kept && c % TILE_K == 0 && c2 % TILE_K == 0 && columns > tile_of(TILE_128X16).n;
}

/* Bytes that a block copies to shared memory for TILE_K channels of all taps, 2 bytes an element.
 * `width`: of an image's rows of pixels. */
static inline long tile_copied_bytes(enum tile_name name, int taps, int windowed, int width)
{
    const struct tile t = tile_of(name);
    const int pitch = width < t.m + 2 ? width : t.m + 2; /* window rows between neighbours below */
    const long pixels = windowed ? 2L * pitch + t.m + 2 : (long)taps * t.m;
    return (pixels + (long)taps * t.n) * TILE_K * 2;
}

/* ---- Hopper's kernels (gemm_hopper.cu) ------------------------------------------------------ */

/* Three runs of 64 pixels a block, wherever they lie; two blocks share the weight's tile. */
enum { HOPPER_RUN = 64, HOPPER_M = 3 * HOPPER_RUN, HOPPER_K = 64, HOPPER_CLUSTER = 2 };

static inline int hopper_n(int columns) { return columns % 160 == 0 ? 160 : 128; }

/* Pixels of a box's row, of an image `w` wide: whole rows where they divide a run, else the part
 * that rows and runs have in common. */
static inline int hopper_box_width(int w)
{
    int a = w, b = HOPPER_RUN;
    if (HOPPER_RUN % w == 0)
        return w;
    while (b) {
        const int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Is an image of this width made of boxes of whole swizzles? */
static inline int hopper_width_fits(int w)
{
    enum { PERIOD = 8 };
    return HOPPER_RUN % w == 0 || hopper_box_width(w) >= PERIOD;
}

/* Blocks, as tile_blocks(); a cluster's are always both there. */
static inline long hopper_blocks(int images, int phases, int pixels, int columns, int splits)
{
    const long runs = (long)images * ((pixels + HOPPER_RUN - 1) / HOPPER_RUN);
    const long per_cluster = HOPPER_CLUSTER * HOPPER_M / HOPPER_RUN;
    const long m = (runs + per_cluster - 1) / per_cluster * HOPPER_CLUSTER;
    return m * ((columns + hopper_n(columns) - 1) / hopper_n(columns)) * phases * splits;
}

/* ---- Hopper's attention (attention_hopper.cu) ------------------------------------------------ */

enum {
    HOPPER_QUERIES = 64, /* of a warpgroup */
    HOPPER_FEW_KEYS = 80 /* a tile of their own: a prompt's 77 */
};

static inline int hopper_attention_takes(int d)
{
    return d == 40 || d == 64 || d == 80 || d == 160;
}

/* Keys of a tile. They make the order of sums: nothing but the shape of an image may decide. */
static inline int hopper_keys(int d, int s_kv)
{
    return d <= 80 && s_kv <= HOPPER_FEW_KEYS ? HOPPER_FEW_KEYS : d > 64 ? 96 : 128;
}

/* Warpgroups of a block of `heads` heads of all images: the most that registers hold, or one fewer
 * where that costs less than nine tenths, counted in queries that the busiest multiprocessor works
 * through. Blocks of few keys are small, and share a multiprocessor. */
static inline int hopper_groups(int d, int s_q, int s_kv, int heads, int sm_count)
{
    if (hopper_keys(d, s_kv) == HOPPER_FEW_KEYS)
        return 2;
    const int most = d > 128 ? 2 : 3;
    long cost[2];
    for (int i = 0; i < 2; i++) {
        const int queries = (most - i) * HOPPER_QUERIES;
        const long blocks = (long)((s_q + queries - 1) / queries) * heads;
        cost[i] = (blocks + sm_count - 1) / sm_count * queries;
    }
    return cost[1] * 10 < cost[0] * 9 ? most - 1 : most;
}

#endif
