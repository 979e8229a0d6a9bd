/* bench/record/recorder.h - a device that computes nothing: it writes down what the networks ask.
 */
#ifndef BENCH_RECORD_RECORDER_H
#define BENCH_RECORD_RECORDER_H

#include "host/base/ops.h"

enum recorded_kind {
    RECORDED_CONV,
    RECORDED_LINEAR,
    RECORDED_ATTENTION,
    RECORDED_GROUP_NORM,
    RECORDED_LAYER_NORM,
    RECORDED_SMALL
};

/* Equal calls are one record. Sizes are of one call. */
struct recorded {
    enum recorded_kind kind;
    const char *op;         /* "conv2d", ... */
    int count;              /* calls */
    int n;                  /* images */
    int h, w, h_out, w_out; /* conv; linear, norm and attention: h_out 1, w_out rows per image */
    int c, c2, out;         /* inputs and outputs; GEGLU: `out` is what is stored */
    int kernel, stride, upsample, geglu;
    int residual, add, stats; /* 1: the call has it */
    int heads, d, s_kv, n_kv; /* attention */
    double weight_bytes;      /* read at least once a call */
    double in_bytes, out_bytes;
};

/* The device is planning for good: operators record and return STATUS_OK. */
status recorder_open(enum dtype dtype, struct ops **out);

/* What was recorded since the last recorder_clear(), in order of first calling; lent. */
const struct recorded *recorder_calls(const struct ops *ops, size_t *count);
void recorder_clear(struct ops *ops);

#endif
