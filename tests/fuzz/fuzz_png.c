/* tests/fuzz/fuzz_png.c - PNGs and their texts from anywhere. */
#include <stdlib.h>

#include "host/pipeline/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image image;
    if (image_decode("fuzz", data, size, &image) != STATUS_OK)
        return 0;
    /* What was read can be written, unless an iTXt was no UTF-8. */
    uint8_t *bytes;
    size_t count;
    const status result = image_encode(image.rgb, image.width, image.height, image.infotext,
                                       image.notes, &bytes, &count);
    if (result != STATUS_OK && result != STATUS_BAD_TEXT)
        abort();
    free(bytes);
    image_free(&image);
    return 0;
}
