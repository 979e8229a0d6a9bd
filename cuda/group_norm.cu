/* cuda/group_norm.cu - GroupNorm and GroupNorm + SiLU over one or two inputs, NHWC.
 *
 * Algorithm  From statistics: one block a group of an image merges the (mean, M2) pairs of its
 *            channels and tiles: Chan's formula for many sets at once, distances being taken from
 *            the first pair's mean, so that a mean of 64 sigma costs no digits. It leaves
 *            (mean, scale, shift) per channel; a second kernel makes y = (x - mean) * scale +
 *            shift: with the mean inside shift, x of little variance would cancel. An input without
 *            statistics gets them from group_norm_stats.cu.
 *            Three passes: one block a group of an image sums for the mean, sums (squared)
 *            distances from it, normalises.
 * Layout     x[image][pixel][channel], then x2's channels behind; y is both side by side. A group
 *            may lie across the seam. A thread of the vector form owns 16 bytes of channels and
 *            goes down the pixels, so that its coefficients are loaded once.
 * Roofline   Memory: x in and y out once, 4 bytes a value in f16. n=2, 96x64, c=320 is 15.7 MB,
 *            3.7 us at 4.3 TB/s (from L2 mostly: the map was just written); statistics 1/16 of x.
 * Variants   three_pass  any shape, ignores statistics: the oracle. 64 blocks at batch 2
 *            tiles       any shape, from statistics, one value an access
 *            vector      channels of both inputs fill 16 bytes
 */
#include <limits.h>
#include <stdio.h>

#include "cuda/device.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "cuda/group_norm_stats.cuh"
#include "cuda/ptx.cuh"
#include "cuda/weight.cuh"

enum { WARPS = 8, THREADS = WARPS * 32 };

/* What the kernels get. */
struct norm_call {
    const void *x, *x2;
    const float *stats, *stats2;
    const float *gamma, *beta;
    float *affine; /* [n, 3, c + c2]: y = (x - mean) * scale + shift */
    void *y;
    int n_x, n_x2, hw, tiles, c, c2, groups, silu;
    float eps;
};

/* ---- device helpers ---------------------------------------------------------------------- */

struct norm_shared {
    float room[WARPS];
};

/* The channels of one group. */
struct group {
    int first, width;
};

static __device__ group group_of(const norm_call &p)
{
    const int width = (p.c + p.c2) / p.groups;
    return { (int)blockIdx.x * width, width };
}

template <class T> static __device__ float input(const norm_call &p, int img, int pixel, int ch)
{
    return ch < p.c
               ? to_f32(((const T *)p.x)[((size_t)(img % p.n_x) * p.hw + pixel) * p.c + ch])
               : to_f32(
                     ((const T *)p.x2)[((size_t)(img % p.n_x2) * p.hw + pixel) * p.c2 + ch - p.c]);
}

/* (mean, M2) of a channel of a tile. */
static __device__ float2 pair(const norm_call &p, int img, int tile, int ch)
{
    return ch < p.c ? ((const float2 *)p.stats)[((size_t)(img % p.n_x) * p.tiles + tile) * p.c + ch]
                    : ((const float2 *)
                           p.stats2)[((size_t)(img % p.n_x2) * p.tiles + tile) * p.c2 + ch - p.c];
}

/* WIDTH floats, 16 bytes at a time if they are 4 or 8. */
template <int WIDTH>
static __device__ __forceinline__ void load_run(const float *from, float (&to)[WIDTH])
{
    enum { AT_ONCE = WIDTH % 4 == 0 ? 4 : 1 };
    for (int i = 0; i < WIDTH; i += AT_ONCE) {
        const lanes<float, AT_ONCE> part = load_lanes<AT_ONCE>(from + i);
        for (int j = 0; j < AT_ONCE; j++)
            to[i + j] = part.v[j];
    }
}

static __device__ float silu(float v) { return v / (1.0f + expf(-v)); }

/* ---- kernels ------------------------------------------------------------------------------ */

