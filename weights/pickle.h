/* weights/pickle.h - Python pickles read as data, by an interpreter that executes nothing.
 *
 * A pickle is a program for a small stack machine, and Python's own machine can be told to call any
 * function. This one has no calls: naming a class or function gives a PICKLE_CLASS value, and
 * "calling" it gives a PICKLE_OBJECT that remembers the class, the arguments and the state. What
 * such an object means is for the reader above (weights/torch_tensors.h). */
#ifndef WEIGHTS_PICKLE_H
#define WEIGHTS_PICKLE_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pickle; /* a heap of values, all freed at once */

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_LONG, /* an integer beyond 64 bits: text is its bytes, little endian, or its digits */
    PICKLE_FLOAT,
    PICKLE_TEXT,      /* text; UTF-8 if the pickle is right, which is not checked here */
    PICKLE_BYTES,     /* text, any bytes */
    PICKLE_TUPLE,     /* items */
    PICKLE_LIST,      /* items */
    PICKLE_SET,       /* items */
    PICKLE_DICT,      /* items: key, value, key, value; a key may stand there twice */
    PICKLE_CLASS,     /* text: "module.name", of a class or function */
    PICKLE_OBJECT,    /* type, args, and if it was given them: state, items */
    PICKLE_PERSISTENT /* args: the id of something that lies outside the pickle */
};

struct pickle_value {
    enum pickle_kind kind;
    union {
        int64_t integer; /* BOOL, INT */
        double real;
        struct {
            const char *at; /* not terminated */
            size_t length;
        } text;
        struct {
            struct pickle_value **at;
            size_t count, cap;
        } items; /* TUPLE, LIST, SET, DICT, OBJECT (keys and values, or elements) */
    };
    struct pickle_value *type, *args, *state; /* OBJECT; args also of PERSISTENT */
};

status pickle_create(struct pickle **out);
void pickle_destroy(struct pickle *pickle); /* null is fine; frees every value */

/* Runs the program at bytes[0..size) to its STOP; *value is what it leaves, *used its length.
 * All opcodes of protocols 0 to 5 are known but for the extension registry and out-of-band
 * buffers. dict, OrderedDict, set, list, tuple, bytes and their kin become plain values.
 *
 * memory   values last until pickle_destroy() and may point into `bytes`. At most 256 MiB in all;
 *          time and memory are linear in `size`, whatever the program does
 * returns  STATUS_BAD_FILE   cut short, an empty stack, an unknown opcode, a missing memo entry;
 *                            a function that no weights file needs, such as os.system, by its name
 *          STATUS_NO_MEMORY
 * source   CPython Lib/pickletools.py, which defines every opcode
 */
status pickle_run(struct pickle *pickle, const unsigned char *bytes, size_t size,
                  const struct pickle_value **value, size_t *used);

/* All PICKLE_PERSISTENT values that were made, a tuple, lent; in the order of the pickle. */
const struct pickle_value *pickle_persistent(const struct pickle *pickle);

/* STATUS_BAD_FILE if a pickle that names module.name wants to do something and not to be something:
 * run commands or code, open files, reach the network. */
status pickle_name_allowed(const char *module, size_t module_length, const char *name,
                           size_t name_length);

/* 1 if the value is a class, or an object of a class, with this full name. */
int pickle_is_class(const struct pickle_value *value, const char *name);
int pickle_is_object_of(const struct pickle_value *value, const char *name);

/* 1 if the value is text and equals it. */
int pickle_text_is(const struct pickle_value *value, const char *text);

/* The value of the last entry of a dict under this text, lent; null if there is none. */
const struct pickle_value *pickle_dict_get(const struct pickle_value *dict, const char *key);

#ifdef __cplusplus
}
#endif

#endif
