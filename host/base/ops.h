/* host/base/ops.h - THE CONTRACT: what a device does for the networks.
 *
 * A device is one `struct ops`: a table of functions, each taking an args struct and enqueuing
 * work. Everything above it is written once; everything below it (host/cpu, cuda) sees only
 * host/base. host/DESIGN.md has the reasons; the decisions in short:
 *
 *   layout     activations are NHWC; a feature map [n, h, w, c] and a token matrix [n, h*w, c] are
 *              the same memory. Latents are f32, everything else is the run's dtype.
 *   weights    are opaque: the device owns their layout, and the host's copy is the pristine one.
 *   sums       have a fixed order: the bytes of an image depend neither on n nor on its place in
 *              the batch, nor on how many threads ran.
 *   broadcast  a second input has its own n: image i reads image i mod n2. The batch is ordered
 *              part by part: image i of a batch of p parts by n pictures belongs to picture i mod
 * n. steps      are data: a table with one row per network evaluation lies on the device, operators
 *              read the current row, the sampler step advances it.
 *   planning   between plan_begin and plan_end every operator checks its arguments, chooses and
 *              prepares what it will run, and adds up memory, but computes nothing. The same calls
 *              then run for real, and nothing more is allocated.
 *
 * Every operator returns STATUS_OK, or
 *   STATUS_BAD_SHAPE    a size is < 1 or the sizes contradict each other
 *   STATUS_UNSUPPORTED  this device has no variant for the dtype
 *   STATUS_NO_MEMORY    memory that was not planned for
 *   STATUS_DEVICE       the device or a library of it failed
 * Pointers in args are device pointers unless the field says "host"; activations are 64-byte
 * aligned; outputs overlap no input unless the field says so. A fault while running surfaces at the
 * next sync().
 */
#ifndef HOST_BASE_OPS_H
#define HOST_BASE_OPS_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/dtype.h"
#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ops;    /* a device */
struct weight; /* one layer's parameters in the device's own layout */
struct graph;  /* a recorded run of operators */

/* ---- weights --------------------------------------------------------------------------- */

enum weight_kind {
    WEIGHT_CONV2D,    /* [out, in, k, k], k = 1 or 3 */
    WEIGHT_LINEAR,    /* [out, in] */
    WEIGHT_EMBEDDING, /* [rows, c] table of token or position rows */
    WEIGHT_VECTOR     /* [c] gamma or beta; kept in f32 */
};

enum { WEIGHT_MAX_PARTS = 3 };

/* One host tensor: a layer's matrix is 1 to 3 of them stacked along their outputs (merged QKV). */
struct weight_part {
    const void *data; /* host, [out, in, k, k] contiguous, any alignment; null: synthetic, normal
                         values of variance 1 / (in k k), or 1 for a VECTOR, seeded by the weight's
                         name and the part's number */
    enum dtype dtype; /* of data */
    int out;
    const void *bias; /* host, [out], or null: zeros */
    enum dtype bias_dtype;
};

struct weight_args {
    enum weight_kind kind;
    struct weight_part part[WEIGHT_MAX_PARTS];
    int parts;    /* 1 to 3; CONV2D, EMBEDDING and VECTOR take 1 */
    int in;       /* per output: input channels; EMBEDDING: row width; VECTOR: 1 */
    int in2;      /* CONV2D, LINEAR: of `in`, how many come from the second input; 0 mostly */
    int kernel;   /* CONV2D: 1 or 3; otherwise 1 */
    int stride;   /* CONV2D: 1 or 2 */
    int upsample; /* CONV2D: 1, or 2 for nearest-2x in front (3x3 only) */
    int geglu;    /* LINEAR: outputs are [values, gates]; the layer gives values * gelu(gates) */
    float scale;  /* multiplies matrix and bias as they are built; 1 mostly (fp16 decoder) */
    enum dtype dtype; /* the run's: F32, F16 or BF16 */
    const char *name; /* for messages and spans; must outlive the weight */
};

/* W += scale * up . down for one part, or W += scale * full: a LoRA's share of a layer.
 * The families that are no plain product (LoHa, LoKr, CP forms) arrive as `full`. */
