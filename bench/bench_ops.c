/* bench/bench_ops.c - every operator at the shapes of SD 1.x, 512x768, beside oneDNN alone.
 *
 *   bench_ops [--precision fp32|bf16] [--threads N] [--runs N] [--net unet|vae] [--json FILE]
 *             [--clock wall|cpu]
 *
 * A row is one image. Device and yardstick take turns, so that a busy machine hits both; the least
 * and the median of the runs are printed, times the count of the shape in one network evaluation.
 * The sums are of the medians. On a busy machine one thread and its processor time (--clock cpu)
 * still mean something. Norms have no yardstick and stand in the sum of the device alone. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <omp.h>

#include "bench/ops_bare.h"
#include "bench/ops_shapes.h"
#include "host/base/clock.h"
#include "host/cpu/cpu.h"

enum { MOST_RUNS = 101 };

struct options {
    enum dtype dtype;
    int threads, runs, cpu_clock;
    const char *net, *json;
};

/* Everything that a call of one shape needs. */
struct call {
    struct ops *ops;
    const struct bench_shape *shape;
    enum dtype dtype;
    struct weight *weight, *beta;
    void *x, *x2, *y, *residual;
};

struct timing {
    double least, median, p10, p90;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_ops: %s: %s\n", what, status_text());
    exit(1);
}

static void want(status code, const char *what)
{
    if (code != STATUS_OK)
        die(what);
}

static status run(const struct call *k)
{
    const struct bench_shape *s = k->shape;
    const int h_out = (s->h * s->upsample - 1) / s->stride + 1;
    const int w_out = (s->w * s->upsample - 1) / s->stride + 1;
    const size_t wide = (size_t)s->c * (size_t)s->c2;
    switch (s->op) {
    case BENCH_CONV:
        return k->ops->conv2d(k->ops, &(struct conv2d_args){ .weight = k->weight,
                                                             .x = k->x,
                                                             .x2 = k->x2,
                                                             .y = k->y,
                                                             .dtype = k->dtype,
                                                             .n = 1,
                                                             .n_x = 1,
                                                             .n_x2 = 1,
                                                             .h = s->h,
                                                             .w = s->w,
                                                             .c = s->c,
                                                             .c2 = s->c2,
                                                             .h_out = h_out,
                                                             .w_out = w_out,
                                                             .c_out = s->out });
    case BENCH_LINEAR:
        return k->ops->linear(k->ops,
                              &(struct linear_args){ .weight = k->weight,
                                                     .x = k->x,
                                                     .y = k->y,
                                                     .residual = s->residual ? k->residual : NULL,
                                                     .dtype = k->dtype,
                                                     .n = 1,
                                                     .n_x = 1,
                                                     .n_residual = 1,
                                                     .s = s->w,
                                                     .in = s->c,
                                                     .out = s->out });
    case BENCH_ATTENTION:
        return k->ops->attention(k->ops,
                                 &(struct attention_args){ .q = k->x,
                                                           .k = k->x2,
                                                           .v = k->residual,
                                                           .y = k->y,
                                                           .dtype = k->dtype,
                                                           .n = 1,
                                                           .n_q = 1,
                                                           .n_kv = 1,
                                                           .heads = s->c2,
                                                           .d = s->c,
                                                           .s_q = s->h,
                                                           .s_kv = s->w,
                                                           .q_stride = wide,
                                                           .kv_stride = wide,
                                                           .scale = 1.0f / sqrtf((float)s->c) });
    case BENCH_GROUP_NORM:
        return k->ops->group_norm(k->ops, &(struct group_norm_args){ .x = k->x,
                                                                     .gamma = k->weight,
                                                                     .beta = k->beta,
                                                                     .y = k->y,
                                                                     .dtype = k->dtype,
                                                                     .n = 1,
                                                                     .n_x = 1,
                                                                     .hw = s->h * s->w,
                                                                     .c = s->c,
                                                                     .groups = 32,
                                                                     .silu = 1,
                                                                     .eps = 1e-5f });
    case BENCH_LAYER_NORM:
        return k->ops->layer_norm(k->ops, &(struct layer_norm_args){ .x = k->x,
                                                                     .gamma = k->weight,
                                                                     .beta = k->beta,
                                                                     .y = k->y,
                                                                     .dtype = k->dtype,
                                                                     .rows = s->w,
                                                                     .c = s->c,
                                                                     .eps = 1e-5f });
    }
    return STATUS_OK;
}

