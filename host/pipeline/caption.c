/* host/pipeline/caption.c - ASCII from two atlases of grey values (tools/caption-font). */
#include "host/pipeline/caption.h"

#include <stdlib.h>
#include <zlib.h>

#include "host/pipeline/caption_font.inc"

enum { FIRST = 0x20, LAST = 0x7e, GLYPHS = LAST - FIRST + 1 };

struct caption_font {
    int width, height; /* of a character */
    uint8_t ink[];     /* [GLYPHS, height, width], 255: black */
};

status caption_font_open(int width, int columns, struct caption_font **out)
{
    const int large = width / LARGE_WIDTH >= columns;
    const int w = large ? LARGE_WIDTH : SMALL_WIDTH, h = large ? LARGE_HEIGHT : SMALL_HEIGHT;
    uLongf bytes = (uLongf)GLYPHS * (uLongf)w * (uLongf)h;
    struct caption_font *font = malloc(sizeof *font + bytes);
    *out = NULL;
    if (font == NULL || uncompress(font->ink, &bytes, large ? large_packed : small_packed,
                                   large ? sizeof large_packed : sizeof small_packed) != Z_OK) {
        free(font);
        return status_fail(STATUS_NO_MEMORY, "caption: no memory");
    }
    font->width = w;
    font->height = h;
    *out = font;
    return STATUS_OK;
}

void caption_font_close(struct caption_font *font) { free(font); }

int caption_height(const struct caption_font *font) { return font->height; }

static void draw_glyph(const struct caption_font *font, int glyph, uint8_t *to, size_t stride)
{
    const uint8_t *ink = font->ink + (size_t)glyph * (size_t)(font->width * font->height);
    for (int y = 0; y < font->height; y++)
        for (int x = 0; x < font->width; x++) {
            uint8_t *pixel = to + (size_t)y * stride + (size_t)x * 3;
            const int paper = 255 - *ink++;
            for (int c = 0; c < 3; c++)
                pixel[c] = (uint8_t)(pixel[c] * paper / 255);
        }
}

void caption_draw(const struct caption_font *font, const char *text, int width, uint8_t *to,
                  size_t stride)
{
    for (int at = 0; *text != 0 && at + font->width <= width; text++) {
        const unsigned char c = (unsigned char)*text;
        if ((c & 0xc0) == 0x80) /* the rest of a character that was drawn */
            continue;
        draw_glyph(font, (c < FIRST || c > LAST ? '?' : c) - FIRST, to + (size_t)at * 3, stride);
        at += font->width;
    }
}
