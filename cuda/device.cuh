/* cuda/device.cuh - what the CUDA device's operators share; not seen outside cuda/.
 *
 * An operator is one file with one function `cuda_<operator>` and one table
 * `cuda_<operator>_table`. The function reads:
 *   1. check the arguments               status_fail(STATUS_BAD_SHAPE, ...)
 *   -  small host arrays among them (key lengths, seeds) become device memory by cuda_constant():
 *      variants see args in which every pointer is a device pointer
 *   2. return cuda_run(dev, table, args, key, span)   picks the variant, reserves its scratch, and,
 *      unless planning, opens the operator's span and launches
 */
#ifndef CUDA_DEVICE_CUH
#define CUDA_DEVICE_CUH

#include <cuda_runtime.h>

#include "cuda/variant.cuh"
#include "host/base/arena.h"
#include "host/base/ops.h"

struct cuda_spans;     /* spans.cu */
struct cuda_plan;      /* plan.cu: which variant runs for which shape */
struct cuda_constants; /* constants.cu */
struct cuda_staging;   /* staging.cu */
struct cuda_slab;      /* memory.cu */
struct cuda_vendor;    /* vendor.cu: cuBLASLt and cuDNN */

struct cuda_device {
    struct ops ops; /* first: the `struct ops *` that callers hold is this device */
    char name[16], summary[256], bus_id[24], engine[80];
    int ordinal, arch, sm_count; /* arch: 80, 86, 89, 90, 120 */
    enum dtype dtype;
    int planning, capturing, use_graphs;

    cudaStream_t stream; /* all work */
    cudaStream_t side;   /* small uploads that must not become part of a capture */

    struct arena arena; /* activations: job lifetime */
    unsigned char *scratch;
    size_t scratch_cap, scratch_wanted;
    void *building; /* what weights are built in: until plan_end() */
    size_t building_cap;
    size_t taken_bytes, peak_bytes; /* of device memory, all of it */

    struct step_row *steps; /* device: a row of zeros before steps_begin() */
    int *step;              /* device: [2], number of the current row, and how many there are */
    int steps_cap;

    struct cuda_constants *constants;
    struct cuda_staging *staging;
    struct cuda_slab *slabs; /* list through `next` */
    struct cuda_spans *spans;
    struct cuda_plan *plan;
    struct cuda_vendor *vendor; /* null: not opened */
    int vendor_preferred;       /* 1: it runs what it takes */
    struct weight *weights;     /* list through `next` */
    struct graph *graphs;       /* list through `next` */

    cudaEvent_t pace[2]; /* ends of the last two steps */
    int paced;           /* steps ended since the last sync */
};

static inline struct cuda_device *cuda_device(struct ops *ops) { return (struct cuda_device *)ops; }

/* ---- error.cu --------------------------------------------------------------------------- */

/* STATUS_OK, or STATUS_NO_MEMORY / STATUS_DEVICE with what was tried and CUDA's own words. */
status cuda_check(cudaError_t error, const char *what);

/* ---- memory.cu -------------------------------------------------------------------------- */

/* Device memory for as long as the caller likes (a weight's life), 256-byte aligned.
 * returns  STATUS_NO_MEMORY, with the bytes asked and left */
status cuda_take(struct cuda_device *dev, size_t bytes, void **out);
void cuda_give(struct cuda_device *dev, void *memory); /* null is fine */

/* Device memory to build weights in: one user at a time, until the next request or plan_end(). */
status cuda_building(struct cuda_device *dev, size_t bytes, void **out);

/* Scratch of one operator call, 256-byte aligned, good until the next operator is enqueued. While
 * planning it is reserved; *out, though not null, may not be touched. */
status cuda_scratch(struct cuda_device *dev, size_t bytes, void **out);

/* ---- staging.cu ------------------------------------------------------------------------- */

/* Host bytes to the device through pinned memory: returns when `from` has been read, while the copy
 * may still be on its way. Work enqueued later sees it. */
status cuda_send(struct cuda_device *dev, void *to, const void *from, size_t bytes);

/* The same for bytes that are made on the way: at most CUDA_PIECE of pinned memory to fill, then
 * sent. Filling one piece overlaps sending the one before. */
