/* host/app/needs.h - which weights a case wants and the folders lack. */
#ifndef HOST_APP_NEEDS_H
#define HOST_APP_NEEDS_H

#include "host/mikubench.h"

/* The names that case `number` needs by the catalog and that no file found has, comma between;
 * "" if none is missing. `kind`: only files of that kind; null: all. `hashes` not 0: a file of
 * another name and the same hash serves. free(*names).
 * returns  STATUS_NO_MEMORY, as miku_list() */
status needs_missing(struct miku *miku, int number, const char *kind, int hashes, char **names);

#endif
