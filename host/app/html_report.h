/* host/app/html_report.h - a document of --json as a page for people. */
#ifndef HOST_APP_HTML_REPORT_H
#define HOST_APP_HTML_REPORT_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "host/base/status.h"

/* One HTML file that asks for nothing: pictures are embedded (read from where the document says
 * they are), scripts there are none. A picture whose pixels are no longer the document's is left
 * out, and said to be. free(*text). returns STATUS_NO_MEMORY */
status html_report(const cJSON *document, char **text, size_t *bytes);

/* The same, into a file that appears whole or not at all. */
status html_report_write(const cJSON *document, const char *path);

/* --from: of the document in a file. returns what document_read() does, too */
status html_report_from(const char *json, const char *path);

#endif
