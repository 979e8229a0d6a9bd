/* host/app/contact_sheet.c - pictures, and under each what it is. */
#include "host/app/contact_sheet.h"

#include <stdlib.h>

#include "host/app/place.h"
#include "host/app/say.h"

static status write_sheet(const char *path, const struct miku_picture *picture,
                          const char *const *caption, size_t count)
{
    uint8_t *rgb;
    int width, height;
    TRY(miku_sheet(picture, caption, count, &rgb, &width, &height));
    const status result = miku_png_write(path, rgb, width, height, NULL, NULL);
    free(rgb);
    if (result == STATUS_OK)
        say_result("%s  %zu pictures side by side", path, count);
    return result;
}

status contact_sheet(const struct options *options, const struct run_kept *kept, size_t count)
{
    struct miku_picture *picture = calloc(count + 1, sizeof *picture);
    const char **caption = calloc(count + 1, sizeof *caption);
    char *path = place_join(options->out, "sheet.png");
    status result = STATUS_OK;
    size_t made = 0;
    if (picture == NULL || caption == NULL || path == NULL)
        result = status_fail(STATUS_NO_MEMORY, "sheet: no memory");
    for (size_t i = 0; i < count && result == STATUS_OK; i++)
        if (kept[i].made) {
            picture[made] = kept[i].picture;
            caption[made++] = kept[i].caption;
        }
    if (result == STATUS_OK && made > 0)
        result = write_sheet(path, picture, caption, made);
    free(path);
    free(caption);
    free(picture);
    return result;
}
