/* cuda/product_tiled.cu - products in f32 on a tile of shared memory, for conv2d.cu and linear.cu.
 *
 * Algorithm  A block makes 64 pixels by 64 outputs, a thread 4 by 4 of them, 16 terms of K at a
 * time; the next 16 are loaded into registers meanwhile. Each output is one chain of fused
 *            multiply-adds in ascending order of K, so the bytes are those of product_plain.cu.
 * Layout     Shared tiles are [term][pixel] and [term][output]: a thread reads its four of each as
 * 16 bytes. Four floats between terms keep that alignment. Roofline   67 TFLOP/s of f32 (H200):
 * 3x3, 96x64, 320 -> 320, n = 2 is 22.6 GFLOP, 338 us. 16 products for two reads of 16 bytes:
 * shared memory binds at about half of that.
 */
#include "cuda/finish.cuh"
#include "cuda/launch.cuh"

namespace
{

enum { TM = 64, TN = 64, TK = 16, EACH = 4, THREADS = 256 };

struct slices {
    float a[TK][TM + 4]; /* terms by pixels */
    float b[TK][TN + 4]; /* terms by outputs */
};

/* What one thread loads: four neighbouring terms of one pixel and of one output, a slice at a time.
 */
struct loader {
    const float *x, *x2; /* of the block's image */
    const float *w;      /* of the output's next terms */
    int at, seen;        /* input pixel of tap shift (0, 0); bit t: tap t lies inside */
    int tap, channel;    /* of the pixel's next terms */
    int inside;          /* the output exists */
};

__device__ loader loader_of(const product &p, const tile_place &at, int wide)
{
    const size_t image = (size_t)p.h * p.w;
    const int row = threadIdx.x / 4, term = threadIdx.x % 4 * EACH, pixel = at.pixel + row;
    const int iy = pixel / wide * p.stride, ix = pixel % wide * p.stride;
    loader l;
    l.x = (const float *)p.x + (size_t)(at.img % p.n_x) * image * p.c;
    l.x2 = p.c2 ? (const float *)p.x2 + (size_t)(at.img % p.n_x2) * image * p.c2 : l.x;
    l.at = iy * p.w + ix;
    l.seen = taps_seen(p, at.phase, iy, ix); /* a pixel past the last is not finished */
    l.tap = 0;
    l.channel = term;
    l.inside = at.column + row < p.rows;
    l.w = (const float *)p.matrix +
          ((size_t)at.phase * p.rows + (l.inside ? at.column + row : 0)) * p.k + term;
    return l;
}

/* The pixel's terms; a channel that pads, or a pixel outside the image, is zero. */
__device__ lanes<float, EACH> load_pixel(const product &p, int phase, loader &l)
{
    const int per_tap = p.c_pad + p.c2_pad;
    while (l.channel >= per_tap) {
        l.channel -= per_tap;
        l.tap++;
    }
    const bool second = l.channel >= p.c_pad;
    const int c = second ? p.c2 : p.c, first = second ? l.channel - p.c_pad : l.channel;
    lanes<float, EACH> v = {};
    if (l.tap < p.taps && l.seen >> l.tap & 1) {
        const tap_shift s = shift_of(p.taps, p.pad, phase, l.tap);
        const float *from = (second ? l.x2 : l.x) + (size_t)(l.at + s.dy * p.w + s.dx) * c + first;
        if (c % EACH == 0 && first < c)
            v = load_lanes<EACH>(from);
        else
            for (int j = 0; j < EACH && first + j < c; j++)
                v.v[j] = from[j];
    }
    l.channel += TK;
    return v;
}

__device__ lanes<float, EACH> load_output(loader &l)
{
    lanes<float, EACH> v = {};
    if (l.inside)
        v = load_lanes<EACH>(l.w);
    l.w += TK;
    return v;
}

__device__ void multiply(const slices &s, float (&acc)[EACH][EACH])
{
    const int pixel = threadIdx.x / 16 * EACH, output = threadIdx.x % 16 * EACH;
#pragma unroll
    for (int k = 0; k < TK; k++) {
        const lanes<float, EACH> a = load_lanes<EACH>(&s.a[k][pixel]);
        const lanes<float, EACH> b = load_lanes<EACH>(&s.b[k][output]);
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++)
                acc[i][j] = fmaf(a.v[i], b.v[j], acc[i][j]);
    }
}

__global__ void __launch_bounds__(THREADS) product_k3_tiled(const product p)
{
    slices &s = shared_as<slices>();
    const int phases = p.taps == 4 ? 4 : 1, phase = blockIdx.y;
    const int wide = phase_size(p.w_out, phases, phase % 2);
    const int hw = phase_size(p.h_out, phases, phase / 2) * wide;
    const int per_image = (hw + TM - 1) / TM, n_tiles = (p.columns + TN - 1) / TN;
    const int tile = blockIdx.x / n_tiles;
    if (tile >= p.n * per_image) /* a smaller phase has fewer tiles */
        return;
    const tile_place at = { tile / per_image, phase, phases, tile % per_image * TM,
                            (int)(blockIdx.x % n_tiles) * TN };

    loader l = loader_of(p, at, wide);
    const int steps = (p.taps * (p.c_pad + p.c2_pad) + TK - 1) / TK;
    const int row = threadIdx.x / 4, term = threadIdx.x % 4 * EACH;
    float acc[EACH][EACH] = {};
    lanes<float, EACH> a = load_pixel(p, phase, l), b = load_output(l);
    for (int step = 0; step < steps; step++) {
        __syncthreads(); /* all have done with the slice before */
        for (int j = 0; j < EACH; j++) {
            s.a[term + j][row] = a.v[j];
            s.b[term + j][row] = b.v[j];
        }
        __syncthreads();
        if (step + 1 < steps) {
            a = load_pixel(p, phase, l);
            b = load_output(l);
        }
        multiply(s, acc);
    }

    __syncthreads();
    sums<TN> &out = shared_as<sums<TN>>();
    for (int i = 0; i < EACH; i++)
        for (int j = 0; j < EACH; j++)
            out.v[threadIdx.x / 16 * EACH + i][threadIdx.x % 16 * EACH + j] = acc[i][j];
    __syncthreads();
    finish_tile<float, TN, THREADS>(p, out, at);
}

} // namespace

status product_tiled(const product &p, cudaStream_t stream)
{
    const int phases = p.taps == 4 ? 4 : 1;
    const int hw = phase_size(p.h_out, phases, 0) * phase_size(p.w_out, phases, 0);
    const long long blocks = (long long)p.n * ((hw + TM - 1) / TM) * ((p.columns + TN - 1) / TN);
    const size_t bytes = sizeof(slices) > sizeof(sums<TN>) ? sizeof(slices) : sizeof(sums<TN>);
    TRY(gpu_launch("product tiled", product_k3_tiled,
                   dim3(blocks > INT32_MAX ? 0 : (unsigned)blocks, (unsigned)phases), dim3(THREADS),
                   bytes, stream, p));
    return p.stats && phases > 1 ? product_stats(p, stream) : STATUS_OK;
}
