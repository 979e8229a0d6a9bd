/* tests/test_image.c - pictures as files: PNG and its texts, whole files, comparison, sheets. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/mikubench.h"
#include "host/pipeline/image.h"

enum { W = 5, H = 3 };

static uint8_t pixels[W * H * 3];

static int fill_pixels(void **state)
{
    (void)state;
    for (int i = 0; i < W * H * 3; i++)
        pixels[i] = (uint8_t)(i * 37);
    return 0;
}

static void check_roundtrip(const char *infotext, const char *notes, const char *chunk)
{
    uint8_t *bytes;
    size_t count;
    struct image image;
    assert_int_equal(image_encode(pixels, W, H, infotext, notes, &bytes, &count), STATUS_OK);
    if (chunk != NULL) { /* the chunk's name, and before the pixels */
        const char *kind = NULL, *data = NULL;
        for (size_t i = 8; i + 4 < count; i++) {
            if (kind == NULL && memcmp(bytes + i, chunk, 4) == 0)
                kind = (const char *)bytes + i;
            if (data == NULL && memcmp(bytes + i, "IDAT", 4) == 0)
                data = (const char *)bytes + i;
        }
        assert_non_null(kind);
        assert_true(kind < data);
    }
    assert_int_equal(image_decode("x", bytes, count, &image), STATUS_OK);
    assert_int_equal(image.width, W);
    assert_int_equal(image.height, H);
    assert_memory_equal(image.rgb, pixels, sizeof pixels);
    if (infotext == NULL)
        assert_null(image.infotext);
    else
        assert_string_equal(image.infotext, infotext);
    if (notes == NULL)
        assert_null(image.notes);
    else
        assert_string_equal(image.notes, notes);
    image_free(&image);
    free(bytes);
}

static void ascii_text_is_tEXt_before_the_pixels(void **state)
{
    (void)state;
    check_roundtrip("hatsune miku\nSteps: 20, Seed: 1", "{\"vae\":\"none\"}", "tEXt");
}

static void latin_text_is_tEXt_and_keeps_its_characters(void **state)
{
    (void)state;
    check_roundtrip("caf\xc3\xa9 \xc2\xb5 \xc3\xbf", NULL, "tEXt");
}

static void text_beyond_latin_is_iTXt(void **state)
{
    (void)state;
    check_roundtrip("\xe5\x88\x9d\xe9\x9f\xb3\xe3\x83\x9f\xe3\x82\xaf \xf0\x9f\x8e\xa4", NULL,
                    "iTXt");
}

static void no_text_and_empty_text_come_back_as_such(void **state)
{
    (void)state;
    check_roundtrip(NULL, NULL, NULL);
    check_roundtrip("", "", NULL);
}

static void a_text_that_is_no_utf8_is_refused(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t count;
    assert_int_equal(image_encode(pixels, W, H, "ab\xff", NULL, &bytes, &count), STATUS_BAD_TEXT);
    assert_null(bytes);
    assert_int_equal(image_encode(pixels, 0, H, "ab", NULL, &bytes, &count), STATUS_MISUSE);
}

/* Every file cut short, and every file with one byte changed, decodes or is refused with a line;
 * what is left behind is the sanitizers' to say. */
static void broken_files_are_refused_with_a_line(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t count;
    struct image image;
    assert_int_equal(image_encode(pixels, W, H, "text", "{}", &bytes, &count), STATUS_OK);
    for (size_t cut = 0; cut < count; cut++) {
        const status result = image_decode("x", bytes, cut, &image);
        assert_true(result == STATUS_BAD_FILE || result == STATUS_WRONG_KIND);
        assert_null(image.rgb);
    }
    for (size_t at = 0; at < count; at++) {
        bytes[at] ^= 0x41;
        if (image_decode("x", bytes, count, &image) == STATUS_OK)
            image_free(&image);
        else
            assert_true(status_text()[0] != 0);
        bytes[at] ^= 0x41;
    }
    free(bytes);
}

