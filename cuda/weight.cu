/* cuda/weight.cu - weights made, rebuilt with deltas, and released.
 *
 * Algorithm  A slab of a part's rows at a time: the host's bytes as they lie in the file (k1) or
 *            synthetic values (k2) become f32; deltas are added in their order (k3, k4); what the
 *            kernels read is packed from there (k5, k6): scaled, folded, and rounded once. Without
 *            deltas the same launches give the pristine bytes.
 * Layout     cuda/weight.cuh. A slab is f32 [rows, in, k, k], as the file has it.
 * Roofline   The bus: a UNet of 1.7 GB takes 68 ms at 25 GB/s. On the device an element is written
 *            and read as f32, 12 bytes of traffic against 2 of the result: 4 ms of a UNet at 3
 * TB/s.
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/device.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/vendor.cuh"
#include "cuda/weight.cuh"
#include "host/base/weight_args.h"

namespace
{

enum {
    THREADS = 256,
    EACH = 8,              /* values a thread makes */
    SLAB_FLOATS = 4 << 20, /* 16 MiB of rows; one row if that is more */
    ALIGN = 256
};

/* ---- kernels ------------------------------------------------------------------------- */

__device__ __forceinline__ size_t first_value()
{
    return (size_t)blockIdx.x * THREADS * EACH + threadIdx.x;
}

__device__ __forceinline__ float to_f32(double v) { return (float)v; }
using ::to_f32;

/* to[i] = from[i]. */
template <class S>
__global__ void __launch_bounds__(THREADS) weight_k1_widen(const S *from, float *to, size_t count)
{
    for (int j = 0; j < EACH; j++) {
        const size_t i = first_value() + (size_t)j * THREADS;
        if (i < count)
            to[i] = to_f32(from[i]);
    }
}

/* Values of the given deviation: the sum of four uniforms of 16 bits, one splitmix64 step each;
 * the same bits as on a CPU.
 * source   Steele, Lea and Flood 2014, figure 16 */
__global__ void __launch_bounds__(THREADS)
    weight_k2_synthetic(uint64_t seed, size_t first, float unit, float *to, size_t count)
{
    for (int j = 0; j < EACH; j++) {
        const size_t i = first_value() + (size_t)j * THREADS;
        if (i >= count)
            return;
        uint64_t z = seed + (first + i) * 0x9e3779b97f4a7c15ull;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        z ^= z >> 31;
        const int sum =
            (int)((z & 0xffff) + ((z >> 16) & 0xffff) + ((z >> 32) & 0xffff) + (z >> 48)) -
            2 * 65535;
        to[i] = (float)sum * unit;
    }
}

/* to[row][col] += scale * (up[row] . down[..][col]), the product summed by itself first. */
__global__ void __launch_bounds__(THREADS)
    weight_k3_product(const float *up, const float *down, int rank, float scale, float *to,
                      size_t width, size_t count)
{
    for (int j = 0; j < EACH; j++) {
        const size_t i = first_value() + (size_t)j * THREADS;
        if (i >= count)
            return;
        const float *u = up + i / width * (size_t)rank, *d = down + i % width;
        float sum = 0.0f;
        for (int r = 0; r < rank; r++)
            sum = fmaf(u[r], d[(size_t)r * width], sum);
        to[i] = fmaf(scale, sum, to[i]);
    }
}

__global__ void __launch_bounds__(THREADS)
    weight_k4_add(const float *full, float scale, float *to, size_t count)
{
    for (int j = 0; j < EACH; j++) {
        const size_t i = first_value() + (size_t)j * THREADS;
        if (i < count)
            to[i] = fmaf(scale, full[i], to[i]);
    }
}

/* A slab on its way into a packed matrix. */
struct packing {
    const float *slab;
    void *matrix;
    int first, count; /* rows of the layer that the slab holds */
    int half;         /* GEGLU: number of values, and of gates; otherwise 0 */
    int in, in2;      /* of a slab's row, in2 of x2 */
    int c_pad, c2_pad, taps, folded;
    int k, rows, phases;
    float scale;
};

/* Row of the packed matrix that output `o` of the layer has. */
__host__ __device__ __forceinline__ int packed_row(int o, int half)
{
    if (half == 0)
        return o;
    return o < half ? o / 8 * 16 + o % 8 : (o - half) / 8 * 16 + 8 + (o - half) % 8;
}

