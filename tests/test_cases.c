/* tests/test_cases.c - the four cases on the embedded weights against the pictures that PyTorch
 * made of them (tools/vectors/cases.py), and their texts against the files they come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/mikubench.h"

enum { WIDTH = 128, HEIGHT = 192 };

struct made {
    uint8_t rgb[WIDTH * HEIGHT * 3];
    char *infotext;
};

/* The CPU, or what the build registered the test for. */
static const char *device(void)
{
    const char *name = getenv("MIKU_TEST_DEVICE");
    return name != NULL ? name : "cpu";
}

/* A device that is not here skips the test. */
static int is_here(void)
{
    struct miku *miku;
    if (miku_open(&(struct miku_options){ .device = device() }, &miku) != STATUS_OK) {
        fprintf(stderr, "skipped: %s\n", status_text());
        return 0;
    }
    miku_close(miku);
    return 1;
}

static status keep(void *user, const struct miku_picture *picture)
{
    struct made *made = user;
    assert_int_equal(picture->width, WIDTH);
    assert_int_equal(picture->height, HEIGHT);
    memcpy(made->rgb, picture->rgb, sizeof made->rgb);
    made->infotext = strdup(picture->infotext);
    return STATUS_OK;
}

static size_t read_text(const char *path, char *text, size_t cap)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t bytes = fread(text, 1, cap - 1, file);
    fclose(file);
    text[bytes] = 0;
    return bytes;
}

static void check_case(struct miku *miku, int number)
{
    char path[512], text[1024];
    struct miku_request request;
    struct miku_text *owner;
    struct made made = { .infotext = NULL };
    uint8_t *want;
    int width, height;
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/bench/cases/%d.txt", number);
    const size_t bytes = read_text(path, text, sizeof text);
    assert_int_equal(miku_request_parse(text, bytes, &request, &owner), STATUS_OK);
    request.width = WIDTH;
    request.height = HEIGHT;
    request.stand_ins = 1;
    request.strict = 1;
    request.vae = number == 1 ? NULL : "orangemix.vae";
    const struct miku_callbacks callbacks = { .picture = keep, .user = &made };
    assert_int_equal(miku_generate(miku, &request, &callbacks), STATUS_OK);

    snprintf(path, sizeof path, TEST_SOURCE_DIR "/tests/vectors/cases/%d.png", number);
    assert_int_equal(miku_png_read(path, &want, &width, &height, NULL, NULL), STATUS_OK);
    assert_int_equal(width, WIDTH);
    assert_int_equal(height, HEIGHT);
    const struct miku_difference difference = miku_compare(made.rgb, want, WIDTH, HEIGHT);
    print_message("case %d: %.2f dB, largest difference %d, within one level %.6f\n", number,
                  difference.psnr, difference.largest, difference.within_one);
    assert_true(difference.within_one >= 0.9999);

    /* Up to the size and the hash, which are the set's own, the text is the case's. */
    const char *size = strstr(text, "Size: ");
    assert_memory_equal(made.infotext, text, (size_t)(size - text));
    assert_non_null(strstr(made.infotext, "Size: 128x192, Model hash: "));
    assert_string_equal(strstr(made.infotext, ", Model: "), strstr(text, ", Model: "));
    free(want);
    free(made.infotext);
    miku_text_free(owner);
}

static void the_cases_are_the_pictures_that_pytorch_makes(void **state)
{
    (void)state;
    const char *const folders[] = { TEST_SOURCE_DIR "/weights/mini" };
    struct miku *miku;
    assert_int_equal(miku_open(&(struct miku_options){ .device = device(),
                                                       .precision = "fp32",
                                                       .weights = folders,
                                                       .weights_count = 1 },
                               &miku),
                     STATUS_OK);
    for (int number = 1; number <= 4; number++)
        check_case(miku, number);
    miku_close(miku);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cases_are_the_pictures_that_pytorch_makes),
    };
    enum { SKIPPED = 77 };
    return is_here() ? cmocka_run_group_tests(tests, NULL, NULL) : SKIPPED;
}
