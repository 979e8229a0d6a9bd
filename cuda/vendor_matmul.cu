/* cuda/vendor_matmul.cu - products of matrices on cuBLASLt.
 *
 * Layout     To cuBLASLt, which thinks in columns, D [outputs, pixels] = A^T B, with A = the packed
 *            matrix [k, rows] and B = x [c, pixels]: all as they lie. An input of fewer images is a
 *            batch of stride 0.
 * Direct     Bias (where its values are exact in the call's type), residual and y are the
 * library's: one rounding, as ours. Else f32 sums go to scratch, a second input's are added to
 *            them, and vendor_finish() does the rest: GEGLU and the activations, whose GELU is
 *            another than ours, are always finished so.
 */
#include <stdio.h>

#include "cuda/vendor.cuh"

namespace
{

const uint64_t WORKSPACE_MOST = 32 << 20; /* what NVIDIA recommends for Hopper */
enum { ALIGNMENT = 16 };

int lt_type(int dtype)
{
    return dtype == DTYPE_F16 ? LT_R_16F : dtype == DTYPE_BF16 ? LT_R_16BF : LT_R_32F;
}

struct gemm_shape {
    int k, outputs, pixels, batch;
    int in, out; /* cudaDataType_t of A and B, and of D */
    int64_t lda, ldb, ldd, stride_d;
};

/* A layout; a batch of one has no stride. */
int make_layout(const lt_calls &lt, void **out, int type, int rows, int columns, int64_t ld,
                int batch, int64_t stride)
{
    const int32_t count = batch;
    int code = lt.layout_create(out, type, (uint64_t)rows, (uint64_t)columns, ld);
    if (code != LT_SUCCESS) {
        *out = NULL;
        return code;
    }
    if (batch == 1)
        return LT_SUCCESS;
    code = lt.layout_set(*out, LT_LAYOUT_BATCH_COUNT, &count, sizeof count);
    if (code == LT_SUCCESS)
        code = lt.layout_set(*out, LT_LAYOUT_BATCH_STRIDE, &stride, sizeof stride);
    return code;
}

/* `bias` null: none; else its address, whose alignment the choice of algorithm depends on. */
int make_desc(const lt_calls &lt, void **out, const void *bias)
{
    const int32_t transposed = LT_OP_T;
    const uint32_t epilogue = LT_EPILOGUE_BIAS;
    int code = lt.desc_create(out, LT_COMPUTE_32F, LT_R_32F);
    if (code != LT_SUCCESS) {
        *out = NULL;
        return code;
    }
    code = lt.desc_set(*out, LT_DESC_TRANSA, &transposed, sizeof transposed);
    if (code == LT_SUCCESS && bias)
        code = lt.desc_set(*out, LT_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (code == LT_SUCCESS && bias)
        code = lt.desc_set(*out, LT_DESC_BIAS_POINTER, &bias, sizeof bias);
    return code;
}

int choose(cuda_vendor *v, vendor_gemm *g)
{
    const lt_calls &lt = v->library.lt;
    const uint64_t most = WORKSPACE_MOST;
    const uint32_t alignment = ALIGNMENT;
    lt_found found = {};
    void *pref = NULL;
    int count = 0, code = lt.pref_create(&pref);
    if (code != LT_SUCCESS)
        return code;
    code = lt.pref_set(pref, LT_PREF_WORKSPACE, &most, sizeof most);
    for (int i = 0; i < 4 && code == LT_SUCCESS; i++)
        code = lt.pref_set(pref, LT_PREF_ALIGNMENT_A + i, &alignment, sizeof alignment);
    if (code == LT_SUCCESS)
        code = lt.heuristic(v->lt, g->desc, g->a, g->b, g->d, g->d, pref, 1, &found, &count);
    (void)lt.pref_destroy(pref);
    if (code != LT_SUCCESS || count < 1)
        return code != LT_SUCCESS ? code : LT_NOT_SUPPORTED;
    g->algo = found.algo;
    g->work_bytes = found.work_bytes;
    return found.state;
}

int prepare_gemm(cuda_vendor *v, vendor_gemm *g, const gemm_shape &s, const void *bias)
{
    const lt_calls &lt = v->library.lt;
    int code = make_desc(lt, &g->desc, bias);
    if (code == LT_SUCCESS)
        code = make_layout(lt, &g->a, s.in, s.k, s.outputs, s.lda, s.batch, 0);
    if (code == LT_SUCCESS)
        code = make_layout(lt, &g->b, s.in, s.k, s.pixels, s.ldb, s.batch, 0);
    if (code == LT_SUCCESS)
        code = make_layout(lt, &g->d, s.out, s.outputs, s.pixels, s.ldd, s.batch, s.stride_d);
    return code == LT_SUCCESS ? choose(v, g) : code;
}

int padded_columns(const vendor_key &k) { return (k.columns + 7) / 8 * 8; }

size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

size_t sums_bytes(const vendor_key &k)
{
    return k.direct ? 0 : aligned((size_t)k.n * k.h * k.w * padded_columns(k) * sizeof(float));
}

status run_gemm(cuda_vendor *v, const vendor_gemm &g, const void *a, const void *b, const void *c,
                float beta, void *d, void *work, cudaStream_t stream)
{
    const float alpha = 1.0f;
    const lt_calls &lt = v->library.lt;
    const int code = lt.matmul(v->lt, g.desc, &alpha, a, g.a, b, g.b, &beta, c, g.d, d, g.d,
                               &g.algo, work, g.work_bytes, stream);
    return code == LT_SUCCESS ? STATUS_OK
                              : status_fail(STATUS_DEVICE, "engine vendor: cublasLtMatmul: %s",
                                            lt.status_name(code));
}

} // namespace

int vendor_matmul_prepare(cuda_vendor *v, vendor_prepared *p, const struct weight *w)
{
    const vendor_key &k = p->key;
    const int images[2] = { k.n_x, k.n_x2 }, c[2] = { k.c, k.c2 };
    for (int i = 0; i < (k.c2 ? 2 : 1); i++) {
        gemm_shape s = {};
        s.k = c[i];
        s.outputs = k.direct ? k.c_out : padded_columns(k);
        s.pixels = images[i] * k.h * k.w;
        s.batch = k.n / images[i];
        s.in = lt_type(k.dtype);
        s.out = k.direct ? s.in : LT_R_32F;
        s.lda = k.k;
        s.ldb = c[i];
        s.ldd = s.outputs;
        s.stride_d = (int64_t)s.pixels * s.outputs;
        const int code = prepare_gemm(v, &p->gemm[i], s, k.direct ? w->bias_as_y : NULL);
        if (code != LT_SUCCESS) {
            snprintf(p->why, sizeof p->why, "cuBLASLt: %s", v->library.lt.status_name(code));
            return 0;
        }
    }
    return 1;
}

void vendor_matmul_drop(cuda_vendor *v, vendor_prepared *p)
{
    const lt_calls &lt = v->library.lt;
    for (int i = 0; i < 2; i++) {
        void *const layouts[] = { p->gemm[i].a, p->gemm[i].b, p->gemm[i].d };
        for (int j = 0; j < 3; j++)
            if (layouts[j])
                (void)lt.layout_destroy(layouts[j]);
        if (p->gemm[i].desc)
            (void)lt.desc_destroy(p->gemm[i].desc);
    }
}

size_t vendor_matmul_work(const vendor_prepared *p)
{
    const size_t a = p->gemm[0].work_bytes, b = p->gemm[1].work_bytes;
    return sums_bytes(p->key) + aligned(a > b ? a : b);
}

status vendor_matmul_launch(cuda_vendor *v, vendor_prepared *prepared, const struct weight *w,
                            const product &p, const cuda_call *call)
{
    const vendor_key &k = prepared->key;
    const vendor_gemm *g = prepared->gemm;
    const lt_calls &lt = v->library.lt;
    void *const work = (char *)call->work + sums_bytes(k);
    if (k.direct) {
        const void *bias = w->bias_as_y;
        const int code = lt.desc_set(g->desc, LT_DESC_BIAS_POINTER, &bias, sizeof bias);
        if (code != LT_SUCCESS)
            return status_fail(STATUS_DEVICE, "engine vendor: cuBLASLt: %s", lt.status_name(code));
        TRY(run_gemm(v, g[0], p.matrix, p.x, p.residual ? p.residual : p.y,
                     p.residual ? 1.0f : 0.0f, p.y, work, call->stream));
        return p.stats ? product_stats(p, call->stream) : STATUS_OK;
    }
    float *sums = (float *)call->work;
    TRY(run_gemm(v, g[0], p.matrix, p.x, sums, 0.0f, sums, work, call->stream));
    if (p.c2) /* its terms lie behind those of x */
        TRY(run_gemm(v, g[1], (const char *)p.matrix + p.c_pad * dtype_size(p.dtype), p.x2, sums,
                     1.0f, sums, work, call->stream));
    const vendor_sums made = { sums, DTYPE_F32, p.h_out, p.w_out, padded_columns(k), 1 };
    return vendor_finish(p, made, call->stream);
}