struct weight_delta {
    int part;
    float scale;
    int rank;          /* 0: `full` is used */
    const float *up;   /* host, [out, rank] */
    const float *down; /* host, [rank, in * k * k] */
    const float *full; /* host, [out, in * k * k] */
};

/* ---- operators ------------------------------------------------------------------------- */

enum activation { ACT_NONE, ACT_SILU, ACT_GELU, ACT_QUICK_GELU };

/* GroupNorm's statistics ride along: one (mean, M2) pair of f32 per channel and tile of
 * STATS_PIXELS consecutive pixels (the last tile may be short). group_norm merges tiles in
 * ascending order by Chan's formula. */
enum { STATS_PIXELS = 64 };

/* Tiles of one image of hw pixels. A statistics buffer is [n, tiles, c, 2] floats. */
static inline int stats_tiles(int hw) { return (hw + STATS_PIXELS - 1) / STATS_PIXELS; }

/* y = conv(concat(x, x2)) + bias + add + residual.
 *
 * 3x3 with stride 1 pads by one all round; stride 2 all round, or right and bottom only
 * (pad_end). With weight_args.upsample 2 the input is doubled by nearest in front. Outputs beyond
 * [h_out, w_out] are not computed: h_out and w_out may be smaller than the natural size (a skip
 * connection of odd size crops what it is joined with).
 *
 * numerics  f32 accumulation in a fixed order; |error| <= u |y| + 2^-20 sum |x w| (f32: u = 2^-24).
 *           With upsample the kernel may be folded into four of 2x2 before it is rounded to dtype:
 *           then 2^-20 is 2^-9 in bf16, 2^-11 in f16, against the kernel rounded unfolded
 * source    ldm openaimodel.py, ResBlock, Downsample, Upsample; ldm model.py */
struct conv2d_args {
    const struct weight *weight;
    const void *x;        /* [n_x, h, w, c] */
    const void *x2;       /* [n_x2, h, w, c2], channels behind those of x; null if c2 is 0 */
    const void *add;      /* [rows, n_add, c_out] in dtype, per channel; the current step's row if
                             add_step_stride is not 0; null: none */
    const void *residual; /* [n_residual, h_out, w_out, c_out]; may be y itself; null: none */
    void *y;              /* [n, h_out, w_out, c_out] */
    float *stats;         /* out: [n, tiles, c_out, 2] of y as stored; null: not wanted */
    enum dtype dtype;     /* of x, x2, add, residual, y */
    int n, n_x, n_x2, n_add, n_residual;
    int h, w, c, c2; /* input */
    int h_out, w_out, c_out;
    int pad_end;            /* stride 2: zeros at right and bottom only (the VAE's encoder) */
    size_t add_step_stride; /* elements of `add` between two rows of the step table */
};

/* y = act(x W^T + b) + residual, or values * gelu(gates) + residual with a GEGLU weight.
 * numerics  as conv2d; gelu is the exact erf form
 * source    ldm attention.py, FeedForward, GEGLU; transformers modeling_clip.py */
struct linear_args {
    const struct weight *weight;
    const void *x;        /* [n_x, s, in] */
    const void *x2;       /* [n_x2, s, in2] when the weight has a second input */
    const void *residual; /* [n_residual, s, out]; may be y itself; null: none */
    void *y;              /* [n, s, out]; a GEGLU weight of 2d outputs gives d */
    float *stats;         /* out: [n, tiles of s, out, 2]; null: not wanted */
    enum dtype dtype;
    enum activation act;
    int n, n_x, n_x2, n_residual;
    int s, in, in2, out; /* rows per image; out as stored */
};

/* y = f(gamma * (x - mean) / sqrt(var + eps) + beta) over concat(x, x2), f being SiLU or nothing.
 * mean and var (biased) are over the hw * c/groups values of one group of one image.
 *
 * numerics  f32 statistics; |error| <= u |y| + 1e-4 up to |mean| = 64 sigma
 * source    Wu & He 2018, section 3; ldm openaimodel.py, ResBlock.in_layers[0:2] */
