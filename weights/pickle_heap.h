/* weights/pickle_heap.h - memory of the pickle interpreter: taken piece by piece, freed at once,
 * never more than a limit. */
#ifndef WEIGHTS_PICKLE_HEAP_H
#define WEIGHTS_PICKLE_HEAP_H

#include "weights/pickle.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pickle_chunk;

struct pickle {
    struct pickle_chunk *chunks;
    size_t left;                    /* bytes free in the first chunk */
    size_t total;                   /* bytes of all chunks */
    struct pickle_value persistent; /* a tuple */
};

/* `bytes` of memory, aligned for anything. */
status pickle_take(struct pickle *pickle, size_t bytes, void **out);

/* A value of this kind, otherwise zero. */
status pickle_new(struct pickle *pickle, enum pickle_kind kind, struct pickle_value **out);

/* Appends to a value's items. */
status pickle_append(struct pickle *pickle, struct pickle_value *to,
                     struct pickle_value *const *items, size_t count);

/* Text of the older protocols. `line` has no line feed; *out is a PICKLE_TEXT.
 * string: a Python literal in quotes, with its escapes. unicode: \uXXXX and Latin-1. */
status pickle_text_from_string(struct pickle *pickle, const char *line, size_t length,
                               struct pickle_value **out);
status pickle_text_from_unicode(struct pickle *pickle, const char *line, size_t length,
                                struct pickle_value **out);

/* The bytes that Python's text.encode("latin1") gives: how Python 3 writes bytes in protocol 2. */
status pickle_bytes_from_latin1(struct pickle *pickle, const struct pickle_value *text,
                                struct pickle_value **out);

/* "Calls" type(*args): see weights/pickle_objects.c. */
status pickle_call(struct pickle *pickle, struct pickle_value *type, struct pickle_value *args,
                   struct pickle_value **out);
status pickle_build(struct pickle_value *object, struct pickle_value *state);
status pickle_extend(struct pickle *pickle, struct pickle_value *to,
                     struct pickle_value *const *items, size_t count);
status pickle_set_items(struct pickle *pickle, struct pickle_value *to,
                        struct pickle_value *const *items, size_t count);

#ifdef __cplusplus
}
#endif

#endif
