/* cuda/vendor_abi.h - what the vendor engine calls of cuBLASLt 12 and 13 and of cuDNN 9, declared
 * here from their published ABI: a build needs the headers of neither. tests/vendor/abi.cpp holds
 * it to NVIDIA's own where they are.
 *
 * source  cuBLAS library, "cuBLASLt Datatypes Reference" and "API Reference"; cuDNN API, cudnn_ops
 *         and cudnn_cnn */
#ifndef CUDA_VENDOR_ABI_H
#define CUDA_VENDOR_ABI_H

#include <stddef.h>
#include <stdint.h>

/* ---- cuBLASLt ---------------------------------------------------------------------------- */

enum {
    LT_SUCCESS = 0, /* cublasStatus_t */
    LT_NOT_SUPPORTED = 15,

    LT_R_32F = 0, /* cudaDataType_t */
    LT_R_16F = 2,
    LT_R_16BF = 14,

    LT_COMPUTE_32F = 68, /* cublasComputeType_t: f32 products and sums, no TF32 */
    LT_OP_T = 1,         /* cublasOperation_t */
    LT_EPILOGUE_BIAS = 4,

    LT_DESC_TRANSA = 3,   /* int32_t */
    LT_DESC_EPILOGUE = 7, /* uint32_t */
    LT_DESC_BIAS_POINTER = 8,

    LT_LAYOUT_BATCH_COUNT = 5,  /* int32_t */
    LT_LAYOUT_BATCH_STRIDE = 6, /* int64_t, elements */

    LT_PREF_WORKSPACE = 1,   /* uint64_t, bytes at most */
    LT_PREF_ALIGNMENT_A = 5, /* uint32_t, bytes; B, C and D follow */
};

struct lt_algo { /* cublasLtMatmulAlgo_t */
    uint64_t data[8];
};

struct lt_found { /* cublasLtMatmulHeuristicResult_t */
    struct lt_algo algo;
    size_t work_bytes;
    int state;
    float waves;
    int reserved[4];
};

/* Handles, descriptors and layouts are opaque pointers. Matrices are column-major. */
struct lt_calls {
    size_t (*version)(void);
    const char *(*status_name)(int code);
    int (*create)(void **handle);
    int (*destroy)(void *handle);
    int (*desc_create)(void **desc, int compute, int scale);
    int (*desc_destroy)(void *desc);
    int (*desc_set)(void *desc, int attribute, const void *value, size_t bytes);
    int (*layout_create)(void **layout, int type, uint64_t rows, uint64_t columns, int64_t ld);
    int (*layout_destroy)(void *layout);
    int (*layout_set)(void *layout, int attribute, const void *value, size_t bytes);
    int (*pref_create)(void **pref);
    int (*pref_destroy)(void *pref);
    int (*pref_set)(void *pref, int attribute, const void *value, size_t bytes);
    int (*heuristic)(void *handle, void *desc, void *a, void *b, void *c, void *d, void *pref,
                     int most, struct lt_found *found, int *count);
    int (*matmul)(void *handle, void *desc, const void *alpha, const void *a, void *a_layout,
                  const void *b, void *b_layout, const void *beta, const void *c, void *c_layout,
                  void *d, void *d_layout, const struct lt_algo *algo, void *work,
                  size_t work_bytes, void *stream);
};

/* ---- cuDNN ------------------------------------------------------------------------------- */

enum {
    DNN_SUCCESS = 0,          /* cudnnStatus_t */
    DNN_NOT_SUPPORTED = 3000, /* of the thousand */

    DNN_DATA_FLOAT = 0, /* cudnnDataType_t */
    DNN_DATA_HALF = 2,
    DNN_DATA_BFLOAT16 = 9,

    DNN_TENSOR_NHWC = 1,
    DNN_CROSS_CORRELATION = 1,
    DNN_DEFAULT_MATH = 0, /* cudnnMathType_t: TF32 allowed */
    DNN_TENSOR_OP_MATH = 1,
    DNN_TENSOR_OP_MATH_CONVERSION = 2,
    DNN_FMA_MATH = 3,
    DNN_ACTIVATION_IDENTITY = 5,
    DNN_NOT_PROPAGATE_NAN = 0,
    DNN_ALGO_IMPLICIT_PRECOMP_GEMM = 1,
    DNN_ALGO_COUNT = 8,
};

struct dnn_found { /* cudnnConvolutionFwdAlgoPerf_t */
    int algo, status;
    float time;
    size_t work_bytes;
    int determinism, math;
    int reserved[3];
};

struct dnn_calls {
    size_t (*version)(void);
    const char *(*status_text)(int code);
    int (*create)(void **handle);
    int (*destroy)(void *handle);
    int (*set_stream)(void *handle, void *stream);
    int (*tensor_create)(void **tensor);
    int (*tensor_destroy)(void *tensor);
    int (*tensor_set)(void *tensor, int format, int type, int n, int c, int h, int w);
    int (*filter_create)(void **filter);
    int (*filter_destroy)(void *filter);
    int (*filter_set)(void *filter, int type, int format, int k, int c, int h, int w);
    int (*conv_create)(void **conv);
    int (*conv_destroy)(void *conv);
    int (*conv_set)(void *conv, int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h,
                    int dilation_w, int mode, int compute);
    int (*conv_set_math)(void *conv, int math);
    int (*conv_output)(void *conv, void *x, void *filter, int *n, int *c, int *h, int *w);
    int (*activation_create)(void **activation);
    int (*activation_destroy)(void *activation);
    int (*activation_set)(void *activation, int mode, int nan, double coefficient);
    int (*algorithms)(void *handle, void *x, void *filter, void *conv, void *y, int most,
                      int *count, struct dnn_found *found);
    int (*forward)(void *handle, const void *alpha, void *x, const void *x_data, void *filter,
                   const void *filter_data, void *conv, int algo, void *work, size_t work_bytes,
                   const void *beta, void *y, void *y_data);
    int (*forward_bias)(void *handle, const void *alpha, void *x, const void *x_data, void *filter,
                        const void *filter_data, void *conv, int algo, void *work,
                        size_t work_bytes, const void *alpha_z, void *z, const void *z_data,
                        void *bias, const void *bias_data, void *activation, void *y, void *y_data);
};

#endif
