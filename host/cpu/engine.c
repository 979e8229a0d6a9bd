/* host/cpu/engine.c - oneDNN primitives, made once per shape, and weights in their layouts.
 *
 * Products are convolutions of one image, so that what oneDNN makes of the batch never shows. A
 * linear layer is a 1x1 convolution of an image of one row. Scratch is the caller's
 * (dnnl_scratchpad_mode_user) and primitives and memory objects are kept, so running allocates
 * nothing.
 *
 * The layout of a matrix is oneDNN's choice for the shape (format_tag_any). It is first chosen at
 * load for a middling picture; a planning that meets the weight for the first time may re-pack it,
 * layout to layout, which loses nothing. Further shapes in the same planning use it as it is.
 */
#include "host/cpu/engine.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "host/cpu/memory.h"

struct cpu_prepared {
    struct cpu_prepared *next;
    struct cpu_product product;
    int out, in, kh, kw;
    dnnl_memory_desc_t weights;
    dnnl_primitive_t primitive;
    dnnl_memory_t x, matrix, bias, y, work;
    size_t work_bytes;
};

struct cpu_engine {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct cpu_prepared *prepared;
    unsigned planning; /* counts plan_begin() */
};

static status failed(dnnl_status_t code, const char *what)
{
    const int memory = code == dnnl_out_of_memory;
    return status_fail(memory ? STATUS_NO_MEMORY : STATUS_DEVICE, "oneDNN: %s failed (code %d)",
                       what, (int)code);
}

#define TRY_DNNL(call, what)                                                                       \
    do {                                                                                           \
        const dnnl_status_t code_ = (call);                                                        \
        if (code_ != dnnl_success)                                                                 \
            return failed(code_, what);                                                            \
    } while (0)

/* oneDNN takes its thread count from the calling thread's OpenMP setting. */
static int threads_enter(const struct cpu_device *dev)
{
    const int before = omp_get_max_threads();
    if (before != dev->threads)
        omp_set_num_threads(dev->threads);
    return before;
}

static void threads_leave(const struct cpu_device *dev, int before)
{
    if (before != dev->threads)
        omp_set_num_threads(before);
}

static dnnl_data_type_t dnnl_type(int dtype) { return dtype == DTYPE_BF16 ? dnnl_bf16 : dnnl_f32; }

status cpu_engine_open(struct cpu_device *dev)
{
    struct cpu_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return status_fail(STATUS_NO_MEMORY, "cpu: no memory for the engine");
    dev->engine = engine;
    TRY_DNNL(dnnl_engine_create(&engine->engine, dnnl_cpu, 0), "making an engine");
    TRY_DNNL(dnnl_stream_create(&engine->stream, engine->engine, dnnl_stream_default_flags),
             "making a stream");
    return STATUS_OK;
}

static void prepared_destroy(struct cpu_prepared *p)
{
    dnnl_memory_destroy(p->x);
    dnnl_memory_destroy(p->matrix);
    dnnl_memory_destroy(p->bias);
    dnnl_memory_destroy(p->y);
    dnnl_memory_destroy(p->work);
    dnnl_primitive_destroy(p->primitive);
    free(p);
}

void cpu_engine_close(struct cpu_device *dev)
{
    struct cpu_engine *engine = dev->engine;
    if (!engine)
        return;
    while (engine->prepared) {
        struct cpu_prepared *next = engine->prepared->next;
        prepared_destroy(engine->prepared);
        engine->prepared = next;
    }
    if (engine->stream)
        dnnl_stream_destroy(engine->stream);
    if (engine->engine)
        dnnl_engine_destroy(engine->engine);
    free(engine);
    dev->engine = NULL;
}

void cpu_engine_plan(struct cpu_device *dev) { dev->engine->planning++; }

int cpu_engine_reference_count(const struct cpu_device *dev)
{
    int count = 0;
    for (const struct cpu_prepared *p = dev->engine->prepared; p; p = p->next) {
        const_dnnl_primitive_desc_t desc;
        const char *name = "";
        if (dnnl_primitive_get_primitive_desc(p->primitive, &desc) == dnnl_success)
            (void)dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&name);
        count += strncmp(name, "ref", 3) == 0;
    }
    return count;
}

