/* host/app/shot.c - copies of pictures, and the line that is said of each. */
#include "host/app/shot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/text_file.h"

static char *copy_text(const char *text)
{
    return text == NULL ? NULL : text_keep(text, strlen(text));
}

char *shot_line(const struct miku_picture *picture, const char *label)
{
    char line[512];
    const char *gap = label[0] == 0 ? "" : "  ";
    snprintf(line, sizeof line, "%s%sseed %" PRIu64 "  %dx%d  %.2f s  sha256 %s%s%s", label, gap,
             picture->seed, picture->width, picture->height, picture->times.picture / 1000,
             picture->rgb_sha256, picture->stand_in ? "  stand-in weights" : "",
             picture->synthetic ? "  random weights: noise" : "");
    return copy_text(line);
}

void shot_free(struct shot *shot)
{
    if (shot == NULL)
        return;
    free(shot->rgb);
    free(shot->infotext);
    free(shot->notes);
    free(shot->path);
    free(shot->line);
    free(shot);
}

struct shot *shot_make(const struct miku_picture *picture, const char *path, const char *line)
{
    const size_t bytes = (size_t)picture->width * (size_t)picture->height * 3;
    struct shot *shot = calloc(1, sizeof *shot);
    if (shot == NULL)
        return NULL;
    *shot = (struct shot){
        .width = picture->width,
        .height = picture->height,
        .rgb = malloc(bytes),
        .infotext = copy_text(picture->infotext),
        .notes = copy_text(picture->notes),
        .path = copy_text(path),
        .line = copy_text(line),
        .seed = picture->seed,
    };
    if (shot->rgb == NULL || (line != NULL && shot->line == NULL) ||
        (path != NULL && shot->path == NULL)) {
        shot_free(shot);
        return NULL;
    }
    memcpy(shot->rgb, picture->rgb, bytes);
    return shot;
}
