/* tests/fuzz/fuzz_document.c - documents of --json from anywhere, as a page and compared with
 * themselves. */
#include <stdint.h>
#include <stdlib.h>

#include "host/app/compare.h"
#include "host/app/html_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct comparison comparison;
    char *text;
    size_t bytes;
    cJSON *document = cJSON_ParseWithLength((const char *)data, size);
    if (document == NULL)
        return 0;
    if (html_report(document, &text, &bytes) == STATUS_OK)
        free(text);
    if (compare_documents(&(struct compare_args){ .a = document, .b = document, .anyway = 1 },
                          &comparison) == STATUS_OK)
        compare_free(&comparison);
    cJSON_Delete(document);
    return 0;
}
