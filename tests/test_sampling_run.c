/* tests/test_sampling_run.c - whole sampling runs on the CPU device against k-diffusion's, every
 * latent to step 30. tools/vectors/sampling.py has the same list of runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/cpu/cpu.h"
#include "host/model/unet.h"
#include "host/sampling/noise.h"
#include "host/sampling/sampler.h"
#include "tests/seeded.h"

enum { PARTS = 3, TOKENS = 154, WIDTH = 64, C = 4, MOST = 2 };

static const double BOUND = 1e-4;
static const double CFG = 7.0;
static const double part_weights[PARTS - 1] = { 1.0, 0.5 };

/* One run of the list; what is 0 is the plain case. */
struct run_case {
    const char *sampler, *file;
    int steps;
    int all;  /* the file has every latent, not only the last */
    int fp32; /* the fp32 table instead of the era's */
    int odd;  /* two pictures of 9x13 with seeds 5, 6, instead of one of 6x5 with 77 */
    int round_t, discard, has_eta, ensd;
    int switch_at; /* from this evaluation on, the second context */
    double eta;
};

struct run {
    struct ops *ops;
    struct unet *unet;
    struct sampler_plan plan;
    int n, h, w, contexts;
    uint64_t seed[MOST], draw_seed[MOST];
    float *noise;   /* host, [n, h, w, 4], times plan.initial */
    float *context; /* host, [contexts, parts, tokens, width] */
    float *latents; /* host, out: [steps, n, h, w, 4] */
    size_t count;   /* of one latent */
};

/* ---- the device's side -------------------------------------------------------------------- */

static status run_once(struct run *run)
{
    struct ops *ops = run->ops;
    const size_t bytes = run->count * sizeof(float);
    const size_t context_bytes = (size_t)run->contexts * PARTS * TOKENS * WIDTH * sizeof(float);
    const struct sampler_plan *plan = &run->plan;
    static const int lens[2 * PARTS] = { TOKENS, 77, 77, TOKENS, 77, 77 };
    float weight[(PARTS - 1) * MOST], *t = malloc((size_t)plan->row_count * sizeof *t);
    void *x, *input, *history, *eps, *context;

    assert_non_null(t);
    for (int i = 0; i < plan->row_count; i++)
        t[i] = plan->rows[i].t;
    sampler_weights(CFG, part_weights, PARTS, run->n, weight);
    TRY(ops->alloc(ops, bytes, &x));
    TRY(ops->alloc(ops, bytes, &input));
    TRY(ops->alloc(ops, bytes * STEP_HISTORY, &history));
    TRY(ops->alloc(ops, bytes * PARTS, &eps));
    TRY(ops->alloc(ops, context_bytes, &context));
    TRY(ops->upload(ops, x, run->noise, bytes));
    TRY(ops->upload(ops, context, run->context, context_bytes));
    TRY(ops->steps_begin(ops, plan->rows, plan->row_count));
    TRY(unet_prepare(run->unet, &(struct unet_job){ .n = run->n,
                                                    .parts = PARTS,
                                                    .h = run->h,
                                                    .w = run->w,
                                                    .t = t,
                                                    .rows = plan->row_count,
                                                    .context = context,
                                                    .context_len = lens,
                                                    .contexts = run->contexts,
                                                    .tokens = TOKENS }));
    TRY(ops->scale(ops, &(struct scale_args){ .x = x,
                                              .y = input,
                                              .dtype = DTYPE_F32,
                                              .scale = plan->rows[0].c_in,
                                              .count = run->count }));
    for (int i = 0; i < plan->row_count; i++) {
        TRY(unet_evaluate(run->unet, input, eps));
        TRY(ops->sampler_step(ops, &(struct sampler_step_args){ .eps = eps,
                                                                .x = x,
                                                                .history = history,
                                                                .input = input,
                                                                .weight = weight,
                                                                .parts = PARTS,
                                                                .seed = run->draw_seed,
                                                                .dtype = DTYPE_F32,
                                                                .n = run->n,
                                                                .hw = run->h * run->w,
                                                                .c = C }));
        if (plan->ends[i])
            TRY(ops->download(ops, run->latents + plan->row_step[i] * run->count, x, bytes));
    }
    free(t);
    return STATUS_OK;
}