/* grid (groups, images) */
template <class T>
static __global__ void __launch_bounds__(THREADS) group_norm_k1_three_pass(const norm_call p)
{
    norm_shared &s = shared_as<norm_shared>();
    const group g = group_of(p);
    const int img = blockIdx.y, count = p.hw * g.width;

    float sum = 0.0f;
    for (int i = threadIdx.x; i < count; i += THREADS)
        sum += input<T>(p, img, i / g.width, g.first + i % g.width);
    const float rough = block_sum(sum, s.room) / count;

    float rest = 0.0f, square = 0.0f;
    for (int i = threadIdx.x; i < count; i += THREADS) {
        const float d = input<T>(p, img, i / g.width, g.first + i % g.width) - rough;
        rest += d;
        square += d * d;
    }
    rest = block_sum(rest, s.room) / count; /* what the sum's rounding took from the mean */
    const float var = block_sum(square, s.room) / count - rest * rest;
    const float rstd = rsqrtf(var + p.eps);

    for (int i = threadIdx.x; i < count; i += THREADS) {
        const int pixel = i / g.width, ch = g.first + i % g.width;
        const float d = input<T>(p, img, pixel, ch) - rough - rest;
        const float v = d * rstd * p.gamma[ch] + p.beta[ch];
        ((T *)p.y)[((size_t)img * p.hw + pixel) * (p.c + p.c2) + ch] =
            from_f32<T>(p.silu ? silu(v) : v);
    }
}

/* grid (groups, images); writes what the group's channels are made with */
static __global__ void __launch_bounds__(THREADS) group_norm_k2_merge(const norm_call p)
{
    take_turn();
    norm_shared &s = shared_as<norm_shared>();
    const group g = group_of(p);
    const int img = blockIdx.y, pairs = p.tiles * g.width;
    const float count = (float)p.hw * (float)g.width;
    const float start = pair(p, img, 0, g.first).x;

    float sum = 0.0f;
    for (int i = threadIdx.x; i < pairs; i += THREADS) {
        const int tile = i / g.width, pixels = min(p.hw - tile * STATS_PIXELS, (int)STATS_PIXELS);
        sum += (float)pixels * (pair(p, img, tile, g.first + i % g.width).x - start);
    }
    const float above = block_sum(sum, s.room) / count; /* of `start` */

    float m2 = 0.0f;
    for (int i = threadIdx.x; i < pairs; i += THREADS) {
        const int tile = i / g.width, pixels = min(p.hw - tile * STATS_PIXELS, (int)STATS_PIXELS);
        const float2 own = pair(p, img, tile, g.first + i % g.width);
        const float d = own.x - start - above;
        m2 += own.y + (float)pixels * d * d;
    }
    const float rstd = rsqrtf(block_sum(m2, s.room) / count + p.eps);

    const float mean = start + above, rest = start - mean + above; /* what rounding took from it */
    const int c = p.c + p.c2;
    for (int i = threadIdx.x; i < g.width; i += THREADS) {
        const int ch = g.first + i;
        const float scale = p.gamma[ch] * rstd;
        float *to = p.affine + (size_t)img * 3 * c + ch;
        to[0] = mean;
        to[c] = scale;
        to[2 * c] = p.beta[ch] - rest * scale;
    }
}

/* A thread owns WIDTH channels of PIXELS pixels; block (runs of channels, pixels), grid (slices of
 * channels, pixels, images). */
