/* bench/variants/bench_variants.c - every variant of every operator at the shapes that the networks
 * really ask for, on a CUDA device.
 *
 *   bench_variants [--precision fp16|bf16|fp32] [--size 512x768,...] [--batch N] [--runs N]
 *                  [--inner N] [--row-ms N] [--seconds N] [--op NAME] [--calls N]
 *                  [--ceiling SIDE] [--json FILE] [--plan FILE]
 *
 * The shapes come from the networks themselves (bench/record). Each variant's result is held to the
 * plainest one's before the clock starts. A run is `inner` calls on warm caches, timed by the
 * device's own events; fewer, and fewer runs, where they would take more than --row-ms. Printed are
 * the median, p10 and p90 of a call, the rate, the percentage of the device's ceiling (a product of
 * `side`^3, measured first), the speed as a percentage of the vendor's libraries', and a hash of
 * the result. `*` marks what the device picks itself. The vendor's column is there where cuBLASLt
 * and cuDNN can be opened, for the calls that they take: products and convolutions, as whole
 * operators with all that the call asks for. --calls: the first of each network's.
 * --plan writes what it should pick (bench/plans), and holds the rows to no plan meanwhile;
 * bench/schema/variants.schema.json says what is in --json.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "bench/record/again.h"
#include "bench/record/networks.h"
#include "bench/variants/fastest.h"
#include "bench/variants/variants_options.h"
#include "cuda/cuda.h"
#include "host/base/clock.h"
#include "host/base/statistics.h"

enum { MOST_VARIANTS = 64 };

static const double most_error = 2e-2; /* relative L2: a wrong kernel is far beyond, bf16 within */

struct bench {
    struct variants_options options;
    struct ops *ops;
    double ceiling_tflops; /* of a large product in the same precision */
    const char *vendor;    /* versions of its libraries; null: not to be had ... */
    char reason[512];      /* ... because */
    int calls, left_out;   /* measured so far; not for want of time */
    double end_s;          /* when no further call is begun, on the monotonic clock */
    cJSON *rows;
};

/* Multiplications and additions of the definition. */
static double flops_of(const struct recorded *r)
{
    const double out = (double)r->n * r->h_out * r->w_out * r->out;
    switch (r->kind) {
    case RECORDED_CONV:
        return 2 * out * r->kernel * r->kernel * (r->c + r->c2);
    case RECORDED_LINEAR:
        return 2 * out * (r->geglu ? 2 : 1) * (r->c + r->c2);
    case RECORDED_ATTENTION:
        return 4 * out * r->s_kv;
    default:
        return 0;
    }
}

static void name_shape(const struct recorded *r, char *text, size_t size)
{
    switch (r->kind) {
    case RECORDED_CONV:
        snprintf(text, size, "n%d %dx%d %dx%d %d+%d->%d%s%s", r->n, r->kernel, r->kernel, r->h_out,
                 r->w_out, r->c, r->c2, r->out, r->stride == 2 ? " s2" : "",
                 r->upsample == 2 ? " up" : "");
        break;
    case RECORDED_LINEAR:
        snprintf(text, size, "n%d %d %d+%d->%d%s", r->n, r->w_out, r->c, r->c2, r->out,
                 r->geglu ? " geglu" : "");
        break;
    case RECORDED_ATTENTION:
        snprintf(text, size, "n%d %dx%d %d heads of %d", r->n, r->w_out, r->s_kv, r->heads, r->d);
        break;
    default:
        snprintf(text, size, "n%d %dx%d+%d", r->n, r->w_out, r->c, r->c2);
    }
}

/* ---- one variant ------------------------------------------------------------------------- */

static uint64_t hash_of(const unsigned char *data, size_t bytes)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ data[i]) * 1099511628211u;
    return hash;
}

