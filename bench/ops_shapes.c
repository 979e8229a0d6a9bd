/* bench/ops_shapes.c - SD 1.x at 512x768: latent 64x96, a level at a time. */
#include "bench/ops_shapes.h"

#define CONV(net, count, h, w, c, out, stride, up)                                                 \
    {                                                                                              \
        net, BENCH_CONV, count, h, w, c, 0, out, 3, stride, up, 0, 0                               \
    }
#define SKIP(net, count, h, w, c, c2, out)                                                         \
    {                                                                                              \
        net, BENCH_CONV, count, h, w, c, c2, out, 1, 1, 1, 0, 0                                    \
    }
#define LINEAR(count, s, in, out, geglu, residual)                                                 \
    {                                                                                              \
        "unet", BENCH_LINEAR, count, 1, s, in, 0, out, 1, 1, 1, geglu, residual                    \
    }
/* One transformer block: qkv; q, proj_in; both outs, proj_out; geglu and back; two attentions. */
#define TRANSFORMER(count, s, c)                                                                   \
    LINEAR(count, s, c, 3 * (c), 0, 0), LINEAR(2 * (count), s, c, c, 0, 0),                        \
        LINEAR(3 * (count), s, c, c, 0, 1), LINEAR(count, s, c, 4 * (c), 1, 0),                    \
        LINEAR(count, s, 4 * (c), c, 0, 1),                                                        \
        { "unet", BENCH_ATTENTION, count, s, s, (c) / 8, 8, 0, 1, 1, 1, 0, 0 },                    \
        { "unet", BENCH_ATTENTION, count, s, 77, (c) / 8, 8, 0, 1, 1, 1, 0, 0 },                   \
    {                                                                                              \
        "unet", BENCH_LAYER_NORM, 3 * (count), 1, s, c, 0, 0, 1, 1, 1, 0, 0                        \
    }
#define NORM(net, count, h, w, c)                                                                  \
    {                                                                                              \
        net, BENCH_GROUP_NORM, count, h, w, c, 0, 0, 1, 1, 1, 0, 0                                 \
    }

const struct bench_shape bench_shapes[] = {
    CONV("unet", 1, 64, 96, 4, 320, 1, 1),
    CONV("unet", 7, 64, 96, 320, 320, 1, 1),
    CONV("unet", 2, 64, 96, 640, 320, 1, 1),
    CONV("unet", 1, 64, 96, 960, 320, 1, 1),
    CONV("unet", 1, 64, 96, 320, 4, 1, 1),
    CONV("unet", 1, 64, 96, 320, 320, 2, 1),
    CONV("unet", 1, 32, 48, 320, 640, 1, 1),
    CONV("unet", 6, 32, 48, 640, 640, 1, 1),
    CONV("unet", 1, 32, 48, 960, 640, 1, 1),
    CONV("unet", 1, 32, 48, 1280, 640, 1, 1),
    CONV("unet", 1, 32, 48, 1920, 640, 1, 1),
    CONV("unet", 1, 32, 48, 640, 640, 2, 1),
    CONV("unet", 1, 32, 48, 640, 640, 1, 2),
    CONV("unet", 1, 16, 24, 640, 1280, 1, 1),
    CONV("unet", 6, 16, 24, 1280, 1280, 1, 1),
    CONV("unet", 1, 16, 24, 1920, 1280, 1, 1),
    CONV("unet", 2, 16, 24, 2560, 1280, 1, 1),
    CONV("unet", 1, 16, 24, 1280, 1280, 2, 1),
    CONV("unet", 1, 16, 24, 1280, 1280, 1, 2),
    CONV("unet", 11, 8, 12, 1280, 1280, 1, 1),
    CONV("unet", 3, 8, 12, 2560, 1280, 1, 1),
    CONV("unet", 1, 8, 12, 1280, 1280, 1, 2),
    SKIP("unet", 2, 64, 96, 320, 320, 320),
    SKIP("unet", 1, 64, 96, 640, 320, 320),
    SKIP("unet", 1, 32, 48, 320, 0, 640),
    SKIP("unet", 1, 32, 48, 640, 320, 640),
    SKIP("unet", 1, 32, 48, 640, 640, 640),
    SKIP("unet", 1, 32, 48, 1280, 640, 640),
    SKIP("unet", 1, 16, 24, 640, 0, 1280),
    SKIP("unet", 1, 16, 24, 1280, 640, 1280),
    SKIP("unet", 2, 16, 24, 1280, 1280, 1280),
    SKIP("unet", 3, 8, 12, 1280, 1280, 1280),
    TRANSFORMER(5, 64 * 96, 320),
    TRANSFORMER(5, 32 * 48, 640),
    TRANSFORMER(5, 16 * 24, 1280),
    TRANSFORMER(1, 8 * 12, 1280),
    NORM("unet", 13, 64, 96, 320),
    NORM("unet", 2, 64, 96, 640),
    NORM("unet", 12, 32, 48, 640),
    NORM("unet", 12, 16, 24, 1280),
    NORM("unet", 12, 8, 12, 1280),
    CONV("vae", 1, 64, 96, 4, 512, 1, 1),
    CONV("vae", 10, 64, 96, 512, 512, 1, 1),
    CONV("vae", 1, 64, 96, 512, 512, 1, 2),
    CONV("vae", 6, 128, 192, 512, 512, 1, 1),
    CONV("vae", 1, 128, 192, 512, 512, 1, 2),
    CONV("vae", 1, 256, 384, 512, 256, 1, 1),
    CONV("vae", 5, 256, 384, 256, 256, 1, 1),
    SKIP("vae", 1, 256, 384, 512, 0, 256),
    CONV("vae", 1, 256, 384, 256, 256, 1, 2),
    CONV("vae", 1, 512, 768, 256, 128, 1, 1),
    CONV("vae", 5, 512, 768, 128, 128, 1, 1),
    SKIP("vae", 1, 512, 768, 256, 0, 128),
    CONV("vae", 1, 512, 768, 128, 3, 1, 1),
    NORM("vae", 11, 64, 96, 512),
    NORM("vae", 6, 128, 192, 512),
    NORM("vae", 6, 256, 384, 256),
    NORM("vae", 7, 512, 768, 128),
    { "vae", BENCH_ATTENTION, 1, 64 * 96, 64 * 96, 512, 1, 0, 1, 1, 1, 0, 0 },
};

const size_t bench_shape_count = sizeof bench_shapes / sizeof bench_shapes[0];