static void a_small_file_of_a_huge_picture_is_refused(void **state)
{
    (void)state;
    /* 16384 x 16384, RGB, 8 bits; CRC of that header as zlib's crc32 gives it. */
    static const uint8_t head[] = { 0x89, 'P', 'N', 'G', 13,  10,   26,   10,   0,    0, 0,    13,
                                    'I',  'H', 'D', 'R', 0,   0,    0x40, 0,    0,    0, 0x40, 0,
                                    8,    2,   0,   0,   0,   0x26, 0xaa, 0x87, 0xd3, 0, 0,    0,
                                    0,    'I', 'D', 'A', 'T', 0x35, 0xaf, 0x06, 0x1e, 0, 0,    0,
                                    0,    'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82 };
    struct image image;
    assert_int_equal(image_decode("x", head, sizeof head, &image), STATUS_BAD_FILE);
    assert_non_null(strstr(status_text(), "too short"));
}

/* Refused for its length: when the bytes run out, memory for all of it has been asked. */
static void a_chunk_longer_than_its_file_is_refused_before_memory_is_asked(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t count;
    struct image image;
    assert_int_equal(image_encode(pixels, W, H, "text", NULL, &bytes, &count), STATUS_OK);
    const size_t text = 8 + 8 + 13 + 4; /* behind the signature and IHDR */
    assert_memory_equal(bytes + text + 4, "tEXt", 4);
    bytes[text] = 0x65; /* 1.6 GB */
    assert_int_equal(image_decode("x", bytes, count, &image), STATUS_BAD_FILE);
    assert_non_null(strstr(status_text(), "a chunk of 1694498831 bytes with"));
    assert_null(image.rgb);
    assert_int_equal(image_decode("x", bytes, text + 8, &image), STATUS_BAD_FILE);
    assert_non_null(strstr(status_text(), "bytes with 0 left"));
    free(bytes);
}

/* ---- files ------------------------------------------------------------------------------- */

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "test_image.XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int files_in_folder(void)
{
    char command[128], line[32] = "";
    snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(fgets(line, sizeof line, pipe));
    pclose(pipe);
    return atoi(line);
}

static void a_written_file_has_its_bytes_and_nothing_else_is_left(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t count;
    assert_int_equal(miku_file_write(in_folder("a"), "first", 5), STATUS_OK);
    assert_int_equal(miku_file_write(in_folder("a"), "again", 5), STATUS_OK);
    assert_int_equal(file_read(in_folder("a"), 100, &bytes, &count), STATUS_OK);
    assert_int_equal(count, 5);
    assert_memory_equal(bytes, "again", 5);
    free(bytes);
    assert_int_equal(files_in_folder(), 1);
    assert_int_equal(file_read(in_folder("a"), 4, &bytes, &count), STATUS_BAD_FILE);
    assert_null(bytes);
}

/* A pipe stands for all that is no regular file: a test that fails must not replace a device. */
static void a_link_stays_a_link_and_a_pipe_a_pipe(void **state)
{
    (void)state;
    struct stat found;
    char got[3] = "";
    assert_int_equal(miku_file_write(in_folder("b"), "x", 1), STATUS_OK);
    assert_int_equal(symlink("b", in_folder("link")), 0);
    assert_int_equal(miku_file_write(in_folder("link"), "yy", 2), STATUS_OK);
    assert_int_equal(lstat(in_folder("link"), &found), 0);
    assert_true(S_ISLNK(found.st_mode));
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    const int reader = open(in_folder("pipe"), O_RDWR);
    assert_int_equal(miku_file_write(in_folder("pipe"), "zz", 2), STATUS_OK);
    assert_int_equal(stat(in_folder("pipe"), &found), 0);
    assert_true(S_ISFIFO(found.st_mode));
    assert_int_equal(read(reader, got, 2), 2);
    assert_string_equal(got, "zz");
    close(reader);
}

/* A limit on the size of files fails as a full disk does: midway. */
static void what_cannot_be_written_is_said_and_leaves_nothing(void **state)
{
    (void)state;
    static const char big[8192];
    struct rlimit limit, old;
    const int before = files_in_folder();
    assert_int_equal(miku_file_write(in_folder("no/such"), "x", 1), STATUS_IO);
    assert_int_equal(miku_file_write(folder, "x", 1), STATUS_IO);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const status cut = miku_file_write(in_folder("cut"), big, sizeof big);
    const status kept = miku_file_write(in_folder("a"), big, sizeof big);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(cut, STATUS_IO);
    assert_int_equal(kept, STATUS_IO);
    assert_int_equal(files_in_folder(), before);
    uint8_t *bytes;
    size_t count;
    assert_int_equal(file_read(in_folder("a"), 100, &bytes, &count), STATUS_OK); /* as it was */
    assert_int_equal(count, 5);
    free(bytes);
}

static void a_png_file_comes_back(void **state)
{
    (void)state;
    uint8_t *rgb;
    int width, height;
    char *infotext, *notes;
    assert_int_equal(miku_png_write(in_folder("p.png"), pixels, W, H, "text", "{}"), STATUS_OK);
    assert_int_equal(miku_png_read(in_folder("p.png"), &rgb, &width, &height, &infotext, &notes),
                     STATUS_OK);
    assert_memory_equal(rgb, pixels, sizeof pixels);
    assert_string_equal(infotext, "text");
    assert_string_equal(notes, "{}");
    free(rgb);
    free(infotext);
    free(notes);
    assert_int_equal(miku_png_read(in_folder("p.png"), NULL, NULL, NULL, NULL, NULL), STATUS_OK);
    assert_int_equal(miku_png_read(folder, &rgb, &width, &height, NULL, NULL), STATUS_IO);
    assert_null(rgb);
}

/* ---- comparing, sheets ------------------------------------------------------------------- */

static void differences_are_measured(void **state)
{
    (void)state;
    uint8_t other[sizeof pixels];
    memcpy(other, pixels, sizeof pixels);
    struct miku_difference d = miku_compare(pixels, other, W, H);
    assert_true(isinf(d.psnr) && d.largest == 0 && d.within_one == 1);
    other[0] = (uint8_t)(pixels[0] + 1);
    other[7] = (uint8_t)(pixels[7] > 100 ? pixels[7] - 9 : pixels[7] + 9);
    d = miku_compare(pixels, other, W, H);
    assert_int_equal(d.largest, 9);
    assert_true(fabs(d.within_one - 44.0 / 45) < 1e-12);
    assert_true(fabs(d.psnr - 10 * log10(65025.0 * 45 / 82)) < 1e-9); /* 1 + 81 over 45 values */
}

static void a_sheet_lays_pictures_beside_each_other(void **state)
{
    (void)state;
    uint8_t small[2 * 2 * 3], big[4 * 4 * 3], *rgb;
    int width, height;
    memset(small, 10, sizeof small);
    for (int i = 0; i < 4 * 4 * 3; i++)
        big[i] = (uint8_t)(i / 3 % 2 == 0 ? 0 : 100); /* columns of 0 and 100: halved, 50 */
    const struct miku_picture pictures[] = { { .width = 2, .height = 2, .rgb = small },
                                             { .width = 4, .height = 4, .rgb = big } };
    assert_int_equal(miku_sheet(pictures, NULL, 2, &rgb, &width, &height), STATUS_OK);
    assert_int_equal(width, 2 + 8 + 2);
    assert_int_equal(height, 2);
    const uint8_t want[] = { 10, 10, 255, 255, 255, 255, 255, 255, 255, 255, 50, 50 };
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 12; x++)
            assert_int_equal(rgb[(y * 12 + x) * 3], want[x]);
    free(rgb);
    assert_int_equal(miku_sheet(pictures, NULL, 0, &rgb, &width, &height), STATUS_MISUSE);
    assert_null(rgb);
}

