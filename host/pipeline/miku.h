/* host/pipeline/miku.h - what a context holds. */
#ifndef HOST_PIPELINE_MIKU_H
#define HOST_PIPELINE_MIKU_H

#include "host/mikubench.h"
#include "host/pipeline/inversions.h"
#include "host/pipeline/loaded.h"
#include "host/prompt/tokenizer.h"
#include "weights/store.h"

struct miku {
    struct ops *ops;
    enum dtype dtype;
    int threads;         /* of the CPU device; 0 elsewhere */
    int synthetic;       /* "synthetic" was among the folders */
    size_t memory_limit; /* as given; 0: what the machine has */
    size_t left_told;    /* bytes of ops->engine_left that the user knows of */
    void (*log)(void *user, enum miku_log level, const char *line);
    void *user;
    struct hash_cache *hashes;
    struct store *store;
    struct tokenizer *tokenizer;
    struct inversions *inversions;
    struct loaded *loaded;
};

void miku_tell(const struct miku *miku, enum miku_log level, const char *format, ...)
#if defined __GNUC__
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* Opens the device that the options name, "auto" being the first usable GPU or else the CPU; *dtype
 * is their precision, "auto" being fp16 on a GPU and fp32 on a CPU.
 * returns  STATUS_MISUSE (an unknown name), STATUS_UNSUPPORTED, STATUS_DEVICE (not to be had) */
status miku_open_device(const struct miku_options *options, enum dtype *dtype, struct ops **out);

const char *miku_precision_name(enum dtype dtype);

/* A request's names as files. */
struct resolved {
    struct wanted wanted;
    const struct store_file *checkpoint, *vae; /* null: synthetic; the checkpoint's own */
    const struct store_file *lora[LOADED_LORAS_MAX];
    char *prompt; /* without tags; the caller's */
};

/* Finds model, VAE and LoRAs. A LoRA that is not there is a warning, or an error if the request is
 * strict. returns  STATUS_NOT_FOUND, STATUS_MISUSE (ambiguous), STATUS_NO_MEMORY */
status resolve_request(struct miku *miku, const struct miku_request *request,
                       const struct compat *compat, struct resolved *out);

#endif
