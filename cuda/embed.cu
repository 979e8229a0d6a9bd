/* cuda/embed.cu - token rows, or an inversion's vectors in their place, plus positions.
 *
 * Algorithm  A block makes one position's row. Its threads look through the patches (a handful) for
 *            the last one that covers the position.
 * Roofline   Nothing: 77 rows of 768 a chunk, once a prompt.
 * Variants   scalar */
#include <stdio.h>
#include <string.h>

#include "cuda/device.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/weight.cuh"

enum { THREADS = 256 };

/* The two tables; those of the weights are of the run's dtype. */
template <class T> struct tables {
    const T *token, *position;
};

/* The vector that takes the token's place, or null. Vectors are f32 and device memory. */
static __device__ const float *patched(const embed_args &a, int row, int p)
{
    const float *found = nullptr;
    for (int i = 0; i < a.patches; i++) {
        const embed_patch patch = a.patch[i];
        if (patch.row == row && patch.at <= p && p < patch.at + patch.count)
            found = patch.vector + (size_t)(p - patch.at) * a.c;
    }
    return found;
}

template <class T> static __global__ void embed_k1_scalar(embed_args a, tables<T> table)
{
    const int row = (int)blockIdx.x, p = row % a.s;
    const float *vector = patched(a, row / a.s, p);
    const T *token = table.token + (size_t)a.ids[row] * a.c;
    const T *position = table.position + (size_t)p * a.c;
    T *y = (T *)a.y + (size_t)row * a.c;
    for (int i = (int)threadIdx.x; i < a.c; i += THREADS)
        y[i] = from_f32<T>(__fadd_rn(vector ? vector[i] : to_f32(token[i]), to_f32(position[i])));
}

/* ---- launchers ---------------------------------------------------------------------------- */

static int takes_any(const embed_args *) { return 1; }

static status launch_scalar(const embed_args *a, const cuda_call *call)
{
    return with_element_type(a->dtype, [&](auto type) {
        using T = decltype(type);
        const tables<T> table = { (const T *)a->token->table, (const T *)a->position->table };
        return gpu_launch("embed scalar", embed_k1_scalar<T>, dim3((unsigned)(a->n * a->s)),
                          dim3(THREADS), 0, call->stream, *a, table);
    });
}

static const cuda_variant<embed_args> rows[] = {
    { "scalar", 80, takes_any, nullptr, launch_scalar },
};
const cuda_table<embed_args> cuda_embed_table = { "embed", rows, 1 };

/* ---- arguments ---------------------------------------------------------------------------- */

static int is_table(const struct weight *w, const embed_args *a)
{
    return w && w->kind == WEIGHT_EMBEDDING && w->in == a->c && w->dtype == a->dtype;
}

static status check(const struct embed_args *a)
{
    if (a->n < 1 || a->s < 1 || a->c < 1 || a->patches < 0 || a->n > 0x7fffffff / a->s)
        return status_fail(STATUS_BAD_SHAPE, "embed: n=%d s=%d c=%d patches=%d", a->n, a->s, a->c,
                           a->patches);
    if (!is_element_type(a->dtype))
        return status_fail(STATUS_UNSUPPORTED, "embed: no variant for %s", dtype_name(a->dtype));
    if (!is_table(a->token, a) || !is_table(a->position, a) || a->position->out < a->s)
        return status_fail(STATUS_BAD_SHAPE, "embed: s=%d c=%d of %s, with other tables", a->s,
                           a->c, dtype_name(a->dtype));
    for (int i = 0; i < a->n * a->s; i++)
        if (a->ids[i] < 0 || a->ids[i] >= a->token->out)
            return status_fail(STATUS_BAD_SHAPE, "embed: token %d of a table of %d", (int)a->ids[i],
                               a->token->out);
    for (int i = 0; i < a->patches; i++) {
        const struct embed_patch *p = &a->patch[i];
        if (p->row < 0 || p->row >= a->n || p->at < 0 || p->count < 0 || p->count > a->s ||
            p->at > a->s - p->count)
            return status_fail(STATUS_BAD_SHAPE, "embed: patch of %d at %d in sequence %d of %dx%d",
                               p->count, p->at, p->row, a->n, a->s);
    }
    return STATUS_OK;
}

/* All patches' vectors behind one another, and the patches with where theirs lie. */
static status send_patches(struct cuda_device *dev, struct embed_args *a)
{
    const size_t row = (size_t)a->c * sizeof(float), bytes = (size_t)a->patches * sizeof *a->patch;
    size_t count = 0;
    void *host;
    const void *vectors, *patches;
    if (a->patches == 0)
        return STATUS_OK;
    for (int i = 0; i < a->patches; i++)
        count += (size_t)a->patch[i].count;
    TRY(cuda_constant_open(dev, count * row, &host));
    unsigned char *to = (unsigned char *)host;
    for (int i = 0; host && i < a->patches; to += (size_t)a->patch[i++].count * row)
        memcpy(to, a->patch[i].vector, (size_t)a->patch[i].count * row);
    TRY(cuda_constant_close(dev, count * row, &vectors));

    TRY(cuda_constant_open(dev, bytes, &host));
    const float *at = (const float *)vectors;
    for (int i = 0; host && i < a->patches; at += (size_t)a->patch[i++].count * a->c) {
        struct embed_patch *patch = (struct embed_patch *)host + i;
        memset((void *)patch, 0, sizeof *patch);
        *patch = a->patch[i];
        patch->vector = at;
    }
    TRY(cuda_constant_close(dev, bytes, &patches));
    a->patch = (const struct embed_patch *)patches;
    return STATUS_OK;
}

extern "C" status cuda_embed(struct ops *ops, const struct embed_args *a)
{
    struct cuda_device *dev = cuda_device(ops);
    struct embed_args on_device = *a;
    const void *ids;
    TRY(check(a));
    TRY(cuda_constant(dev, a->ids, (size_t)a->n * a->s * sizeof *a->ids, &ids));
    on_device.ids = (const int32_t *)ids;
    TRY(send_patches(dev, &on_device));
    cuda_span_text span = { "", 0, 0 };
    snprintf(span.shape, sizeof span.shape, "%dx%dx%d", a->n, a->s, a->c);
    return cuda_run(dev, cuda_embed_table, &on_device, dtype_name(a->dtype), span);
}