static void *values(size_t count, enum dtype dtype)
{
    float *f = malloc(count * sizeof *f);
    void *p = aligned_alloc(64, (count * dtype_size(dtype) + 127) / 64 * 64);
    if (!f || !p)
        die("no memory");
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        f[i] = (float)(state >> 8) * 0x1p-23f - 1.0f;
    }
    dtype_from_f32(f, count, dtype, p);
    free(f);
    return p;
}

static void make_weights(struct call *k)
{
    const struct bench_shape *s = k->shape;
    if (s->op == BENCH_ATTENTION)
        return;
    const int norm = s->op == BENCH_GROUP_NORM || s->op == BENCH_LAYER_NORM;
    struct weight_args args = { .kind = norm                  ? WEIGHT_VECTOR
                                        : s->op == BENCH_CONV ? WEIGHT_CONV2D
                                                              : WEIGHT_LINEAR,
                                .parts = 1,
                                .in = norm ? 1 : s->c + s->c2,
                                .in2 = s->c2,
                                .kernel = s->kernel,
                                .stride = s->stride,
                                .upsample = s->upsample,
                                .geglu = s->geglu,
                                .scale = 1.0f,
                                .dtype = k->dtype,
                                .name = "bench" };
    args.part[0].out = norm ? s->c : s->out * (s->geglu ? 2 : 1);
    want(k->ops->weight_create(k->ops, &args, &k->weight), "weight");
    if (norm)
        want(k->ops->weight_create(k->ops, &args, &k->beta), "weight");
}

static void make_call(struct call *k)
{
    const struct bench_shape *s = k->shape;
    const size_t in = (size_t)s->h * (size_t)s->w;
    const size_t out = in * (size_t)(s->upsample * s->upsample) * (size_t)(s->out ? s->out : s->c);
    if (s->op == BENCH_ATTENTION) {
        const size_t wide = (size_t)s->c * (size_t)s->c2;
        k->x = values((size_t)s->h * wide, k->dtype);
        k->x2 = values((size_t)s->w * wide, k->dtype);
        k->residual = values((size_t)s->w * wide, k->dtype);
        k->y = values((size_t)s->h * wide, k->dtype);
    } else {
        k->x = values(in * (size_t)s->c, k->dtype);
        k->x2 = s->c2 ? values(in * (size_t)s->c2, k->dtype) : NULL;
        k->residual = s->residual ? values(out, k->dtype) : NULL;
        k->y = values(out, k->dtype);
    }
    make_weights(k);
    want(k->ops->plan_begin(k->ops), "plan");
    want(run(k), "plan");
    want(k->ops->plan_end(k->ops, 0, NULL), "plan");
}

static void free_call(struct call *k)
{
    k->ops->weight_destroy(k->ops, k->weight);
    k->ops->weight_destroy(k->ops, k->beta);
    free(k->x);
    free(k->x2);
    free(k->y);
    free(k->residual);
}