/* ---- the host's side ------------------------------------------------------------------------ */

static void make_plan(struct run *run, const struct run_case *c, struct schedule *schedule)
{
    const struct sampler *sampler;
    schedule_create(&(struct schedule_args){ .era = !c->fp32, .round_t = c->round_t }, schedule);
    assert_int_equal(sampler_find(c->sampler, &sampler), STATUS_OK);
    const struct sampler_args args = { .sampler = sampler,
                                       .schedule = schedule,
                                       .steps = c->steps,
                                       .eta = c->has_eta ? c->eta : -1.0,
                                       .s_noise = 1.0,
                                       .discard = c->discard,
                                       .draw_first = c->ensd ? 0 : 1 };
    assert_int_equal(sampler_plan_create(&args, &run->plan), STATUS_OK);
    for (int i = 0; c->switch_at > 0 && i < run->plan.row_count; i++)
        run->plan.rows[i].context = i >= c->switch_at;
}

static void make_inputs(struct run *run, const struct run_case *c)
{
    run->n = c->odd ? 2 : 1;
    run->h = c->odd ? 9 : 6;
    run->w = c->odd ? 13 : 5;
    run->contexts = c->switch_at > 0 ? 2 : 1;
    const size_t each = (size_t)run->h * run->w * C;
    run->count = run->n * each;
    run->noise = malloc(run->count * sizeof(float));
    run->latents = malloc(run->plan.steps * run->count * sizeof(float));
    run->context = malloc((size_t)run->contexts * PARTS * TOKENS * WIDTH * sizeof(float));
    for (int i = 0; i < run->n; i++) {
        run->seed[i] = c->odd ? 5 + (uint64_t)i : 77;
        run->draw_seed[i] = run->seed[i] + (uint64_t)c->ensd;
        const struct noise_source source = { NOISE_PHILOX, run->seed[i], 0, 0.0 };
        assert_int_equal(noise_initial(&source, run->h, run->w, C, run->noise + i * each),
                         STATUS_OK);
    }
    for (size_t i = 0; i < run->count; i++)
        run->noise[i] *= run->plan.initial;
    for (int i = 0; i < run->contexts * PARTS; i++) {
        float *one = seeded_values(51, (uint64_t)i, TOKENS * WIDTH);
        memcpy(run->context + (size_t)i * TOKENS * WIDTH, one, TOKENS * WIDTH * sizeof *one);
        free(one);
    }
}

static void check_latents(const struct run *run, const struct run_case *c)
{
    char name[64];
    snprintf(name, sizeof name, "run_%s.bin", c->file);
    const int steps = run->plan.steps, stored = c->all ? steps : 1;
    float *want = vector_read(name, sizeof(float), stored * run->count);
    double worst = 0.0;
    for (int i = 0; i < stored; i++) {
        const float *got = run->latents + (size_t)(steps - stored + i) * run->count;
        const double error = relative_error(got, want + i * run->count, run->count);
        if (!(error <= BOUND))
            fail_msg("%s, latent %d: relative error %.3g", name, steps - stored + i, error);
        worst = error > worst ? error : worst;
    }
    print_message("%s: relative error at most %.2g over %d latents\n", name, worst, stored);
    free(want);
}

struct fixture {
    struct seeded seeded;
    struct ops *ops;
    struct unet *unet;
};

