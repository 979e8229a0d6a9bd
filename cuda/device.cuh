/* cuda/device.cuh - what the CUDA device's operators share; not seen outside cuda/.
 *
 * An operator is one file with one function `cuda_<operator>`, which reads:
 *   1. check the arguments               status_fail(STATUS_BAD_SHAPE, ...)
 *   -  small host arrays among them (key lengths, seeds) become device memory by cuda_constant():
 *      variants see args in which every pointer is a device pointer
 *   2. return cuda_run(dev, table, args, span)   picks the variant, reserves its scratch, and,
 * unless planning, opens the operator's span and launches
 */
#ifndef CUDA_DEVICE_CUH
#define CUDA_DEVICE_CUH

#include <cuda_runtime.h>

#include "cuda/variant.cuh"
#include "host/base/arena.h"
#include "host/base/ops.h"

struct cuda_spans; /* spans.cu */
struct cuda_plan;  /* plan.cu: which variant runs for which shape */

struct cuda_device {
    struct ops ops; /* first: the `struct ops *` that callers hold is this device */
    char name[16], summary[200];
    int ordinal, arch, sm_count; /* arch: 80, 86, 89, 90, 120 */
    enum dtype dtype;
    int planning, use_graphs;

    cudaStream_t stream; /* all work */
    cudaStream_t side;   /* small uploads that must not become part of a capture */

    struct arena arena; /* activations: job lifetime */
    unsigned char *scratch;
    size_t scratch_cap, scratch_wanted;
    unsigned char *constants; /* device: small host arrays that operators read; job lifetime */
    size_t constants_cap, constants_used, constants_wanted;
    size_t weight_bytes, peak_bytes;

    struct step_row *steps; /* device */
    int *step;              /* device: number of the current row; then count of rows */
    int steps_cap, steps_count;

    struct cuda_spans *spans;
    struct cuda_plan *plan;
    struct weight *weights; /* list through `next` */
    struct graph *graphs;   /* list through `next` */
};

static inline struct cuda_device *cuda_device(struct ops *ops) { return (struct cuda_device *)ops; }

/* STATUS_OK, or STATUS_NO_MEMORY / STATUS_DEVICE with what was tried and CUDA's own words. */
status cuda_check(cudaError_t error, const char *what);

/* Scratch of one operator call, 256-byte aligned, good until the next operator is enqueued. While
 * planning it is reserved; *out, though not null, may not be touched. */
status cuda_scratch(struct cuda_device *dev, size_t bytes, void **out);

/* A host array on the device, for the rest of the job; read when called. Not part of a capture, so
 * a replay does not copy it again. While planning it is reserved. */
status cuda_constant(struct cuda_device *dev, const void *host, size_t bytes, const void **out);

/* Work, direct cost and least traffic of a call, for its span. `shape` is kept until
 * spans_clear(). */
struct cuda_span_text {
    char shape[64];
    double flops, bytes;
};
void cuda_op_begin(struct cuda_device *dev, const char *op, const struct cuda_span_text *span);
void cuda_op_end(struct cuda_device *dev);

/* Number of the row that the plan or --variant names for this call, or -1. `key` is the call's
 * per-image shape and dtype as the committed plan spells it ("3x3 64x96 320+0->320 f16"). */
int cuda_plan_row(const struct cuda_device *dev, const char *op, const char *key);
/* 1 if that row was forced, so that nothing else may run. */
int cuda_plan_forced(const struct cuda_device *dev, const char *op);

template <class Args>
static status cuda_run(struct cuda_device *dev, const struct cuda_table<Args> &table, const Args *a,
                       const char *key, const struct cuda_span_text &span)
{
    int pick = cuda_plan_row(dev, table.op, key);
    const int forced = cuda_plan_forced(dev, table.op);
    const auto fits = [&](int i) {
        return (table.row[i].arch <= 80 || table.row[i].arch == dev->arch) && table.row[i].takes(a);
    };
    if (forced ? !fits(pick) : pick >= 0 && !fits(pick))
        pick = -1;
    for (int i = table.count - 1; i >= 0 && pick < 0 && !forced; i--)
        if (fits(i))
            pick = i;
    if (pick < 0)
        return status_fail(STATUS_UNSUPPORTED, "%s: no variant takes %s", table.op, key);

    const cuda_variant<Args> &v = table.row[pick];
    void *work;
    TRY(cuda_scratch(dev, v.work_bytes ? v.work_bytes(a) : 0, &work));
    if (dev->planning)
        return STATUS_OK;
    const cuda_call call = { dev->stream, work, dev->steps, dev->step, dev->sm_count };
    cuda_op_begin(dev, table.op, &span);
    const status result = v.launch(a, &call);
    cuda_op_end(dev);
    return result;
}

/* ---- the operators, a file each --------------------------------------------------------- */

extern "C" {
status cuda_conv2d(struct ops *ops, const struct conv2d_args *args);
status cuda_linear(struct ops *ops, const struct linear_args *args);
status cuda_group_norm(struct ops *ops, const struct group_norm_args *args);
status cuda_layer_norm(struct ops *ops, const struct layer_norm_args *args);
status cuda_attention(struct ops *ops, const struct attention_args *args);
status cuda_embed(struct ops *ops, const struct embed_args *args);
status cuda_time_embed(struct ops *ops, const struct time_embed_args *args);
status cuda_sampler_step(struct ops *ops, const struct sampler_step_args *args);
status cuda_noise(struct ops *ops, const struct noise_args *args);
status cuda_scale(struct ops *ops, const struct scale_args *args);
status cuda_to_rgb8(struct ops *ops, const struct to_rgb8_args *args);

status cuda_weight_create(struct ops *ops, const struct weight_args *args, struct weight **out);
status cuda_weight_fuse(struct ops *ops, struct weight *weight, const struct weight_args *args,
                        const struct weight_delta *deltas, int n);
void cuda_weight_destroy(struct ops *ops, struct weight *weight);
}

#endif
