/* weights/tensor_file.h - named tensors in a file, whatever its format. */
#ifndef WEIGHTS_TENSOR_FILE_H
#define WEIGHTS_TENSOR_FILE_H

#include <stddef.h>

#include "host/base/dtype.h"
#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TENSOR_MAX_RANK = 8 };

struct tensor_file;

struct tensor {
    const char *name; /* UTF-8, as in the file; nested dictionaries are joined by '/', e.g.
                         "state_dict/betas"; a key that is itself "*" stays so */
    enum dtype dtype;
    int rank;                      /* 0 is legal: a LoRA's alpha is a scalar */
    size_t shape[TENSOR_MAX_RANK]; /* outermost first; shape[rank] and on are 0 */
    const void *data;              /* `bytes` of them, contiguous, little endian, any alignment */
    size_t bytes;                  /* dtype size * product of shape, checked at opening */
};

/* Product of the shape; 1 for rank 0. */
size_t tensor_elements(const struct tensor *tensor);

/* All elements as f32, outermost first, to out[tensor_elements()]; each rounded once. */
void tensor_to_f32(const struct tensor *tensor, float *out);

/* A string or number beside the tensors: safetensors' __metadata__, or a pickle's scalars. */
struct tensor_note {
    const char *key;   /* joined by '/' like tensor names; list elements by their number */
    const char *value; /* text as it is; numbers in decimal; True, False, None */
};

enum tensor_format { TENSOR_SAFETENSORS, TENSOR_TORCH_ZIP, TENSOR_TORCH_LEGACY };

/* Opens a safetensors, torch zip or legacy torch file, told apart by content, and checks every
 * entry. No code in a pickle runs; see weights/pickle.h. Values are not looked at: NaN is legal
 * here, and so is a file of no tensors.
 *
 * memory   all it lends stays good until tensor_file_close(). A file of up to 8 MiB is read into
 *          memory, so that nothing done to it later matters; a larger one stays mapped, and its
 *          tensors point into the mapping. Tensors that are not contiguous, or deflated, or big
 *          endian are gathered into memory of their own.
 * returns  STATUS_IO           it cannot be read, or is not a regular file
 *          STATUS_BAD_FILE     an entry is malformed, repeated or outside the file; a pickle names
 *                              a dangerous function; status_text() has the file, the tensor, what
 *                              was found and what was wanted
 *          STATUS_UNSUPPORTED  an element type or storage that this program does not know
 *          STATUS_NO_MEMORY    with the bytes asked for
 *          On failure *out is null.
 * source   safetensors README, "Format"; torch/serialization.py
 */
status tensor_file_open(const char *path, struct tensor_file **out);
void tensor_file_close(struct tensor_file *file); /* null is fine */

/* The tensor called `name`, lent; null if there is none. */
const struct tensor *tensor_file_find(const struct tensor_file *file, const char *name);

/* All tensors, in the order of the file. */
size_t tensor_file_count(const struct tensor_file *file);
const struct tensor *tensor_file_at(const struct tensor_file *file, size_t i);

/* The note called `key`, lent; null if there is none. */
const char *tensor_file_note(const struct tensor_file *file, const char *key);

/* Classes that a pickle named and this program does not know, each once, such as
 * "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint". Their objects were passed over.
 */
size_t tensor_file_class_count(const struct tensor_file *file);
const char *tensor_file_class_at(const struct tensor_file *file, size_t i);

enum tensor_format tensor_file_format(const struct tensor_file *file);
const char *tensor_file_path(const struct tensor_file *file);

/* STATUS_BAD_FILE if the file was changed, cut or replaced since it was opened (size, time, inode).
 *
 * Call it before a long read of tensors, and again before the result is trusted: a mapping
 * shows whatever the file holds now. A file that was cut is caught by the first call. Cut between
 * the two calls, reading past its new end raises SIGBUS; a library cannot catch that without
 * taking the process's signal handlers, so only files of up to 8 MiB, which are not mapped, are
 * safe from it. */
status tensor_file_unchanged(const struct tensor_file *file);

#ifdef __cplusplus
}
#endif

#endif
