/* cuda/gemm.cuh - products on tensor cores by mma.sync, as conv2d.cu and linear.cu start them. */
#ifndef CUDA_GEMM_CUH
#define CUDA_GEMM_CUH

#include "cuda/product.cuh"
#include "cuda/tiles.h"

/* Takes every product of f16 or bf16. All tiles give the same bytes. */
status gemm_launch(product p, enum tile_name tile, cudaStream_t stream);

int gemm_splits(const product &p);        /* chunks of K: of one image's shape alone */
size_t gemm_work_bytes(const product &p); /* of `partial` */
enum tile_name gemm_tile(const product &p, int sm_count);

#endif
