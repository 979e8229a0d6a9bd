/* host/app/out_folder.h - the web UI's picture names: a counter and the seed. */
#ifndef HOST_APP_OUT_FOLDER_H
#define HOST_APP_OUT_FOLDER_H

#include <stdint.h>

#include "host/base/status.h"

/* Holds the folder against other runs until out_folder_leave(): while it is held, no other gets a
 * number. Where the file system knows no locks, nobody is kept out.
 * returns  STATUS_IO; *hold is then -1 */
status out_folder_enter(const char *folder, int *hold);
void out_folder_leave(int hold);

/* FOLDER/NNNNN-SEED.png with the number after the largest there is. free(*path).
 * source  webui images.py, get_next_sequence_number */
status out_folder_next(const char *folder, uint64_t seed, char **path);

#endif
