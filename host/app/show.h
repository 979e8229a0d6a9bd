/* host/app/show.h - what needs no picture: lists, parameters, tokens, versions. */
#ifndef HOST_APP_SHOW_H
#define HOST_APP_SHOW_H

#include "host/app/options.h"

status show_list(const struct options *options);
status show_parameters(const char *path);
status show_tokens(void);
status show_version(void);
status show_help(void);

#endif