/* Weight of a 3x3 kernel's taps that meet input pixel (ty, tx) of the 2x2 that the output pixels
 * of parity (py, px) see: behind a doubling, kernel rows {0}, {1, 2} meet it at parity 0 and
 * {0, 1}, {2} at parity 1; columns alike. */
__device__ __forceinline__ float folded(const float *w, int phase, int tap, float scale)
{
    const int row_split = phase / 2 ? 2 : 1, column_split = phase % 2 ? 2 : 1;
    float sum = 0.0f;
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            if ((r >= row_split) == tap / 2 && (c >= column_split) == tap % 2)
                sum += w[3 * r + c] * scale;
    return sum;
}

/* A thread packs 8 neighbours in k: one tap, 8 channels. */
template <class T> __global__ void __launch_bounds__(THREADS) weight_k5_pack(const packing p)
{
    const int chunks = p.k / 8;
    const size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    const size_t line = i / chunks; /* phase and row */
    if (line >= (size_t)p.phases * p.count)
        return;
    const int chunk = (int)(i % chunks), row = (int)(line % p.count);
    const int phase = (int)(line / p.count);
    const int per_tap = (p.c_pad + p.c2_pad) / 8, tap = chunk / per_tap;
    int channel = chunk % per_tap * 8, end = p.in - p.in2, from = 0;
    if (channel >= p.c_pad) { /* of x2 */
        from = end;
        channel -= p.c_pad;
        end = p.in2;
    }

    const int terms = p.folded ? 9 : p.taps;
    const float *w = p.slab + ((size_t)row * p.in + from + channel) * terms;
    lanes<T, 8> out;
    for (int j = 0; j < 8; j++) {
        float v = 0.0f;
        if (tap < p.taps && channel + j < end)
            v = p.folded ? folded(w + j * 9, phase, tap, p.scale) : w[j * terms + tap] * p.scale;
        out.v[j] = from_f32<T>(v);
    }
    const int to_row = packed_row(p.first + row, p.half);
    store_lanes((T *)p.matrix + ((size_t)phase * p.rows + to_row) * p.k + chunk * 8, out);
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    weight_k6_table(const float *slab, float scale, T *to, size_t count)
{
    for (int j = 0; j < EACH; j++) {
        const size_t i = first_value() + (size_t)j * THREADS;
        if (i < count)
            to[i] = from_f32<T>(slab[i] * scale);
    }
}

/* ---- building ------------------------------------------------------------------------ */

struct build {
    struct cuda_device *dev;
    struct weight *w;
    const struct weight_args *args;
    const struct weight_delta *delta;
    int n;
    size_t width; /* elements of a row */
    int most;     /* rows of a slab */
    float *slab;  /* device, [most, width] */
    void *raw;    /* device: rows as the host has them, of a part or of a delta */
    float *up;    /* device: rows of a delta's `up` */
};

int is_matrix(enum weight_kind kind) { return kind == WEIGHT_CONV2D || kind == WEIGHT_LINEAR; }

size_t aligned(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }
size_t larger(size_t a, size_t b) { return a > b ? a : b; }

unsigned blocks_of(size_t values, size_t a_block)
{
    return (unsigned)((values + a_block - 1) / a_block);
}

/* Room for a slab, and for what is added to it. */
status take_room(struct build *b)
{
    const size_t fit = SLAB_FLOATS / b->width;
    int rows = 0;
    for (int p = 0; p < b->args->parts; p++)
        rows = b->args->part[p].out > rows ? b->args->part[p].out : rows;
    b->most = fit < 1 ? 1 : fit > (size_t)rows ? rows : (int)fit;

    const size_t floats = (size_t)b->most * b->width;
    size_t raw = 0, up = 0;
    for (int p = 0; p < b->args->parts; p++)
        if (b->args->part[p].data)
            raw = larger(raw, floats * dtype_size(b->args->part[p].dtype));
    for (int i = 0; i < b->n; i++) {
        const size_t rank = (size_t)b->delta[i].rank;
        raw = larger(raw, (rank > 0 ? rank * b->width : floats) * sizeof(float));
        up = larger(up, (size_t)b->most * rank * sizeof(float));
    }
    unsigned char *room = NULL;
    TRY(cuda_building(b->dev, aligned(floats * sizeof(float)) + aligned(raw) + aligned(up),
                      (void **)&room));
    b->slab = (float *)room;
    b->raw = room + aligned(floats * sizeof(float));
    b->up = (float *)(room + aligned(floats * sizeof(float)) + aligned(raw));
    return STATUS_OK;
}

template <class S> status widen(const struct build *b, size_t count)
{
    return gpu_launch("weight widen", weight_k1_widen<S>, dim3(blocks_of(count, THREADS * EACH)),
                      dim3(THREADS), 0, b->dev->stream, (const S *)b->raw, b->slab, count);
}

/* Rows first .. first + rows - 1 of a part as the host has them, or drawn, in f32. */
status load_rows(const struct build *b, int part, int first, int rows)
{
    const struct weight_part *p = &b->args->part[part];
    const size_t count = (size_t)rows * b->width, at = (size_t)first * b->width;
    if (!p->data) {
        const float deviation = b->w->kind == WEIGHT_VECTOR ? 1.0f : 1.0f / sqrtf((float)b->width);
        const float unit = deviation * sqrtf(3.0f) / 65536.0f; /* of a sum of four uniforms */
        return gpu_launch("weight synthetic", weight_k2_synthetic,
                          dim3(blocks_of(count, THREADS * EACH)), dim3(THREADS), 0, b->dev->stream,
                          weight_args_seed(b->args, part), at, unit, b->slab, count);
    }
    const size_t size = dtype_size(p->dtype);
    TRY(cuda_send(b->dev, b->raw, (const char *)p->data + at * size, count * size));
    switch (p->dtype) {
    case DTYPE_F16:
        return widen<__half>(b, count);
    case DTYPE_BF16:
        return widen<__nv_bfloat16>(b, count);
    case DTYPE_F64:
        return widen<double>(b, count);
    default:
        return widen<float>(b, count);
    }
}

status add_delta(const struct build *b, const struct weight_delta *d, int first, int rows)
{
    const size_t count = (size_t)rows * b->width, rank = (size_t)d->rank;
    const dim3 grid(blocks_of(count, THREADS * EACH)), block(THREADS);
    if (rank == 0) {
        TRY(cuda_send(b->dev, b->raw, d->full + (size_t)first * b->width, count * sizeof(float)));
        return gpu_launch("weight add", weight_k4_add, grid, block, 0, b->dev->stream,
                          (const float *)b->raw, d->scale, b->slab, count);
    }
    TRY(cuda_send(b->dev, b->raw, d->down, rank * b->width * sizeof(float)));
    TRY(cuda_send(b->dev, b->up, d->up + (size_t)first * rank,
                  (size_t)rows * rank * sizeof(float)));
    return gpu_launch("weight product", weight_k3_product, grid, block, 0, b->dev->stream,
                      (const float *)b->up, (const float *)b->raw, d->rank, d->scale, b->slab,
                      b->width, count);
}

/* The slab, rows `first` on of the layer, into what kernels read. */
template <class T> status pack(const struct build *b, int first, int rows)
{
    const struct weight *w = b->w;
    const packing p = {
        b->slab, w->matrix, first,          rows,    w->geglu ? w->out / 2 : 0, w->in,
        w->in2,  w->c_pad,  w->c2_pad,      w->taps, w->upsample == 2,          w->k,
        w->rows, w->phases, b->args->scale,
    };
    const size_t chunks = (size_t)w->phases * rows * (w->k / 8);
    return gpu_launch("weight pack", weight_k5_pack<T>, dim3(blocks_of(chunks, THREADS)),
                      dim3(THREADS), 0, b->dev->stream, p);
}

template <class T> status store(const struct build *b, void *to, int first, int rows)
{
    const size_t count = (size_t)rows * b->width;
    return gpu_launch("weight table", weight_k6_table<T>, dim3(blocks_of(count, THREADS * EACH)),
                      dim3(THREADS), 0, b->dev->stream, (const float *)b->slab, b->args->scale,
                      (T *)to + (size_t)first * b->width, count);
}

status finish_rows(const struct build *b, int first, int rows)
{
    if (b->w->kind == WEIGHT_VECTOR)
        return store<float>(b, b->w->vector, first, rows);
    return with_element_type(b->w->dtype, [&](auto element) {
        typedef decltype(element) T;
        return is_matrix(b->w->kind) ? pack<T>(b, first, rows)
                                     : store<T>(b, b->w->table, first, rows);
    });
}

/* The bias in the weight's own type, if that holds every value; `rounded` has room for it. */
status build_vendor_bias(const struct build *b, const float *bias, void *rounded)
{
    struct weight *w = b->w;
    const size_t rows = (size_t)w->rows, bytes = rows * dtype_size(w->dtype);
    dtype_from_f32(bias, rows, w->dtype, rounded);
    for (size_t i = 0; i < rows; i++)
        if ((float)dtype_value(rounded, w->dtype, i) != bias[i]) {
            cuda_give(b->dev, w->bias_as_y);
            w->bias_as_y = NULL;
            return STATUS_OK;
        }
    if (!w->bias_as_y)
        TRY(cuda_take(b->dev, bytes, &w->bias_as_y));
    return cuda_send(b->dev, w->bias_as_y, rounded, bytes);
}

/* Biases are few: put into the order of the rows on the host. */
status build_bias(const struct build *b)
{
    const int half = b->w->geglu ? b->w->out / 2 : 0;
    float *host = (float *)calloc((size_t)b->w->rows * 2, sizeof *host); /* and room to round */
    if (!host)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory", b->w->name);
    int o = 0;
    for (int p = 0; p < b->args->parts; p++) {
        const struct weight_part *part = &b->args->part[p];
        for (int i = 0; i < part->out; i++, o++)
            if (part->bias)
                host[packed_row(o, half)] =
                    (float)dtype_value(part->bias, part->bias_dtype, (size_t)i) * b->args->scale;
    }
    status result = cuda_send(b->dev, b->w->bias, host, (size_t)b->w->rows * sizeof *host);
    if (result == STATUS_OK && b->w->vendor)
        result = build_vendor_bias(b, host, host + b->w->rows);
    free(host);
    return result;
}

/* The matrix without the zeros at its rows' ends. */
status build_filter(const struct build *b)
{
    const struct weight *w = b->w;
    const size_t size = dtype_size(w->dtype), pitch = (size_t)w->k * size;
    const size_t width = (size_t)w->taps * (size_t)(w->c_pad + w->c2_pad) * size;
    return cuda_check(cudaMemcpy2DAsync(w->filter, width, w->matrix, pitch, width,
                                        (size_t)w->phases * w->rows, cudaMemcpyDeviceToDevice,
                                        b->dev->stream),
                      "a filter");
}

status build_weight(struct cuda_device *dev, struct weight *w, const struct weight_args *args,
                    const struct weight_delta *deltas, int n)
{
    struct build b = { dev, w, args, deltas, n, weight_args_width(args), 0, NULL, NULL, NULL };
    TRY(take_room(&b));
    int start = 0; /* the part's first row among the layer's */
    for (int p = 0; p < args->parts; p++) {
        for (int first = 0; first < args->part[p].out; first += b.most) {
            const int left = args->part[p].out - first, rows = left < b.most ? left : b.most;
            TRY(load_rows(&b, p, first, rows));
            for (int i = 0; i < n; i++)
                if (deltas[i].part == p && deltas[i].scale != 0.0f)
                    TRY(add_delta(&b, &deltas[i], first, rows));
            TRY(finish_rows(&b, start + first, rows));
        }
        start += args->part[p].out;
    }
    if (w->filter)
        TRY(build_filter(&b));
    return w->bias ? build_bias(&b) : STATUS_OK;
}

/* ---- the layer's sizes and memory ------------------------------------------------------ */

int rounded(int size, int to) { return (size + to - 1) / to * to; }

/* STATUS_BAD_SHAPE if a packed row or the number of rows passes INT_MAX. */
status set_sizes(struct weight *w)
{
    const int folded = w->upsample == 2;
    w->taps = folded ? 4 : w->kernel * w->kernel;
    w->phases = folded ? 4 : 1;
    if (w->in > INT_MAX / 16 - 64 || w->out > INT_MAX / 2 - 64)
        return status_fail(STATUS_BAD_SHAPE, "%s: %d -> %d is too wide", w->name, w->in, w->out);
    w->c_pad = rounded(w->in - w->in2, 8);
    w->c2_pad = rounded(w->in2, 8);
    w->k = rounded(w->taps * (w->c_pad + w->c2_pad), 64);
    w->rows = rounded(w->geglu ? 2 * rounded(w->out / 2, 8) : w->out, 64);
    return STATUS_OK;
}

/* For a library that takes no gaps between a filter's rows. */
status take_filter(struct cuda_device *dev, struct weight *w)
{
    const int width = w->taps * (w->c_pad + w->c2_pad);
    if (!w->vendor || !vendor_convolves(w) || width == w->k)
        return STATUS_OK;
    const size_t bytes = (size_t)w->phases * w->rows * (size_t)width * dtype_size(w->dtype);
    TRY(cuda_take(dev, bytes, &w->filter));
    w->bytes += bytes;
    return STATUS_OK;
}

status take_memory(struct cuda_device *dev, struct weight *w)
{
    const size_t size = dtype_size(w->dtype);
    void **at = w->kind == WEIGHT_VECTOR ? (void **)&w->vector
                : is_matrix(w->kind)     ? &w->matrix
                                         : &w->table;
    size_t bytes = (size_t)w->out * w->in * (w->kind == WEIGHT_VECTOR ? sizeof(float) : size);
    if (is_matrix(w->kind)) {
        TRY(set_sizes(w));
        bytes = (size_t)w->phases * w->rows * w->k * size;
        TRY(cuda_take(dev, (size_t)w->rows * sizeof *w->bias, (void **)&w->bias));
        w->bytes += (size_t)w->rows * sizeof *w->bias;
        TRY(take_filter(dev, w));
    }
    TRY(cuda_take(dev, bytes, at));
    w->bytes += bytes;
    if (!is_matrix(w->kind))
        return STATUS_OK;
    /* Rows that pad the matrix are written once, here. */
    return cuda_check(cudaMemsetAsync(w->matrix, 0, bytes, dev->stream), "clearing a weight");
}

void release(struct cuda_device *dev, struct weight *w)
{
    cuda_give(dev, w->matrix);
    cuda_give(dev, w->bias);
    cuda_give(dev, w->bias_as_y);
    cuda_give(dev, w->filter);
    cuda_give(dev, w->vector);
    cuda_give(dev, w->table);
    free(w);
}

int same_layer(const struct weight *w, const struct weight_args *a, int out)
{
    const int conv = a->kind == WEIGHT_CONV2D;
    return w->kind == a->kind && w->out == out && w->in == a->in && w->in2 == a->in2 &&
           w->kernel == a->kernel && w->dtype == a->dtype && w->stride == (conv ? a->stride : 1) &&
           w->upsample == (conv ? a->upsample : 1) && w->geglu == (a->geglu != 0);
}

} // namespace

