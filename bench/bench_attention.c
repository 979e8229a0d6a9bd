/* bench/bench_attention.c - attention of one step at 512x768 on the CPU, beside bare oneDNN
 * products of the same flops: 256 query rows of one head at a time, scores stored, no softmax.
 *
 *   bench_attention [threads [runs [f32|bf16 [wall|cpu]]]]
 *
 * cpu: time that the processors spent on it, for a machine that does other work too. Compare it
 * with one thread (OMP_NUM_THREADS=1 for oneDNN), for a waiting thread burns time as well.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dnnl.h>

#include "host/base/clock.h"
#include "host/cpu/cpu.h"

static const struct shape {
    const char *name;
    int s_q, s_kv, heads, d;
    int count; /* in a step of two evaluations */
} shapes[] = {
    { "self 6144 d=40", 6144, 6144, 8, 40, 10 },     { "self 1536 d=80", 1536, 1536, 8, 80, 10 },
    { "self 384 d=160", 384, 384, 8, 160, 10 },      { "self 96 d=160", 96, 96, 8, 160, 2 },
    { "cross 6144 d=40", 6144, 77, 8, 40, 10 },      { "cross 1536 d=80", 1536, 77, 8, 80, 10 },
    { "cross 384 d=160", 384, 77, 8, 160, 10 },      { "cross 96 d=160", 96, 77, 8, 160, 2 },
    { "decoder 6144 d=512", 6144, 6144, 1, 512, 0 },
};

static int cpu_time;

static double now_ms(void)
{
    return cpu_time ? (double)clock() * 1000 / (double)CLOCKS_PER_SEC : clock_now_ms();
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct times {
    double median, p10, p90;
};

static struct times summary(double *ms, int runs)
{
    qsort(ms, (size_t)runs, sizeof *ms, by_value);
    return (struct times){ ms[runs / 2], ms[runs / 10], ms[runs - 1 - runs / 10] };
}

/* ---- ours -------------------------------------------------------------------------------- */

static void fill(void *x, enum dtype dtype, size_t count)
{
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        const float v = (float)(state >> 8) * 0x1p-23f - 1;
        dtype_from_f32(&v, 1, dtype, (char *)x + i * dtype_size(dtype));
    }
}

static status ours(struct ops *ops, const struct shape *s, enum dtype dtype, double *ms, int runs)
{
    const size_t width = (size_t)s->heads * (size_t)s->d, size = dtype_size(dtype);
    const size_t q = (size_t)s->s_q * width, kv = (size_t)s->s_kv * width;
    struct attention_args a = { .dtype = dtype,
                                .n = 1,
                                .n_q = 1,
                                .n_kv = 1,
                                .heads = s->heads,
                                .d = s->d,
                                .s_q = s->s_q,
                                .s_kv = s->s_kv,
                                .q_stride = width,
                                .kv_stride = 2 * width,
                                .scale = 1 / sqrtf((float)s->d) };
    for (int pass = 0; pass < 2; pass++) {
        void *at[3];
        if (pass == 0)
            TRY(ops->plan_begin(ops));
        TRY(ops->alloc(ops, q * size, &at[0]));
        TRY(ops->alloc(ops, 2 * kv * size, &at[1]));
        TRY(ops->alloc(ops, q * size, &at[2]));
        a.q = at[0];
        a.k = at[1];
        a.v = (const char *)at[1] + width * size;
        a.y = at[2];
        if (pass == 1) {
            fill(at[0], dtype, q);
            fill(at[1], dtype, 2 * kv);
        }
        for (int i = 0; i <= (pass ? runs : 0); i++) {
            const double begin = now_ms();
            TRY(ops->attention(ops, &a));
            if (pass && i > 0)
                ms[i - 1] = now_ms() - begin;
        }
        ops->release(ops, 0);
        if (pass == 0)
            TRY(ops->plan_end(ops, 0, NULL));
    }
    return STATUS_OK;
}

/* ---- bare products ------------------------------------------------------------------------ */

struct product {
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive;
    dnnl_memory_t memory[3];
};

static int refused(dnnl_status_t result) { return result != dnnl_success; }

