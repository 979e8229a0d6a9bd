/* tests/fuzz/fuzz_safetensors.c - the safetensors reader. */
#include "weights/readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tensor_table table = { .own_cap = 1 << 20 };
    const struct file_bytes file = { data, size };
    volatile unsigned sum = 0; /* every byte that is lent has to be there */
    if (safetensors_read(file, &table) == STATUS_OK)
        for (size_t i = 0; i < table.tensor_count; i++)
            for (size_t k = 0; k < table.tensors[i].bytes; k++)
                sum += ((const unsigned char *)table.tensors[i].data)[k];
    (void)sum;
    tensor_table_release(&table);
    return 0;
}