template <class T, int WIDTH, int PIXELS>
static __global__ void __launch_bounds__(2 * THREADS) group_norm_k3_apply(const norm_call p)
{
    take_turn();
    const int c_all = p.c + p.c2, ch = (blockIdx.x * blockDim.x + threadIdx.x) * WIDTH;
    if (ch >= c_all)
        return;
    const int img = blockIdx.z, first = blockIdx.y * blockDim.y * PIXELS + threadIdx.y;
    const bool second = ch >= p.c;
    const int c = second ? p.c2 : p.c;
    const T *x = second ? (const T *)p.x2 + (size_t)(img % p.n_x2) * p.hw * c + ch - p.c
                        : (const T *)p.x + (size_t)(img % p.n_x) * p.hw * c + ch;
    T *y = (T *)p.y + (size_t)img * p.hw * c_all + ch;

    lanes<T, WIDTH> v[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        if (first + i * (int)blockDim.y < p.hw)
            v[i] = load_lanes<WIDTH>(x + (size_t)(first + i * blockDim.y) * c);

    float mean[WIDTH], scale[WIDTH], shift[WIDTH];
    const float *affine = p.affine + (size_t)img * 3 * c_all + ch;
    load_run(affine, mean);
    load_run(affine + c_all, scale);
    load_run(affine + 2 * c_all, shift);

    for (int i = 0; i < PIXELS; i++)
        if (first + i * (int)blockDim.y < p.hw) {
            for (int j = 0; j < WIDTH; j++) {
                const float f = fmaf(to_f32(v[i].v[j]) - mean[j], scale[j], shift[j]);
                v[i].v[j] = from_f32<T>(p.silu ? silu(f) : f);
            }
            store_lanes(y + (size_t)(first + i * blockDim.y) * c_all, v[i]);
        }
}

/* ---- launchers ---------------------------------------------------------------------------- */

static norm_call params(const group_norm_args *a)
{
    norm_call p = {};
    p.x = a->x;
    p.x2 = a->x2;
    p.stats = a->stats;
    p.stats2 = a->stats2;
    p.gamma = a->gamma->vector;
    p.beta = a->beta->vector;
    p.y = a->y;
    p.n_x = a->n_x;
    p.n_x2 = a->n_x2;
    p.hw = a->hw;
    p.tiles = stats_tiles(a->hw);
    p.c = a->c;
    p.c2 = a->c2;
    p.groups = a->groups;
    p.silu = a->silu;
    p.eps = a->eps;
    return p;
}

static int takes_any(const group_norm_args *) { return 1; }

static status launch_three_pass(const group_norm_args *a, const cuda_call *call)
{
    return with_element_type(a->dtype, [&](auto element) {
        return gpu_launch("group_norm three_pass", group_norm_k1_three_pass<decltype(element)>,
                          dim3(a->groups, a->n), THREADS, sizeof(norm_shared), call->stream,
                          params(a));
    });
}

/* Scratch: the coefficients, then the statistics that did not come along. */
static size_t affine_bytes(const group_norm_args *a)
{
    return ((size_t)a->n * 3 * (size_t)(a->c + a->c2) * sizeof(float) + 15) / 16 * 16;
}
static size_t stats_bytes(const group_norm_args *a, int second)
{
    const size_t per = (size_t)stats_tiles(a->hw) * sizeof(float2);
    if (second)
        return a->c2 > 0 && !a->stats2 ? (size_t)a->n_x2 * (size_t)a->c2 * per : 0;
    return a->stats ? 0 : (size_t)a->n_x * (size_t)a->c * per;
}
static size_t tiles_bytes(const group_norm_args *a)
{
    return affine_bytes(a) + stats_bytes(a, 0) + stats_bytes(a, 1);
}

static status own_stats(const group_norm_args *a, const cuda_call *call, norm_call *p)
{
    unsigned char *work = (unsigned char *)call->work + affine_bytes(a);
    if (stats_bytes(a, 0) > 0) {
        p->stats = (float *)work;
        TRY(group_norm_stats(a->x, a->dtype, a->n_x, a->hw, a->c, (float *)work, call->stream));
    }
    if (stats_bytes(a, 1) > 0) {
        work += stats_bytes(a, 0);
        p->stats2 = (float *)work;
        TRY(group_norm_stats(a->x2, a->dtype, a->n_x2, a->hw, a->c2, (float *)work, call->stream));
    }
    return STATUS_OK;
}

template <class T, int WIDTH>
static status launch_apply(const group_norm_args *a, const cuda_call *call, const norm_call &p)
{
    enum { MANY = 4 };
    const int runs = (a->c + a->c2) / WIDTH, slices = (runs + THREADS - 1) / THREADS;
    const int across = (runs + slices - 1) / slices, down = max(1, THREADS / across);
    const dim3 block(across, down);
    /* Four pixels a thread hide memory's latency; one gives four times the blocks. */
    const int few = (a->hw + down - 1) / down, grouped = (a->hw + down * MANY - 1) / (down * MANY);
    if (slices * grouped * a->n >= 2 * call->sm_count)
        return gpu_launch_after("group_norm apply", group_norm_k3_apply<T, WIDTH, MANY>,
                                dim3(slices, grouped, a->n), block, 0, call->stream, p);
    return gpu_launch_after("group_norm apply", group_norm_k3_apply<T, WIDTH, 1>,
                            dim3(slices, few, a->n), block, 0, call->stream, p);
}

static status launch_merge(const group_norm_args *a, const cuda_call *call, norm_call *p)
{
    *p = params(a);
    p->affine = (float *)call->work;
    TRY(own_stats(a, call, p));
    return gpu_launch_after("group_norm merge", group_norm_k2_merge, dim3(a->groups, a->n), THREADS,
                            sizeof(norm_shared), call->stream, *p);
}

static status launch_tiles(const group_norm_args *a, const cuda_call *call)
{
    norm_call p;
    TRY(launch_merge(a, call, &p));
    return with_element_type(
        a->dtype, [&](auto element) { return launch_apply<decltype(element), 1>(a, call, p); });
}

static int takes_vector(const group_norm_args *a)
{
    const int width = 16 / (int)dtype_size(a->dtype);
    return a->c % width == 0 && a->c2 % width == 0;
}

static status launch_vector(const group_norm_args *a, const cuda_call *call)
{
    norm_call p;
    TRY(launch_merge(a, call, &p));
    return with_element_type(a->dtype, [&](auto element) {
        typedef decltype(element) T;
        return launch_apply<T, 16 / sizeof(T)>(a, call, p);
    });
}

static const cuda_variant<group_norm_args> rows[] = {
    { "three_pass", 80, takes_any, nullptr, launch_three_pass },
    { "tiles", 80, takes_any, tiles_bytes, launch_tiles },
    { "vector", 80, takes_vector, tiles_bytes, launch_vector },
};
const cuda_table<group_norm_args> cuda_group_norm_table = { "group_norm", rows,
                                                            sizeof rows / sizeof rows[0] };

/* ---- the operator ------------------------------------------------------------------------- */

static int is_vector(const struct weight *weight, int c)
{
    return weight && weight->kind == WEIGHT_VECTOR && weight->out == c;
}

static status check(const group_norm_args *a)
{
    const int c = a->c + a->c2;
    if (a->n < 1 || a->n_x < 1 || a->hw < 1 || a->c < 1 || a->c2 < 0 || a->groups < 1 ||
        c % a->groups != 0 || a->hw > INT_MAX / c || (a->c2 > 0 && (a->n_x2 < 1 || !a->x2)))
        return status_fail(STATUS_BAD_SHAPE, "group_norm: n=%d,%d,%d hw=%d c=%d+%d groups=%d", a->n,
                           a->n_x, a->n_x2, a->hw, a->c, a->c2, a->groups);
    if (!is_vector(a->gamma, c) || !is_vector(a->beta, c))
        return status_fail(STATUS_BAD_SHAPE, "group_norm: gamma and beta are not of %d channels",
                           c);
    if (!is_element_type(a->dtype))
        return status_fail(STATUS_UNSUPPORTED, "group_norm: no variant for %s",
                           dtype_name(a->dtype));
    return STATUS_OK;
}

extern "C" status cuda_group_norm(struct ops *ops, const struct group_norm_args *a)
{
    struct cuda_device *dev = cuda_device(ops);
    TRY(check(a));
    const int c = a->c + a->c2;
    cuda_span_text span = {};
    char key[64];
    snprintf(key, sizeof key, "%d %d+%d/%d %s", a->hw, a->c, a->c2, a->groups,
             dtype_name(a->dtype));
    snprintf(span.shape, sizeof span.shape, "%dx%dx%d%s", a->n, a->hw, c, a->silu ? " silu" : "");
    span.bytes = 2.0 * a->n * a->hw * c * (double)dtype_size(a->dtype);
    return cuda_run(dev, cuda_group_norm_table, a, key, span);
}
