/* bench/bench_spans.c - what spans cost: steps of a picture with them, without, and with
 * operators'.
 *
 *   bench_spans WEIGHTS MODEL [WIDTH HEIGHT [STEPS [RUNS]]]
 *
 * The three take turns, so that a busy machine hits all of them. Without means that the device's
 * span_begin and span_end do nothing. The first line is the cost of a span alone, which no other
 * work on the machine can hide. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/base/statistics.h"
#include "host/pipeline/miku.h"

enum { WITH, WITHOUT, OPERATORS, WAYS, SPANS = 100000, MOST = 100000 };

static const char *const names[WAYS] = { "stage and step spans", "no spans", "operator spans too" };

struct bench {
    struct miku *miku;
    struct miku_request request;
    double *step[WAYS]; /* ms, of all runs */
    size_t count[WAYS];
    int way;
};

static void no_begin(struct ops *ops, enum span_level level, const char *name)
{
    (void)ops, (void)level, (void)name;
}

static void no_end(struct ops *ops) { (void)ops; }

static status keep(void *user, const struct miku_picture *picture)
{
    struct bench *b = user;
    for (int i = 0; i < picture->times.steps && b->count[b->way] < MOST; i++)
        b->step[b->way][b->count[b->way]++] = picture->times.step[i];
    return STATUS_OK;
}

static status ignore(void *user, const struct miku_picture *picture)
{
    (void)user, (void)picture;
    return STATUS_OK;
}

static status make(struct bench *b, int way, status (*picture)(void *, const struct miku_picture *))
{
    struct ops *ops = b->miku->ops;
    const struct ops whole = *ops;
    const struct miku_callbacks callbacks = { .picture = picture,
                                              .operators = way == OPERATORS,
                                              .user = b };
    b->way = way;
    if (way == WITHOUT) {
        ops->span_begin = no_begin;
        ops->span_end = no_end;
    }
    const status result = miku_generate(b->miku, &b->request, &callbacks);
    ops->span_begin = whole.span_begin;
    ops->span_end = whole.span_end;
    return result;
}

/* Nanoseconds of one span, begun and ended. */
static double span_ns(struct ops *ops)
{
    const double begun = clock_now_ms();
    for (int i = 0; i < SPANS; i++) {
        ops->span_begin(ops, SPAN_STEP, "step");
        ops->span_end(ops);
    }
    const double ms = clock_now_ms() - begun;
    ops->spans_clear(ops);
    return ms * 1e6 / SPANS;
}

static void report(const struct bench *b, double ns)
{
    struct summary s[WAYS];
    for (int way = 0; way < WAYS; way++)
        if (statistics_summary(b->step[way], b->count[way], &s[way]) != STATUS_OK)
            return;
    printf("%-22s %8.1f ns, %.5f %% of the median step\n", "a span alone", ns,
           ns / 1e6 / s[WITHOUT].median * 100);
    for (int way = 0; way < WAYS; way++)
        printf("%-22s %8.3f ms a step (least %.3f, p10 %.3f, p90 %.3f, %zu steps)  %+.2f %%\n",
               names[way], s[way].median, s[way].min, s[way].p10, s[way].p90, b->count[way],
               (s[way].median / s[WITHOUT].median - 1) * 100);
}

static status run(struct bench *b, int runs)
{
    TRY(make(b, WITH, ignore));
    for (int i = 0; i < runs; i++)
        for (int way = 0; way < WAYS; way++)
            TRY(make(b, (way + i) % WAYS, keep));
    report(b, span_ns(b->miku->ops));
    return STATUS_OK;
}

static int number(int argc, char **argv, int at, int otherwise)
{
    return argc > at ? (int)strtol(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    struct bench b = { .request = miku_request_default() };
    if (argc < 3) {
        fputs("usage: bench_spans WEIGHTS MODEL [WIDTH HEIGHT [STEPS [RUNS]]]\n", stderr);
        return 2;
    }
    const char *folders[] = { argv[1] };
    b.request.prompt = "hatsune miku";
    b.request.model = argv[2];
    b.request.width = number(argc, argv, 3, 128);
    b.request.height = number(argc, argv, 4, 192);
    b.request.steps = number(argc, argv, 5, 20);
    for (int way = 0; way < WAYS; way++)
        b.step[way] = calloc(MOST, sizeof *b.step[way]);
    const struct miku_options options = { .weights = folders, .weights_count = 1 };
    status result = miku_open(&options, &b.miku);
    if (result == STATUS_OK)
        result = run(&b, number(argc, argv, 6, 5));
    if (result != STATUS_OK)
        fprintf(stderr, "bench_spans: %s\n", status_text());
    miku_close(b.miku);
    for (int way = 0; way < WAYS; way++)
        free(b.step[way]);
    return result != STATUS_OK;
}
