/* tests/test_library.c - mikubench.h on the embedded weights: the same bytes wherever a picture is
 * made, two contexts in two threads, cancelling, a LoRA that comes off, refusals. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "host/mikubench.h"

enum { PICTURES = 3, HASH = 65 };

static const char *const folders[] = { TEST_SOURCE_DIR "/weights/mini" };

struct seen {
    int count, cancel_after, asked;
    char hash[PICTURES][HASH];
    char infotext[1024];
};

static status keep(void *user, const struct miku_picture *picture)
{
    struct seen *seen = user;
    if (seen->count < PICTURES)
        snprintf(seen->hash[seen->count], HASH, "%s", picture->rgb_sha256);
    snprintf(seen->infotext, sizeof seen->infotext, "%s", picture->infotext);
    assert_true(picture->stand_in);
    seen->count++;
    return STATUS_OK;
}

static int cancelled(void *user)
{
    struct seen *seen = user;
    return seen->cancel_after > 0 && ++seen->asked > seen->cancel_after;
}

static struct miku *open_mini(int threads)
{
    struct miku *miku = NULL;
    const struct miku_options options = { .weights = folders,
                                          .weights_count = 1,
                                          .threads = threads };
    assert_int_equal(miku_open(&options, &miku), STATUS_OK);
    return miku;
}

static struct miku_request small(void)
{
    struct miku_request request = miku_request_default();
    request.prompt = "hatsune miku";
    request.negative = "EasyNegative";
    request.model = "AOM3";
    request.steps = 2;
    request.width = 64;
    request.height = 96;
    request.clip_skip = 2;
    request.seed = 1;
    return request;
}

static status make(struct miku *miku, const struct miku_request *request, struct seen *seen)
{
    const struct miku_callbacks callbacks = { .picture = keep, .cancel = cancelled, .user = seen };
    return miku_generate(miku, request, &callbacks);
}

static void a_picture_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    struct miku *miku = open_mini(1);
    struct miku_request request = small();
    struct seen together = { 0 };
    request.count = request.batch = PICTURES;
    assert_int_equal(make(miku, &request, &together), STATUS_OK);
    assert_int_equal(together.count, PICTURES);
    for (int k = 0; k < PICTURES; k++) {
        struct seen alone = { 0 };
        request = small();
        request.seed += (uint64_t)k;
        assert_int_equal(make(miku, &request, &alone), STATUS_OK);
        assert_string_equal(alone.hash[0], together.hash[k]);
    }
    assert_string_not_equal(together.hash[0], together.hash[1]);
    miku_close(miku);
}

static void a_lora_comes_off_exactly(void **state)
{
    (void)state;
    struct miku *miku = open_mini(1);
    struct miku_request request = small();
    struct seen before = { 0 }, with = { 0 }, nothing = { 0 }, after = { 0 };
    assert_int_equal(make(miku, &request, &before), STATUS_OK);
    request.prompt = "<lora:flat2:-1>hatsune miku";
    assert_int_equal(make(miku, &request, &with), STATUS_OK);
    request.prompt = "<lora:flat2:0>hatsune miku";
    assert_int_equal(make(miku, &request, &nothing), STATUS_OK);
    request.prompt = "hatsune miku";
    assert_int_equal(make(miku, &request, &after), STATUS_OK);
    assert_string_not_equal(before.hash[0], with.hash[0]);
    assert_string_equal(before.hash[0], nothing.hash[0]);
    assert_string_equal(before.hash[0], after.hash[0]);
    miku_close(miku);
}

static status keep_size(void *user, const struct miku_picture *picture)
{
    *(int *)user = picture->width * 100 + picture->height;
    return STATUS_OK;
}

static void every_multiple_of_8_is_a_size(void **state)
{
    (void)state;
    struct miku *miku = open_mini(1);
    static const int sizes[][2] = { { 8, 8 }, { 24, 8 }, { 8, 40 }, { 72, 56 } };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct miku_request request = small();
        int seen = 0;
        request.width = sizes[i][0];
        request.height = sizes[i][1];
        assert_int_equal(
            miku_generate(miku, &request,
                          &(struct miku_callbacks){ .picture = keep_size, .user = &seen }),
            STATUS_OK);
        assert_int_equal(seen, request.width * 100 + request.height);
    }
    miku_close(miku);
}

struct worker {
    struct seen seen;
    status result;
};

static void *work(void *user)
{
    struct worker *worker = user;
    const struct miku_options options = { .weights = folders, .weights_count = 1, .threads = 1 };
    struct miku *miku;
    const struct miku_request request = small();
    worker->result = miku_open(&options, &miku);
    if (worker->result == STATUS_OK)
        worker->result = make(miku, &request, &worker->seen);
    if (worker->result == STATUS_OK)
        miku_close(miku);
    return NULL;
}

static void two_contexts_run_in_two_threads(void **state)
{
    (void)state;
    struct worker worker[2] = { 0 };
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, work, &worker[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(worker[i].result, STATUS_OK);
    assert_string_equal(worker[0].seen.hash[0], worker[1].seen.hash[0]);
}

static void cancelling_stops_and_leaves_the_context_usable(void **state)
{
    (void)state;
    struct miku *miku = open_mini(1);
    const struct miku_request request = small();
    struct seen stopped = { .cancel_after = 2 }, again = { 0 };
    assert_int_equal(make(miku, &request, &stopped), STATUS_CANCELLED);
    assert_int_equal(stopped.count, 0);
    assert_int_equal(make(miku, &request, &again), STATUS_OK);
    assert_int_equal(again.count, 1);
    miku_close(miku);
}

static void refuses_what_makes_no_sense(void **state)
{
    (void)state;
    struct miku *miku = open_mini(1);
    struct miku_request request = small();
    struct seen seen = { 0 };
    request.width = 100;
    assert_int_equal(make(miku, &request, &seen), STATUS_MISUSE);
    assert_non_null(strstr(status_text(), "width is 100"));
    request = small();
    request.steps = 0;
    assert_int_equal(make(miku, &request, &seen), STATUS_MISUSE);
    request = small();
    request.compat = "9.9";
    assert_int_equal(make(miku, &request, &seen), STATUS_MISUSE);
    request = small();
    request.prompt = "\xff";
    assert_int_equal(make(miku, &request, &seen), STATUS_MISUSE);
    static char endless[1 << 20];
    memset(endless, 'a', sizeof endless - 1);
    request.prompt = endless;
    assert_int_equal(make(miku, &request, &seen), STATUS_MISUSE);
    request = small();
    request.model = "AOM4";
    assert_int_equal(make(miku, &request, &seen), STATUS_NOT_FOUND);
    assert_non_null(strstr(status_text(), "AOM3"));
    request = small();
    request.sampler = "Euler b";
    assert_int_equal(make(miku, &request, &seen), STATUS_NOT_FOUND);
    request = small();
    request.model_hash = "0123456789";
    assert_int_equal(make(miku, &request, &seen), STATUS_BAD_FILE);
    request = small();
    request.prompt = "<lora:nobody:1>x";
    request.strict = 1;
    assert_int_equal(make(miku, &request, &seen), STATUS_NOT_FOUND);
    assert_int_equal(seen.count, 0);
    miku_close(miku);
}

static void refuses_before_computing_if_memory_does_not_suffice(void **state)
{
    (void)state;
    struct miku *miku = NULL;
    struct seen seen = { 0 };
    const struct miku_request request = small();
    const struct miku_options options = {
        .weights = folders, .weights_count = 1, .threads = 1, .memory_limit = 1 << 20
    };
    assert_int_equal(miku_open(&options, &miku), STATUS_OK);
    assert_int_equal(make(miku, &request, &seen), STATUS_NO_MEMORY);
    assert_int_equal(seen.asked, 0);
    miku_close(miku);
}

/* The pristine copy of a weight is the mapped file: without a look at it first, SIGBUS. */
static void a_file_cut_short_between_two_requests_is_refused(void **state)
{
    (void)state;
    char folder[] = "test_library.XXXXXX", line[512], path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(line, sizeof line, "cp %s/AOM3.safetensors %s/flat2.safetensors %s", folders[0],
             folders[0], folder);
    assert_int_equal(system(line), 0);
    snprintf(path, sizeof path, "%s/AOM3.safetensors", folder);

    struct miku *miku;
    const char *const one[] = { folder };
    struct miku_request request = small();
    assert_int_equal(
        miku_open(&(struct miku_options){ .weights = one, .weights_count = 1, .threads = 1 },
                  &miku),
        STATUS_OK);
    assert_int_equal(miku_generate(miku, &request, NULL), STATUS_OK);
    assert_int_equal(truncate(path, 100000), 0);
    request.prompt = "<lora:flat2:1>hatsune miku";
    assert_int_equal(miku_generate(miku, &request, NULL), STATUS_BAD_FILE);
    assert_non_null(strstr(status_text(), "bytes when it was opened, has 100000 now"));
    assert_int_equal(miku_generate(miku, &request, NULL), STATUS_BAD_FILE);
    assert_non_null(strstr(status_text(), "cut short"));
    miku_close(miku);
    snprintf(line, sizeof line, "rm -r %s", folder);
    assert_int_equal(system(line), 0);
}

