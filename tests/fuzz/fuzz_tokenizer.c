/* tests/fuzz/fuzz_tokenizer.c - any bytes give ids of the vocabulary. */
#include <stdlib.h>

#include "host/prompt/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *tokenizer;
    int32_t *ids;
    size_t count;
    if (tokenizer == NULL && tokenizer_create(&tokenizer) != STATUS_OK)
        abort();
    if (tokenizer_encode(tokenizer, (const char *)data, size, &ids, &count) != STATUS_OK)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (tokenizer_piece(tokenizer, ids[i]) == NULL)
            abort();
    free(ids);
    return 0;
}
