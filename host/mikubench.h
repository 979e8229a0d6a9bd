/* host/mikubench.h - THE LIBRARY: Stable Diffusion 1.x pictures from generation parameters.
 *
 *     struct miku *miku;
 *     const char *folders[] = { "models" };
 *     miku_open(&(struct miku_options){ .weights = folders, .weights_count = 1 }, &miku);
 *     struct miku_request request = miku_request_default();
 *     request.prompt = "hatsune miku";
 *     miku_generate(miku, &request, &(struct miku_callbacks){ .picture = my_picture });
 *     miku_close(miku);
 *
 * Nothing here prints, exits or reads the environment. A context belongs to one thread at a time;
 * two contexts in two threads are independent. Every function that returns a status keeps a line of
 * text on failure: status_text().
 */
#ifndef HOST_MIKUBENCH_H
#define HOST_MIKUBENCH_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined __GNUC__
#define MIKU_API __attribute__((visibility("default")))
#else
#define MIKU_API
#endif

struct miku; /* a device, the weights that were found, and the model that is loaded */

/* ---- opening ----------------------------------------------------------------------------- */

enum miku_log { MIKU_LOG_INFO, MIKU_LOG_WARNING };

struct miku_options {
    const char *device;         /* "auto" (or null): the first usable GPU, else the CPU; "cpu",
                                   "cuda", "cuda:N" */
    const char *precision;      /* "auto" (or null): fp16 on a GPU, fp32 on a CPU; "fp32", "bf16",
                                   "fp16" */
    int threads;                /* of the CPU device; 0: the physical cores to be had */
    const char *const *weights; /* folders searched recursively; "synthetic" stands for random
                                   full-size weights */
    size_t weights_count;
    const char *cache_dir;       /* where hashes of weights are kept between runs; null: nowhere */
    size_t memory_limit;         /* bytes the run may take on the device; 0: what the machine has */
    const char *const *variants; /* "conv2d=plain": CUDA operators held to one of their variants */
    size_t variants_count;
    const char *engine; /* of a GPU: "own" (or null), the kernels of this library; "vendor":
                           products on cuBLASLt, convolutions on cuDNN, both found at run time */
    int no_graph;       /* 1: CUDA kernels are launched one by one, not as a graph */
    void (*log)(void *user, enum miku_log level, const char *line); /* null: nobody listens */
    void *user;                                                     /* handed to log */
};

/* Opens the device and looks through the folders; loads no model yet.
 * returns  STATUS_MISUSE, STATUS_UNSUPPORTED (device or precision not to be had here, or the
 * engine's libraries too old), STATUS_NOT_FOUND (those are not here), STATUS_DEVICE, STATUS_IO */
MIKU_API status miku_open(const struct miku_options *options, struct miku **out);
MIKU_API void miku_close(struct miku *miku); /* null is fine */

/* Version of the library, and of what it was built with, one "name version" a line. */
MIKU_API const char *miku_version(void);
MIKU_API const char *miku_build(void);

/* The devices of this machine, one a line: "cpu  12 cores, AVX-512 ...", and of GPUs that cannot be
 * used why. free() it. */
MIKU_API status miku_devices(char **text);

/* ---- requests ---------------------------------------------------------------------------- */

struct miku_request {
    const char *prompt, *negative; /* UTF-8; null is "" */
    const char *model;             /* name as in an infotext; null: the only or first checkpoint */
    const char *model_hash;        /* null: any */
    const char *vae;               /* name; null: as the web UI chooses; "none": the model's own */
    const char *sampler;           /* infotext name, "Euler a" */
    const char *compat;            /* "auto" (or null): version, else 1.1.1; "1.6"; "latest" */
    const char *version;           /* the infotext's Version, or null */
    int steps, width, height, clip_skip;
    int batch; /* pictures computed at a time */
    int count; /* pictures in all; picture k has seed + k */
    double cfg_scale;
    uint64_t seed;
    uint64_t subseed;
    double subseed_strength;
    int64_t ensd;            /* eta noise seed delta */
    double eta;              /* negative: the sampler's default */
    int rng_cpu;             /* noise from torch's CPU generator */
    int discard_penultimate; /* 1: drop the sigma before the last */
    int downcast_alphas;     /* -1: by compat; 0, 1: as the infotext says */
    int strict;              /* a missing LoRA or an unknown key of one is an error */
    int any_weights;         /* a hash that differs is a warning */
    int stand_ins;           /* the weights stand in for others: model_hash is not compared */
    const char *dump_dir;    /* null: no dump */
};

