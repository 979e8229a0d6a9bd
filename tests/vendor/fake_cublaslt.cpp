/* tests/vendor/fake_cublaslt.cpp - a libcublasLt for the emulator: D = alpha op(A) op(B) + beta C +
 * bias.
 *
 *   FAKE_CUBLASLT_VERSION   what it says it is: 130100
 *   FAKE_CUBLASLT_CREATE    the code that making a handle gives
 *   FAKE_CUBLASLT_REFUSES   a product over this many terms is not supported
 *   FAKE_CUBLASLT_MATMUL    the code that running a product gives
 * Compiled with FAKE_LACKS, it has no cublasLtMatmul.
 *
 * source  cuBLAS library, section cuBLASLt API: cublasLtMatmul() for the types, cublasLtMatmulAlgo*
 *         and the attributes' descriptions for the rest */
#include <string.h>

#include "cuda/vendor_abi.h"
#include "tests/vendor/fake.h"

#ifdef FAKE_LACKS
#define cublasLtMatmul cublasLtMatmulNot
#endif

enum { INVALID_VALUE = 7, NOT_INITIALIZED = 1, OP_N = 0, EPILOGUE_DEFAULT = 1, PLACES = 4 };

struct handle {
    uint64_t magic;
};
struct desc {
    uint64_t magic;
    int32_t transa, transb;
    uint32_t epilogue;
    const void *bias;
};
struct layout {
    uint64_t magic;
    int type;
    uint64_t rows, columns;
    int64_t ld, stride;
    int32_t batch;
};
struct pref {
    uint64_t magic, work;
    uint32_t alignment[PLACES];
};

static const uint64_t HANDLE = 0x1a, DESC = 0x2b, LAYOUT = 0x3c, PREF = 0x4d, ALGO = 0x5e;
static long live, heuristics; /* objects; questions answered */

EXPORT long fake_cublaslt_heuristics(void) { return heuristics; }
EXPORT long fake_cublaslt_live(void) { return live; }

static int refuse(int code, const char *why)
{
    fprintf(stderr, "fake cuBLASLt: %s\n", why);
    return code;
}
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return refuse(INVALID_VALUE, #condition);                                              \
    } while (0)

template <class T> static T *as(void *p, uint64_t magic)
{
    return p && ((T *)p)->magic == magic ? (T *)p : NULL;
}

template <class T> static int create(void **out, const T &value)
{
    *out = new T(value);
    live++;
    return LT_SUCCESS;
}

template <class T> static int destroy(void *p, uint64_t magic)
{
    T *object = as<T>(p, magic);
    REQUIRE(object);
    object->magic = 0;
    delete object;
    live--;
    return LT_SUCCESS;
}

static enum dtype dtype_of(int type)
{
    return type == LT_R_16F ? DTYPE_F16 : type == LT_R_16BF ? DTYPE_BF16 : DTYPE_F32;
}

/* ---- objects ---------------------------------------------------------------------------- */

EXPORT size_t cublasLtGetVersion(void) { return (size_t)asked("FAKE_CUBLASLT_VERSION", 130100); }

EXPORT const char *cublasLtGetStatusName(int code)
{
    return code == LT_SUCCESS         ? "CUBLAS_STATUS_SUCCESS"
           : code == NOT_INITIALIZED  ? "CUBLAS_STATUS_NOT_INITIALIZED"
           : code == INVALID_VALUE    ? "CUBLAS_STATUS_INVALID_VALUE"
           : code == LT_NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED"
                                      : "CUBLAS_STATUS_EXECUTION_FAILED";
}

EXPORT int cublasLtCreate(void **out)
{
    const int code = (int)asked("FAKE_CUBLASLT_CREATE", 0);
    return code ? code : create(out, handle{ HANDLE });
}
EXPORT int cublasLtDestroy(void *p)
{
    if (live != 1)
        refuse(INVALID_VALUE, "a handle is destroyed before its descriptors");
    return live == 1 ? destroy<handle>(p, HANDLE) : INVALID_VALUE;
}

