/* weights/json_file.h - a small JSON file, and its fields checked. */
#ifndef WEIGHTS_JSON_FILE_H
#define WEIGHTS_JSON_FILE_H

#include <stdint.h>

#include <cJSON.h>

#include "host/base/status.h"

/* Reads a file of at most 1 MiB; cJSON_Delete(*out).
 * returns  STATUS_NOT_FOUND  it is not there
 *          STATUS_IO         it cannot be read
 *          STATUS_BAD_FILE   it is too long, or no JSON; *out is then null */
status json_file_read(const char *path, cJSON **out);

/* Fields of an object; the text of a failure names the file and the field. Strings are lent. */
status json_string(const cJSON *object, const char *path, const char *key, const char **out);
status json_count(const cJSON *object, const char *path, const char *key, uint64_t *out);
status json_list(const cJSON *object, const char *path, const char *key, const cJSON **out);

/* The string, or `otherwise` if there is none. */
const char *json_string_or(const cJSON *object, const char *key, const char *otherwise);

#endif
