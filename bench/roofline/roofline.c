/* bench/roofline/roofline.c - what a step and a decode of SD 1.x should cost on a GPU, predicted.
 *
 *   bench_roofline                     the summary: every GPU, two sizes, two batches
 *   bench_roofline H200 512x768 2      every call of one step at guidance batch 2, then of a decode
 * Both print Markdown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/roofline/model.h"
#include "bench/record/networks.h"

static const double aim_us = 5000; /* a step at 512x768, guidance batch 2, on an H200 */

enum group {
    GROUP_CONV,
    GROUP_LINEAR,
    GROUP_ATTENTION_40,
    GROUP_ATTENTION,
    GROUP_NORMS,
    GROUP_SMALL,
    GROUPS
};
static const char *const group_name[GROUPS] = { "3x3",       "linear, 1x1", "attention d=40 self",
                                                "attention", "norms",       "small" };

static enum group group_of(const struct recorded *r)
{
    switch (r->kind) {
    case RECORDED_CONV:
        return r->kernel == 3 ? GROUP_CONV : GROUP_LINEAR;
    case RECORDED_LINEAR:
        return GROUP_LINEAR;
    case RECORDED_ATTENTION:
        return r->d == 40 && r->s_kv > 77 ? GROUP_ATTENTION_40 : GROUP_ATTENTION;
    case RECORDED_GROUP_NORM:
    case RECORDED_LAYER_NORM:
        return GROUP_NORMS;
    default:
        return GROUP_SMALL;
    }
}

struct total {
    double us, flops, group_us[GROUPS];
};

static struct total add_up(const struct gpu *gpu, const struct network_calls *calls)
{
    struct total total = { 0 };
    for (size_t i = 0; i < calls->count; i++) {
        const struct prediction p = predict(gpu, &calls->call[i]);
        total.us += p.us * calls->call[i].count;
        total.flops += p.flops * calls->call[i].count;
        total.group_us[group_of(&calls->call[i])] += p.us * calls->call[i].count;
    }
    return total;
}

static void print_shape(const struct recorded *r)
{
    char shape[96];
    switch (r->kind) {
    case RECORDED_CONV:
        snprintf(shape, sizeof shape, "%dx%d %dx%d %d+%d→%d%s%s", r->kernel, r->kernel, r->h_out,
                 r->w_out, r->c, r->c2, r->out, r->stride == 2 ? " s2" : "",
                 r->upsample == 2 ? " up" : "");
        break;
    case RECORDED_LINEAR:
        snprintf(shape, sizeof shape, "%d %d→%d%s", r->w_out, r->c, r->out,
                 r->geglu ? " geglu" : "");
        break;
    case RECORDED_ATTENTION:
        snprintf(shape, sizeof shape, "%dx%d d=%d", r->w_out, r->s_kv, r->d);
        break;
    default:
        snprintf(shape, sizeof shape, "%dx%d", r->w_out, r->out);
    }
    printf("| %s | %s | %d | %d ", r->op, shape, r->n, r->count);
}

static void print_calls(const struct gpu *gpu, const struct network_calls *calls)
{
    printf("| operator | shape | n | calls | GFLOP | MB of L2 | MB of HBM | tile | blocks | waves "
           "| us a "
           "call | us | bound |\n|---|---|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|---|\n");
    for (size_t i = 0; i < calls->count; i++) {
        const struct recorded *r = &calls->call[i];
        const struct prediction p = predict(gpu, r);
        char tile[32] = "";
        if (p.tile_n > 0)
            snprintf(tile, sizeof tile, "%dx%d S=%d", p.tile_m, p.tile_n, p.split);
        else if (p.tile_m > 0)
            snprintf(tile, sizeof tile, "%d rows", p.tile_m);
        print_shape(r);
        printf("| %.2f | %.1f | %.1f | %s | %ld | %.2f | %.1f | %.0f | %s |\n", p.flops / 1e9,
               p.l2_bytes / 1e6, p.hbm_bytes / 1e6, tile, p.blocks, p.waves, p.us, p.us * r->count,
               p.bound);
    }
    const struct total total = add_up(gpu, calls);
    printf("\nSum %.0f us, %.0f GFLOP, %.0f TFLOP/s (*predicted*)\n\n", total.us, total.flops / 1e9,
           total.flops / total.us / 1e6);
}

static int fail(void)
{
    fprintf(stderr, "bench_roofline: %s\n", status_text());
    return 1;
}

static int details(const struct gpu *gpu, int width, int height, int batch)
{
    struct network_calls step, decode;
    const int n = batch / 2 > 0 ? batch / 2 : 1;
    if (network_step(width, height, n, &step) || network_decode(width, height, n, &decode))
        return fail();
    printf("## %s, %dx%d, guidance batch %d: one step (*predicted*)\n\n", gpu->name, width, height,
           2 * n);
    print_calls(gpu, &step);
    printf("## The decode (*predicted*)\n\n");
    print_calls(gpu, &decode);
    free(step.call);
    free(decode.call);
    return 0;
}

static int summary(void)
{
    static const int sizes[][2] = { { 512, 768 }, { 512, 512 } };
    printf("| GPU | size | guidance batch | step ms | aim ms ");
    for (int g = 0; g < GROUPS; g++)
        printf("| %s ", group_name[g]);
    printf("| TFLOP/s | decode ms |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for (int i = 0; i < gpu_count; i++)
        for (int s = 0; s < 2; s++)
            for (int n = 1; n <= 8; n += 7) {
                struct network_calls step, decode;
                if (network_step(sizes[s][0], sizes[s][1], n, &step) ||
                    network_decode(sizes[s][0], sizes[s][1], n, &decode))
                    return fail();
                const struct total t = add_up(&gpus[i], &step), d = add_up(&gpus[i], &decode);
                printf("| %s | %dx%d | %d | %.2f ", gpus[i].name, sizes[s][0], sizes[s][1], 2 * n,
                       t.us / 1e3);
                if (i == 0 && s == 0 && n == 1)
                    printf("| %.1f ", aim_us / 1e3);
                else
                    printf("| ");
                for (int g = 0; g < GROUPS; g++)
                    printf("| %.2f ", t.group_us[g] / 1e3);
                printf("| %.0f | %.1f |\n", t.flops / t.us / 1e6, d.us / 1e3);
                free(step.call);
                free(decode.call);
            }
    return 0;
}

int main(int argc, char **argv)
{
    int width = 0, height = 0, batch = 0;
    if (argc == 1)
        return summary();
    if (argc == 4 && sscanf(argv[2], "%dx%d", &width, &height) == 2 && width >= 8 && height >= 8 &&
        width <= 4096 && height <= 4096 && (batch = atoi(argv[3])) >= 1 && batch <= 64)
        for (int i = 0; i < gpu_count; i++)
            if (strcmp(argv[1], gpus[i].name) == 0)
                return details(&gpus[i], width, height, batch);
    fprintf(stderr, "usage: bench_roofline [GPU WIDTHxHEIGHT BATCH], GPU being one of");
    for (int i = 0; i < gpu_count; i++)
        fprintf(stderr, "%s \"%s\"", i ? "," : "", gpus[i].name);
    fprintf(stderr, "\n");
    return 2;
}
