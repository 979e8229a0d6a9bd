/* tests/test_vae.c - the VAE's decoder on the CPU device against PyTorch's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/cpu/cpu.h"
#include "host/model/vae.h"
#include "tests/seeded.h"

/* An eps of 1e-5 for 1e-6 moves the picture by 5e-6. */
static const double BOUND = 2.5e-6;

struct job {
    struct vae_decoder *decoder;
    const float *latent;
    struct vae_decode_args args;
    float *got;
    uint8_t *rgb;
    int non_finite[4];
};

static status run_once(struct ops *ops, struct job *job)
{
    const struct vae_decode_args *a = &job->args;
    const size_t pixels = (size_t)64 * a->h * a->w, count = a->n * pixels * 3;
    const size_t latent_bytes = (size_t)a->n * a->h * a->w * 4 * sizeof(float);
    void *latent, *y, *rgb, *flags;
    TRY(ops->alloc(ops, latent_bytes, &latent));
    TRY(ops->alloc(ops, count * sizeof(float), &y));
    TRY(ops->alloc(ops, count, &rgb));
    TRY(ops->alloc(ops, sizeof job->non_finite, &flags));
    TRY(ops->upload(ops, latent, job->latent, latent_bytes));
    job->args.latent = latent;
    job->args.y = y;
    TRY(vae_decode(job->decoder, a));
    TRY(ops->to_rgb8(ops, &(struct to_rgb8_args){ .x = y,
                                                  .rgb = rgb,
                                                  .non_finite = flags,
                                                  .dtype = DTYPE_F32,
                                                  .n = a->n,
                                                  .hw = (int)pixels }));
    TRY(ops->download(ops, job->rgb, rgb, count));
    return ops->download(ops, job->got, y, count * sizeof(float));
}

static size_t run(struct ops *ops, struct job *job)
{
    const size_t count = (size_t)job->args.n * 64 * job->args.h * job->args.w * 3;
    size_t bytes;
    job->got = malloc(count * sizeof(float));
    job->rgb = malloc(count);
    assert_int_equal(ops->plan_begin(ops), STATUS_OK);
    assert_int_equal(run_once(ops, job), STATUS_OK);
    assert_int_equal(ops->plan_end(ops, 0, &bytes), STATUS_OK);
    if (run_once(ops, job) != STATUS_OK)
        fail_msg("%s", status_text());
    return count;
}

static void job_free(struct job *job)
{
    free(job->got);
    free(job->rgb);
}

/* Opens device and decoder, decodes, closes. */
static size_t decode(enum seeded_which which, int shift, const float *latent,
                     const struct vae_decode_args *args, struct job *job)
{
    struct seeded seeded;
    struct ops *ops;
    seeded_open(&seeded, which);
    assert_int_equal(cpu_open(1, DTYPE_F32, &ops), STATUS_OK);
    *job = (struct job){ .latent = latent, .args = *args };
    const struct vae_decoder_args decoder = { DTYPE_F32, shift };
    if (vae_decoder_create(ops, seeded.modules, &seeded.source, &decoder, &job->decoder) !=
        STATUS_OK)
        fail_msg("%s", status_text());
    const size_t count = run(ops, job);
    vae_decoder_destroy(job->decoder);
    ops->destroy(ops);
    seeded_close(&seeded);
    return count;
}

static int grey(float x)
{
    const float y = (x + 1.0f) / 2.0f;
    return (int)(255.0f * (y < 0.0f ? 0.0f : y > 1.0f ? 1.0f : y));
}

static void check(const char *name, enum seeded_which which, uint64_t seed, int n, int h, int w)
{
    float *latent = seeded_values(seed, 0, (size_t)n * h * w * 4);
    struct job job;
    const size_t count =
        decode(which, 0, latent, &(struct vae_decode_args){ .n = n, .h = h, .w = w }, &job);
    float *want = vector_read(name, sizeof(float), count);
    check_relative(name, job.got, want, count, BOUND);
    size_t far = 0;
    for (size_t i = 0; i < count; i++)
        far += abs(job.rgb[i] - grey(want[i])) > 1;
    assert_true(far * 10000 <= count);
    free(want);
    free(latent);
    job_free(&job);
}

static void a_picture_of_72_by_104(void **state)
{
    (void)state;
    check("vae_small.bin", SEEDED_SMALL, 31, 1, 9, 13);
}

static void a_batch_of_other_widths(void **state)
{
    (void)state;
    check("vae_wide.bin", SEEDED_WIDE, 32, 3, 3, 5);
}

static void bytes_do_not_depend_on_how_many_at_once(void **state)
{
    (void)state;
    float *latent = seeded_values(32, 0, 3 * 3 * 5 * 4);
    struct job jobs[3];
    size_t count = 0;
    for (int k = 0; k < 3; k++)
        count =
            decode(SEEDED_WIDE, 0, latent,
                   &(struct vae_decode_args){ .n = 3, .h = 3, .w = 5, .at_once = k + 1 }, &jobs[k]);
    for (int k = 1; k < 3; k++)
        assert_memory_equal(jobs[0].got, jobs[k].got, count * sizeof(float));
    for (int k = 0; k < 3; k++)
        job_free(&jobs[k]);
    free(latent);
}

/* Powers of two commute with every rounding in the stream, so the carried scale leaves no trace. */
static void a_scaled_residual_stream_changes_nothing(void **state)
{
    (void)state;
    float *latent = seeded_values(31, 0, 9 * 13 * 4);
    struct job plain, scaled;
    const struct vae_decode_args args = { .n = 1, .h = 9, .w = 13 };
    const size_t count = decode(SEEDED_SMALL, 0, latent, &args, &plain);
    decode(SEEDED_SMALL, VAE_SHIFT_F16, latent, &args, &scaled);
    check_relative("scaled by 2^-6", scaled.got, plain.got, count, 1e-6);
    job_free(&plain);
    job_free(&scaled);
    free(latent);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct seeded seeded;
    struct ops *ops;
    struct vae_decoder *decoder;
    seeded_open(&seeded, SEEDED_SMALL);
    assert_int_equal(cpu_open(1, DTYPE_F32, &ops), STATUS_OK);
    struct vae_decoder_args args = { DTYPE_F32, 15 };
    assert_int_equal(vae_decoder_create(ops, seeded.modules, &seeded.source, &args, &decoder),
                     STATUS_MISUSE);
    args.shift = 0;
    assert_int_equal(vae_decoder_create(ops, seeded.modules, &seeded.source, &args, &decoder),
                     STATUS_OK);
    const int bad[][3] = { { 0, 8, 8 }, { 1, 0, 8 }, { 1, 8, -1 }, { 1, 100000, 100000 } };
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            vae_decode(decoder,
                       &(struct vae_decode_args){ .n = bad[i][0], .h = bad[i][1], .w = bad[i][2] }),
            STATUS_BAD_SHAPE);
    vae_decoder_destroy(decoder);
    ops->destroy(ops);
    seeded_close(&seeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_of_72_by_104),
        cmocka_unit_test(a_batch_of_other_widths),
        cmocka_unit_test(bytes_do_not_depend_on_how_many_at_once),
        cmocka_unit_test(a_scaled_residual_stream_changes_nothing),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
