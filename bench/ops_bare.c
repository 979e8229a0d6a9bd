/* bench/ops_bare.c - oneDNN alone. */
#include "bench/ops_bare.h"

#include <stdlib.h>
#include <string.h>

#include <dnnl.h>

enum { QUERIES = 256 };

struct product {
    dnnl_primitive_t primitive;
    dnnl_memory_t memory[4];
    void *data[4];
    dnnl_exec_arg_t args[4];
    int count;
};

struct bare {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct product product[2];
    int products, repeats;
};

static dnnl_data_type_t type_of(enum dtype dtype)
{
    return dtype == DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
}

static int bind(struct bare *b, dnnl_primitive_desc_t desc, struct product *p)
{
    const dnnl_query_t what[] = { dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md };
    const int arg[] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS };
    const char *name = "";
    dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&name);
    if (strncmp(name, "ref", 3) == 0)
        return 0;
    for (int i = 0; i < 4; i++) {
        const dnnl_memory_desc_t *md = i < 3 ? dnnl_primitive_desc_query_md(desc, what[i], 0)
                                             : dnnl_primitive_desc_query_md(desc, what[1], 1);
        const size_t bytes = dnnl_memory_desc_get_size(md);
        if (bytes == 0)
            break; /* no bias */
        p->data[i] = aligned_alloc(64, (bytes + 4159) / 64 * 64);
        if (!p->data[i])
            return 0;
        memset(p->data[i], 0, bytes + 64);
        if (dnnl_memory_create(&p->memory[i], md, b->engine, p->data[i]) != dnnl_success)
            return 0;
        p->args[p->count++] = (dnnl_exec_arg_t){ arg[i], p->memory[i] };
    }
    return dnnl_primitive_create(&p->primitive, desc) == dnnl_success;
}

static int convolution(struct bare *b, const struct bench_shape *s, dnnl_data_type_t type)
{
    const int pad = s->kernel / 2, h = s->h * s->upsample, w = s->w * s->upsample;
    const int h_out = (h - 1) / s->stride + 1, w_out = (w - 1) / s->stride + 1;
    const int c = s->c + (s->op == BENCH_CONV ? s->c2 : 0), out = s->out * (s->geglu ? 2 : 1);
    const dnnl_dims_t x_dims = { 1, c, h, w }, y_dims = { 1, out, h_out, w_out };
    const dnnl_dims_t m_dims = { out, c, s->kernel, s->kernel }, b_dims = { out };
    const dnnl_dims_t strides = { s->stride, s->stride }, none = { 0, 0 }, before = { pad, pad };
    const dnnl_dims_t after = { (h_out - 1) * s->stride + s->kernel - h - pad,
                                (w_out - 1) * s->stride + s->kernel - w - pad };
    dnnl_memory_desc_t x, m, bias, y;
    dnnl_memory_desc_init_by_tag(&x, 4, x_dims, type, dnnl_nhwc);
    dnnl_memory_desc_init_by_tag(&y, 4, y_dims, type, dnnl_nhwc);
    dnnl_memory_desc_init_by_tag(&m, 4, m_dims, type, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&bias, 1, b_dims, dnnl_f32, dnnl_a);
    dnnl_convolution_desc_t op;
    dnnl_primitive_desc_t desc = NULL;
    if (dnnl_dilated_convolution_forward_desc_init(&op, dnnl_forward_inference,
                                                   dnnl_convolution_direct, &x, &m, &bias, &y,
                                                   strides, none, before, after) != dnnl_success ||
        dnnl_primitive_desc_create(&desc, &op, NULL, b->engine, NULL) != dnnl_success)
        return 0;
    const int ok = bind(b, desc, &b->product[0]);
    dnnl_primitive_desc_destroy(desc);
    b->products = b->repeats = 1;
    return ok;
}

/* y[batch, rows, out] = x[batch, rows, in] . m[batch, in, out] */
static int matmul(struct bare *b, struct product *p, int batch, int rows, int in, int out,
                  dnnl_data_type_t type, dnnl_data_type_t y_type, dnnl_format_tag_t m_tag)
{
    const dnnl_dims_t x_dims = { batch, rows, in }, m_dims = { batch, in, out };
    const dnnl_dims_t y_dims = { batch, rows, out };
    dnnl_memory_desc_t x, m, y;
    dnnl_memory_desc_init_by_tag(&x, 3, x_dims, type, dnnl_abc);
    dnnl_memory_desc_init_by_tag(&m, 3, m_dims, type, m_tag);
    dnnl_memory_desc_init_by_tag(&y, 3, y_dims, y_type, dnnl_abc);
    dnnl_matmul_desc_t op;
    dnnl_primitive_desc_t desc = NULL;
    if (dnnl_matmul_desc_init(&op, &x, &m, NULL, &y) != dnnl_success ||
        dnnl_primitive_desc_create(&desc, &op, NULL, b->engine, NULL) != dnnl_success)
        return 0;
    const int ok = bind(b, desc, p);
    dnnl_primitive_desc_destroy(desc);
    return ok;
}

static int products(struct bare *b, const struct bench_shape *s, enum dtype dtype)
{
    const dnnl_data_type_t type = type_of(dtype);
    if (s->op == BENCH_ATTENTION) {
        b->products = 2;
        b->repeats = (s->h + QUERIES - 1) / QUERIES;
        const int rows = s->h < QUERIES ? s->h : QUERIES;
        return matmul(b, &b->product[0], s->c2, rows, s->c, s->w, type, dnnl_f32, dnnl_acb) &&
               matmul(b, &b->product[1], s->c2, rows, s->w, s->c, type, type, dnnl_abc);
    }
    const int out = s->out * (s->geglu ? 2 : 1), in = s->c + s->c2;
    b->products = b->repeats = 1;
    return matmul(b, &b->product[0], 1, s->h * s->w, in, out, type, type, dnnl_format_tag_any);
}

struct bare *bare_open(const struct bench_shape *shape, enum dtype dtype, int way)
{
    const int product = shape->op == BENCH_ATTENTION               ? way == 0
                        : shape->kernel == 1 && shape->stride == 1 ? way == 1
                                                                   : 0;
    const int conv = way == 0 && (shape->op == BENCH_CONV || shape->op == BENCH_LINEAR);
    if (shape->op == BENCH_GROUP_NORM || shape->op == BENCH_LAYER_NORM || (!product && !conv))
        return NULL;
    struct bare *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    if (dnnl_engine_create(&b->engine, dnnl_cpu, 0) == dnnl_success &&
        dnnl_stream_create(&b->stream, b->engine, dnnl_stream_default_flags) == dnnl_success &&
        (conv ? convolution(b, shape, type_of(dtype)) : products(b, shape, dtype)))
        return b;
    bare_close(b);
    return NULL;
}

void bare_run(struct bare *b)
{
    for (int r = 0; r < b->repeats; r++)
        for (int i = 0; i < b->products; i++)
            if (dnnl_primitive_execute(b->product[i].primitive, b->stream, b->product[i].count,
                                       b->product[i].args) != dnnl_success)
                abort();
}

void bare_close(struct bare *b)
{
    if (!b)
        return;
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 4; k++) {
            dnnl_memory_destroy(b->product[i].memory[k]);
            free(b->product[i].data[k]);
        }
        dnnl_primitive_destroy(b->product[i].primitive);
    }
    dnnl_stream_destroy(b->stream);
    dnnl_engine_destroy(b->engine);
    free(b);
}