EXPORT int cublasLtMatmulDescCreate(void **out, int compute, int scale)
{
    REQUIRE(compute == LT_COMPUTE_32F && scale == LT_R_32F);
    return create(out, desc{ DESC, OP_N, OP_N, EPILOGUE_DEFAULT, NULL });
}
EXPORT int cublasLtMatmulDescDestroy(void *p) { return destroy<desc>(p, DESC); }

EXPORT int cublasLtMatmulDescSetAttribute(void *p, int attribute, const void *value, size_t bytes)
{
    desc *d = as<desc>(p, DESC);
    REQUIRE(d && value);
    switch (attribute) {
    case LT_DESC_TRANSA:
        REQUIRE(bytes == sizeof d->transa);
        memcpy(&d->transa, value, bytes);
        REQUIRE(d->transa == OP_N || d->transa == LT_OP_T);
        return LT_SUCCESS;
    case LT_DESC_EPILOGUE:
        REQUIRE(bytes == sizeof d->epilogue);
        memcpy(&d->epilogue, value, bytes);
        REQUIRE(d->epilogue == EPILOGUE_DEFAULT || d->epilogue == LT_EPILOGUE_BIAS);
        return LT_SUCCESS;
    case LT_DESC_BIAS_POINTER:
        REQUIRE(bytes == sizeof d->bias);
        memcpy(&d->bias, value, bytes);
        return LT_SUCCESS;
    default:
        return refuse(INVALID_VALUE, "an attribute of products that is not known here");
    }
}

EXPORT int cublasLtMatrixLayoutCreate(void **out, int type, uint64_t rows, uint64_t columns,
                                      int64_t ld)
{
    REQUIRE(type == LT_R_32F || type == LT_R_16F || type == LT_R_16BF);
    REQUIRE(rows > 0 && columns > 0 && ld >= (int64_t)rows);
    return create(out, layout{ LAYOUT, type, rows, columns, ld, 0, 1 });
}
EXPORT int cublasLtMatrixLayoutDestroy(void *p) { return destroy<layout>(p, LAYOUT); }

EXPORT int cublasLtMatrixLayoutSetAttribute(void *p, int attribute, const void *value, size_t bytes)
{
    layout *l = as<layout>(p, LAYOUT);
    REQUIRE(l && value);
    if (attribute == LT_LAYOUT_BATCH_COUNT) {
        REQUIRE(bytes == sizeof l->batch);
        memcpy(&l->batch, value, bytes);
        REQUIRE(l->batch > 0);
        return LT_SUCCESS;
    }
    REQUIRE(attribute == LT_LAYOUT_BATCH_STRIDE && bytes == sizeof l->stride);
    memcpy(&l->stride, value, bytes);
    return LT_SUCCESS;
}

EXPORT int cublasLtMatmulPreferenceCreate(void **out)
{
    return create(out, pref{ PREF, 0, { 256, 256, 256, 256 } });
}
EXPORT int cublasLtMatmulPreferenceDestroy(void *p) { return destroy<pref>(p, PREF); }

EXPORT int cublasLtMatmulPreferenceSetAttribute(void *p, int attribute, const void *value,
                                                size_t bytes)
{
    pref *f = as<pref>(p, PREF);
    REQUIRE(f && value);
    if (attribute == LT_PREF_WORKSPACE) {
        REQUIRE(bytes == sizeof f->work);
        memcpy(&f->work, value, bytes);
        return LT_SUCCESS;
    }
    const int place = attribute - LT_PREF_ALIGNMENT_A;
    REQUIRE(place >= 0 && place < PLACES && bytes == sizeof f->alignment[0]);
    memcpy(&f->alignment[place], value, bytes);
    REQUIRE(f->alignment[place] > 0);
    return LT_SUCCESS;
}

/* ---- products --------------------------------------------------------------------------- */

struct problem {
    desc d;
    layout l[PLACES]; /* A, B, C, D */
    uint64_t m, n, k;
};

static size_t span(const layout &l)
{
    return ((size_t)(l.batch - 1) * l.stride + (l.columns - 1) * l.ld + l.rows) *
           dtype_size(dtype_of(l.type));
}

