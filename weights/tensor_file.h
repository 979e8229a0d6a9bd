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

/* A string or number beside the tensors: safetensors' __metadata__, or a pickle's scalars. */
struct tensor_note {
    const char *key; /* joined by '/' like tensor names */
    const char *value;
};

enum tensor_format { TENSOR_SAFETENSORS, TENSOR_TORCH_ZIP, TENSOR_TORCH_LEGACY };

/* Opens a safetensors, torch zip or legacy torch file, told apart by content, and checks every
 * entry. No code in a pickle runs; see weights/pickle.h.
 *
 * memory   the file stays mapped, and all it lends stays good, until tensor_file_close(); tensors
 *          that are not contiguous, or deflated, or big endian are gathered into memory of their
 *          own
 * returns  STATUS_IO         it cannot be read, or is not a regular file
 *          STATUS_BAD_FILE   an entry is malformed, repeated or outside the file; status_text()
 *                            names the tensor, what was found and what was wanted
 *          STATUS_UNSUPPORTED  an element type or storage that this program does not know
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
size_t tensor_file_note_count(const struct tensor_file *file);
const struct tensor_note *tensor_file_note_at(const struct tensor_file *file, size_t i);

enum tensor_format tensor_file_format(const struct tensor_file *file);
const char *tensor_file_path(const struct tensor_file *file);
size_t tensor_file_bytes(const struct tensor_file *file); /* of the whole file */

/* STATUS_BAD_FILE if the file was changed or cut since it was opened (size, time). A mapped file
 * that shrinks while being read is caught by the caller asking this before and after. */
status tensor_file_unchanged(const struct tensor_file *file);

#ifdef __cplusplus
}
#endif

#endif
