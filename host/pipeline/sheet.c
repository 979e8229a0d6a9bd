/* host/pipeline/sheet.c - pictures side by side. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/mikubench.h"

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

status miku_sheet(const struct miku_picture *pictures, size_t count, uint8_t **rgb, int *width,
                  int *height)
{
    *rgb = NULL;
    if (count == 0)
        return status_fail(STATUS_MISUSE, "sheet: no pictures");
    int low = INT_MAX;
    for (size_t i = 0; i < count; i++)
        low = pictures[i].height < low ? pictures[i].height : low;
    size_t wide = (count - 1) * GAP;
    for (size_t i = 0; i < count; i++)
        wide += (size_t)scaled_width(&pictures[i], low);
    if (wide > INT_MAX / 4 || low < 1)
        return status_fail(STATUS_MISUSE, "sheet: %zu pixels wide, %d high", wide, low);

    const size_t stride = wide * 3, bytes = stride * (size_t)low;
    uint8_t *sheet = malloc(bytes);
    if (sheet == NULL)
        return status_fail(STATUS_NO_MEMORY, "sheet: %zu bytes asked", bytes);
    memset(sheet, PAPER, bytes);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const int w = scaled_width(&pictures[i], low);
        draw(&pictures[i], w, low, sheet + at * 3, stride);
        at += (size_t)w + GAP;
    }
    *rgb = sheet;
    *width = (int)wide;
    *height = low;
    return STATUS_OK;
}
