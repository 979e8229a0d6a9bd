/* bench/record/networks.h - the calls that SD 1.x makes of a device: one step, one decode. */
#ifndef BENCH_RECORD_NETWORKS_H
#define BENCH_RECORD_NETWORKS_H

#include "bench/record/recorder.h"

struct network_calls {
    struct recorded *call; /* free() it */
    size_t count;
};

/* One network evaluation with guidance (2 n images, context of 77 tokens) and its sampler step. */
status network_step(int width, int height, int n, struct network_calls *out);
/* The decoding of n latents to 8 bits. */
status network_decode(int width, int height, int n, struct network_calls *out);

#endif
