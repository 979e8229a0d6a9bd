/* host/app/weights_set.h - which folders of weights a run looks through. */
#ifndef HOST_APP_WEIGHTS_SET_H
#define HOST_APP_WEIGHTS_SET_H

#include <stddef.h>

#include "host/app/options.h"

struct weights_set {
    char **folder;
    size_t count;
    int embedded;      /* nothing was asked for: the set that comes with the program */
    int stand_in;      /* the one folder's manifest says that its weights stand in for others */
    int width, height; /* its picture size; 0 if unknown */
};

/* --weights, else MIKUBENCH_WEIGHTS, else the embedded set.
 * returns  STATUS_NOT_FOUND, STATUS_BAD_FILE (a manifest), STATUS_NO_MEMORY */
status weights_set_choose(const struct options *options, struct weights_set *set);
void weights_set_free(struct weights_set *set);

/* Gives a request the set's own picture size, unless the command line says one. */
void weights_set_size(const struct weights_set *set, const struct options *options,
                      struct miku_request *request);

#endif