/* ||a - b|| / ||b||; infinity if either holds what is not finite. */
static double distance(const void *a, const void *b, enum dtype dtype, size_t bytes)
{
    enum { PIECE = 4096 };
    const size_t size = dtype_size(dtype), count = bytes / size;
    double apart = 0, all = 0;
    float x[PIECE], y[PIECE];
    for (size_t i = 0; i < count; i += PIECE) {
        const size_t part = count - i < PIECE ? count - i : PIECE;
        dtype_to_f32((const char *)a + i * size, dtype, part, x);
        dtype_to_f32((const char *)b + i * size, dtype, part, y);
        for (size_t j = 0; j < part; j++) {
            apart += (double)(x[j] - y[j]) * (x[j] - y[j]);
            all += (double)y[j] * y[j];
        }
    }
    return isfinite(apart) && isfinite(all) ? sqrt(apart / (all > 0 ? all : 1)) : INFINITY;
}

/* The times of `runs` runs of `inner` calls, a call's in microseconds. */
static status time_calls(struct bench *b, struct again *again, int runs, int inner, double *us)
{
    struct ops *ops = b->ops;
    const struct span *span;
    size_t count, seen = 0;
    ops->spans_clear(ops);
    for (int run = 0; run < runs; run++) {
        ops->span_begin(ops, SPAN_STAGE, "run");
        status result = STATUS_OK;
        for (int i = 0; i < inner && result == STATUS_OK; i++)
            result = again_run(again);
        ops->span_end(ops);
        TRY(result);
    }
    TRY(ops->spans_read(ops, &span, &count));
    for (size_t i = 0; i < count && seen < (size_t)runs; i++)
        if (span[i].level == SPAN_STAGE)
            us[seen++] = (span[i].end_ms - span[i].begin_ms) * 1e3 / inner;
    return STATUS_OK;
}

/* As many runs as were asked for, of as many calls, or what --row-ms leaves of them. */
static status time_runs(struct bench *b, struct again *again, double *us, int *runs)
{
    enum { LEAST_RUNS = 3 };
    int inner = b->options.inner;
    double first = 0;
    TRY(time_calls(b, again, 1, 1, &first));
    const double calls = b->options.row_ms * 1e3 / (first > 1 ? first : 1);
    *runs = b->options.runs;
    if (calls < (double)*runs * inner)
        inner = calls < *runs ? 1 : (int)(calls / *runs);
    if (calls<*runs && * runs> LEAST_RUNS)
        *runs = calls < LEAST_RUNS ? LEAST_RUNS : (int)calls;
    return time_calls(b, again, *runs, inner, us);
}

struct measured {
    struct summary us;
    double error; /* from the plainest variant */
    uint64_t hash;
};

/* What is to be equalled: made by the plainest variant that takes the call. */
struct truth {
    void *data;
    size_t bytes;
};

static status measure(struct bench *b, struct again *again, struct truth *truth,
                      struct measured *out)
{
    double us[MOST_RUNS];
    int runs;
    struct truth own;
    TRY(again_run(again));
    TRY(again_result(again, &own.data, &own.bytes));
    out->error =
        truth->data == NULL ? 0 : distance(own.data, truth->data, b->options.dtype, own.bytes);
    out->hash = hash_of(own.data, own.bytes);
    if (truth->data == NULL)
        *truth = own;
    else
        free(own.data);
    TRY(time_runs(b, again, us, &runs));
    return statistics_summary(us, (size_t)runs, &out->us);
}

/* ---- rows -------------------------------------------------------------------------------- */

/* A variant's results for one call. */
struct row {
    const char *variant;
    int picked;
    struct measured m;
};

/* The vendor's median time in microseconds; 0 where its libraries do not take the call. */
static double vendor_us(const struct row *rows, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(rows[i].variant, "vendor") == 0)
            return rows[i].m.us.median;
    return 0;
}

static void add_or_null(cJSON *to, const char *name, double value, int known)
{
    if (known)
        cJSON_AddNumberToObject(to, name, value);
    else
        cJSON_AddNullToObject(to, name);
}