static void check_case(const struct fixture *f, const struct run_case *c)
{
    struct run run = { .ops = f->ops, .unet = f->unet };
    struct schedule schedule;
    struct ops *ops = f->ops;
    size_t bytes;
    make_plan(&run, c, &schedule);
    make_inputs(&run, c);
    assert_int_equal(ops->plan_begin(ops), STATUS_OK);
    assert_int_equal(run_once(&run), STATUS_OK);
    assert_int_equal(ops->plan_end(ops, 0, &bytes), STATUS_OK);
    const size_t mark = ops->mark(ops);
    if (run_once(&run) != STATUS_OK)
        fail_msg("%s: %s", c->sampler, status_text());
    ops->release(ops, mark);
    check_latents(&run, c);
    sampler_plan_free(&run.plan);
    free(run.noise);
    free(run.latents);
    free(run.context);
}

static int open_fixture(void **state)
{
    static struct fixture fixture;
    seeded_open(&fixture.seeded, SEEDED_SMALL);
    assert_int_equal(cpu_open(1, DTYPE_F32, &fixture.ops), STATUS_OK);
    assert_int_equal(unet_create(fixture.ops, fixture.seeded.modules, &fixture.seeded.source,
                                 DTYPE_F32, &fixture.unet),
                     STATUS_OK);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    unet_destroy(fixture->unet);
    fixture->ops->destroy(fixture->ops);
    seeded_close(&fixture->seeded);
    return 0;
}

static void every_latent_of_every_sampler(void **state)
{
    static const struct run_case cases[] = {
        { .sampler = "Euler a", .file = "euler_a" },
        { .sampler = "Euler", .file = "euler" },
        { .sampler = "LMS", .file = "lms" },
        { .sampler = "Heun", .file = "heun" },
        { .sampler = "DPM2", .file = "dpm2" },
        { .sampler = "DPM2 a", .file = "dpm2_a" },
        { .sampler = "DPM++ 2S a", .file = "dpmpp_2s_a" },
        { .sampler = "DPM++ 2M", .file = "dpmpp_2m" },
        { .sampler = "Euler a Karras", .file = "euler_a_karras" },
        { .sampler = "Euler Karras", .file = "euler_karras" },
        { .sampler = "LMS Karras", .file = "lms_karras" },
        { .sampler = "Heun Karras", .file = "heun_karras" },
        { .sampler = "DPM2 Karras", .file = "dpm2_karras" },
        { .sampler = "DPM2 a Karras", .file = "dpm2_a_karras" },
        { .sampler = "DPM++ 2S a Karras", .file = "dpmpp_2s_a_karras" },
        { .sampler = "DPM++ 2M Karras", .file = "dpmpp_2m_karras" },
        { .sampler = "DDIM", .file = "ddim" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct run_case c = cases[i];
        c.steps = 30;
        c.all = 1;
        check_case(*state, &c);
    }
}

static void two_pictures_of_an_odd_size_on_the_fp32_table(void **state)
{
    check_case(*state,
               &(struct run_case){
                   .sampler = "Euler a", .file = "odd_euler_a", .steps = 20, .fp32 = 1, .odd = 1 });
    check_case(*state, &(struct run_case){ .sampler = "DPM++ 2M Karras",
                                           .file = "odd_dpmpp_2m",
                                           .steps = 20,
                                           .fp32 = 1,
                                           .odd = 1 });
}

static void the_options_of_the_web_ui(void **state)
{
    static const struct run_case cases[] = {
        { .sampler = "DPM++ 2S a", .file = "eta", .has_eta = 1, .eta = 0.4 },
        { .sampler = "Euler a", .file = "ensd", .ensd = 31337 },
        { .sampler = "Euler", .file = "discard", .discard = 1 },
        { .sampler = "DPM++ 2M Karras", .file = "rounded", .round_t = 1 },
        { .sampler = "DDIM", .file = "ddim_eta", .steps = 10, .has_eta = 1, .eta = 0.6 },
        { .sampler = "Heun", .file = "switch", .switch_at = 7 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct run_case c = cases[i];
        c.steps = c.steps ? c.steps : 8;
        check_case(*state, &c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_latent_of_every_sampler),
        cmocka_unit_test(two_pictures_of_an_odd_size_on_the_fp32_table),
        cmocka_unit_test(the_options_of_the_web_ui),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