/* How many pixels of a rectangle are not white. */
static int ink(const uint8_t *rgb, int stride, int x0, int x1, int y0, int y1)
{
    int count = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            count += rgb[(y * stride + x) * 3] != 255;
    return count;
}

static void captions_stand_under_their_pictures(void **state)
{
    (void)state;
    enum { W = 100, H = 10, GAP = 8 };
    static uint8_t white[W * H * 3];
    uint8_t *rgb, *other;
    int width, height, again;
    memset(white, 255, sizeof white);
    const struct miku_picture pictures[] = { { .width = W, .height = H, .rgb = white },
                                             { .width = W, .height = H, .rgb = white } };
    const char *captions[] = { "M\nMMMM", "" }, *wide[] = { "", "MMMMMMMMMMMMMMMMMMMMMMMMMMMMM" };
    assert_int_equal(miku_sheet(pictures, captions, 2, &rgb, &width, &height), STATUS_OK);
    assert_int_equal(width, W + GAP + W);
    const int line = (height - H - 8) / 2; /* 4 pixels above and below */
    assert_true(line > 8);
    assert_int_equal(ink(rgb, width, 0, width, 0, H + 4), 0);
    const int first = ink(rgb, width, 0, W, H + 4, H + 4 + line);
    assert_true(first > 10);
    assert_int_equal(ink(rgb, width, 0, W, H + 4 + line, height), 4 * first);
    assert_int_equal(ink(rgb, width, W, width, 0, height), 0);
    free(rgb);

    /* Cut off at the picture's edge; what is no ASCII is one "?". */
    assert_int_equal(miku_sheet(pictures, wide, 2, &rgb, &width, &again), STATUS_OK);
    assert_int_equal(again, height - line);
    assert_int_equal(ink(rgb, width, 0, W + GAP, 0, again), 0);
    assert_int_equal(ink(rgb, width, W + GAP, width, H, again), W / 7 * first);
    free(rgb);
    const char *foreign[] = { "\xe5\x88\x9d", "" }, *mark[] = { "?", "" };
    assert_int_equal(miku_sheet(pictures, foreign, 2, &rgb, &width, &height), STATUS_OK);
    assert_int_equal(miku_sheet(pictures, mark, 2, &other, &width, &again), STATUS_OK);
    assert_int_equal(height, again);
    assert_memory_equal(rgb, other, (size_t)width * (size_t)height * 3);
    assert_true(ink(rgb, width, 0, width, 0, height) > 5);
    free(other);
    free(rgb);
}

