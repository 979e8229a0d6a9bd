/* tests/fuzz/fuzz_pickle.c - the pickle interpreter, and the walk over what it leaves. */
#include <stdlib.h>

#include "weights/torch_tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every storage is there, and full of zeros; up to a size that malloc is quick with. */
static status find_zeros(struct torch_store *store, const struct torch_storage *want,
                         const unsigned char **data)
{
    enum { STORAGE_MAX = 4096 };
    static const unsigned char zeros[STORAGE_MAX];
    (void)store;
    *data = zeros;
    return want->bytes <= STORAGE_MAX ? STATUS_OK
                                      : status_fail(STATUS_BAD_FILE, "too large for this test");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tensor_table table = { .own_cap = 1 << 20 };
    struct torch_store store = { .find = find_zeros };
    const struct pickle_value *value;
    struct pickle *pickle;
    size_t used;
    if (pickle_create(&pickle) != STATUS_OK)
        return 0;
    if (pickle_run(pickle, data, size, &value, &used) == STATUS_OK) {
        store.swap = size > 0 && data[size - 1] % 2 != 0;
        const status code = torch_tensors_read(value, &store, &table);
        volatile unsigned sum = 0;
        for (size_t i = 0; code == STATUS_OK && i < table.tensor_count; i++)
            for (size_t k = 0; k < table.tensors[i].bytes; k++)
                sum += ((const unsigned char *)table.tensors[i].data)[k];
        (void)sum;
    }
    tensor_table_release(&table);
    pickle_destroy(pickle);
    return 0;
}