static void keep_row(struct bench *b, const struct recorded *r, const char *shape,
                     const struct row *kept, double vendor)
{
    const struct measured *m = &kept->m;
    char hash[24];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)m->hash);
    cJSON *row = cJSON_CreateObject();
    cJSON_AddNumberToObject(row, "call", b->calls);
    cJSON_AddStringToObject(row, "op", r->op);
    cJSON_AddStringToObject(row, "shape", shape);
    cJSON_AddStringToObject(row, "key", cuda_last_key(b->ops, r->op));
    cJSON_AddStringToObject(row, "variant", kept->variant);
    cJSON_AddBoolToObject(row, "picked", kept->picked);
    cJSON_AddNumberToObject(row, "calls", r->count);
    cJSON_AddNumberToObject(row, "median_us", m->us.median);
    cJSON_AddNumberToObject(row, "p10_us", m->us.p10);
    cJSON_AddNumberToObject(row, "p90_us", m->us.p90);
    add_or_null(row, "vendor_us", vendor, vendor > 0);
    add_or_null(row, "of_vendor_percent", 100 * vendor / m->us.median, vendor > 0);
    cJSON_AddNumberToObject(row, "flops", flops_of(r));
    cJSON_AddNumberToObject(row, "bytes", r->weight_bytes + r->in_bytes + r->out_bytes);
    cJSON_AddNumberToObject(row, "error", m->error);
    cJSON_AddStringToObject(row, "hash", hash);
    cJSON_AddItemToArray(b->rows, row);
}

static void print_row(struct bench *b, const struct recorded *r, const struct row *row,
                      double vendor)
{
    const struct measured *m = &row->m;
    char shape[96];
    name_shape(r, shape, sizeof shape);
    const double flops = flops_of(r), tflops = flops / m->us.median / 1e6;
    const double tbps = (r->weight_bytes + r->in_bytes + r->out_bytes) / m->us.median / 1e6;
    printf("%-11s %-36s %c%-14s %9.1f %9.1f %9.1f us", r->op, shape, row->picked ? '*' : ' ',
           row->variant, m->us.median, m->us.p10, m->us.p90);
    if (flops > 0)
        printf(" %7.1f TFLOP/s %5.1f %%", tflops, 100 * tflops / b->ceiling_tflops);
    else
        printf(" %7.2f TB/s", tbps);
    if (vendor > 0)
        printf("  of vendor %6.1f %%", 100 * vendor / m->us.median);
    else
        printf("  of vendor      -  ");
    printf("  error %.1e  %016llx\n", m->error, (unsigned long long)m->hash);
    fflush(stdout);
    keep_row(b, r, shape, row, vendor);
}

/* The row that the device runs by itself: the one whose count of runs grew. */
static int picked_row(struct bench *b, struct again *again, const char *op)
{
    long before[MOST_VARIANTS];
    int count = 0;
    for (; count < MOST_VARIANTS && cuda_variant_name(op, count) != NULL; count++)
        before[count] = cuda_variant_runs(b->ops, op, count);
    if (again_run(again) != STATUS_OK)
        return -1;
    for (int i = 0; i < count; i++)
        if (cuda_variant_runs(b->ops, op, i) > before[i])
            return i;
    return -1;
}

/* *taken: 1 if the variant runs the call. */
static status bench_variant(struct bench *b, const struct recorded *r, struct truth *truth,
                            struct row *row, int *taken)
{
    struct again *again; /* planned anew: scratch is what the variant needs */
    *taken = 0;
    if (b->vendor == NULL && strcmp(row->variant, "vendor") == 0)
        return STATUS_OK;
    TRY(cuda_force(b->ops, r->op, row->variant));
    status result = again_create(b->ops, r, b->options.dtype, &again);
    if (result == STATUS_UNSUPPORTED)
        return STATUS_OK;
    if (result == STATUS_OK)
        result = measure(b, again, truth, &row->m);
    again_destroy(again);
    *taken = result == STATUS_OK;
    return result;
}

