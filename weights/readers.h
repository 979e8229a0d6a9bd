/* weights/readers.h - the formats behind tensor_file.h: each turns the bytes of a file into rows of
 * a table. */
#ifndef WEIGHTS_READERS_H
#define WEIGHTS_READERS_H

#include "weights/tensor_table.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The bytes of a file; they have to outlive what is read from them. */
struct file_bytes {
    const unsigned char *at;
    size_t size;
};

/* Fill `table`, whose tensors may point into the bytes. On failure the table is half filled and
 * good only for tensor_table_release(). Codes as tensor_file_open(). */
status safetensors_read(struct file_bytes file, struct tensor_table *table);
status torch_zip_read(struct file_bytes file, struct tensor_table *table);
status torch_legacy_read(struct file_bytes file, struct tensor_table *table);

/* Tells the format by the first bytes and reads it. */
status tensor_bytes_read(struct file_bytes file, struct tensor_table *table,
                         enum tensor_format *format);

#ifdef __cplusplus
}
#endif

#endif
