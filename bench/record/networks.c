/* bench/record/networks.c - the networks themselves, run against the recorder. */
#include "bench/record/networks.h"

#include <stdlib.h>
#include <string.h>

#include "host/model/unet.h"
#include "host/model/vae.h"

enum { CELL = 8, LATENT = 4, TOKENS = 77 };

/* Parameters nobody will read. */
static status no_values(void *context, const struct module_row *row, struct weight_part *part)
{
    (void)context, (void)row, (void)part;
    return STATUS_OK;
}

static const struct model_source source = { .get = no_values };

static status keep(struct ops *ops, struct network_calls *out)
{
    const struct recorded *call = recorder_calls(ops, &out->count);
    out->call = malloc(out->count * sizeof *call);
    if (!out->call)
        return status_fail(STATUS_NO_MEMORY, "roofline: no memory for %zu calls", out->count);
    memcpy(out->call, call, out->count * sizeof *call);
    return STATUS_OK;
}

static status step(struct ops *ops, const struct modules *modules, int width, int height, int n)
{
    struct unet *unet;
    const float t = 500.0f;
    TRY(unet_create(ops, modules, &source, DTYPE_F16, &unet));
    status result = unet_prepare(unet, &(struct unet_job){ .n = n,
                                                           .parts = 2,
                                                           .h = height / CELL,
                                                           .w = width / CELL,
                                                           .t = &t,
                                                           .rows = 1,
                                                           .context = &t,
                                                           .contexts = 1,
                                                           .tokens = TOKENS });
    recorder_clear(ops); /* what runs once a picture is no part of a step */
    if (result == STATUS_OK)
        result = unet_evaluate(unet, &t, (void *)&t);
    if (result == STATUS_OK)
        result = ops->sampler_step(
            ops, &(struct sampler_step_args){ .parts = 2,
                                              .dtype = DTYPE_F16,
                                              .n = n,
                                              .hw = width / CELL * (height / CELL),
                                              .c = LATENT });
    unet_destroy(unet);
    return result;
}

static status decode(struct ops *ops, const struct modules *modules, int width, int height, int n)
{
    struct vae_decoder *decoder;
    float nothing;
    TRY(vae_decoder_create(ops, modules, &source,
                           &(struct vae_decoder_args){ DTYPE_F16, VAE_SHIFT_F16 }, &decoder));
    status result = vae_decode(
        decoder,
        &(struct vae_decode_args){
            .latent = &nothing, .y = &nothing, .n = n, .h = height / CELL, .w = width / CELL });
    if (result == STATUS_OK)
        result = ops->to_rgb8(
            ops, &(struct to_rgb8_args){ .dtype = DTYPE_F16, .n = n, .hw = width * height });
    vae_decoder_destroy(decoder);
    return result;
}

static status record(status (*network)(struct ops *, const struct modules *, int, int, int),
                     int width, int height, int n, struct network_calls *out)
{
    const struct sd1_sizes sizes = modules_sd1_sizes();
    struct modules *modules = NULL;
    struct ops *ops;
    *out = (struct network_calls){ 0 };
    TRY(recorder_open(DTYPE_F16, &ops));
    status result = modules_create(&sizes, &modules);
    if (result == STATUS_OK)
        result = network(ops, modules, width, height, n);
    if (result == STATUS_OK)
        result = keep(ops, out);
    modules_destroy(modules);
    ops->destroy(ops);
    return result;
}

status network_step(int width, int height, int n, struct network_calls *out)
{
    return record(step, width, height, n, out);
}

status network_decode(int width, int height, int n, struct network_calls *out)
{
    return record(decode, width, height, n, out);
}
