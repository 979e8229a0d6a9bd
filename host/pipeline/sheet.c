/* host/pipeline/sheet.c - pictures side by side, with captions. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/mikubench.h"
#include "host/pipeline/caption.h"

enum { GAP = 8, PAPER = 255 }; /* pixels between two pictures, and their grey */

/* Where the pictures lie on the sheet: all of one height. */
static int scaled_width(const struct miku_picture *picture, int height)
{
    const double width = (double)picture->width * height / picture->height;
    return width < 1 ? 1 : (int)lround(width);
}

/* The part of source pixel `at` that lies within [low, high). */
static double covered(int at, double low, double high)
{
    return fmin(at + 1, high) - fmax(at, low);
}

/* The mean of the source over the rectangle that one pixel of the sheet covers. */
static void mean_of(const struct miku_picture *from, double x0, double x1, double y0, double y1,
                    uint8_t *out)
{
    double sum[3] = { 0, 0, 0 };
    for (int y = (int)y0; y < from->height && y < y1; y++)
        for (int x = (int)x0; x < from->width && x < x1; x++) {
            const double part = covered(x, x0, x1) * covered(y, y0, y1);
            const uint8_t *pixel = from->rgb + ((size_t)y * (size_t)from->width + (size_t)x) * 3;
            for (int c = 0; c < 3; c++)
                sum[c] += part * pixel[c];
        }
    const double area = (x1 - x0) * (y1 - y0);
    for (int c = 0; c < 3; c++)
        out[c] = (uint8_t)lround(fmin(sum[c] / area, 255));
}

static void draw(const struct miku_picture *from, int width, int height, uint8_t *to, size_t stride)
{
    const double dx = (double)from->width / width, dy = (double)from->height / height;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            mean_of(from, x * dx, (x + 1) * dx, y * dy, (y + 1) * dy,
                    to + (size_t)y * stride + (size_t)x * 3);
}

/* ---- captions ---------------------------------------------------------------------------- */

enum { MARGIN = 4, COLUMNS = 24 }; /* pixels above and below the text; a usual line's characters */

static int count_lines(const char *const *captions, size_t count)
{
    int most = 0;
    for (size_t i = 0; captions != NULL && i < count; i++) {
        int lines = captions[i][0] != 0;
        for (const char *at = captions[i]; *at != 0; at++)
            lines += *at == '\n';
        most = lines > most ? lines : most;
    }
    return most;
}

/* The lines of one caption into a column of the sheet. */
static void write_lines(const struct caption_font *font, const char *text, int width, uint8_t *to,
                        size_t stride)
{
    char line[256];
    for (; *text != 0; to += (size_t)caption_height(font) * stride) {
        const size_t length = strcspn(text, "\n");
        const size_t kept = length < sizeof line - 1 ? length : sizeof line - 1;
        memcpy(line, text, kept);
        line[kept] = 0;
        caption_draw(font, line, width, to, stride);
        text += length + (text[length] == '\n');
    }
}

/* ---- the sheet --------------------------------------------------------------------------- */

struct layout {
    int height, below; /* of the pictures; of the captions */
    size_t width, stride;
};

static status lay_out(const struct miku_picture *pictures, const char *const *captions,
                      size_t count, struct layout *l, struct caption_font **font)
{
    int low = INT_MAX, narrow = INT_MAX;
    for (size_t i = 0; i < count; i++)
        low = pictures[i].height < low ? pictures[i].height : low;
    size_t wide = (count - 1) * GAP;
    for (size_t i = 0; i < count; i++) {
        const int width = scaled_width(&pictures[i], low);
        narrow = width < narrow ? width : narrow;
        wide += (size_t)width;
    }
    if (wide > INT_MAX / 4 || low < 1)
        return status_fail(STATUS_MISUSE, "sheet: %zu pixels wide, %d high", wide, low);
    *l = (struct layout){ .height = low, .width = wide, .stride = wide * 3 };
    const int lines = count_lines(captions, count);
    if (lines == 0)
        return STATUS_OK;
    TRY(caption_font_open(narrow, COLUMNS, font));
    l->below = 2 * MARGIN + lines * caption_height(*font);
    return STATUS_OK;
}

status miku_sheet(const struct miku_picture *pictures, const char *const *captions, size_t count,
                  uint8_t **rgb, int *width, int *height)
{
    struct layout l = { 0 };
    struct caption_font *font = NULL;
    *rgb = NULL;
    if (count == 0)
        return status_fail(STATUS_MISUSE, "sheet: no pictures");
    TRY(lay_out(pictures, captions, count, &l, &font));
    const size_t bytes = l.stride * (size_t)(l.height + l.below);
    uint8_t *sheet = malloc(bytes);
    if (sheet == NULL) {
        caption_font_close(font);
        return status_fail(STATUS_NO_MEMORY, "sheet: %zu bytes asked", bytes);
    }
    memset(sheet, PAPER, bytes);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const int w = scaled_width(&pictures[i], l.height);
        draw(&pictures[i], w, l.height, sheet + at * 3, l.stride);
        if (font != NULL)
            write_lines(font, captions[i], w,
                        sheet + (size_t)(l.height + MARGIN) * l.stride + at * 3, l.stride);
        at += (size_t)w + GAP;
    }
    caption_font_close(font);
    *rgb = sheet;
    *width = (int)l.width;
    *height = l.height + l.below;
    return STATUS_OK;
}
