/* tests/fuzz/fuzz_weights.c - any bytes as a checkpoint, a VAE, an inversion and a LoRA. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "weights/checkpoint.h"
#include "weights/embedding.h"
#include "weights/lora.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UNET "model.diffusion_model."
#define TEXT "cond_stage_model.transformer.text_model."

static const struct module_row rows[] = {
    { UNET "input_blocks.1.1.transformer_blocks.0.attn1.to_q", MODULE_UNET, MODULE_LINEAR, 0, 12,
      12, 1 },
    { UNET "input_blocks.4.0.in_layers.2", MODULE_UNET, MODULE_CONV2D, 1, 12, 8, 3 },
    { UNET "input_blocks.6.0.op", MODULE_UNET, MODULE_CONV2D, 1, 8, 8, 3 },
    { UNET "input_blocks.4.0.in_layers.0", MODULE_UNET, MODULE_NORM, 1, 8, 1, 1 },
    { TEXT "encoder.layers.0.mlp.fc1", MODULE_TEXT, MODULE_LINEAR, 1, 20, 10, 1 },
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static void try_checkpoint(status (*open)(const char *, struct checkpoint **), const char *path)
{
    struct checkpoint *checkpoint;
    float alphas[SD1_TIMESTEPS];
    if (open(path, &checkpoint) != STATUS_OK)
        return;
    int *at = calloc((size_t)checkpoint_sizes(checkpoint)->positions + 1, sizeof *at), plain;
    checkpoint_check(checkpoint, rows, ROWS);
    checkpoint_extra(checkpoint, rows, ROWS, NULL, NULL);
    checkpoint_not_finite(checkpoint, rows, ROWS);
    checkpoint_alphas(checkpoint, alphas);
    checkpoint_positions(checkpoint, at, &plain);
    free(at);
    checkpoint_close(checkpoint);
}

static void try_lora(const char *path)
{
    static const struct lora_use use = { 0.5, -1, { 1, 6, 0, 0 } };
    static float weight[20 * 10 * 9], bias[32];
    struct lora *lora;
    struct lora_delta delta;
    if (lora_open(path, rows, ROWS, &lora) != STATUS_OK)
        return;
    for (size_t i = 0; i < ROWS; i++)
        if (lora_delta(lora, i, &use, weight, &delta) == STATUS_OK) {
            lora_delta_add(&delta, &rows[i], weight, bias);
            lora_delta_free(&delta);
        }
    lora_close(lora);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    struct embedding *embedding;
    if (path[0] == 0)
        snprintf(path, sizeof path, "/tmp/fuzz-weights-%ld", (long)getpid());
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return 0;
    const size_t written = fwrite(data, 1, size, file);
    if (fclose(file) != 0 || written != size)
        return 0;
    try_checkpoint(checkpoint_open, path);
    try_checkpoint(checkpoint_open_vae, path);
    if (embedding_open(path, &embedding) == STATUS_OK)
        embedding_free(embedding);
    try_lora(path);
    unlink(path);
    return 0;
}