static int types_are_known(const problem &p)
{
    const int a = p.l[0].type, d = p.l[3].type;
    return p.l[1].type == a && p.l[2].type == d && (d == a || d == LT_R_32F);
}

static int read_problem(void *d, void *const *layouts, problem *out)
{
    problem &p = *out;
    REQUIRE((as<desc>(d, DESC)));
    p.d = *(desc *)d;
    for (int i = 0; i < PLACES; i++) {
        REQUIRE((as<layout>(layouts[i], LAYOUT)));
        p.l[i] = *(layout *)layouts[i];
        REQUIRE(p.l[i].batch == p.l[0].batch);
    }
    const layout &a = p.l[0], &b = p.l[1], &c = p.l[2], &to = p.l[3];
    p.m = p.d.transa == LT_OP_T ? a.columns : a.rows;
    p.k = p.d.transa == LT_OP_T ? a.rows : a.columns;
    p.n = b.columns;
    REQUIRE(b.rows == p.k);
    REQUIRE(c.rows == p.m && c.columns == p.n && to.rows == p.m && to.columns == p.n);
    REQUIRE(to.batch == 1 || to.stride >= (int64_t)((to.columns - 1) * to.ld + to.rows));
    REQUIRE((p.d.epilogue == LT_EPILOGUE_BIAS) == (p.d.bias != NULL));
    return types_are_known(p) ? LT_SUCCESS
                              : refuse(LT_NOT_SUPPORTED, "a combination of types not supported");
}

/* The largest power of two up to `most` that divides the steps of a matrix. */
static uint64_t alignment_of(const layout &l, uint64_t most)
{
    const uint64_t size = dtype_size(dtype_of(l.type));
    while (most > size && (l.ld * size % most || l.stride * size % most))
        most /= 2;
    return most;
}

static uint64_t fingerprint(const problem &p)
{
    uint64_t hash = p.d.transa * 2 + p.d.epilogue;
    for (const layout &l : p.l)
        for (const uint64_t v : { (uint64_t)l.type, l.rows, l.columns, (uint64_t)l.ld,
                                  (uint64_t)l.stride, (uint64_t)l.batch })
            hash = hash * 1099511628211u + v;
    return hash;
}

/* An algorithm holds what it was chosen for, what pointers it needs, and its workspace. */
EXPORT int cublasLtMatmulAlgoGetHeuristic(void *h, void *d, void *a, void *b, void *c, void *to,
                                          void *preference, int most, lt_found *found, int *count)
{
    void *const layouts[PLACES] = { a, b, c, to };
    const pref *f = as<pref>(preference, PREF);
    problem p;
    REQUIRE((as<handle>(h, HANDLE)) && f && found && count && most > 0);
    const int code = read_problem(d, layouts, &p);
    *count = 0;
    heuristics++;
    if (code != LT_SUCCESS || p.k == (uint64_t)asked("FAKE_CUBLASLT_REFUSES", 0))
        return code ? code : LT_NOT_SUPPORTED;
    memset(found, 0xa5, sizeof *found * (size_t)most);
    const uint64_t work = p.k >= 64 && f->work >= 8192 ? 4096 + p.m % 7 * 16 : 0;
    found->algo.data[0] = ALGO;
    found->algo.data[1] = fingerprint(p);
    found->algo.data[2] = work;
    for (int i = 0; i < PLACES; i++)
        found->algo.data[3 + i] = alignment_of(p.l[i], f->alignment[i]);
    found->work_bytes = work;
    found->state = LT_SUCCESS;
    *count = 1;
    return LT_SUCCESS;
}

/* A matrix as it lies, from its first element to its last. */
static std::vector<float> values(const layout &l, const void *data)
{
    const enum dtype type = dtype_of(l.type);
    return floats(data, type, span(l) / dtype_size(type));
}

/* A row of op(A), as the loop over terms reads it. */
static void read_row(const problem &p, const float *a, uint64_t row, std::vector<float> &out)
{
    for (uint64_t k = 0; k < p.k; k++)
        out[k] = p.d.transa == LT_OP_T ? a[row * p.l[0].ld + k] : a[k * p.l[0].ld + row];
}

