/* cuda/vendor.cu - the vendor engine: opened, asked whether it takes a call, and run.
 *
 * A call is prepared when it is first asked about, which a plan does: descriptors, the library's
 * heuristics, the workspace's size. Running it allocates nothing of ours and decides nothing. */
#include "cuda/vendor.cuh"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ------------------------------------------------------------------------------ */

static status make_handles(cuda_vendor *v, cudaStream_t stream)
{
    const lt_calls &lt = v->library.lt;
    const dnn_calls &dnn = v->library.dnn;
    int code = lt.create(&v->lt);
    if (code != LT_SUCCESS) {
        v->lt = NULL;
        return status_fail(STATUS_DEVICE, "engine vendor: cuBLASLt cannot begin: %s",
                           lt.status_name(code));
    }
    code = dnn.create(&v->dnn);
    if (code != DNN_SUCCESS)
        v->dnn = NULL;
    else
        code = dnn.set_stream(v->dnn, stream);
    return code == DNN_SUCCESS ? STATUS_OK
                               : status_fail(STATUS_DEVICE, "engine vendor: cuDNN cannot begin: %s",
                                             dnn.status_text(code));
}

status vendor_open(struct cuda_device *dev, const vendor_names *names)
{
    if (dev->vendor)
        return STATUS_OK;
    cuda_vendor *v = (cuda_vendor *)calloc(1, sizeof *v);
    if (!v)
        return status_fail(STATUS_NO_MEMORY, "engine vendor: no host memory");
    dev->vendor = v;
    status result = vendor_libraries_open(names, &v->library);
    if (result == STATUS_OK)
        result = make_handles(v, dev->stream);
    if (result != STATUS_OK)
        vendor_close(dev);
    return result;
}

void vendor_close(struct cuda_device *dev)
{
    cuda_vendor *v = dev->vendor;
    if (!v)
        return;
    while (v->prepared) {
        vendor_prepared *p = v->prepared;
        v->prepared = p->next;
        if (p->key.matmul)
            vendor_matmul_drop(v, p);
        else
            vendor_conv_drop(v, p);
        free(p);
    }
    if (v->lt)
        (void)v->library.lt.destroy(v->lt);
    if (v->dnn)
        (void)v->library.dnn.destroy(v->dnn);
    vendor_libraries_close(&v->library);
    free(v);
    dev->vendor = NULL;
}

/* ---- which calls, and how ----------------------------------------------------------------- */

int vendor_convolves(const struct weight *w)
{
    return w->kind == WEIGHT_CONV2D && (w->kernel == 3 || w->stride == 2);
}

static int is_aligned(const product &p)
{
    enum { VECTOR = 16 };
    return ((size_t)p.x | (size_t)p.x2 | (size_t)p.y | (size_t)p.residual) % VECTOR == 0;
}

/* Can the library add the bias as it is, and the residual, and write y? `natural`: all that the
 * layer would give is wanted. */
static int is_direct(const struct weight *w, const product &p, int natural)
{
    return natural && !p.geglu && p.act == ACT_NONE && !p.add && w->bias_as_y &&
           (!p.residual || p.n_residual == p.n);
}

static vendor_key key_of(const struct weight *w, const product &p)
{
    vendor_key k;
    memset(&k, 0, sizeof k);
    k.matmul = !vendor_convolves(w);
    k.dtype = p.dtype, k.n = p.n, k.n_x = p.n_x, k.n_x2 = p.c2 ? p.n_x2 : p.n;
    k.h = p.h, k.w = p.w, k.c = p.c, k.c2 = p.c2, k.c_pad = p.c_pad, k.c2_pad = p.c2_pad;
    k.h_out = p.h_out, k.w_out = p.w_out, k.c_out = p.c_out, k.columns = p.columns;
    k.taps = p.taps, k.stride = p.stride, k.pad = p.pad, k.k = p.k;
    const int natural = p.taps != 4 && p.h_out == (p.h + (p.stride == 2)) / p.stride &&
                        p.w_out == (p.w + (p.stride == 2)) / p.stride;
    if (k.matmul)
        k.direct = p.c2 == 0 && is_direct(w, p, natural);
    else /* cuDNN's residual is another tensor than y; filters of eight outputs */
        k.direct = p.c_out % 8 == 0 && p.residual != p.y && is_direct(w, p, natural);
    return k;
}

/* Sizes that are counted by the libraries' int. */
static int is_countable(const vendor_key &k)
{
    const double most = INT_MAX, n = k.n;
    return n * (k.h + 1) * (k.w + 1) * (k.c_pad + k.c2_pad) <= most &&
           n * (k.h_out + 3) * (k.w_out + 3) * (k.columns + 8) <= most;
}

static void prepare(cuda_vendor *v, vendor_prepared *p, const struct weight *w)
{
    const vendor_key &k = p->key;
    if (!is_countable(k)) {
        snprintf(p->why, sizeof p->why, "more elements than an int counts");
        return;
    }
    if (k.matmul && (k.h_out != k.h || k.w_out != k.w || k.n % k.n_x || k.n % k.n_x2)) {
        snprintf(p->why, sizeof p->why, "a product of parts of images, or of images unequal times");
        return;
    }
    p->usable = k.matmul ? vendor_matmul_prepare(v, p, w) : vendor_conv_prepare(v, p);
}

/* The call's, made if it is new; null without host memory. */
static vendor_prepared *prepared_of(const struct weight *w, const product &p)
{
    cuda_vendor *v = w->vendor;
    const vendor_key key = key_of(w, p);
    for (vendor_prepared *at = v->prepared; at; at = at->next)
        if (memcmp(&at->key, &key, sizeof key) == 0)
            return at;
    vendor_prepared *made = (vendor_prepared *)calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->key = key;
    made->next = v->prepared;
    v->prepared = made;
    prepare(v, made, w);
    return made;
}

int vendor_takes(const struct weight *w, const product &p)
{
    cuda_vendor *v = w->vendor;
    if (!v)
        return 0;
    const vendor_prepared *call = is_aligned(p) ? prepared_of(w, p) : NULL;
    if (!call || !call->usable)
        snprintf(v->why, sizeof v->why, "%s",
                 call            ? call->why
                 : is_aligned(p) ? "no host memory"
                                 : "data at no multiple of 16 bytes");
    return call && call->usable;
}

size_t vendor_work_bytes(const struct weight *w, const product &p)
{
    const vendor_prepared *call = prepared_of(w, p);
    return !call ? 0 : call->key.matmul ? vendor_matmul_work(call) : vendor_conv_work(call);
}

status vendor_launch(const struct weight *w, const product &p, const cuda_call *call)
{
    vendor_prepared *prepared = prepared_of(w, p);
    if (!prepared)
        return status_fail(STATUS_NO_MEMORY, "engine vendor: no host memory");
    return prepared->key.matmul ? vendor_matmul_launch(w->vendor, prepared, w, p, call)
                                : vendor_conv_launch(w->vendor, prepared, w, p, call);
}