const char *cpu_engine_isa(void)
{
    const unsigned isa = dnnl_get_effective_cpu_isa();
    if ((isa & dnnl_cpu_isa_avx512_core_amx) == dnnl_cpu_isa_avx512_core_amx)
        return "AVX-512 and AMX";
    if ((isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16)
        return "AVX-512 with bf16";
    if ((isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core)
        return "AVX-512";
    return (isa & dnnl_cpu_isa_avx2) == dnnl_cpu_isa_avx2 ? "AVX2" : "SSE4.1";
}

int cpu_engine_has_bf16(void)
{
    const unsigned isa = dnnl_get_effective_cpu_isa();
    return (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

int cpu_engine_likes_blocks(void)
{
    const unsigned isa = dnnl_get_effective_cpu_isa();
    return (isa & dnnl_cpu_isa_avx2) == dnnl_cpu_isa_avx2 &&
           (isa & dnnl_cpu_isa_avx512_core) != dnnl_cpu_isa_avx512_core;
}

/* ---- primitives ------------------------------------------------------------------------- */

static dnnl_status_t attributes(const struct cpu_product *p, dnnl_primitive_attr_t *out)
{
    dnnl_status_t code = dnnl_primitive_attr_create(out);
    if (code != dnnl_success)
        return code;
    dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    dnnl_post_ops_t ops = NULL;
    code = dnnl_post_ops_create(&ops);
    if (code == dnnl_success && p->sum)
        code = dnnl_post_ops_append_sum(ops, 1.0f);
    if (code == dnnl_success && p->act == ACT_GELU)
        code = dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_gelu_erf, 0.0f, 0.0f);
    if (code == dnnl_success && p->act == ACT_SILU)
        code = dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_swish, 1.0f, 0.0f);
    if (code == dnnl_success && p->act == ACT_QUICK_GELU)
        code = dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_swish, 1.702f, 0.0f);
    if (code == dnnl_success)
        code = dnnl_primitive_attr_set_post_ops(*out, ops);
    if (ops)
        dnnl_post_ops_destroy(ops);
    return code;
}

/* `weights` null: oneDNN chooses their layout. */
static dnnl_status_t describe(struct cpu_device *dev, const struct cpu_product *p,
                              const struct cpu_matrix *m, const dnnl_memory_desc_t *weights,
                              dnnl_primitive_desc_t *out)
{
    const dnnl_dims_t x_dims = { 1, m->in, p->h, p->w };
    const dnnl_dims_t m_dims = { m->out, m->in, m->kh, m->kw };
    const dnnl_dims_t b_dims = { m->out };
    const dnnl_dims_t y_dims = { 1, m->out, p->h_out, p->w_out };
    const dnnl_dims_t strides = { p->stride, p->stride }, dilates = { 0, 0 };
    const dnnl_dims_t before = { p->pad_top, p->pad_left };
    const dnnl_dims_t after = { (p->h_out - 1) * p->stride + m->kh - p->h - p->pad_top,
                                (p->w_out - 1) * p->stride + m->kw - p->w - p->pad_left };
    dnnl_memory_desc_t x, w, b, y;
    const dnnl_format_tag_t tag = p->blocked ? dnnl_nChw8c : dnnl_nhwc;
    dnnl_memory_desc_init_by_tag(&x, 4, x_dims, dnnl_type(p->x), tag);
    dnnl_memory_desc_init_by_tag(&y, 4, y_dims, dnnl_type(p->y), tag);
    dnnl_memory_desc_init_by_tag(&b, 1, b_dims, dnnl_f32, dnnl_a);
    if (weights)
        w = *weights;
    else
        dnnl_memory_desc_init_by_tag(&w, 4, m_dims, dnnl_type(m->dtype), dnnl_format_tag_any);

    dnnl_convolution_desc_t desc;
    dnnl_status_t code = dnnl_dilated_convolution_forward_desc_init(
        &desc, dnnl_forward_inference, dnnl_convolution_direct, &x, &w, &b, &y, strides, dilates,
        before, after);
    dnnl_primitive_attr_t attr = NULL;
    if (code == dnnl_success)
        code = attributes(p, &attr);
    if (code == dnnl_success)
        code = dnnl_primitive_desc_create(out, &desc, attr, dev->engine->engine, NULL);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return code;
}

static const dnnl_memory_desc_t *query(const_dnnl_primitive_desc_t desc, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(desc, what, 0);
}

/* ---- matrices --------------------------------------------------------------------------- */

static void count_bytes(struct cpu_device *dev, size_t more, size_t less)
{
    dev->weight_bytes += more;
    dev->weight_bytes -= less;
    cpu_count_peak(dev);
}

static status matrix_take(struct cpu_device *dev, struct cpu_matrix *m,
                          const dnnl_memory_desc_t *md)
{
    m->bytes = dnnl_memory_desc_get_size(md);
    m->data = cpu_memory_take(m->bytes);
    if (!m->data)
        return status_fail(STATUS_NO_MEMORY, "cpu: %zu bytes of weights asked", m->bytes);
    m->md = *md;
    count_bytes(dev, m->bytes, 0);
    return STATUS_OK;
}

status cpu_matrix_create(struct cpu_device *dev, struct cpu_matrix *m, int stride)
{
    enum { SIDE = 32 };
    const int linear = m->kh == 1 && stride == 1;
    const struct cpu_product middling = {
        .x = (int)m->dtype,
        .y = (int)m->dtype,
        .h = linear ? 1 : SIDE,
        .w = linear ? SIDE * SIDE : SIDE,
        .h_out = linear ? 1 : SIDE / stride,
        .w_out = linear ? SIDE * SIDE : SIDE / stride,
        .stride = stride,
        .pad_top = m->kh / 2,
        .pad_left = m->kw / 2,
    };
    dnnl_primitive_desc_t desc = NULL;
    const int before = threads_enter(dev);
    const dnnl_status_t code = describe(dev, &middling, m, NULL, &desc);
    threads_leave(dev, before);
    TRY_DNNL(code, "choosing a layout for weights");
    const status result = matrix_take(dev, m, query(desc, dnnl_query_weights_md));
    dnnl_primitive_desc_destroy(desc);
    return result;
}

void cpu_matrix_destroy(struct cpu_device *dev, struct cpu_matrix *m)
{
    if (m->data)
        count_bytes(dev, 0, m->bytes);
    free(m->data);
    m->data = NULL;
    m->bytes = 0;
}

static dnnl_status_t reorder(struct cpu_device *dev, const dnnl_memory_desc_t *from_md,
                             const void *from, const dnnl_memory_desc_t *to_md, void *to)
{
    const dnnl_engine_t engine = dev->engine->engine;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t src = NULL, dst = NULL;
    const int before = threads_enter(dev);
    dnnl_status_t code =
        dnnl_reorder_primitive_desc_create(&desc, from_md, engine, to_md, engine, NULL);
    if (code == dnnl_success)
        code = dnnl_primitive_create(&primitive, desc);
    /* oneDNN's memory takes no const; a source is only read. */
    if (code == dnnl_success)
        code = dnnl_memory_create(&src, from_md, engine, (void *)(size_t)from);
    if (code == dnnl_success)
        code = dnnl_memory_create(&dst, to_md, engine, to);
    if (code == dnnl_success) {
        const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, src }, { DNNL_ARG_TO, dst } };
        code = dnnl_primitive_execute(primitive, dev->engine->stream, 2, args);
    }
    threads_leave(dev, before);
    dnnl_memory_destroy(src);
    dnnl_memory_destroy(dst);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(desc);
    return code;
}