static status bench_call(struct bench *b, const struct recorded *r, int *failures)
{
    struct truth truth = { 0 };
    struct again *again;
    struct row rows[MOST_VARIANTS];
    int count = 0, taken;
    b->calls++;
    TRY(again_create(b->ops, r, b->options.dtype, &again));
    const int picked = picked_row(b, again, r->op);
    again_destroy(again);
    status result = STATUS_OK;
    for (int i = 0; i < MOST_VARIANTS && result == STATUS_OK; i++) {
        rows[count] = (struct row){ .variant = cuda_variant_name(r->op, i), .picked = i == picked };
        if (rows[count].variant == NULL)
            break;
        result = bench_variant(b, r, &truth, &rows[count], &taken);
        count += taken;
    }
    free(truth.data);
    for (int i = 0; i < count; i++) {
        print_row(b, r, &rows[i], vendor_us(rows, count));
        if (!(rows[i].m.error < most_error)) {
            fprintf(stderr, "bench_variants: %s %s is wrong\n", r->op, rows[i].variant);
            ++*failures;
        }
    }
    TRY(result);
    return cuda_force(b->ops, r->op, NULL);
}

/* A large square product by the device's own pick. */
static status measure_ceiling(struct bench *b)
{
    const int side = b->options.side;
    const struct recorded r = { .kind = RECORDED_LINEAR,
                                .op = "linear",
                                .n = 1,
                                .h = 1,
                                .w = side,
                                .h_out = 1,
                                .w_out = side,
                                .c = side,
                                .out = side,
                                .kernel = 1,
                                .stride = 1,
                                .upsample = 1 };
    struct again *again;
    struct summary us;
    double value[MOST_RUNS];
    int runs;
    TRY(again_create(b->ops, &r, b->options.dtype, &again));
    status result = time_runs(b, again, value, &runs);
    again_destroy(again);
    TRY(result);
    TRY(statistics_summary(value, (size_t)runs, &us));
    b->ceiling_tflops = flops_of(&r) / us.median / 1e6;
    printf("ceiling: %.1f TFLOP/s (%d^3 product)\n", b->ceiling_tflops, side);
    return STATUS_OK;
}

static status bench_network(struct bench *b, const char *title, const struct network_calls *calls,
                            int *failures)
{
    int most = b->options.calls;
    printf("\n%s\n", title);
    for (size_t i = 0; i < calls->count && most > 0; i++) {
        const struct recorded *r = &calls->call[i];
        if (r->kind == RECORDED_SMALL ||
            (b->options.op != NULL && strcmp(b->options.op, r->op) != 0))
            continue;
        most--;
        if (clock_now_ms() / 1e3 > b->end_s)
            b->left_out++;
        else
            TRY(bench_call(b, r, failures));
    }
    return STATUS_OK;
}

/* ---- the program ------------------------------------------------------------------------- */

static int usage(void)
{
    fprintf(stderr,
            "usage: bench_variants [--precision fp16|bf16|fp32] [--size WxH,...] [--batch N]"
            " [--runs N] [--inner N] [--row-ms N] [--seconds N] [--op NAME] [--calls N]"
            " [--ceiling SIDE] [--json FILE] [--plan FILE]\n");
    return 2;
}

static void add_text(cJSON *to, const char *name, const char *text)
{
    cJSON_AddItemToObject(to, name, text == NULL ? cJSON_CreateNull() : cJSON_CreateString(text));
}

