/* host/pipeline/png_read.c - any PNG as 8-bit RGB, and its texts. */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "host/mikubench.h"
#include "host/pipeline/image.h"

enum {
    SIGNATURE = 8,
    CHUNK_HEAD = 8, /* length, type */
    CHUNK_CRC = 4,
    CHUNK_LOW = 2 << 20,
    CHUNKS_MAX = 256,
    FILE_LIMIT = 1 << 30,
};

struct source {
    const uint8_t *bytes;
    size_t left;
    size_t total;
    char why[128];
};

static void take(png_structp png, png_bytep data, size_t count)
{
    struct source *source = png_get_io_ptr(png);
    if (count > source->left)
        png_error(png, "the file ends too early");
    memcpy(data, source->bytes, count);
    source->bytes += count;
    source->left -= count;
}

static void on_error(png_structp png, png_const_charp why)
{
    struct source *source = png_get_error_ptr(png);
    source->why[0] = 0;
    strncat(source->why, why, sizeof source->why - 1);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp why) { (void)png, (void)why; }

/* Whatever the file holds becomes rows of 8-bit RGB. */
static void want_rgb8(png_structp png)
{
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
}

static void read_texts(png_structp png, png_infop info, struct image *image)
{
    png_textp text;
    const int count = png_get_text(png, info, &text, NULL);
    for (int i = 0; i < count; i++) {
        char **slot = strcmp(text[i].key, "parameters") == 0  ? &image->infotext
                      : strcmp(text[i].key, "mikubench") == 0 ? &image->notes
                                                              : NULL;
        if (slot == NULL || *slot != NULL || text[i].text == NULL)
            continue;
        if (text[i].compression >= PNG_ITXT_COMPRESSION_NONE) {
            const size_t bytes = strlen(text[i].text) + 1;
            *slot = malloc(bytes);
            if (*slot != NULL)
                memcpy(*slot, text[i].text, bytes);
        } else {
            *slot = latin_to_utf8(text[i].text);
        }
        if (*slot == NULL)
            png_error(png, "out of memory");
    }
}

/* Deflate shrinks by 1,032 at most: a short file that says it is huge lies. */
static void check_size(png_structp png, png_infop info, const struct source *source)
{
    const size_t packed = png_get_rowbytes(png, info) * png_get_image_height(png, info) / 1032;
    if (packed > source->total)
        png_error(png, "the file is too short for its width and height");
}

/* All that libpng does; it leaves by longjmp, and everything it made hangs on *image. */
static void decode(png_structp png, png_infop info, const struct source *source,
                   struct image *image)
{
    png_read_info(png, info);
    check_size(png, info, source);
    want_rgb8(png);
    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    const size_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    if (png_get_rowbytes(png, info) != width * 3)
        png_error(png, "pixels of an unknown kind");
    image->width = (int)width;
    image->height = (int)height;
    image->rgb = calloc(width * height, 3);
    if (image->rgb == NULL)
        png_error(png, "out of memory");
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < height; y++)
            png_read_row(png, image->rgb + y * width * 3, NULL);
    png_read_end(png, info);
    read_texts(png, info, image);
}

static status run(const char *name, struct source *source, struct image *image)
{
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, source, on_error, on_warning);
    png_infop info = png == NULL ? NULL : png_create_info_struct(png);
    if (info == NULL) {
        png_destroy_read_struct(&png, NULL, NULL);
        return status_fail(STATUS_NO_MEMORY, "%s: no memory for the decoder", name);
    }
    if (setjmp(png_jmpbuf(png)) != 0) {
        png_destroy_read_struct(&png, &info, NULL);
        image_free(image);
        return status_fail(STATUS_BAD_FILE, "%s: PNG: %s", name, source->why);
    }
    png_set_user_limits(png, IMAGE_SIDE_MAX, IMAGE_SIDE_MAX);
    /* A chunk is no longer than its file; a packed text may grow to CHUNK_LOW. */
    png_set_chunk_malloc_max(png, source->total > CHUNK_LOW ? source->total : CHUNK_LOW);
    png_set_chunk_cache_max(png, CHUNKS_MAX);
    png_set_read_fn(png, source, take);
    decode(png, info, source, image);
    png_destroy_read_struct(&png, &info, NULL);
    return STATUS_OK;
}

/* libpng sets aside what a chunk says that it holds before it reads any of it. */
static status check_chunks(const char *name, const uint8_t *bytes, size_t count)
{
    size_t at = SIGNATURE;
    while (count - at >= CHUNK_HEAD && memcmp(bytes + at + 4, "IEND", 4) != 0) {
        const size_t length = png_get_uint_32(bytes + at), left = count - at - CHUNK_HEAD;
        if (left < CHUNK_CRC || length > left - CHUNK_CRC)
            return status_fail(STATUS_BAD_FILE, "%s: PNG: a chunk of %zu bytes with %zu left", name,
                               length, left);
        at += CHUNK_HEAD + length + CHUNK_CRC;
    }
    return STATUS_OK;
}

int image_is_png(const uint8_t *bytes, size_t count)
{
    return count >= SIGNATURE && png_sig_cmp(bytes, 0, SIGNATURE) == 0;
}

status image_decode(const char *name, const uint8_t *bytes, size_t count, struct image *image)
{
    *image = (struct image){ .rgb = NULL };
    if (!image_is_png(bytes, count))
        return status_fail(STATUS_WRONG_KIND, "%s: not a PNG", name);
    TRY(check_chunks(name, bytes, count));
    struct source source = { .bytes = bytes, .left = count, .total = count };
    return run(name, &source, image);
}

void image_free(struct image *image)
{
    free(image->rgb);
    free(image->infotext);
    free(image->notes);
    *image = (struct image){ .rgb = NULL };
}

/* Hands `from` over where the caller wants it, else lets go of it. */
static void hand_over(char *from, char **to)
{
    if (to == NULL)
        free(from);
    else
        *to = from;
}

status miku_png_read(const char *path, uint8_t **rgb, int *width, int *height, char **infotext,
                     char **notes)
{
    struct image image = { .rgb = NULL };
    uint8_t *bytes;
    size_t count;
    status result = file_read(path, FILE_LIMIT, &bytes, &count);
    if (result == STATUS_OK)
        result = image_decode(path, bytes, count, &image);
    free(bytes);
    if (width != NULL)
        *width = image.width;
    if (height != NULL)
        *height = image.height;
    if (rgb != NULL)
        *rgb = image.rgb;
    else
        free(image.rgb);
    hand_over(image.infotext, infotext);
    hand_over(image.notes, notes);
    return result;
}
