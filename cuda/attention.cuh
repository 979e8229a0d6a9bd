/* cuda/attention.cuh - what the kernels of attention share: their arguments, where a head's rows
 * lie, how many keys a query sees. */
#ifndef CUDA_ATTENTION_CUH
#define CUDA_ATTENTION_CUH

#include <cuda_runtime.h>

#include "cuda/variant.cuh"
#include "host/base/ops.h"

/* The call, with device pointers, and the step table that names the current context. */
struct attention_call {
    attention_args a;
    const step_row *steps;
    const int *step;
};

/* ---- which keys an image sees ------------------------------------------------------------- */

/* The part of the keys that image `img` has. */
static __device__ __forceinline__ int attention_part(const attention_args &a, int img)
{
    return img / (a.n / a.n_kv);
}

/* The step table's current context; 0 if the call has one alone. */
static __device__ __forceinline__ int attention_context(const attention_call &p)
{
    return p.a.kv_context_stride > 0 || p.a.len_contexts > 0 ? p.steps[*p.step].context : 0;
}

/* Keys of a part, 1 .. s_kv. */
static __device__ __forceinline__ int attention_keys(const attention_args &a, int context, int part)
{
    return !a.key_len           ? a.s_kv
           : a.len_contexts > 0 ? a.key_len[context * a.n_kv + part]
                                : a.key_len[part];
}

/* Keys 0 .. that - 1 are seen by query `row`. */
static __device__ __forceinline__ int attention_seen(const attention_args &a, int keys, int row)
{
    return a.causal ? min(keys, row + 1) : keys;
}

/* ---- where rows lie ----------------------------------------------------------------------- */

/* One head of one image; rows go on by q_stride and kv_stride elements. */
template <class T> struct attention_head {
    const T *q, *k, *v;
    int keys; /* those of its part */
};

template <class T>
static __device__ __forceinline__ attention_head<T> attention_head_at(const attention_call &p,
                                                                      int img, int head)
{
    const attention_args &a = p.a;
    const int part = attention_part(a, img), context = attention_context(p);
    const size_t kv = (size_t)context * a.kv_context_stride + (size_t)part * a.s_kv * a.kv_stride +
                      (size_t)head * a.d;
    attention_head<T> h;
    h.q = (const T *)a.q + (size_t)(img % a.n_q) * a.s_q * a.q_stride + (size_t)head * a.d;
    h.k = (const T *)a.k + kv;
    h.v = (const T *)a.v + kv;
    h.keys = attention_keys(a, context, part);
    return h;
}

/* Where the head's first row of y begins. Asked for at a kernel's end: until then it would take two
 * registers. */
template <class T>
static __device__ __forceinline__ T *attention_output_at(const attention_args &a, int img, int head)
{
    return (T *)a.y + ((size_t)img * a.s_q * a.heads + head) * a.d;
}

/* Powers of 2 instead of e: what a score is multiplied by. */
static __device__ __forceinline__ float attention_slope(const attention_args &a)
{
    return a.scale * 1.44269504f;
}

/* ---- the variants outside attention.cu ------------------------------------------------------ */

/* Rows that 16-byte copies can fetch: f16 or bf16, d a multiple of 8, everything aligned. */
int attention_rows_aligned(const attention_args *a);

int attention_filled_takes(const attention_args *a); /* attention_mma.cu */
int attention_mixed_takes(const attention_args *a);
int attention_mma_takes(const attention_args *a);
int attention_short_takes(const attention_args *a); /* attention_short.cu */
int attention_wide_takes(const attention_args *a);  /* attention_wide.cu */
int attention_wgmma_takes(const attention_args *a); /* attention_hopper.cu */
status attention_filled_launch(const attention_args *a, const cuda_call *call);
status attention_mixed_launch(const attention_args *a, const cuda_call *call);
status attention_mma_launch(const attention_args *a, const cuda_call *call);
status attention_short_launch(const attention_args *a, const cuda_call *call);
status attention_wide_launch(const attention_args *a, const cuda_call *call);
status attention_wgmma_launch(const attention_args *a, const cuda_call *call);

#endif