/* Steps 20, Euler a, CFG 7, 512x512, clip skip 1, one picture of seed 0. */
MIKU_API struct miku_request miku_request_default(void);

/* Fills a request from infotext (the text chunk of a picture, a case). Strings are owned by *owner.
 * Keys that ask for what this program cannot do (hires fix, ControlNet, ...) are refused.
 * returns  STATUS_BAD_TEXT, STATUS_UNSUPPORTED with the key named; on failure *owner is null */
struct miku_text; /* owner of the strings */
MIKU_API status miku_request_parse(const char *text, size_t bytes, struct miku_request *request,
                                   struct miku_text **owner);
MIKU_API void miku_text_free(struct miku_text *owner); /* null is fine */

/* Everything in an infotext as JSON text (free() it): prompt, negative_prompt, steps, sampler,
 * cfg_scale, seed, width, height, model, model_hash, vae, clip_skip, extra{}. */
MIKU_API status miku_infotext_json(const char *text, size_t bytes, char **json);

/* CLIP's token ids of one string, without start and end. free(*ids). */
MIKU_API status miku_tokenize(const char *text, size_t bytes, int32_t **ids, size_t *count);

/* Checks all that can be checked without loading: names, sizes, sampler, memory. */
MIKU_API status miku_check(struct miku *miku, const struct miku_request *request);

/* ---- pictures ---------------------------------------------------------------------------- */

/* Milliseconds of one batch. What did not happen (weights already loaded) is 0. */
struct miku_times {
    double load, fuse, encode, sample, decode;
    const double *step; /* [steps] */
    int steps;
    double sampling; /* first step to last; `sample` also holds what is prepared for them */
    double picture;  /* request to 8-bit RGB, weights resident */
};

struct miku_weights_used {
    const char *role;                 /* "checkpoint", "vae", "embedding", "lora" */
    const char *name, *path, *sha256; /* sha256 is "" if it could not be had */
    double weight;                    /* of a LoRA */
    int stand_in;
};

struct miku_picture {
    int index, of; /* in the request, from 0 */
    int width, height;
    const uint8_t *rgb;     /* [height, width, 3], lent for the call */
    const char *infotext;   /* as the web UI would have written it */
    const char *notes;      /* JSON: what the infotext cannot say */
    const char *rgb_sha256; /* of the RGB rows */
    uint64_t seed;
    int synthetic;           /* random weights: the picture is noise */
    int stand_in;            /* weights that stand in for others */
    struct miku_times times; /* of the batch it was in */
    const struct miku_weights_used *weights;
    size_t weights_count;
    size_t peak_device_bytes;
};

struct miku_progress {
    const char *stage;     /* "load", "encode", "sample", "decode" */
    int step, steps;       /* within sampling; 0, 0 elsewhere */
    int picture, pictures; /* first of the batch, all */
};

enum miku_span_level {
    MIKU_SPAN_CASE,
    MIKU_SPAN_STAGE,
    MIKU_SPAN_STEP,
    MIKU_SPAN_OPERATOR,
    MIKU_SPAN_PROFILE /* what `profile_stage` bounded */
};

/* What took how long, by CLOCK_MONOTONIC. Spans of one level do not overlap; deeper ones nest. */
struct miku_span {
    enum miku_span_level level;
    const char *name;  /* label, stage, "step", operator */
    const char *shape; /* of an operator; "" elsewhere */
    double begin_ms, end_ms;
    double flops, bytes; /* of an operator: direct cost, and least traffic */
};

/* Any may be null. A picture callback that fails ends the run with its status. */
struct miku_callbacks {
    status (*picture)(void *user, const struct miku_picture *picture);
    void (*progress)(void *user, const struct miku_progress *progress);
    int (*cancel)(void *user); /* asked between steps; not 0: stop with STATUS_CANCELLED */

    /* After each batch, before its pictures: its spans in the order of their ends, lent for the
     * call. With `operators` those of operators too, which cost time of their own. */
    void (*spans)(void *user, const struct miku_span *span, size_t count);
    int operators;
    const char *label; /* what spans and a profiler's ranges call the run; null: "pictures" */

