/* host/pipeline/png_write.c - a picture and its texts as PNG bytes. */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "host/mikubench.h"
#include "host/pipeline/image.h"

enum { TEXTS = 2 };

struct sink {
    uint8_t *bytes;
    size_t used, cap;
    char why[128];
};

static void put(png_structp png, png_bytep data, size_t count)
{
    struct sink *sink = png_get_io_ptr(png);
    if (sink->cap - sink->used < count) {
        const size_t cap = 2 * sink->cap + count + 4096;
        uint8_t *more = realloc(sink->bytes, cap);
        if (more == NULL)
            png_error(png, "out of memory");
        sink->bytes = more;
        sink->cap = cap;
    }
    memcpy(sink->bytes + sink->used, data, count);
    sink->used += count;
}

static void flush(png_structp png) { (void)png; }

static void on_error(png_structp png, png_const_charp why)
{
    struct sink *sink = png_get_error_ptr(png);
    strncat(sink->why, why, sizeof sink->why - strlen(sink->why) - 1);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp why) { (void)png, (void)why; }

/* All that libpng does; it leaves by longjmp, so nothing here is owned by this function. */
static void encode(png_structp png, png_infop info, const uint8_t *rgb, int width, int height,
                   const png_text *text, int texts)
{
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (texts > 0)
        png_set_text(png, info, text, texts);
    png_write_info(png, info);
    for (int y = 0; y < height; y++)
        png_write_row(png, rgb + (size_t)y * (size_t)width * 3);
    png_write_end(png, NULL);
}

static status run(struct sink *sink, const uint8_t *rgb, int width, int height,
                  const png_text *text, int texts)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, sink, on_error, on_warning);
    png_infop info = png == NULL ? NULL : png_create_info_struct(png);
    if (info == NULL) {
        png_destroy_write_struct(&png, NULL);
        return status_fail(STATUS_NO_MEMORY, "png: no memory for the encoder");
    }
    if (setjmp(png_jmpbuf(png)) != 0) {
        png_destroy_write_struct(&png, &info);
        return status_fail(STATUS_NO_MEMORY, "png: %s", sink->why);
    }
    png_set_write_fn(png, sink, put, flush);
    encode(png, info, rgb, width, height, text, texts);
    png_destroy_write_struct(&png, &info);
    return STATUS_OK;
}

/* One row for libpng: tEXt if Latin-1 has room for it, else iTXt. *latin is the row's to keep. */
static status prepare(const char *key, const char *value, png_text *text, char **latin)
{
    TRY(latin_from_utf8(value, latin));
    *text = (png_text){
        .compression = *latin == NULL ? PNG_ITXT_COMPRESSION_NONE : PNG_TEXT_COMPRESSION_NONE,
        .key = (char *)key,
        .text = *latin == NULL ? (char *)value : *latin,
        .lang = (char *)"",
        .lang_key = (char *)"",
    };
    return STATUS_OK;
}

status image_encode(const uint8_t *rgb, int width, int height, const char *infotext,
                    const char *notes, uint8_t **bytes, size_t *count)
{
    *bytes = NULL;
    *count = 0;
    if (width < 1 || height < 1 || width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX)
        return status_fail(STATUS_MISUSE, "png: %dx%d; wanted sides of 1 to %d", width, height,
                           IMAGE_SIDE_MAX);
    struct sink sink = { .bytes = NULL };
    png_text text[TEXTS];
    char *latin[TEXTS] = { NULL, NULL };
    int texts = 0;
    status result = STATUS_OK;
    if (infotext != NULL)
        result = prepare("parameters", infotext, &text[texts], &latin[texts]), texts++;
    if (result == STATUS_OK && notes != NULL)
        result = prepare("mikubench", notes, &text[texts], &latin[texts]), texts++;
    if (result == STATUS_OK)
        result = run(&sink, rgb, width, height, text, texts);
    for (int i = 0; i < TEXTS; i++)
        free(latin[i]);
    if (result != STATUS_OK) {
        free(sink.bytes);
        return result;
    }
    *bytes = sink.bytes;
    *count = sink.used;
    return STATUS_OK;
}

status miku_png_write(const char *path, const uint8_t *rgb, int width, int height,
                      const char *infotext, const char *notes)
{
    uint8_t *bytes;
    size_t count;
    status result = image_encode(rgb, width, height, infotext, notes, &bytes, &count);
    if (result != STATUS_OK)
        return status_prefix(result, "%s", path);
    result = miku_file_write(path, bytes, count);
    free(bytes);
    return result;
}
