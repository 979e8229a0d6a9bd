/* host/pipeline/caption.h - a line of text in a picture. */
#ifndef HOST_PIPELINE_CAPTION_H
#define HOST_PIPELINE_CAPTION_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

/* A size of the built-in font; every character is as wide as every other. */
struct caption_font;

/* The larger size if `columns` characters of it fit into `width` pixels, else the smaller.
 * returns  STATUS_NO_MEMORY; *out is then null */
status caption_font_open(int width, int columns, struct caption_font **out);
void caption_font_close(struct caption_font *font); /* null is fine */
int caption_height(const struct caption_font *font);

/* Writes UTF-8 text in black over what is there, cut off after `width` pixels. A character that is
 * no printable ASCII is "?". `to` is the upper left pixel, rows are `stride` bytes apart. */
void caption_draw(const struct caption_font *font, const char *text, int width, uint8_t *to,
                  size_t stride);

#endif