static double now_ms(const struct options *o)
{
    struct timespec t;
    if (!o->cpu_clock || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
        return clock_now_ms();
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct timing summary(double *ms, int runs)
{
    qsort(ms, (size_t)runs, sizeof *ms, ascending);
    return (struct timing){ ms[0], ms[runs / 2], ms[runs / 10], ms[runs - 1 - runs / 10] };
}

static double flops_of(const struct bench_shape *s)
{
    const double pixels = (double)s->h * s->w;
    if (s->op == BENCH_ATTENTION)
        return 4.0 * pixels * s->c * s->c2;
    const double out = pixels * s->upsample * s->upsample / (s->stride * s->stride) * s->out;
    return 2.0 * out * (s->c + s->c2) * s->kernel * s->kernel * (s->geglu ? 2 : 1);
}

/* One row; returns what the device and the better yardstick took, median and times the count. */
static void row(struct ops *ops, const struct options *o, const struct bench_shape *s, FILE *json,
                double sum[2])
{
    static const char *const names[] = { "conv2d", "linear", "attention", "group_norm",
                                         "layer_norm" };
    static double own_ms[MOST_RUNS], bare_ms[2][MOST_RUNS];
    struct call call = { .ops = ops, .shape = s, .dtype = o->dtype };
    struct bare *bare[2] = { bare_open(s, o->dtype, 0), bare_open(s, o->dtype, 1) };
    make_call(&call);
    for (int r = -1; r < o->runs; r++) { /* the first warms up */
        const double begin = now_ms(o);
        want(run(&call), names[s->op]);
        double last = now_ms(o);
        if (r >= 0)
            own_ms[r] = last - begin;
        for (int b = 0; b < 2; b++) {
            if (bare[b])
                bare_run(bare[b]);
            const double now = now_ms(o);
            if (r >= 0)
                bare_ms[b][r] = bare[b] ? now - last : INFINITY;
            last = now;
        }
    }
    const struct timing own = summary(own_ms, o->runs);
    const struct timing conv = summary(bare_ms[0], o->runs), mat = summary(bare_ms[1], o->runs);
    const struct timing alone = conv.median <= mat.median ? conv : mat;
    const int compared = isfinite(alone.median);
    sum[0] += own.median * s->count;
    sum[1] += compared ? alone.median * s->count : 0;
    char shape[64];
    snprintf(shape, sizeof shape, "%dx%d%s%s%s %dx%d %d+%d->%d", s->kernel, s->kernel,
             s->stride == 2 ? " /2" : "", s->upsample == 2 ? " up" : "", s->geglu ? " geglu" : "",
             s->h, s->w, s->c, s->c2, s->out);
    printf("%-4s %-10s %-34s x%-2d  %8.2f (%8.2f)  ", s->net, names[s->op], shape, s->count,
           own.median, own.least);
    if (compared)
        printf("%8.2f (%8.2f)  %5.2f  %6.0f GF/s\n", alone.median, alone.least,
               own.least / alone.least, flops_of(s) / own.median * 1e-6);
    else
        printf("\n");
    fflush(stdout);
    if (json)
        fprintf(json,
                "%s{\"net\":\"%s\",\"operator\":\"%s\",\"shape\":\"%s\",\"count\":%d,"
                "\"flops\":%.0f,\"runs\":%d,\"median_ms\":%.4f,\"p10_ms\":%.4f,\"p90_ms\":%.4f,"
                "\"least_ms\":%.4f,\"onednn_median_ms\":%.4f,\"onednn_least_ms\":%.4f}",
                s == bench_shapes ? "" : ",\n", s->net, names[s->op], shape, s->count, flops_of(s),
                o->runs, own.median, own.p10, own.p90, own.least, compared ? alone.median : 0.0,
                compared ? alone.least : 0.0);
    bare_close(bare[0]);
    bare_close(bare[1]);
    free_call(&call);
}

static int usage(void)
{
    fprintf(stderr, "bench_ops [--precision fp32|bf16] [--threads N] [--runs N] [--net unet|vae] "
                    "[--clock wall|cpu] "
                    "[--json FILE]\n");
    return 2;
}

static int parse(int argc, char **argv, struct options *o)
{
    *o = (struct options){ .dtype = DTYPE_F32, .runs = 7 };
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--precision") == 0)
            o->dtype = strcmp(value, "bf16") == 0 ? DTYPE_BF16 : DTYPE_F32;
        else if (strcmp(argv[i], "--threads") == 0)
            o->threads = atoi(value);
        else if (strcmp(argv[i], "--runs") == 0)
            o->runs = atoi(value);
        else if (strcmp(argv[i], "--net") == 0)
            o->net = value;
        else if (strcmp(argv[i], "--clock") == 0)
            o->cpu_clock = strcmp(value, "cpu") == 0;
        else if (strcmp(argv[i], "--json") == 0)
            o->json = value;
        else
            return 0;
    }
    return argc % 2 == 1 && o->runs >= 1 && o->runs <= MOST_RUNS;
}

int main(int argc, char **argv)
{
    struct options o;
    if (!parse(argc, argv, &o))
        return usage();
    struct ops *ops = NULL;
    want(cpu_open(o.threads, o.dtype, &ops), "device");
    omp_set_num_threads(o.threads > 0 ? o.threads : cpu_cores());
    FILE *json = o.json ? fopen(o.json, "w") : NULL;
    if (json)
        fprintf(json, "{\"device\":\"%s\",\"precision\":\"%s\",\"rows\":[\n", ops->summary,
                dtype_name(o.dtype));
    printf("%s, %s; ms an image: median (least) here, oneDNN alone, ratio of the least\n",
           ops->summary, dtype_name(o.dtype));
    double sum[2] = { 0, 0 };
    for (size_t i = 0; i < bench_shape_count; i++)
        if (!o.net || strcmp(o.net, bench_shapes[i].net) == 0)
            row(ops, &o, &bench_shapes[i], json, sum);
    printf("sum of count x median: %.1f ms here, %.1f ms oneDNN alone, %.2f\n", sum[0], sum[1],
           sum[0] / sum[1]);
    if (json) {
        fprintf(json, "],\n\"sum_ms\":%.3f,\"onednn_sum_ms\":%.3f}\n", sum[0], sum[1]);
        fclose(json);
    }
    ops->destroy(ops);
    return 0;
}