static void compute(const problem &p, double alpha, const void *a, const void *b, double beta,
                    const void *c, void *to)
{
    const enum dtype out = dtype_of(p.l[3].type);
    const layout &d = p.l[3];
    const std::vector<float> all_a = values(p.l[0], a), all_b = values(p.l[1], b);
    std::vector<float> terms(p.k);
    for (int64_t image = 0; image < d.batch; image++)
        for (uint64_t row = 0; row < p.m; row++) {
            read_row(p, &all_a[image * p.l[0].stride], row, terms);
            for (uint64_t column = 0; column < p.n; column++) {
                const float *b_column = &all_b[image * p.l[1].stride + column * p.l[1].ld];
                double sum = alpha * dot_product(terms.data(), b_column, p.k);
                if (beta != 0)
                    sum += beta *
                           dtype_value(c, out, image * p.l[2].stride + column * p.l[2].ld + row);
                if (p.d.bias)
                    sum += dtype_value(p.d.bias, out, row);
                store(to, out, image * d.stride + column * d.ld + row, sum);
            }
        }
    const size_t size = dtype_size(out);
    for (int64_t image = 0; image < d.batch; image++)
        for (uint64_t column = 0; column < p.n; column++)
            vendor_host_wrote((char *)to + (image * d.stride + column * d.ld) * size, p.m * size);
}

/* Pointers: of device memory, as aligned as the algorithm was told, and apart. */
static int check_pointers(const problem &p, const lt_algo *algo, const void *const *data,
                          int reads_c, const void *work)
{
    enum { WORK_ALIGNMENT = 256 };
    for (int i = 0; i < PLACES; i++) {
        if (i == 2 && !reads_c)
            continue;
        REQUIRE(vendor_host_owns(data[i], span(p.l[i])));
        REQUIRE(is_aligned(data[i], algo->data[3 + i]));
    }
    for (int i = 0; i < 2; i++)
        REQUIRE(!overlap(data[i], span(p.l[i]), data[3], span(p.l[3])));
    if (reads_c && data[2] == data[3])
        REQUIRE(p.l[2].ld == p.l[3].ld && p.l[2].stride == p.l[3].stride);
    else if (reads_c)
        REQUIRE(!overlap(data[2], span(p.l[2]), data[3], span(p.l[3])));
    if (p.d.bias)
        REQUIRE(vendor_host_owns(p.d.bias, p.m * dtype_size(dtype_of(p.l[3].type))));
    if (algo->data[2] > 0) {
        REQUIRE(vendor_host_owns(work, algo->data[2]) && is_aligned(work, WORK_ALIGNMENT));
        for (int i = 0; i < PLACES; i++)
            REQUIRE(!overlap(work, algo->data[2], data[i], span(p.l[i])));
    }
    return LT_SUCCESS;
}

EXPORT int cublasLtMatmul(void *h, void *d, const void *alpha, const void *a, void *a_layout,
                          const void *b, void *b_layout, const void *beta, const void *c,
                          void *c_layout, void *to, void *d_layout, const lt_algo *algo, void *work,
                          size_t work_bytes, void *stream)
{
    void *const layouts[PLACES] = { a_layout, b_layout, c_layout, d_layout };
    const void *const data[PLACES] = { a, b, c, to };
    problem p;
    REQUIRE((as<handle>(h, HANDLE)) && alpha && beta && algo && algo->data[0] == ALGO);
    int code = (int)asked("FAKE_CUBLASLT_MATMUL", 0);
    if (code == LT_SUCCESS)
        code = read_problem(d, layouts, &p);
    if (code != LT_SUCCESS)
        return code;
    const float scale = *(const float *)alpha, keep = *(const float *)beta;
    REQUIRE(algo->data[1] == fingerprint(p));
    REQUIRE(work_bytes >= algo->data[2]);
    code = check_pointers(p, algo, data, keep != 0, work);
    if (code != LT_SUCCESS)
        return code;
    const size_t used = algo->data[2];
    return enqueue(stream, [=] {
        memset(work, 0xff, used); /* it is the library's to write on */
        compute(p, scale, a, b, keep, c, to);
    });
}
