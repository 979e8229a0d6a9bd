/* host/app/preview.h - pictures drawn in the terminal, for --show. */
#ifndef HOST_APP_PREVIEW_H
#define HOST_APP_PREVIEW_H

#include "host/mikubench.h"

/* Why nothing can be drawn: the build lacks the library, standard output is no terminal, ...; null
 * if pictures can be drawn. */
const char *preview_lacks(void);

/* Draws it, as wide as the terminal allows and half as high at the most. */
void preview_say(const struct miku_picture *picture);

#endif
