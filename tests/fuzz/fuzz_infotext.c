/* tests/fuzz/fuzz_infotext.c - reading, writing what was read, JSON. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/prompt/infotext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round(const struct infotext *info)
{
    const struct compat compat = { 1, 8, 0, 0 };
    char *text;
    struct infotext *again;
    if (infotext_write(info->prompt, info->negative, info->pair, info->count, &compat, &text) !=
        STATUS_OK)
        return;
    if (infotext_parse(text, strlen(text), &again) == STATUS_OK)
        infotext_free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct infotext *info;
    char *json;
    if (infotext_parse((const char *)data, size, &info) == STATUS_OK) {
        long long whole;
        double real;
        int width, height;
        for (size_t i = 0; i < info->count; i++) {
            infotext_get_int(info, info->pair[i].key, &whole);
            infotext_get_double(info, info->pair[i].key, &real);
            infotext_get_size(info, info->pair[i].key, &width, &height);
        }
        check_round(info);
        infotext_free(info);
    }
    if (infotext_to_json((const char *)data, size, &json) == STATUS_OK)
        free(json);
    return 0;
}
