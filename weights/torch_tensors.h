/* weights/torch_tensors.h - what torch's objects in a pickle mean: tensors over storages. */
#ifndef WEIGHTS_TORCH_TENSORS_H
#define WEIGHTS_TORCH_TENSORS_H

#include "weights/pickle.h"
#include "weights/tensor_table.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A storage as its persistent id names it: ("storage", class, key, location, elements[, view]). */
struct torch_storage {
    const char *key; /* not terminated */
    size_t key_length;
    enum dtype dtype;       /* DTYPE_U8 for an untyped storage, whose elements are bytes */
    size_t elements, bytes; /* of the whole storage */
    size_t view_first, view_elements; /* legacy files may name a part of it */
};

/* Where storages are found; the two file formats each embed one. */
struct torch_store {
    status (*find)(struct torch_store *store, const struct torch_storage *want,
                   const unsigned char **data); /* want->bytes of them */
    int swap;                                   /* 1: elements are big endian */
};

/* Takes a persistent id apart.
 * returns  STATUS_BAD_FILE, STATUS_UNSUPPORTED (element type) */
status torch_storage_read(const struct pickle_value *persistent, struct torch_storage *out);

/* Walks dicts, lists and tuples from `root` and adds every tensor and every scalar it meets, by the
 * path that leads there.
 * returns  STATUS_BAD_FILE    a tensor reaches outside its storage, two have one name; nesting
 *                             beyond 64 levels, or shared so that it unfolds into millions
 *          STATUS_UNSUPPORTED */
status torch_tensors_read(const struct pickle_value *root, struct torch_store *store,
                          struct tensor_table *table);

/* 1 if the value is text, a number, a boolean, None or a numpy scalar, written to `out`. Text is
 * lent from the pickle, numbers stand in `buffer`. */
struct torch_note {
    const char *text;
    size_t length;
    char buffer[48];
};
int torch_note_read(const struct pickle_value *value, struct torch_note *out);

#ifdef __cplusplus
}
#endif

#endif