static int product_open(struct product *p, dnnl_engine_t engine, dnnl_data_type_t type,
                        dnnl_data_type_t out, const dnnl_dims_t dims[3], const int transposed)
{
    dnnl_memory_desc_t md[3];
    for (int i = 0; i < 3; i++)
        if (refused(dnnl_memory_desc_init_by_tag(&md[i], 2, dims[i], i == 2 ? out : type,
                                                 i == 1 && transposed ? dnnl_ba : dnnl_ab)))
            return 0;
    dnnl_matmul_desc_t desc;
    if (refused(dnnl_matmul_desc_init(&desc, &md[0], &md[1], NULL, &md[2])) ||
        refused(dnnl_primitive_desc_create(&p->pd, &desc, NULL, engine, NULL)) ||
        refused(dnnl_primitive_create(&p->primitive, p->pd)))
        return 0;
    for (int i = 0; i < 3; i++)
        if (refused(dnnl_memory_create(&p->memory[i], &md[i], engine, DNNL_MEMORY_ALLOCATE)))
            return 0;
    for (int i = 0; i < 3; i++) {
        void *data;
        dnnl_memory_get_data_handle(p->memory[i], &data);
        memset(data, 0, dnnl_memory_desc_get_size(&md[i]));
    }
    return 1;
}

static void product_run(const struct product *p, dnnl_stream_t stream)
{
    const dnnl_exec_arg_t args[3] = { { DNNL_ARG_SRC, p->memory[0] },
                                      { DNNL_ARG_WEIGHTS, p->memory[1] },
                                      { DNNL_ARG_DST, p->memory[2] } };
    dnnl_primitive_execute(p->primitive, stream, 3, args);
}

static void product_close(struct product *p)
{
    for (int i = 0; i < 3; i++)
        dnnl_memory_destroy(p->memory[i]);
    dnnl_primitive_destroy(p->primitive);
    dnnl_primitive_desc_destroy(p->pd);
}

static int bare(const struct shape *s, enum dtype dtype, double *ms, int runs)
{
    const dnnl_data_type_t type = dtype == DTYPE_F32 ? dnnl_f32 : dnnl_bf16;
    const dnnl_dim_t rows = s->s_q < 256 ? s->s_q : 256, keys = s->s_kv, d = s->d;
    const dnnl_dims_t scores[3] = { { rows, d }, { d, keys }, { rows, keys } };
    const dnnl_dims_t values[3] = { { rows, keys }, { keys, d }, { rows, d } };
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct product qk, pv;
    dnnl_engine_create(&engine, dnnl_cpu, 0);
    dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    if (!product_open(&qk, engine, type, dnnl_f32, scores, 1) ||
        !product_open(&pv, engine, type, type, values, 0))
        return 0;
    for (int i = 0; i <= runs; i++) {
        const double begin = now_ms();
        for (int head = 0; head < s->heads; head++)
            for (int row = 0; row < s->s_q; row += (int)rows) {
                product_run(&qk, stream);
                product_run(&pv, stream);
            }
        dnnl_stream_wait(stream);
        if (i > 0)
            ms[i - 1] = now_ms() - begin;
    }
    product_close(&qk);
    product_close(&pv);
    dnnl_stream_destroy(stream);
    dnnl_engine_destroy(engine);
    return 1;
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 2, runs = argc > 2 ? atoi(argv[2]) : 5;
    const enum dtype dtype = argc > 3 && strcmp(argv[3], "bf16") == 0 ? DTYPE_BF16 : DTYPE_F32;
    cpu_time = argc > 4 && strcmp(argv[4], "cpu") == 0;
    struct ops *ops;
    double *ms = malloc((size_t)(runs > 0 ? runs : 1) * sizeof *ms), step[2] = { 0, 0 };
    if (!ms || runs < 1 || cpu_open(threads, dtype, &ops) != STATUS_OK) {
        fprintf(stderr, "bench_attention: %s\n", status_text());
        return 1;
    }

    printf("%s, %s\n%-20s %9s %9s %9s %9s %9s %7s\n", ops->summary, dtype_name(dtype), "shape",
           "ours ms", "p10", "p90", "GFLOP/s", "bare ms", "ratio");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const struct shape *s = &shapes[i];
        if (ours(ops, s, dtype, ms, runs) != STATUS_OK) {
            fprintf(stderr, "bench_attention: %s\n", status_text());
            return 1;
        }
        const struct times mine = summary(ms, runs);
        if (!bare(s, dtype, ms, runs))
            return 1;
        const struct times floor = summary(ms, runs);
        const double flops = 4.0 * s->s_q * s->s_kv * s->heads * s->d;
        printf("%-20s %9.2f %9.2f %9.2f %9.1f %9.2f %7.2f\n", s->name, mine.median, mine.p10,
               mine.p90, flops / mine.median * 1e-6, floor.median, mine.median / floor.median);
        step[0] += s->count * mine.median;
        step[1] += s->count * floor.median;
    }
    printf("a step: %.0f ms, bare %.0f ms, ratio %.2f\n", step[0], step[1], step[0] / step[1]);
    ops->destroy(ops);
    free(ms);
    return 0;
}
