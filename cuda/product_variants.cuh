/* cuda/product_variants.cuh - the rows that conv2d's and linear's tables share: product_of() makes
 * the call's product, and a kernel for products computes it. */
#ifndef CUDA_PRODUCT_VARIANTS_CUH
#define CUDA_PRODUCT_VARIANTS_CUH

#include <limits.h>

#include "cuda/device.cuh"
#include "cuda/gemm.cuh"
#include "cuda/gemm_hopper.cuh"
#include "cuda/vendor.cuh"

template <class Args> struct product_variants {
    static int takes_all(const Args *) { return 1; }
    static int takes_f32(const Args *a) { return a->dtype == DTYPE_F32; }

    /* Kernels count the weight's elements by ints. */
    static int takes_16_bit(const Args *a)
    {
        return a->dtype != DTYPE_F32 && a->weight->rows <= INT_MAX / a->weight->k;
    }
    static int takes_few(const Args *a)
    {
        return takes_16_bit(a) && product_of(a, NULL).columns <= tile_of(TILE_128X16).n;
    }
    static int takes_wgmma(const Args *a) { return gemm_hopper_takes(product_of(a, NULL)); }
    static int takes_vendor(const Args *a) { return vendor_takes(a->weight, product_of(a, NULL)); }

    static size_t work_bytes(const Args *a) { return gemm_work_bytes(product_of(a, NULL)); }
    static size_t vendor_bytes(const Args *a)
    {
        return vendor_work_bytes(a->weight, product_of(a, NULL));
    }

    static status plain(const Args *a, const cuda_call *call)
    {
        return product_plain(product_of(a, call), call->stream);
    }
    static status tiled(const Args *a, const cuda_call *call)
    {
        return product_tiled(product_of(a, call), call->stream);
    }
    template <enum tile_name TILE> static status tile(const Args *a, const cuda_call *call)
    {
        return gemm_launch(product_of(a, call), TILE, call->stream);
    }
    static status mma(const Args *a, const cuda_call *call)
    {
        const product p = product_of(a, call);
        return gemm_launch(p, gemm_tile(p, call->sm_count), call->stream);
    }
    static status wgmma(const Args *a, const cuda_call *call)
    {
        return gemm_hopper_launch(product_of(a, call), call->stream);
    }
    static status vendor(const Args *a, const cuda_call *call)
    {
        return vendor_launch(a->weight, product_of(a, call), call);
    }
};

#endif
