/* tests/test_cuda_faults.c - what goes wrong around a GPU, provoked through the emulator: each
 * gives one line, ends, and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cuda/cuda.h"
#include "tests/check.h"
#include "tests/emulator/emulator.h"

enum { H = 4, W = 6, C = 8, HW = H * W, STEPS = 3 };
enum { NO_DEVICE = 100, DRIVER_TOO_OLD = 35, IN_USE = 46, UNKNOWN = 999 }; /* cudaError_t */

/* ---- host memory: the linker sends our calls here (--wrap) ---------------------------------- */

static long live; /* blocks of our own code that are not freed */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
int __real_posix_memalign(void **memory, size_t align, size_t bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
int __wrap_posix_memalign(void **memory, size_t align, size_t bytes);
void __wrap_free(void *memory);

void *__wrap_malloc(size_t bytes)
{
    live++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    live++;
    return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    live += old == NULL;
    return __real_realloc(old, bytes);
}

int __wrap_posix_memalign(void **memory, size_t align, size_t bytes)
{
    live++;
    return __real_posix_memalign(memory, align, bytes);
}

void __wrap_free(void *memory)
{
    live -= memory != NULL;
    __real_free(memory);
}

/* ---- a network of two blocks ----------------------------------------------------------------- */

struct network {
    struct ops *ops;
    struct weight *conv, *gamma, *beta, *linear;
    void *x, *hidden, *y;
    float *latent, *history;
};

static struct weight_args layer(enum weight_kind kind, const void *values, int kernel)
{
    const int vector = kind == WEIGHT_VECTOR;
    return (struct weight_args){
        .kind = kind,
        .part = { { .data = values, .dtype = DTYPE_F32, .out = C } },
        .parts = 1,
        .in = vector ? 1 : C,
        .kernel = kernel,
        .stride = 1,
        .upsample = 1,
        .scale = 1,
        .dtype = DTYPE_F32,
        .name = "layer",
    };
}

static status make_weights(struct network *net)
{
    static float values[C * C * 9];
    struct weight_args args = layer(WEIGHT_CONV2D, values, 3);
    for (int i = 0; i < C * C * 9; i++)
        values[i] = (float)(i % 7 - 3) / 16;
    TRY(net->ops->weight_create(net->ops, &args, &net->conv));
    args = layer(WEIGHT_LINEAR, values, 1);
    TRY(net->ops->weight_create(net->ops, &args, &net->linear));
    args = layer(WEIGHT_VECTOR, values, 1);
    TRY(net->ops->weight_create(net->ops, &args, &net->gamma));
    return net->ops->weight_create(net->ops, &args, &net->beta);
}

static status block(struct network *net)
{
    struct ops *ops = net->ops;
    TRY(ops->conv2d(ops, &(struct conv2d_args){ .weight = net->conv,
                                                .x = net->x,
                                                .y = net->hidden,
                                                .dtype = DTYPE_F32,
                                                .n = 1,
                                                .n_x = 1,
                                                .h = H,
                                                .w = W,
                                                .c = C,
                                                .h_out = H,
                                                .w_out = W,
                                                .c_out = C }));
    TRY(ops->group_norm(ops, &(struct group_norm_args){ .x = net->hidden,
                                                        .gamma = net->gamma,
                                                        .beta = net->beta,
                                                        .y = net->hidden,
                                                        .dtype = DTYPE_F32,
                                                        .n = 1,
                                                        .n_x = 1,
                                                        .hw = HW,
                                                        .c = C,
                                                        .groups = 4,
                                                        .silu = 1,
                                                        .eps = 1e-5f }));
    TRY(ops->linear(ops, &(struct linear_args){ .weight = net->linear,
                                                .x = net->hidden,
                                                .residual = net->x,
                                                .y = net->y,
                                                .dtype = DTYPE_F32,
                                                .n = 1,
                                                .n_x = 1,
                                                .n_residual = 1,
                                                .s = HW,
                                                .in = C,
                                                .out = C }));
    return ops->attention(ops, &(struct attention_args){ .q = net->y,
                                                         .k = net->y,
                                                         .v = net->y,
                                                         .y = net->hidden,
                                                         .key_len = (const int[]){ HW - 1 },
                                                         .dtype = DTYPE_F32,
                                                         .n = 1,
                                                         .n_q = 1,
                                                         .n_kv = 1,
                                                         .heads = 1,
                                                         .d = C,
                                                         .s_q = HW,
                                                         .s_kv = HW,
                                                         .q_stride = C,
                                                         .kv_stride = C,
                                                         .scale = 1 });
}

static status evaluate(void *arg)
{
    struct network *net = arg;
    TRY(block(net));
    TRY(block(net));
    return net->ops->sampler_step(net->ops,
                                  &(struct sampler_step_args){ .eps = net->hidden,
                                                               .x = net->latent,
                                                               .history = net->history,
                                                               .input = net->x,
                                                               .parts = 1,
                                                               .seed = (const uint64_t[]){ 1 },
                                                               .dtype = DTYPE_F32,
                                                               .n = 1,
                                                               .hw = HW,
                                                               .c = C });
}

static status take_memory(struct network *net)
{
    const size_t bytes = HW * C * sizeof(float);
    void *memory;
    TRY(net->ops->alloc(net->ops, bytes, &net->x));
    TRY(net->ops->alloc(net->ops, bytes, &net->hidden));
    TRY(net->ops->alloc(net->ops, bytes, &net->y));
    TRY(net->ops->alloc(net->ops, bytes, &memory));
    net->latent = memory;
    TRY(net->ops->alloc(net->ops, bytes * STEP_HISTORY, &memory));
    net->history = memory;
    return STATUS_OK;
}

static status sample(struct network *net, float *out)
{
    static const float zeros[HW * C];
    static const struct step_row rows[STEPS] = {
        { .d_x = 1, .d_e = -0.5f, .x_d = 1, .draw = 1, .noise = 1, .h_slot = -1, .c_in_next = 1 },
        { .d_x = 1, .d_e = -0.5f, .x_d = 1, .draw = 2, .noise = 1, .h_slot = 0, .c_in_next = 1 },
        { .d_x = 1, .d_e = -0.5f, .x_d = 1, .draw = -1, .h_slot = -1, .c_in_next = 1 },
    };
    struct ops *ops = net->ops;
    struct graph *graph = NULL;
    int running;
    TRY(ops->upload(ops, net->x, zeros, sizeof zeros));
    TRY(ops->upload(ops, net->latent, zeros, sizeof zeros));
    TRY(ops->steps_begin(ops, rows, STEPS));
    ops->span_begin(ops, SPAN_STAGE, "sample");
    status result = ops->capture(ops, evaluate, net, &graph);
    for (int i = 1; i < STEPS && result == STATUS_OK; i++) {
        result = ops->replay(ops, graph);
        if (result == STATUS_OK)
            result = ops->pace(ops, &running);
    }
    ops->span_end(ops);
    if (result == STATUS_OK)
        result = ops->download(ops, out, net->latent, sizeof zeros);
    ops->graph_destroy(ops, graph);
    return result;
}

static status plan_and_sample(struct network *net, float *out)
{
    struct ops *ops = net->ops;
    const struct span *spans;
    size_t count;
    TRY(make_weights(net));
    TRY(ops->plan_begin(ops));
    TRY(take_memory(net));
    TRY(evaluate(net));
    ops->release(ops, 0);
    TRY(ops->plan_end(ops, 0, NULL));
    TRY(take_memory(net));
    TRY(sample(net, out));
    TRY(ops->spans_read(ops, &spans, &count));
    ops->release(ops, 0);
    return STATUS_OK;
}

/* The whole life of a device. */
static status run_network(float *out)
{
    struct network net = { 0 };
    TRY(cuda_open(0, DTYPE_F32, &net.ops));
    const status result = plan_and_sample(&net, out);
    net.ops->destroy(net.ops);
    return result;
}

/* ---- every call fails once --------------------------------------------------------------------
 */

static int is_one_line(const char *text) { return text[0] != 0 && strchr(text, '\n') == NULL; }

/* What such a call would have given back stays: nobody could do more. */
static int gives_back(const char *call)
{
    return strstr(call, "Free") != NULL || strstr(call, "Destroy") != NULL;
}

/* Spans go without events that are not to be had, and closing waits for nobody's sake. */
static int may_fail(const char *call)
{
    return gives_back(call) || strncmp(call, "cudaEvent", 9) == 0 ||
           strcmp(call, "cudaStreamSynchronize") == 0;
}

/* Fails the runtime's calls one after the other, each in a run of its own. Where the run succeeds
 * all the same, its result is right. */
static void fail_each(int error, int lost)
{
    float want[HW * C], got[HW * C];
    long failed = 0;
    emu_set.quiet = 1;
    assert_int_equal(run_network(want), STATUS_OK); /* what is made once and kept is made here */
    const int64_t before = emu_calls();
    long blocks = live;
    size_t held = emu_held();
    assert_int_equal(run_network(want), STATUS_OK);
    const int64_t calls = emu_calls() - before;
    assert_true(calls > 100);
    assert_int_equal(live, blocks);
    assert_int_equal(emu_held(), held);
    for (int64_t i = 1; i <= calls; i++) {
        (void)status_fail(STATUS_OK, "nothing was said");
        emu_set.fail_call = emu_calls() + i;
        emu_set.fail_error = error;
        const status result = run_network(got);
        emu_set.fail_call = 0;
        if (result == STATUS_OK) {
            assert_true(may_fail(emu_failed_call()));
            assert_memory_equal(got, want, sizeof want);
        } else {
            failed++;
            assert_true(result == STATUS_DEVICE || result == STATUS_NO_MEMORY);
            assert_string_not_equal(status_text(), "nothing was said");
            assert_true(is_one_line(status_text()));
        }
        emu_forget_failure();
        if (lost || gives_back(emu_failed_call()))
            held = emu_held(), blocks = live; /* a lost context gives nothing back */
        assert_int_equal(live, blocks);
        assert_int_equal(emu_held(), held);
    }
    print_message("%ld of %ld calls ended the run\n", failed, (long)calls);
    assert_true(failed > 80);
}

static void a_call_that_fails_ends_the_run_and_leaves_nothing(void **state)
{
    (void)state;
    fail_each(UNKNOWN, 0);
}

/* Out of memory for an allocation; for the others an error after which every call fails. */
static void a_lost_context_ends_the_run(void **state)
{
    (void)state;
    fail_each(0, 1);
}

/* ---- no device ---------------------------------------------------------------------------------
 */

static void check_refused(int device, const char *says)
{
    struct ops *ops = NULL;
    emu_set.device = device;
    assert_int_equal(cuda_open(0, DTYPE_F16, &ops), STATUS_DEVICE);
    emu_set.device = 0;
    assert_null(ops);
    if (strstr(status_text(), says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", status_text(), says);
    assert_true(is_one_line(status_text()));
}

static void what_is_missing_is_said(void **state)
{
    (void)state;
    struct ops *ops = NULL;
    emu_set.quiet = 1;
    check_refused(NO_DEVICE, "no NVIDIA GPU is visible");
    check_refused(DRIVER_TOO_OLD,
                  "the NVIDIA driver is for CUDA 11.4, this program was built with");
    check_refused(IN_USE, "");
    emu_set.device = NO_DEVICE;
    assert_int_equal(cuda_count(), 0);
    emu_set.device = 0;
    assert_int_equal(cuda_count(), 1);
    assert_int_equal(cuda_open(3, DTYPE_F16, &ops), STATUS_DEVICE);
    assert_non_null(strstr(status_text(), "cuda:3: no such GPU"));
    assert_int_equal(cuda_open(0, DTYPE_I8, &ops), STATUS_UNSUPPORTED);

    const int arch = emu_set.arch;
    emu_set.arch = 75;
    assert_int_equal(cuda_open(0, DTYPE_F16, &ops), STATUS_UNSUPPORTED);
    emu_set.arch = arch;
    assert_non_null(strstr(status_text(), "compute capability 7.5"));
    assert_null(ops);
}

/* The device is there, its context is not to be had: the second call of opening. */
static void a_gpu_that_another_process_has_is_said(void **state)
{
    (void)state;
    struct ops *ops = NULL;
    emu_set.fail_call = emu_calls() + 2;
    emu_set.fail_error = IN_USE;
    assert_int_equal(cuda_open(0, DTYPE_F16, &ops), STATUS_DEVICE);
    emu_set.fail_call = 0;
    emu_set.fail_error = 0;
    assert_non_null(strstr(status_text(), "another process has it"));
}

/* ---- too little memory
 * --------------------------------------------------------------------------- */

static void too_little_memory_is_said_before_any_is_taken(void **state)
{
    (void)state;
    struct ops *ops = NULL;
    void *p;
    size_t bytes = 0;
    const int usual = emu_set.memory_mb;
    emu_set.memory_mb = 64;
    assert_int_equal(cuda_open(0, DTYPE_F16, &ops), STATUS_OK);
    const size_t held = emu_held();
    assert_int_equal(ops->plan_begin(ops), STATUS_OK);
    assert_int_equal(ops->alloc(ops, (size_t)100 << 20, &p), STATUS_OK);
    assert_int_equal(ops->plan_end(ops, 0, &bytes), STATUS_NO_MEMORY);
    assert_true(bytes >= (size_t)100 << 20);
    assert_non_null(strstr(status_text(), "needs 105 MB more of GPU memory, has "));
    assert_non_null(strstr(status_text(), "--precision"));
    assert_int_equal(emu_held(), held);

    assert_int_equal(ops->plan_begin(ops), STATUS_OK); /* what fits is still to be had */
    assert_int_equal(ops->alloc(ops, 1000, &p), STATUS_OK);
    assert_int_equal(ops->plan_end(ops, 0, NULL), STATUS_OK);
    ops->destroy(ops);
    emu_set.memory_mb = usual;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(a_gpu_that_another_process_has_is_said),
        cmocka_unit_test(too_little_memory_is_said_before_any_is_taken),
        cmocka_unit_test(a_call_that_fails_ends_the_run_and_leaves_nothing),
        cmocka_unit_test(a_lost_context_ends_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
