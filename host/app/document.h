/* host/app/document.h - a document of --json read again, and asked: whatever lacks is answered with
 * nothing, so that a document written by hand cannot bring its reader down. */
#ifndef HOST_APP_DOCUMENT_H
#define HOST_APP_DOCUMENT_H

#include <cjson/cJSON.h>

#include "host/base/status.h"

/* Reads a file and checks that it is ours and of this version; cJSON_Delete(*out).
 * returns  STATUS_IO; STATUS_BAD_FILE with a line that names the file and what is wrong */
status document_read(const char *path, cJSON **out);

/* The member of that name; null if there is none or `at` is no object. */
const cJSON *document_at(const cJSON *at, const char *key);

const char *document_text(const cJSON *at, const char *key); /* null: no text */
int document_flag(const cJSON *at, const char *key);         /* 1 if it is true */

/* NaN if there is no finite number. */
double document_number(const cJSON *at, const char *key);

/* Numbers of an array, finite ones; free(*values). returns STATUS_NO_MEMORY */
status document_values(const cJSON *array, double **values, size_t *count);

#endif
