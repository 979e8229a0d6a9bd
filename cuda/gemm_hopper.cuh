/* cuda/gemm_hopper.cuh - products by wgmma (sm_90a), as conv2d.cu and linear.cu start them. */
#ifndef CUDA_GEMM_HOPPER_CUH
#define CUDA_GEMM_HOPPER_CUH

#include "cuda/product.cuh"

/* 16-bit products of stride 1 whose 64-pixel runs are boxes that bulk copies can bring: any 1x1
 * with one input; else channels in multiples of 64 and rows of pixels that share a factor of at
 * least 8 with 64. */
int gemm_hopper_takes(const product &p);

/* The same chunks of K as gemm_launch(), and the same memory for them. */
status gemm_hopper_launch(product p, cudaStream_t stream);

#endif