struct group_norm_args {
    const void *x;              /* [n_x, hw, c] */
    const void *x2;             /* [n_x2, hw, c2]; null if c2 is 0 */
    const float *stats;         /* of x: [n_x, tiles, c, 2]; null: computed here */
    const float *stats2;        /* of x2; null: computed here */
    const struct weight *gamma; /* VECTOR [c + c2] */
    const struct weight *beta;  /* VECTOR [c + c2] */
    void *y;                    /* [n, hw, c + c2]; may be x when c2 is 0 */
    enum dtype dtype;
    int n, n_x, n_x2;
    int hw, c, c2;
    int groups; /* divides c + c2; 32 throughout SD 1.x */
    int silu;
    float eps; /* 1e-5 in UNet ResBlocks and output, 1e-6 elsewhere */
};

/* y = gamma * (x - mean) / sqrt(var + 1e-5 or eps) + beta over each row of c.
 * numerics  f32 statistics in two passes; |error| <= u |y| + 1e-5 (1 + |mean| / sigma) */
struct layer_norm_args {
    const void *x; /* [rows, c] */
    const struct weight *gamma, *beta;
    void *y; /* [rows, c]; may be x */
    enum dtype dtype;
    int rows, c;
    float eps;
};

/* y = softmax(scale * q k^T) v per head; never a full score matrix.
 *
 * Rows of q, k, v are found by strides, so packed q,k,v [n, s, 3, heads, d] and k,v [n, s, 2,
 * heads, d] need no copy; head j of a row begins at element j * d.
 * numerics  online softmax in f32; |error| <= (u + 2^-18) max |v|
 * source    Vaswani et al. 2017, equation 1; Milakov & Gimelshein 2018 */
struct attention_args {
    const void *q;      /* image i at q + (i mod n_q) * s_q * q_stride */
    const void *k, *v;  /* image i at + (i / (n / n_kv)) * s_kv * kv_stride: n_kv divides n, and the
                           pictures of one part share its context */
    void *y;            /* [n, s_q, heads * d] */
    const int *key_len; /* host, [n_kv]: keys of each; null: all have s_kv. Read when enqueued, so
                           it must stay good as long as a graph that holds the call */
    enum dtype dtype;
    int n, n_q, n_kv;
    int heads, d;
    int s_q, s_kv;              /* s_kv: rows between images, and keys if key_len is null */
    size_t q_stride, kv_stride; /* elements between rows */
    size_t kv_context_stride; /* elements between two contexts of the step table; 0: one context */
    int len_contexts; /* key_len is [len_contexts, n_kv], the current context's row is used; 0:
                         [n_kv], the same in all contexts */
    int causal;       /* key j is seen by query i if j <= i */
    float scale;
};

/* One embedding's rows in place of a prompt's token rows. */
struct embed_patch {
    int row;             /* which sequence */
    int at, count;       /* positions at .. at + count - 1 */
    const float *vector; /* host, [count, c] */
};

/* y[r, p] = token[ids[r, p]] + position[p], with patches in place of token rows. */
struct embed_args {
    const struct weight *token;      /* EMBEDDING [vocabulary, c] */
    const struct weight *position;   /* EMBEDDING [>= s, c], rows already in their order */
    const int32_t *ids;              /* host, [n, s]; each within the table */
    const struct embed_patch *patch; /* host */
    int patches;
    void *y; /* [n, s, c] */
    enum dtype dtype;
    int n, s, c;
};

/* y[r] = [cos(t f_i), sin(t f_i)], f_i = exp(-ln(10000) i / (c/2)).
 * source    ldm util.py, timestep_embedding; angles and functions in f32 */
struct time_embed_args {
    const float *t; /* host, [rows] */
    void *y;        /* [rows, c] */
    enum dtype dtype;
    int rows, c;
};

/* ---- the step table -------------------------------------------------------------------- */

enum { STEP_HISTORY = 4 };

/* One evaluation of the network, and what the sampler makes of it. With x the evaluated point and
 * e_p the network's output for part p:
 *   D_p = d_x x + d_e e_p
 *   D   = D_neg + sum over parts, in order, of (D_p - D_neg) * weight_p
 *   x'  = x_x x + x_d D + sum of x_h[j] history[j] + noise * N(draw)
 *   history[h_slot] = h_x x + h_d D     (after x' was made; h_slot < 0: nothing is kept)
 * and the next network input is x' * c_in_next. */
