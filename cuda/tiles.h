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
 * and `k` terms: doubled until an image has about as many 64 x 64 tiles as fill a GPU at guidance
 * batch 2, but no chunk shorter than 40 steps, since partial sums cost a pass of their own.
 * 3x3, 1280 -> 1280: 4 at 12x8, 2 at 24x16; 1 at every larger size. */
static inline int tile_splits(int pixels, int columns, int k)
{
    enum { ENOUGH_TILES = 160, SHORTEST = 40, MOST = 16 };
    const int steps = (k + TILE_K - 1) / TILE_K;
    const long tiles = ((long)pixels + 63) / 64 * (((long)columns + 63) / 64);
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

/* For few outputs the narrow tile. Otherwise the largest tile that wastes little of its edges and
 * still gives `sm_count` multiprocessors two blocks each; 64 x 64 otherwise. */
static inline enum tile_name tile_pick(int images, int phases, int pixels, int columns, int splits,
                                       int sm_count)
{
    if (columns <= 16)
        return TILE_128X16;
    for (int name = TILE_128X128; name > TILE_64X64; name--) {
        const struct tile t = tile_of((enum tile_name)name);
        const double covered =
            (double)((pixels + t.m - 1) / t.m * t.m) * (double)((columns + t.n - 1) / t.n * t.n);
        const double wanted =
            (double)((pixels + 63) / 64 * 64) * (double)((columns + 63) / 64 * 64);
        if (covered <= 1.05 * wanted && tile_blocks((enum tile_name)name, images, phases, pixels,
                                                    columns, splits) >= 2L * sm_count)
            return (enum tile_name)name;
    }
    return TILE_64X64;
}

#endif