static int write_json(const struct bench *b)
{
    cJSON *document = cJSON_CreateObject();
    cJSON_AddStringToObject(document, "schema", "mikubench-variants/1");
    cJSON_AddStringToObject(document, "device", b->ops->summary);
    cJSON_AddStringToObject(document, "build", cuda_build());
    cJSON_AddStringToObject(document, "plan", b->ops->plan_hash ? b->ops->plan_hash : "");
    add_text(document, "vendor", b->vendor);
    add_text(document, "vendor_reason", b->vendor == NULL ? b->reason : NULL);
    cJSON_AddNumberToObject(document, "ceiling_tflops", b->ceiling_tflops);
    cJSON_AddNumberToObject(document, "left_out", b->left_out);
    cJSON_AddItemReferenceToObject(document, "rows", b->rows);
    char *text = cJSON_Print(document);
    FILE *file = text ? fopen(b->options.json, "w") : NULL;
    const int written = file != NULL && fputs(text, file) >= 0;
    const int closed = file != NULL && fclose(file) == 0;
    cJSON_free(text);
    cJSON_Delete(document);
    if (!written || !closed)
        fprintf(stderr, "bench_variants: %s cannot be written\n", b->options.json);
    return written && closed;
}

static int write_plan(const struct bench *b)
{
    FILE *file = fopen(b->options.plan, "w");
    if (file != NULL)
        fprintf(file, "# made by bench_variants: %s, %s\n", b->ops->summary, cuda_build());
    const int lines = file != NULL ? fastest_write(b->rows, most_error, file) : 0;
    const int written = file != NULL && !ferror(file);
    const int closed = file != NULL && fclose(file) == 0;
    if (!written || !closed)
        fprintf(stderr, "bench_variants: %s cannot be written\n", b->options.plan);
    else
        printf("\nplan: %d of %d calls are faster by another variant\n", lines, b->calls);
    return written && closed;
}

static status bench_size(struct bench *b, int width, int height, int *failures)
{
    struct network_calls step = { 0 }, decode = { 0 };
    char title[64];
    TRY(network_step(width, height, b->options.n, &step));
    status result = network_decode(width, height, b->options.n, &decode);
    snprintf(title, sizeof title, "one step, %dx%d", width, height);
    if (result == STATUS_OK)
        result = bench_network(b, title, &step, failures);
    snprintf(title, sizeof title, "one decode, %dx%d", width, height);
    if (result == STATUS_OK)
        result = bench_network(b, title, &decode, failures);
    free(step.call);
    free(decode.call);
    return result;
}

/* A yardstick that is not here is said, and is no failure. */
static void open_vendor(struct bench *b)
{
    if (cuda_vendor_open(b->ops) != STATUS_OK)
        snprintf(b->reason, sizeof b->reason, "%s", status_text());
    b->vendor = cuda_vendor_versions(b->ops);
    printf("vendor: %s%s\n", b->vendor ? "" : "left out: ", b->vendor ? b->vendor : b->reason);
}

static status run(struct bench *b, int *failures)
{
    const struct variants_options *o = &b->options;
    b->end_s = clock_now_ms() / 1e3 + o->seconds;
    TRY(cuda_open(0, o->dtype, &b->ops));
    if (o->plan != NULL)
        TRY(cuda_plan_use(b->ops, ""));
    printf("%s, %s\n", b->ops->summary, cuda_build());
    open_vendor(b);
    TRY(measure_ceiling(b));
    for (int i = 0; i < o->sizes; i++)
        TRY(bench_size(b, o->size[i].width, o->size[i].height, failures));
    if (b->left_out > 0)
        printf("\n%d calls left out: --seconds %d\n", b->left_out, o->seconds);
    return STATUS_OK;
}

int main(int argc, char **argv)
{
    struct bench b = { .options = variants_options_default };
    int failures = 0;
    if (!variants_options_read(argc, argv, &b.options))
        return usage();
    b.rows = cJSON_CreateArray();
    const status result = run(&b, &failures);
    if (result != STATUS_OK)
        fprintf(stderr, "bench_variants: %s\n", status_text());
    int written = b.options.json == NULL || result != STATUS_OK || write_json(&b);
    if (result == STATUS_OK && b.options.plan != NULL)
        written = write_plan(&b) && written;
    cJSON_Delete(b.rows);
    if (b.ops != NULL)
        b.ops->destroy(b.ops);
    return result != STATUS_OK || failures > 0 || !written;
}