int main(void)
{
    const struct CMUnitTest texts[] = {
        cmocka_unit_test(ascii_text_is_tEXt_before_the_pixels),
        cmocka_unit_test(latin_text_is_tEXt_and_keeps_its_characters),
        cmocka_unit_test(text_beyond_latin_is_iTXt),
        cmocka_unit_test(no_text_and_empty_text_come_back_as_such),
        cmocka_unit_test(a_text_that_is_no_utf8_is_refused),
        cmocka_unit_test(broken_files_are_refused_with_a_line),
        cmocka_unit_test(a_small_file_of_a_huge_picture_is_refused),
        cmocka_unit_test(a_chunk_longer_than_its_file_is_refused_before_memory_is_asked),
        cmocka_unit_test(differences_are_measured),
        cmocka_unit_test(a_sheet_lays_pictures_beside_each_other),
        cmocka_unit_test(captions_stand_under_their_pictures),
    };
    const struct CMUnitTest files[] = {
        cmocka_unit_test(a_written_file_has_its_bytes_and_nothing_else_is_left),
        cmocka_unit_test(a_link_stays_a_link_and_a_pipe_a_pipe),
        cmocka_unit_test(what_cannot_be_written_is_said_and_leaves_nothing),
        cmocka_unit_test(a_png_file_comes_back),
    };
    return cmocka_run_group_tests(texts, fill_pixels, NULL) +
           cmocka_run_group_tests(files, make_folder, remove_folder);
}
