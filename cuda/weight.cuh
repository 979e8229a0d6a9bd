/* cuda/weight.cuh - how a layer's parameters lie on the device. weight.cu builds it; conv2d and
 * linear read `matrix` and `bias`, the norms `vector`, embed the table.
 *
 * A matrix is [phases][rows][k], k contiguous, in dtype: the B operand of mma.sync row.col as it
 * lies, and a 2-D tensor map as it stands.
 *   k     for each tap (ky, kx) in reading order the channels of x (c_pad of them), then of x2
 * (c2_pad). c_pad is the channel count rounded up to 8, so that a 16-byte copy never straddles
 * taps; what is added is zero. k is then rounded up to 64 with zeros. rows  outputs, rounded up to
 * 64 with zeros. GEGLU: values and gates interleaved in runs of 8 (8 values, their 8 gates, 8
 * values, ...), so that both lie in one thread's fragments. phases  1; 4 with upsample: the 3x3
 * kernel folded into 2x2 (taps 4) for output pixels (0,0), (0,1), (1,0), (1,1) of each 2x2 block;
 * taps summed in f32 and rounded once. bias is f32 [rows], in the order of the rows.
 *
 * Where the vendor engine was opened: bias_as_y, the bias in dtype for a library that adds it in
 * the type of its result; and filter, the matrix's rows without the zeros that round k up. */
#ifndef CUDA_WEIGHT_CUH
#define CUDA_WEIGHT_CUH

#include "host/base/ops.h"

struct weight {
    struct weight *next;
    enum weight_kind kind;
    enum dtype dtype;
    int out, in, in2, kernel, stride, upsample, geglu; /* as in weight_args; `in` holds in2 too */
    int c_pad, c2_pad; /* channels of x and x2 as they lie in a tap */
    int taps, phases;  /* taps: 1, 9, or 4 when folded */
    int k, rows;       /* padded sizes of `matrix` */
    void *matrix;      /* device */
    float *bias;       /* device, [rows] */
    void *bias_as_y;   /* device, [rows] in dtype; null if that would change a value */
    void *filter;      /* device, [phases][rows][taps (c_pad + c2_pad)]; null: as `matrix` */
    struct cuda_vendor *vendor; /* null: not opened */
    float *vector;              /* device: VECTOR [out] */
    void *table;                /* device: EMBEDDING [out, in] in dtype */
    size_t bytes;               /* device memory that it takes */
    const char *name;
};

#endif
