/* host/app/replay.h - a picture made again from its own parameters. */
#ifndef HOST_APP_REPLAY_H
#define HOST_APP_REPLAY_H

#include <stdint.h>

#include "host/app/jobs.h"

struct replay {
    uint8_t *rgb; /* the picture to compare with; null: there was only text */
    int width, height;
    char *notes; /* what our own pictures say beside the infotext */
    char *device, *precision;
};

/* Reads the file, adds its request to the jobs, and takes from a PNG's `mikubench` chunk VAE,
 * compat, device and precision where the command line has none.
 * returns  STATUS_BAD_TEXT (no parameters in it), STATUS_UNSUPPORTED (a key), as
 *          miku_request_parse(), ... */
status replay_open(const char *path, struct options *options, struct jobs *jobs,
                   struct replay *replay);
void replay_free(struct replay *replay);

/* Says how near the new picture is. returns STATUS_NOT_FINITE if it is not near enough */
status replay_compare(const struct replay *replay, const struct options *options,
                      const struct miku_picture *made);

/* The infotext in a PNG or a text file, told apart by content. free(*text), and replay_free()
 * whatever came of it.
 * returns  STATUS_WRONG_KIND (neither), STATUS_BAD_TEXT (a PNG without), STATUS_IO, ... */
status replay_read_text(const char *path, char **text, size_t *bytes, struct replay *replay);

#endif