struct step_row {
    float t, sigma; /* for the time path and for reports */
    float c_in;     /* scale of this evaluation's input */
    float d_x, d_e;
    float x_x, x_d, x_h[STEP_HISTORY];
    float h_x, h_d;
    int h_slot;
    float noise;
    int draw;    /* Philox draw index of N; -1: none */
    int context; /* which context the cross-attentions read */
    float c_in_next;
};

/* Uses the current row, then advances it.
 * numerics  f32, products and sums rounded separately in the order of the formulas */
struct sampler_step_args {
    const void *eps; /* [parts, n, hw, c] in dtype: weighted parts in order, the negative last */
    float *x;        /* [n, hw, c] in and out */
    float *history;  /* [STEP_HISTORY, n, hw, c] */
    float *denoised; /* out: [n, hw, c], D; null: not wanted */
    void *input;     /* out: [n, hw, c] in dtype: x' * c_in_next; null: not wanted */
    const float *weight;  /* host, [parts - 1, n]: guidance scale times the part's weight */
    int parts;            /* 1: no guidance, eps is the positive's (D = D_0) */
    const uint64_t *seed; /* host, [n]: Philox keys of the pictures */
    const float *noise;   /* device, [draws, n, hw, c]: used instead of Philox; null mostly */
    enum dtype dtype;     /* of eps and input */
    int n, hw, c;
};

/* y = scale * N(draw) with element order channel, row, column (the web UI's), stored NHWC in f32.
 */
struct noise_args {
    const uint64_t *seed; /* host, [n] */
    float *y;             /* [n, hw, c] */
    int draw;
    float scale;
    int n, hw, c;
};

/* y = scale * x, converted; the first network input, the decoder's input. */
struct scale_args {
    const float *x;
    void *y;
    enum dtype dtype; /* of y */
    float scale;
    size_t count;
};

/* rgb = truncate(255 * clamp((x + 1) / 2, 0, 1)); non_finite[i] is set to 1 if image i holds a NaN
 * or an infinity, and the bytes of such values are 0.
 * source    webui processing.py, process_images_inner */
struct to_rgb8_args {
    const void *x;   /* [n, hw, 3] */
    uint8_t *rgb;    /* [n, hw, 3] */
    int *non_finite; /* [n], device memory */
    enum dtype dtype;
    int n, hw;
};

/* ---- time ------------------------------------------------------------------------------ */

enum span_level { SPAN_CASE, SPAN_STAGE, SPAN_STEP, SPAN_OP };

/* A finished span. Spans of one level never overlap; deeper levels nest. */
struct span {
    enum span_level level;
    const char *name;  /* a literal; a case's is its label, lent until spans_clear */
    const char *shape; /* "conv2d 3x3 64x96 320->320" say; lent until spans_clear; "" for stages */
    double begin_ms, end_ms; /* on the clock of clock_now_ms(): a device with a clock of its own
                                lays its events onto it by one event recorded at a known moment */
    double flops, bytes;     /* direct cost, and least traffic; 0 for stages */
};

/* ---- the device ------------------------------------------------------------------------ */

struct ops {
    const char *name;      /* "cpu", "cuda:0" */
    const char *summary;   /* "Intel ..., 2 threads, AVX-512, oneDNN 2.6.3" */
    const char *bus_id;    /* "00000000:3B:00.0", the PCI bus id as NVML writes it; null: none */
    const char *plan_hash; /* hex, of the variants that plans chose; null: nothing to choose */
    /* Whose kernels make the products: "own", "vendor, cuBLASLt 13.1.0, cuDNN 9.19.0"; null:
     * nothing to choose. And what the vendor's libraries did not take so far, "op key: why" a line;
     * null: nothing. Its memory may move while planning. */
    const char *engine, *engine_left;

    /* weights: model lifetime */
    status (*weight_create)(struct ops *ops, const struct weight_args *args, struct weight **out);
    /* Rebuilds the weight from `args` (the pristine host tensors) with deltas added: summed in f32,
     * rounded once. n = 0 gives back the pristine bytes. */
    status (*weight_fuse)(struct ops *ops, struct weight *weight, const struct weight_args *args,
                          const struct weight_delta *deltas, int n);
    void (*weight_destroy)(struct ops *ops, struct weight *weight); /* null is fine */