status cpu_matrix_pack(struct cpu_device *dev, struct cpu_matrix *m, int first, int rows,
                       const float *from)
{
    const dnnl_dims_t dims = { rows, m->in, m->kh, m->kw }, at = { first, 0, 0, 0 };
    dnnl_memory_desc_t plain, part = m->md;
    TRY_DNNL(dnnl_memory_desc_init_by_tag(&plain, 4, dims, dnnl_f32, dnnl_oihw), "a layout");
    if (rows != m->out)
        TRY_DNNL(dnnl_memory_desc_init_submemory(&part, &m->md, dims, at), "a part of a layout");
    TRY_DNNL(reorder(dev, &plain, from, &part, m->data), "packing weights");
    return STATUS_OK;
}

static status matrix_repack(struct cpu_device *dev, struct cpu_matrix *m,
                            const dnnl_memory_desc_t *md)
{
    if (dnnl_memory_desc_equal(&m->md, md))
        return STATUS_OK;
    struct cpu_matrix next = *m;
    TRY(matrix_take(dev, &next, md));
    const dnnl_status_t code = reorder(dev, &m->md, m->data, md, next.data);
    cpu_matrix_destroy(dev, code == dnnl_success ? m : &next);
    TRY_DNNL(code, "re-packing weights");
    *m = next;
    return STATUS_OK;
}

/* ---- products --------------------------------------------------------------------------- */

static struct cpu_prepared *find(const struct cpu_device *dev, const struct cpu_product *product,
                                 const struct cpu_matrix *m)
{
    for (struct cpu_prepared *p = dev->engine->prepared; p; p = p->next)
        if (memcmp(&p->product, product, sizeof *product) == 0 && p->out == m->out &&
            p->in == m->in && p->kh == m->kh && p->kw == m->kw &&
            dnnl_memory_desc_equal(&p->weights, &m->md))
            return p;
    return NULL;
}

