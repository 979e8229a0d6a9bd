/* cuda/variant.cuh - the table of variants that every operator's file ends with, and the pick. */
#ifndef CUDA_VARIANT_CUH
#define CUDA_VARIANT_CUH

#include <cuda_runtime.h>

#include "host/base/ops.h"

/* What a launch gets besides the operator's args. */
struct cuda_call {
    cudaStream_t stream;
    void *work;                   /* scratch of at least work_bytes(args), 256-byte aligned */
    const struct step_row *steps; /* device: the step table ... */
    const int *step;              /* device: ... and the current row's number */
    int sm_count; /* multiprocessors: a hint for tiles, never for the order of sums */
};

/* A row's `arch` if it calls the vendor's libraries: any GPU, where they were opened. */
enum { CUDA_VENDOR = 1000 };

/* One row: plainest first. The pick is the committed plan's row for the shape, or else the last of
 * arch 80 that takes the call: another architecture's own rows, and the vendor's, run where the
 * plan, made of measurements, names them, when forced, or when the engine is preferred. */
template <class Args> struct cuda_variant {
    const char *name;
    int arch;                    /* 80: any GPU from sm_80 on; 90: sm_90a alone; CUDA_VENDOR */
    int (*takes)(const Args *a); /* 1 if it computes this call */
    size_t (*work_bytes)(const Args *a); /* null: needs none */
    status (*launch)(const Args *a, const cuda_call *call);
};

template <class Args> struct cuda_table {
    const char *op;
    const cuda_variant<Args> *row;
    int count;
};

#endif