    /* A profiler's range around exactly one stage ("load", "encode", "sample", "decode"), or with
     * a step from 1 around that step of "sample": the device's profiler, and `profile` with 1 when
     * it begins and 0 when it ends, in pairs even where the run fails. Null: none. */
    const char *profile_stage;
    int profile_step;
    void (*profile)(void *user, int begins);

    void *user;
};

/* Makes the request's pictures; loads or switches model, VAE and LoRAs only where it must.
 * returns  STATUS_NOT_FOUND (a name; nearest ones in the text), STATUS_MISUSE (a size, steps),
 *          STATUS_BAD_TEXT, STATUS_BAD_FILE, STATUS_WRONG_KIND, STATUS_NO_MEMORY (before anything
 * is computed), STATUS_NOT_FINITE, STATUS_CANCELLED, or what a callback returned */
MIKU_API status miku_generate(struct miku *miku, const struct miku_request *request,
                              const struct miku_callbacks *callbacks);

/* ---- the device -------------------------------------------------------------------------- */

struct miku_device {
    const char *name, *summary; /* "cpu", "cuda:0" */
    const char *precision;      /* "fp32", "bf16", "fp16" */
    int threads;                /* of the CPU device; 0 elsewhere */
    const char *bus_id;         /* PCI, as NVML writes it; null: none */
    const char *plan_hash; /* of what the device's plans chose so far; null: nothing to choose */
    const char
        *engine; /* "own"; "vendor, cuBLASLt 13.1.0, cuDNN 9.19.0"; null: nothing to choose */
    const char *engine_left; /* "conv2d 3x3 64x96 320+0->320 f16: why", a line for each call that
                                the vendor's libraries did not take so far; null: none */
};

/* Lent until miku_close(); plan_hash and engine_left until the next miku_generate(). */
MIKU_API struct miku_device miku_device(const struct miku *miku);

/* What the options' device reaches here and now: a large product of matrices in their precision,
 * and a large copy, each the best of several. Takes about a second, and needs no context.
 * returns  STATUS_NO_MEMORY, STATUS_DEVICE, and as miku_open() */
struct miku_ceiling {
    double matrix_gflops;      /* 10^9 flop/s */
    int rows, inputs, outputs; /* of that product */
    double copy_gbytes;        /* 10^9 bytes/s, read and written together */
    size_t copy_bytes;         /* copied by one call */
};
MIKU_API status miku_ceiling(const struct miku_options *options, struct miku_ceiling *out);

/* ---- weights found ----------------------------------------------------------------------- */

struct miku_file {
    const char *name, *kind, *path;
    size_t bytes;
    char sha256[65]; /* "" until hashed */
};

/* Calls `file` for each weights file found, by kind and name. `hashes` not 0: hashed first. */
MIKU_API status miku_list(struct miku *miku, int hashes,
                          status (*file)(void *user, const struct miku_file *file), void *user);

/* ---- files ------------------------------------------------------------------------------- */

/* Writes a PNG with the text chunks `parameters` (infotext) and `mikubench` (notes, may be null).
 * The file appears whole or not at all. */
MIKU_API status miku_png_write(const char *path, const uint8_t *rgb, int width, int height,
                               const char *infotext, const char *notes);

/* Reads a PNG: rgb (free() it), its infotext and notes (free(); null if absent). Any may be null.
 */
MIKU_API status miku_png_read(const char *path, uint8_t **rgb, int *width, int *height,
                              char **infotext, char **notes);

struct miku_difference {
    double psnr;       /* dB; infinity if equal */
    int largest;       /* grey levels */
    double within_one; /* share of values within one grey level */
};

MIKU_API struct miku_difference miku_compare(const uint8_t *a, const uint8_t *b, int width,
                                             int height);

/* Draws `count` pictures side by side, each scaled down to the smallest height, as one RGB picture
 * (free() it). captions [count]: lines of text under each, cut off at its width; null: none. */
MIKU_API status miku_sheet(const struct miku_picture *pictures, const char *const *captions,
                           size_t count, uint8_t **rgb, int *width, int *height);

/* Writes bytes to a file that appears whole or not at all. */
MIKU_API status miku_file_write(const char *path, const void *bytes, size_t count);

#ifdef __cplusplus
}
#endif

#endif