static const size_t CUDA_PIECE = 4 << 20;
status cuda_piece(struct cuda_device *dev, void **host);
status cuda_piece_send(struct cuda_device *dev, void *to, size_t bytes);

/* ---- constants.cu ----------------------------------------------------------------------- */

/* A host array on the device, for the rest of the job; read when called. Not part of a capture, so
 * a replay does not copy it again; the same bytes twice are one copy. While planning it is
 * reserved. */
status cuda_constant(struct cuda_device *dev, const void *host, size_t bytes, const void **out);

/* The same for an array that is made on the way: *host is to be filled (null while planning: there
 * is nothing to fill), before the other call. */
status cuda_constant_open(struct cuda_device *dev, size_t bytes, void **host);
status cuda_constant_close(struct cuda_device *dev, size_t bytes, const void **out);

/* ---- spans.cu --------------------------------------------------------------------------- */

/* Work, direct cost and least traffic of a call, for its span. `shape` is kept until
 * spans_clear(). */
struct cuda_span_text {
    char shape[64];
    double flops, bytes;
};
void cuda_op_begin(struct cuda_device *dev, const char *op, const struct cuda_span_text *span);
void cuda_op_end(struct cuda_device *dev);

/* ---- plan.cu ---------------------------------------------------------------------------- */

/* How a call's variant is chosen. Rows are numbers in the operator's table, or -1. */
struct cuda_choice {
    int row;
    int only; /* 1: no other row may run (cuda_force) */
    int next; /* tried after `row`: the plan's, where the vendor engine is preferred */
};

/* What --variant or the committed plan says of a call. `key` is its per-image shape and dtype as
 * the plan spells it ("3x3 64x96 320+0->320 f16"). */
struct cuda_choice cuda_choose(const struct cuda_device *dev, const char *op, const char *key);
/* The vendor engine is preferred, and did not take the call. For ops.engine_left. */
status cuda_vendor_left(struct cuda_device *dev, const char *op, const char *key);
/* For cuda_variant_runs() and cuda_last_key(). */
void cuda_count_run(struct cuda_device *dev, const char *op, int row, const char *key);

template <class Args>
static status cuda_run(struct cuda_device *dev, const struct cuda_table<Args> &table, const Args *a,
                       const char *key, const struct cuda_span_text &span)
{
    const struct cuda_choice choice = cuda_choose(dev, table.op, key);
    const auto fits = [&](int i) {
        const int arch = table.row[i].arch;
        return (arch <= 80 || arch == dev->arch || arch == CUDA_VENDOR) && table.row[i].takes(a);
    };
    int pick = choice.row >= 0 && fits(choice.row) ? choice.row : -1;
    if (pick < 0 && choice.row >= 0 && dev->vendor_preferred && dev->planning &&
        table.row[choice.row].arch == CUDA_VENDOR)
        TRY(cuda_vendor_left(dev, table.op, key));
    if (pick < 0 && choice.next >= 0 && fits(choice.next))
        pick = choice.next;
    for (int i = table.count - 1; i >= 0 && pick < 0 && !choice.only; i--)
        if (table.row[i].arch <= 80 && fits(i)) /* one architecture's own rows: by plan alone */
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
    cuda_count_run(dev, table.op, pick, key);
    return result;
}

/* ---- the operators, a file each --------------------------------------------------------- */

extern const cuda_table<struct conv2d_args> cuda_conv2d_table;
extern const cuda_table<struct linear_args> cuda_linear_table;
extern const cuda_table<struct group_norm_args> cuda_group_norm_table;
extern const cuda_table<struct layer_norm_args> cuda_layer_norm_table;
extern const cuda_table<struct attention_args> cuda_attention_table;
extern const cuda_table<struct embed_args> cuda_embed_table;
extern const cuda_table<struct time_embed_args> cuda_time_embed_table;
extern const cuda_table<struct sampler_step_args> cuda_sampler_step_table;
extern const cuda_table<struct noise_args> cuda_noise_table;
extern const cuda_table<struct scale_args> cuda_scale_table;
extern const cuda_table<struct to_rgb8_args> cuda_to_rgb8_table;

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
