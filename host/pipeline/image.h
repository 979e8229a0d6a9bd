/* host/pipeline/image.h - pictures as PNG in memory; the files are miku_png_write() and _read(). */
#ifndef HOST_PIPELINE_IMAGE_H
#define HOST_PIPELINE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

struct image {
    int width, height;
    uint8_t *rgb;   /* [height, width, 3] */
    char *infotext; /* UTF-8, of the chunk `parameters`; null if there is none */
    char *notes;    /* UTF-8, of the chunk `mikubench`; null if there is none */
};

enum { IMAGE_SIDE_MAX = 16384 };

/* Encodes rgb with its texts; either text may be null. A text is written as tEXt if all of it is
 * Latin-1, else as iTXt, uncompressed, before the pixels. free(*bytes).
 * returns  STATUS_BAD_TEXT (not UTF-8), STATUS_MISUSE (a size), STATUS_NO_MEMORY; *bytes is then
 *          null
 * source   Pillow PngImagePlugin.py, PngInfo.add_text; webui images.py, save_image */
status image_encode(const uint8_t *rgb, int width, int height, const char *infotext,
                    const char *notes, uint8_t **bytes, size_t *count);

/* Decodes any PNG to 8-bit RGB (alpha dropped, 16 bits cut to 8), with its texts. `name` is for
 * the error's text. image_free() what came.
 * returns  STATUS_BAD_FILE, STATUS_WRONG_KIND (no PNG), STATUS_NO_MEMORY; *image is then empty */
status image_decode(const char *name, const uint8_t *bytes, size_t count, struct image *image);
void image_free(struct image *image); /* an empty one is fine */

/* Whether the bytes begin as a PNG does. */
int image_is_png(const uint8_t *bytes, size_t count);

/* Latin-1 of UTF-8 text: free(*latin). *latin is null if a character has no place in Latin-1.
 * returns  STATUS_BAD_TEXT (not UTF-8), STATUS_NO_MEMORY */
status latin_from_utf8(const char *text, char **latin);

/* UTF-8 of Latin-1 text; null if there is no memory. free() it. */
char *latin_to_utf8(const char *latin);

/* Reads a whole file of at most `limit` bytes; a NUL follows the last. free(*bytes).
 * returns  STATUS_IO, STATUS_BAD_FILE (longer), STATUS_NO_MEMORY; *bytes is then null */
status file_read(const char *path, size_t limit, uint8_t **bytes, size_t *count);

#endif
