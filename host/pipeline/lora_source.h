/* host/pipeline/lora_source.h - a network's parameters: a checkpoint's tensors, and what the LoRAs
 * in use add to them. */
#ifndef HOST_PIPELINE_LORA_SOURCE_H
#define HOST_PIPELINE_LORA_SOURCE_H

#include "host/model/modules.h"
#include "host/model/source.h"
#include "host/pipeline/loaded.h"
#include "weights/lora.h"

struct lora_used {
    struct lora *lora;
    char *path;
    struct lora_use use;
};

enum { LORA_LENT_MAX = WEIGHT_MAX_PARTS }; /* rows that one layer is made of */

struct lora_source {
    const struct checkpoint *file; /* null: synthetic */
    const struct modules *modules;
    struct lora_used used[LOADED_LORAS_MAX];
    int count;
    unsigned char *touched; /* [modules->count]: rows of this set of LoRAs or of the one before */

    /* what is lent until done() */
    struct lora_delta delta[LORA_LENT_MAX][LOADED_LORAS_MAX];
    struct weight_delta lent[LORA_LENT_MAX][LOADED_LORAS_MAX];
    float *vector[LORA_LENT_MAX][2]; /* a weight and a bias that had to be copied to be changed */
    int lent_count[LORA_LENT_MAX], rows;
};

/* The callbacks over it; `source` is lent as long as they are used. */
struct model_source lora_source_of(struct lora_source *source);

/* 1 if the wanted LoRAs are not the ones in use, in order, with their weights. */
int lora_source_differs(const struct lora_source *source, const struct wanted *wanted);

/* Opens the wanted LoRAs in place of those in use, and marks the rows that either touches.
 * returns  what lora_open() returns; STATUS_BAD_FILE if strict and a key was of no use */
status lora_source_set(struct lora_source *source, const struct wanted *wanted, int strict,
                       const struct loaded_log *log);

void lora_source_clear(struct lora_source *source);

#endif
