/* weights/tensor_table.h - what the readers fill and a tensor_file lends: tensors, notes, classes,
 * and the memory they stand in. */
#ifndef WEIGHTS_TENSOR_TABLE_H
#define WEIGHTS_TENSOR_TABLE_H

#include <stdint.h>

#include "weights/tensor_file.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tensor_block; /* one piece of owned memory */

struct name_index { /* open addressing; slot values are index + 1 */
    uint32_t *slots;
    size_t cap; /* 0 or a power of two */
};

/* Zero-initialised but for own_cap; tensor_table_release() frees it. */
struct tensor_table {
    struct tensor *tensors;
    struct tensor_note *notes;
    const char **classes;
    size_t tensor_count, note_count, class_count;
    size_t tensor_cap, note_cap, class_cap;
    struct name_index by_name, by_key;
    struct tensor_block *blocks;
    size_t own_bytes, own_cap; /* memory handed out by tensor_table_own(), and its limit */
    size_t text_bytes;         /* of names and notes */
};

/* Adds a tensor whose name is the `length` bytes at `name`. The rest of `tensor` is copied; its
 * data has to outlive the table.
 * returns  STATUS_BAD_FILE  the name is there already, is not UTF-8, holds a NUL or is too long */
status tensor_table_add(struct tensor_table *table, const char *name, size_t length,
                        const struct tensor *tensor);

/* Adds a note; one that is there already gets the new value. A key or value that is not clean
 * UTF-8 is left out: notes are for people. */
status tensor_table_note(struct tensor_table *table, const char *key, size_t key_length,
                         const char *value, size_t value_length);

/* Adds a class, once. */
status tensor_table_class(struct tensor_table *table, const char *name, size_t length);

/* Memory for `bytes` that the file did not hold as they are wanted.
 * returns  STATUS_BAD_FILE   more than own_cap in all: the file asks for more than it can mean
 *          STATUS_NO_MEMORY */
status tensor_table_own(struct tensor_table *table, size_t bytes, void **out);

const struct tensor *tensor_table_find(const struct tensor_table *table, const char *name);
const struct tensor_note *tensor_table_find_note(const struct tensor_table *table, const char *key);

void tensor_table_release(struct tensor_table *table);

/* Elements of a shape, and their bytes.
 * returns  0 if either does not fit a size_t */
int tensor_shape_bytes(const size_t *shape, int rank, enum dtype dtype, size_t *elements,
                       size_t *bytes);

/* 1 if the bytes are UTF-8 (surrogates passed, as Python writes them) without a NUL. */
int tensor_text_is_clean(const char *text, size_t length);

#ifdef __cplusplus
}
#endif

#endif