static dnnl_status_t bind(struct cpu_device *dev, const_dnnl_primitive_desc_t desc,
                          struct cpu_prepared *p)
{
    const struct {
        dnnl_query_t what;
        int index;
        dnnl_memory_t *memory;
    } all[] = { { dnnl_query_src_md, 0, &p->x },
                { dnnl_query_weights_md, 0, &p->matrix },
                { dnnl_query_weights_md, 1, &p->bias },
                { dnnl_query_dst_md, 0, &p->y },
                { dnnl_query_scratchpad_md, 0, &p->work } };
    dnnl_status_t code = dnnl_primitive_create(&p->primitive, desc);
    for (size_t i = 0; i < sizeof all / sizeof all[0] && code == dnnl_success; i++)
        code = dnnl_memory_create(all[i].memory,
                                  dnnl_primitive_desc_query_md(desc, all[i].what, all[i].index),
                                  dev->engine->engine, DNNL_MEMORY_NONE);
    if (code == dnnl_success)
        p->work_bytes = dnnl_memory_desc_get_size(query(desc, dnnl_query_scratchpad_md));
    return code;
}

static status make(struct cpu_device *dev, const struct cpu_product *product,
                   const struct cpu_matrix *m, dnnl_primitive_desc_t desc,
                   struct cpu_prepared **out)
{
    struct cpu_prepared *p = calloc(1, sizeof *p);
    if (!p)
        return status_fail(STATUS_NO_MEMORY, "cpu: no memory for a primitive");
    p->product = *product;
    p->out = m->out;
    p->in = m->in;
    p->kh = m->kh;
    p->kw = m->kw;
    p->weights = m->md;
    const dnnl_status_t code = bind(dev, desc, p);
    if (code != dnnl_success) {
        prepared_destroy(p);
        return failed(code, "making a primitive");
    }
    p->next = dev->engine->prepared;
    dev->engine->prepared = p;
    *out = p;
    return STATUS_OK;
}

/* A matrix that this planning has not met yet takes the layout that is best for the product. */
static status settle(struct cpu_device *dev, const struct cpu_product *product,
                     struct cpu_matrix *m)
{
    if (m->settled == dev->engine->planning)
        return STATUS_OK;
    dnnl_primitive_desc_t desc = NULL;
    TRY_DNNL(describe(dev, product, m, NULL, &desc), "choosing a convolution");
    const status result = matrix_repack(dev, m, query(desc, dnnl_query_weights_md));
    dnnl_primitive_desc_destroy(desc);
    if (result == STATUS_OK)
        m->settled = dev->engine->planning;
    return result;
}

static status prepare_new(struct cpu_device *dev, const struct cpu_product *product,
                          struct cpu_matrix *m, struct cpu_prepared **out)
{
    TRY(settle(dev, product, m));
    *out = find(dev, product, m);
    if (*out)
        return STATUS_OK;
    dnnl_primitive_desc_t desc = NULL;
    TRY_DNNL(describe(dev, product, m, &m->md, &desc), "choosing a convolution");
    const status result = make(dev, product, m, desc, out);
    dnnl_primitive_desc_destroy(desc);
    return result;
}

status cpu_product_prepare(struct cpu_device *dev, const struct cpu_product *product,
                           struct cpu_matrix *m, struct cpu_prepared **out, size_t *work_bytes)
{
    *out = NULL;
    if (dev->planning) {
        const int before = threads_enter(dev);
        const status result = prepare_new(dev, product, m, out);
        threads_leave(dev, before);
        TRY(result);
    } else {
        *out = find(dev, product, m);
        if (!*out)
            return status_fail(STATUS_NO_MEMORY,
                               "cpu: a product %dx%d %d -> %d was not planned for", product->h,
                               product->w, m->in, m->out);
    }
    if ((*out)->work_bytes > *work_bytes)
        *work_bytes = (*out)->work_bytes;
    return STATUS_OK;
}

status cpu_product_run(struct cpu_device *dev, struct cpu_prepared *p, const struct cpu_matrix *m,
                       const float *bias, const void *x, void *y, void *work)
{
    /* oneDNN's memory takes no const; sources are only read. */
    dnnl_memory_set_data_handle(p->x, (void *)(size_t)x);
    dnnl_memory_set_data_handle(p->matrix, m->data);
    dnnl_memory_set_data_handle(p->bias, (void *)(size_t)bias);
    dnnl_memory_set_data_handle(p->y, y);
    dnnl_memory_set_data_handle(p->work, work);
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, p->x },
                                     { DNNL_ARG_WEIGHTS, p->matrix },
                                     { DNNL_ARG_BIAS, p->bias },
                                     { DNNL_ARG_DST, p->y },
                                     { DNNL_ARG_SCRATCHPAD, p->work } };
    const int before = threads_enter(dev);
    const dnnl_status_t code = dnnl_primitive_execute(p->primitive, dev->engine->stream,
                                                      sizeof args / sizeof args[0], args);
    threads_leave(dev, before);
    TRY_DNNL(code, "a convolution");
    return STATUS_OK;
}
