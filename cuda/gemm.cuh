/* cuda/gemm.cuh - products on tensor cores by mma.sync, as conv2d.cu and linear.cu start them. */
#ifndef CUDA_GEMM_CUH
#define CUDA_GEMM_CUH

#include "cuda/product.cuh"
#include "cuda/tiles.h"

/* ---- gemm.cu ---------------------------------------------------------------------------- */

/* Takes every product of f16 or bf16. All tiles give the same bytes. */
status gemm_launch(product p, enum tile_name tile, cudaStream_t stream);

int gemm_splits(const product &p);        /* chunks of K: of one image's shape alone */
size_t gemm_work_bytes(const product &p); /* of `partial` */
enum tile_name gemm_tile(const product &p, int sm_count);

/* What is left when a kernel has made its sums: adding p.splits chunks in ascending order and
 * finishing them, or the statistics of interleaved pixels. */
status gemm_complete(const product &p, cudaStream_t stream);

/* ---- gemm_window.cu --------------------------------------------------------------------- */

/* 3x3 convolutions of stride 1, doubled or not, that keep the width, on channels in multiples of
 * 32: each input pixel is copied once, or three times from very wide images, and not once for every
 * tap. Same bytes from both of its tiles (128x64, 128x128), but not those of gemm_launch(). */
int window_takes(const product &p);
enum tile_name window_tile(const product &p, int sm_count);
status window_launch(product p, enum tile_name tile, cudaStream_t stream);

#endif
