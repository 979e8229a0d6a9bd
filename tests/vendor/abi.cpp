/* tests/vendor/abi.cpp - cuda/vendor_abi.h held to NVIDIA's headers, where they are installed: that
 * it compiles is the test. */
#include <cublasLt.h>
#include <cudnn.h>

#include <type_traits>

#include "cuda/vendor_abi.h"

/* ---- numbers ------------------------------------------------------------------------------ */

#define SAME(ours, theirs) static_assert((int)(ours) == (int)(theirs), #theirs)
SAME(LT_SUCCESS, CUBLAS_STATUS_SUCCESS);
SAME(LT_NOT_SUPPORTED, CUBLAS_STATUS_NOT_SUPPORTED);
SAME(LT_R_32F, CUDA_R_32F);
SAME(LT_R_16F, CUDA_R_16F);
SAME(LT_R_16BF, CUDA_R_16BF);
SAME(LT_COMPUTE_32F, CUBLAS_COMPUTE_32F);
SAME(LT_OP_T, CUBLAS_OP_T);
SAME(LT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_BIAS);
SAME(LT_DESC_TRANSA, CUBLASLT_MATMUL_DESC_TRANSA);
SAME(LT_DESC_EPILOGUE, CUBLASLT_MATMUL_DESC_EPILOGUE);
SAME(LT_DESC_BIAS_POINTER, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
SAME(LT_LAYOUT_BATCH_COUNT, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT);
SAME(LT_LAYOUT_BATCH_STRIDE, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
SAME(LT_PREF_WORKSPACE, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
SAME(LT_PREF_ALIGNMENT_A, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
SAME(LT_PREF_ALIGNMENT_A + 1, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
SAME(LT_PREF_ALIGNMENT_A + 2, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
SAME(LT_PREF_ALIGNMENT_A + 3, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
SAME(DNN_SUCCESS, CUDNN_STATUS_SUCCESS);
SAME(DNN_NOT_SUPPORTED, CUDNN_STATUS_NOT_SUPPORTED);
SAME(DNN_DATA_FLOAT, CUDNN_DATA_FLOAT);
SAME(DNN_DATA_HALF, CUDNN_DATA_HALF);
SAME(DNN_DATA_BFLOAT16, CUDNN_DATA_BFLOAT16);
SAME(DNN_TENSOR_NHWC, CUDNN_TENSOR_NHWC);
SAME(DNN_CROSS_CORRELATION, CUDNN_CROSS_CORRELATION);
SAME(DNN_DEFAULT_MATH, CUDNN_DEFAULT_MATH);
SAME(DNN_TENSOR_OP_MATH, CUDNN_TENSOR_OP_MATH);
SAME(DNN_TENSOR_OP_MATH_CONVERSION, CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION);
SAME(DNN_FMA_MATH, CUDNN_FMA_MATH);
SAME(DNN_ACTIVATION_IDENTITY, CUDNN_ACTIVATION_IDENTITY);
SAME(DNN_NOT_PROPAGATE_NAN, CUDNN_NOT_PROPAGATE_NAN);
SAME(DNN_ALGO_IMPLICIT_PRECOMP_GEMM, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM);
SAME(DNN_ALGO_COUNT, CUDNN_CONVOLUTION_FWD_ALGO_COUNT);

/* ---- structs ------------------------------------------------------------------------------ */

#define PLACE(ours, field, theirs, their_field)                                                    \
    static_assert(offsetof(ours, field) == offsetof(theirs, their_field), #their_field)
static_assert(sizeof(lt_algo) == sizeof(cublasLtMatmulAlgo_t), "");
static_assert(sizeof(lt_found) == sizeof(cublasLtMatmulHeuristicResult_t), "");
PLACE(lt_found, work_bytes, cublasLtMatmulHeuristicResult_t, workspaceSize);
PLACE(lt_found, state, cublasLtMatmulHeuristicResult_t, state);
static_assert(sizeof(dnn_found) == sizeof(cudnnConvolutionFwdAlgoPerf_t), "");
PLACE(dnn_found, status, cudnnConvolutionFwdAlgoPerf_t, status);
PLACE(dnn_found, work_bytes, cudnnConvolutionFwdAlgoPerf_t, memory);
PLACE(dnn_found, determinism, cudnnConvolutionFwdAlgoPerf_t, determinism);
PLACE(dnn_found, math, cudnnConvolutionFwdAlgoPerf_t, mathType);

/* ---- functions ---------------------------------------------------------------------------- */

/* As a calling convention sees a type: handles and pointers are addresses, enums are ints. */
template <class T> struct passed {
    typedef std::conditional_t<std::is_pointer_v<T>, void *,
                               std::conditional_t<std::is_enum_v<T>, int, T>>
        type;
};
template <class F> struct shape;
template <class R, class... A> struct shape<R (*)(A...)> {
    typedef typename passed<R>::type (*type)(typename passed<std::decay_t<A>>::type...);
};
#define CALL(calls, member, theirs)                                                                \
    static_assert(                                                                                 \
        std::is_same_v<shape<decltype(calls::member)>::type, shape<decltype(&theirs)>::type>,      \
        #theirs)
CALL(lt_calls, version, cublasLtGetVersion);
CALL(lt_calls, status_name, cublasLtGetStatusName);
CALL(lt_calls, create, cublasLtCreate);
CALL(lt_calls, destroy, cublasLtDestroy);
CALL(lt_calls, desc_create, cublasLtMatmulDescCreate);
CALL(lt_calls, desc_destroy, cublasLtMatmulDescDestroy);
CALL(lt_calls, desc_set, cublasLtMatmulDescSetAttribute);
CALL(lt_calls, layout_create, cublasLtMatrixLayoutCreate);
CALL(lt_calls, layout_destroy, cublasLtMatrixLayoutDestroy);
CALL(lt_calls, layout_set, cublasLtMatrixLayoutSetAttribute);
CALL(lt_calls, pref_create, cublasLtMatmulPreferenceCreate);
CALL(lt_calls, pref_destroy, cublasLtMatmulPreferenceDestroy);
CALL(lt_calls, pref_set, cublasLtMatmulPreferenceSetAttribute);
CALL(lt_calls, heuristic, cublasLtMatmulAlgoGetHeuristic);
CALL(lt_calls, matmul, cublasLtMatmul);
CALL(dnn_calls, version, cudnnGetVersion);
CALL(dnn_calls, status_text, cudnnGetErrorString);
CALL(dnn_calls, create, cudnnCreate);
CALL(dnn_calls, destroy, cudnnDestroy);
CALL(dnn_calls, set_stream, cudnnSetStream);
CALL(dnn_calls, tensor_create, cudnnCreateTensorDescriptor);
CALL(dnn_calls, tensor_destroy, cudnnDestroyTensorDescriptor);
CALL(dnn_calls, tensor_set, cudnnSetTensor4dDescriptor);
CALL(dnn_calls, filter_create, cudnnCreateFilterDescriptor);
CALL(dnn_calls, filter_destroy, cudnnDestroyFilterDescriptor);
CALL(dnn_calls, filter_set, cudnnSetFilter4dDescriptor);
CALL(dnn_calls, conv_create, cudnnCreateConvolutionDescriptor);
CALL(dnn_calls, conv_destroy, cudnnDestroyConvolutionDescriptor);
CALL(dnn_calls, conv_set, cudnnSetConvolution2dDescriptor);
CALL(dnn_calls, conv_set_math, cudnnSetConvolutionMathType);
CALL(dnn_calls, conv_output, cudnnGetConvolution2dForwardOutputDim);
CALL(dnn_calls, activation_create, cudnnCreateActivationDescriptor);
CALL(dnn_calls, activation_destroy, cudnnDestroyActivationDescriptor);
CALL(dnn_calls, activation_set, cudnnSetActivationDescriptor);
CALL(dnn_calls, algorithms, cudnnGetConvolutionForwardAlgorithm_v7);
CALL(dnn_calls, forward, cudnnConvolutionForward);
CALL(dnn_calls, forward_bias, cudnnConvolutionBiasActivationForward);

int main(void) { return 0; }
