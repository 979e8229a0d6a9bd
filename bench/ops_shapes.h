/* bench/ops_shapes.h - what one network evaluation and one decode of SD 1.x ask of a device. */
#ifndef BENCH_OPS_SHAPES_H
#define BENCH_OPS_SHAPES_H

#include <stddef.h>

enum bench_op { BENCH_CONV, BENCH_LINEAR, BENCH_ATTENTION, BENCH_GROUP_NORM, BENCH_LAYER_NORM };

struct bench_shape {
    const char *net; /* "unet": counts are of one evaluation; "vae": of one decode */
    enum bench_op op;
    int count;
    int h, w;  /* input; tokens: 1 and their number; attention: queries and keys */
    int c, c2; /* input channels; attention: width of a head, heads */
    int out;   /* channels; 0 for norms and attention */
    int kernel, stride, upsample, geglu, residual;
};

extern const struct bench_shape bench_shapes[];
extern const size_t bench_shape_count;

#endif