static void infotext_goes_round(void **state)
{
    (void)state;
    struct miku *miku = open_mini(1);
    struct miku_request request = small(), read;
    struct miku_text *owner;
    struct seen first = { 0 }, second = { 0 };
    request.prompt = "a (b:1.2), [c|d]\nsecond line";
    request.sampler = "DPM++ 2M Karras";
    request.ensd = 31337;
    assert_int_equal(make(miku, &request, &first), STATUS_OK);
    assert_int_equal(miku_request_parse(first.infotext, strlen(first.infotext), &read, &owner),
                     STATUS_OK);
    assert_int_equal(make(miku, &read, &second), STATUS_OK);
    assert_string_equal(first.hash[0], second.hash[0]);
    assert_string_equal(first.infotext, second.infotext);
    miku_text_free(owner);
    assert_int_equal(
        miku_request_parse("x\nSteps: 3, Sampler: Euler, Hires upscale: 2", 45, &read, &owner),
        STATUS_UNSUPPORTED);
    assert_null(owner);
    miku_close(miku);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_does_not_depend_on_its_batch),
        cmocka_unit_test(a_lora_comes_off_exactly),
        cmocka_unit_test(every_multiple_of_8_is_a_size),
        cmocka_unit_test(two_contexts_run_in_two_threads),
        cmocka_unit_test(cancelling_stops_and_leaves_the_context_usable),
        cmocka_unit_test(refuses_what_makes_no_sense),
        cmocka_unit_test(refuses_before_computing_if_memory_does_not_suffice),
        cmocka_unit_test(a_file_cut_short_between_two_requests_is_refused),
        cmocka_unit_test(infotext_goes_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