    /* memory: job lifetime. alloc() while planning gives addresses that only add up. */
    status (*plan_begin)(struct ops *ops);
    /* Ends planning and provides the memory: `bytes` says how many it came to (arena and scratch).
     * STATUS_NO_MEMORY before anything was taken, if `limit_bytes` (0: no limit) is exceeded. */
    status (*plan_end)(struct ops *ops, size_t limit_bytes, size_t *bytes);
    int (*planning)(const struct ops *ops); /* 1 between the two */
    status (*alloc)(struct ops *ops, size_t bytes, void **out);
    size_t (*mark)(const struct ops *ops);
    void (*release)(struct ops *ops, size_t mark);
    size_t (*peak_bytes)(const struct ops *ops); /* weights, arena and scratch, at most so far */
    /* What the device's own memory has left; 0: it has none, and uses the machine's. */
    size_t (*free_bytes)(struct ops *ops);

    /* Copies wait for nothing; download() waits for all work enqueued before it. All three do
     * nothing while planning. */
    status (*upload)(struct ops *ops, void *to, const void *from_host, size_t bytes);
    status (*download)(struct ops *ops, void *to_host, const void *from, size_t bytes);
    status (*copy)(struct ops *ops, void *to, const void *from, size_t bytes);
    status (*sync)(struct ops *ops);
    /* Ends a step of work: returns when all steps ended before it are done, the last *running of
     * them (0 or 1) excepted. So a host enqueues a step while the one before runs, and knows when
     * each was done. */
    status (*pace)(struct ops *ops, int *running);

    status (*conv2d)(struct ops *ops, const struct conv2d_args *args);
    status (*linear)(struct ops *ops, const struct linear_args *args);
    status (*group_norm)(struct ops *ops, const struct group_norm_args *args);
    status (*layer_norm)(struct ops *ops, const struct layer_norm_args *args);
    status (*attention)(struct ops *ops, const struct attention_args *args);
    status (*embed)(struct ops *ops, const struct embed_args *args);
    status (*time_embed)(struct ops *ops, const struct time_embed_args *args);
    status (*sampler_step)(struct ops *ops, const struct sampler_step_args *args);
    status (*noise)(struct ops *ops, const struct noise_args *args);
    status (*scale)(struct ops *ops, const struct scale_args *args);
    status (*to_rgb8)(struct ops *ops, const struct to_rgb8_args *args);

    /* The step table: `rows` are copied to the device and row 0 becomes the current one. */
    status (*steps_begin)(struct ops *ops, const struct step_row *rows, int count);

    /* Runs `work` once under capture and keeps it; replay() runs it again with the step table's
     * then current row. A CPU keeps the function and its argument and calls it. */
    status (*capture)(struct ops *ops, status (*work)(void *), void *arg, struct graph **out);
    status (*replay)(struct ops *ops, struct graph *graph);
    void (*graph_destroy)(struct ops *ops, struct graph *graph); /* null is fine */

    /* Spans. Case, stage and step spans are always kept; operator spans when asked for. A device
     * with a profiler opens a range of the same name with each (NVTX; operators' too, except in a
     * graph). The caller closes every span that it began, also after an operator failed. */
    void (*span_begin)(struct ops *ops, enum span_level level, const char *name);
    void (*span_end)(struct ops *ops);
    void (*spans_operators)(struct ops *ops, int wanted);
    status (*spans_read)(struct ops *ops, const struct span **spans, size_t *count); /* waits */
    void (*spans_clear)(struct ops *ops); /* forgets the finished ones; open ones stay open */

    /* Bounds what a profiler that waits for it records (cudaProfilerStart and Stop): each begins or
     * ends after all work enqueued before it is done. They come in pairs, around whole spans, and
     * never nest. Null: this device has no profiler of its own. */
    void (*profile_begin)(struct ops *ops);
    void (*profile_end)(struct ops *ops);

    void (*destroy)(struct ops *ops); /* and every weight and graph it made */
};

#ifdef __cplusplus
}
#endif

#endif