/* ---- the operators (C ABI) ------------------------------------------------------------- */

/* A weight may be of another type than the run's: a decoder that fp16 does not hold. */
static enum dtype weight_dtype(const struct cuda_device *dev, const struct weight_args *args)
{
    return is_element_type(args->dtype) ? args->dtype : dev->dtype;
}

extern "C" status cuda_weight_create(struct ops *ops, const struct weight_args *args,
                                     struct weight **out)
{
    struct cuda_device *dev = cuda_device(ops);
    int total = 0;
    *out = NULL;
    TRY(weight_args_check(args, weight_dtype(dev, args), &total));
    struct weight *w = (struct weight *)calloc(1, sizeof *w);
    if (!w)
        return status_fail(STATUS_NO_MEMORY, "%s: no memory", weight_args_name(args));
    const int conv = args->kind == WEIGHT_CONV2D;
    w->kind = args->kind;
    w->dtype = args->dtype;
    w->out = total;
    w->in = args->in;
    w->in2 = args->in2;
    w->kernel = args->kernel;
    w->stride = conv ? args->stride : 1;
    w->upsample = conv ? args->upsample : 1;
    w->geglu = args->geglu != 0;
    w->name = weight_args_name(args);
    w->vendor = dev->vendor;

    status result = take_memory(dev, w);
    if (result == STATUS_OK)
        result = build_weight(dev, w, args, NULL, 0);
    if (result != STATUS_OK) {
        release(dev, w);
        return result;
    }
    w->next = dev->weights;
    dev->weights = w;
    *out = w;
    return STATUS_OK;
}

extern "C" status cuda_weight_fuse(struct ops *ops, struct weight *weight,
                                   const struct weight_args *args,
                                   const struct weight_delta *deltas, int n)
{
    struct cuda_device *dev = cuda_device(ops);
    int total = 0;
    TRY(weight_args_check(args, weight_dtype(dev, args), &total));
    if (!same_layer(weight, args, total))
        return status_fail(STATUS_BAD_SHAPE, "%s: fused as another layer than it was created as",
                           weight->name);
    TRY(weight_deltas_check(args, deltas, n));
    return build_weight(dev, weight, args, deltas, n);
}

extern "C" void cuda_weight_destroy(struct ops *ops, struct weight *weight)
{
    if (!weight)
        return;
    struct cuda_device *dev = cuda_device(ops);
    struct weight **link = &dev->weights;
    while (*link != weight)
        link = &(*link)->next;
    *link = weight->next;
    release(dev, weight);
}
