/* cuda/vendor.cuh - the vendor engine: products of matrices on cuBLASLt, convolutions on cuDNN,
 * both opened at run time and only when asked for.
 *
 * Its rows in conv2d's and linear's tables are called "vendor" and run where the engine was opened,
 * by name or because it is preferred. What the libraries cannot do (two inputs, padding channels,
 * GEGLU, the time embedding, statistics) is done around them by kernels of ours. Sums are in the
 * libraries' own order: decision 2 of host/DESIGN.md is not kept. */
#ifndef CUDA_VENDOR_CUH
#define CUDA_VENDOR_CUH

#include "cuda/device.cuh"
#include "cuda/product.cuh"
#include "cuda/vendor_abi.h"

/* ---- vendor_library.cu -------------------------------------------------------------------- */

/* File names to try, in this order, each list ended by null. */
struct vendor_names {
    const char *const *lt, *const *dnn;
};

struct vendor_libraries {
    void *lt_file, *dnn_file;
    lt_calls lt;
    dnn_calls dnn;
    char versions[64]; /* "cuBLASLt 13.1.0, cuDNN 9.19.0" */
};

/* Loads both and looks up all that is called of them. `names` null: those of the toolkits known.
 * returns  STATUS_NOT_FOUND    one is not here; the text has which and the names tried
 *          STATUS_UNSUPPORTED  it is too old, or has not all of it
 *          On failure nothing is open. */
status vendor_libraries_open(const vendor_names *names, vendor_libraries *out);
void vendor_libraries_close(vendor_libraries *libraries);

/* ---- vendor.cu ---------------------------------------------------------------------------- */

struct vendor_prepared; /* a call's descriptors and algorithm, made once per shape */

struct cuda_vendor {
    vendor_libraries library;
    void *lt, *dnn; /* handles */
    vendor_prepared *prepared;
    char why[240]; /* the last call that was refused: why */
};

/* Opens the engine on dev->vendor; before the device's first weight.
 * returns  as vendor_libraries_open(); STATUS_DEVICE  a library makes no handle */
status vendor_open(struct cuda_device *dev, const vendor_names *names);
void vendor_close(struct cuda_device *dev); /* not open is fine; its work is to be done */

/* Prepares the call if it is new; 0 with `why` if the libraries do not take it. */
int vendor_takes(const struct weight *w, const product &p);
size_t vendor_work_bytes(const struct weight *w, const product &p);
status vendor_launch(const struct weight *w, const product &p, const cuda_call *call);

/* Whether convolutions of this weight go to cuDNN: it wants filters without gaps. */
int vendor_convolves(const struct weight *w);

/* ---- what a prepared call consists of ------------------------------------------------------ */

/* All that decides how a call is run. Compared as bytes: zeroed first. */
struct vendor_key {
    int matmul; /* 1: a product of matrices */
    int direct; /* 1: bias and residual are the library's, and it writes y */
    int dtype, n, n_x, n_x2, h, w, c, c2, c_pad, c2_pad, h_out, w_out, c_out, columns, taps, stride,
        pad, k;
};

/* D = A^T B: outputs by pixels. */
struct vendor_gemm {
    void *desc, *a, *b, *d;
    lt_algo algo;
    size_t work_bytes;
};

struct vendor_conv {
    void *x, *y, *filter, *conv, *bias, *identity;
    int algo, fused; /* fused: cuDNN adds bias and residual too; taken back if it refuses to */
    size_t work_bytes;
    int gathers;         /* 1: x is made of both inputs, of padded channels or of more images */
    int h_in, w_in, c;   /* of what cuDNN reads */
    int h, w, k, phases; /* of what it writes */
};

struct vendor_prepared {
    vendor_prepared *next;
    vendor_key key;
    int usable;
    char why[200];
    vendor_gemm gemm[2]; /* one for each input */
    vendor_conv conv;
};

/* ---- vendor_matmul.cu --------------------------------------------------------------------- */

int vendor_matmul_prepare(cuda_vendor *v, vendor_prepared *p, const struct weight *w);
void vendor_matmul_drop(cuda_vendor *v, vendor_prepared *p);
size_t vendor_matmul_work(const vendor_prepared *p);
status vendor_matmul_launch(cuda_vendor *v, vendor_prepared *prepared, const struct weight *w,
                            const product &p, const cuda_call *call);

/* ---- vendor_conv.cu ----------------------------------------------------------------------- */

int vendor_conv_prepare(cuda_vendor *v, vendor_prepared *p);
void vendor_conv_drop(cuda_vendor *v, vendor_prepared *p);
size_t vendor_conv_work(const vendor_prepared *p);
status vendor_conv_launch(cuda_vendor *v, vendor_prepared *prepared, const struct weight *w,
                          const product &p, const cuda_call *call);

/* ---- vendor_finish.cu --------------------------------------------------------------------- */

/* Both inputs of an image, side by side as the weight has them, zeros where there is none:
 * [n, h, w, c_pad + c2_pad]. */
status vendor_gather(const product &p, void *to, int h, int w, cudaStream_t stream);

/* What a library left, [phases, n, h, w, pitch] of `type`, to y: bias, gate, time, activation,
 * residual. Then statistics. */
struct vendor_sums {
    const void *data;
    enum dtype type; /* of the sums: the call's, or f32 */
    int h, w, pitch, phases;
};
status vendor_finish(const product &p, const vendor_sums &sums, cudaStream_t stream);

#endif
