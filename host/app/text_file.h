/* host/app/text_file.h - texts that people hand in. */
#ifndef HOST_APP_TEXT_FILE_H
#define HOST_APP_TEXT_FILE_H

#include <stddef.h>

#include "host/base/status.h"

enum { TEXT_FILE_LIMIT = 64 << 20 };

/* Reads a whole file, or standard input for "-"; a NUL follows the last byte. free(*text).
 * returns  STATUS_IO, STATUS_BAD_FILE (longer than TEXT_FILE_LIMIT), STATUS_NO_MEMORY; *text is
 *          then null */
status text_file_read(const char *path, char **text, size_t *bytes);

/* STATUS_BAD_TEXT unless the bytes are UTF-8 without a NUL. A byte order mark is fine. */
status text_check(const char *text, size_t bytes);

/* The same for a C string; `what` comes first in the message. */
status text_check_string(const char *what, const char *text);

/* `text` in memory of its own; null if there is none to be had. */
char *text_keep(const char *text, size_t bytes);

/* Makes a folder and those above it. returns STATUS_IO, STATUS_NO_MEMORY */
status folder_make(const char *path);

/* STATUS_IO unless a file can be made in the folder of `path`, or written at `path` itself. */
status text_file_check_writable(const char *path);

#endif
