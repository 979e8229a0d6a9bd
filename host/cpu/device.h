/* host/cpu/device.h - what the CPU device's operators share; not seen outside host/cpu.
 *
 * An operator is one file with one function `cpu_<operator>`. It reads top to bottom:
 *   1. check the arguments                    status_fail(STATUS_BAD_SHAPE, ...)
 *   2. reserve scratch                        TRY(cpu_scratch(dev, bytes, &work))
 *   3. if (dev->planning) return STATUS_OK;   nothing was touched so far
 *   4. cpu_op_begin(dev, "name", ...), the work, cpu_op_end(dev)
 * Threads: `#pragma omp parallel for num_threads(dev->threads)`. Work is cut by the shape alone,
 * never by the number of threads, so that the bytes do not depend on it.
 */
#ifndef HOST_CPU_DEVICE_H
#define HOST_CPU_DEVICE_H

#include <stddef.h>

#include "host/base/arena.h"
#include "host/base/ops.h"

struct cpu_engine; /* oneDNN: engine, stream, prepared primitives: engine.c */
struct cpu_spans;  /* spans.c */
struct cpu_steps {
    struct step_row *row; /* [cap], of which `count` are in use */
    int count, cap;
    int at; /* the current one */
};

struct cpu_device {
    struct ops ops; /* first: the `struct ops *` that callers hold is this device */
    char summary[160];
    enum dtype dtype; /* of the runs it was opened for */
    int threads;
    int planning;

    struct arena arena; /* activations: job lifetime */
    unsigned char *scratch;
    size_t scratch_cap;    /* bytes at `scratch` */
    size_t scratch_wanted; /* most that an operator asked for since plan_begin */
    unsigned char *staging;
    size_t staging_cap;
    size_t weight_bytes; /* of all weights now */
    size_t peak_bytes;

    struct cpu_steps steps;
    struct cpu_spans *spans;
    struct cpu_engine *engine;
    struct weight *weights; /* list through `next` */
    struct graph *graphs;   /* list through `next` */
};

static inline struct cpu_device *cpu_device(struct ops *ops) { return (struct cpu_device *)ops; }

/* ---- device.c -------------------------------------------------------------------------- */

/* Scratch of one operator call, 64-byte aligned: one request a call, good until the operator
 * returns. While planning it is reserved (the largest request counts) and *out, though not null,
 * may not be touched.
 * returns  STATUS_NO_MEMORY if it was not planned for */
status cpu_scratch(struct cpu_device *dev, size_t bytes, void **out);

/* The current row of the step table; a row of zeros before steps_begin(). */
const struct step_row *cpu_step(const struct cpu_device *dev);
void cpu_step_advance(struct cpu_device *dev); /* the last row stays current */

static inline size_t cpu_align(size_t bytes)
{
    return (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

/* memcpy() by all threads. */
void cpu_copy(const struct cpu_device *dev, void *to, const void *from, size_t bytes);

/* Memory for building weights in: one user at a time, until the next request or plan_end(). */
status cpu_staging(struct cpu_device *dev, size_t bytes, void **out);

/* Notes the bytes held now, should they be the most so far. */
void cpu_count_peak(struct cpu_device *dev);

/* ---- cores.c ---------------------------------------------------------------------------- */

/* "Intel(R) ..., 2 threads, AVX-512, oneDNN 2.6.3" */
void cpu_describe(int threads, char *text, size_t size);

/* ---- weight.c -------------------------------------------------------------------------- */

/* WEIGHT_VECTOR: its values; WEIGHT_EMBEDDING: its rows. Null if it is not of that kind. */
const float *cpu_weight_vector(const struct weight *weight, int *count);
const void *cpu_weight_table(const struct weight *weight, enum dtype *dtype, int *rows, int *c);

status cpu_weight_create(struct ops *ops, const struct weight_args *args, struct weight **out);
status cpu_weight_fuse(struct ops *ops, struct weight *weight, const struct weight_args *args,
                       const struct weight_delta *deltas, int n);
void cpu_weight_destroy(struct ops *ops, struct weight *weight);

/* ---- spans.c --------------------------------------------------------------------------- */

status cpu_spans_open(struct cpu_device *dev); /* makes dev->spans */
void cpu_spans_close(struct cpu_device *dev);  /* null is fine */

/* Around an operator's work; nothing unless operator spans are wanted. `name` is a literal; the
 * printf-formatted shape is kept until spans_clear(). */
void cpu_op_begin(struct cpu_device *dev, const char *name, double flops, double bytes,
                  const char *shape, ...)
#if defined __GNUC__
    __attribute__((format(printf, 5, 6)))
#endif
    ;
void cpu_op_end(struct cpu_device *dev);

void cpu_span_begin(struct ops *ops, enum span_level level, const char *name);
void cpu_span_end(struct ops *ops);
void cpu_spans_operators(struct ops *ops, int wanted);
status cpu_spans_read(struct ops *ops, const struct span **spans, size_t *count);
void cpu_spans_clear(struct ops *ops);

/* ---- stats.c --------------------------------------------------------------------------- */

/* (mean, M2) per channel and tile of STATS_PIXELS pixels of one image x [hw, c], to
 * stats [tiles, c, 2]. conv2d and linear call it per image for what they stored; group_norm for
 * what came without statistics. The bytes do not depend on the thread count. */
void cpu_stats(struct cpu_device *dev, const void *x, enum dtype dtype, int hw, int c,
               float *stats);

/* ---- the operators, a file each --------------------------------------------------------- */

status cpu_conv2d(struct ops *ops, const struct conv2d_args *args);
status cpu_linear(struct ops *ops, const struct linear_args *args);
status cpu_group_norm(struct ops *ops, const struct group_norm_args *args);
status cpu_layer_norm(struct ops *ops, const struct layer_norm_args *args);
status cpu_attention(struct ops *ops, const struct attention_args *args);
status cpu_embed(struct ops *ops, const struct embed_args *args);
status cpu_time_embed(struct ops *ops, const struct time_embed_args *args);
status cpu_sampler_step(struct ops *ops, const struct sampler_step_args *args);
status cpu_noise(struct ops *ops, const struct noise_args *args);
status cpu_scale(struct ops *ops, const struct scale_args *args);
status cpu_to_rgb8(struct ops *ops, const struct to_rgb8_args *args);

#endif
