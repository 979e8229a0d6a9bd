/* weights/torch_notes.c - numbers and text beside the tensors, numpy's scalars among them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/base/dtype.h"
#include "weights/torch_tensors.h"

static int note_text(struct torch_note *out, const char *text, size_t length)
{
    out->text = text;
    out->length = length;
    return 1;
}

static int note_printed(struct torch_note *out, int length)
{
    return note_text(out, out->buffer, length < 0 ? 0 : (size_t)length);
}

static int note_real(struct torch_note *out, double real)
{
    return note_printed(out, snprintf(out->buffer, sizeof out->buffer, "%.17g", real));
}

/* numpy names an element type by letter and width: "f8", "<i4". */
static int numpy_dtype(const struct pickle_value *text, enum dtype *out)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } known[] = {
        { "f8", DTYPE_F64 }, { "f4", DTYPE_F32 }, { "f2", DTYPE_F16 },
        { "i8", DTYPE_I64 }, { "i4", DTYPE_I32 }, { "i2", DTYPE_I16 },
        { "i1", DTYPE_I8 },  { "u1", DTYPE_U8 },  { "b1", DTYPE_BOOL },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (pickle_text_is(text, known[i].name)) {
            *out = known[i].dtype;
            return 1;
        }
    return 0;
}

/* scalar(dtype("f8") with state (3, "<", ...), bytes). Older numpy wrote the bytes as text. */
static int note_numpy(const struct pickle_value *value, struct torch_note *out)
{
    const struct pickle_value *args = value->args, *type, *raw, *state;
    enum dtype dtype;
    if (args->items.count != 2)
        return 0;
    type = args->items.at[0];
    raw = args->items.at[1];
    if (!pickle_is_object_of(type, "numpy.dtype") || type->args->items.count < 1 ||
        !numpy_dtype(type->args->items.at[0], &dtype))
        return 0;
    if ((raw->kind != PICKLE_BYTES && raw->kind != PICKLE_TEXT) ||
        raw->text.length != dtype_size(dtype))
        return 0;

    unsigned char bytes[8];
    state = type->state;
    const int swap = state != NULL && state->kind == PICKLE_TUPLE && state->items.count > 1 &&
                     pickle_text_is(state->items.at[1], ">");
    for (size_t i = 0; i < raw->text.length; i++)
        bytes[swap ? raw->text.length - 1 - i : i] = (unsigned char)raw->text.at[i];
    const double number = dtype_value(bytes, dtype, 0);
    if (dtype == DTYPE_I64) { /* a double cannot hold all of them */
        int64_t integer;
        memcpy(&integer, bytes, sizeof integer);
        return note_printed(out, snprintf(out->buffer, sizeof out->buffer, "%" PRId64, integer));
    }
    if (dtype == DTYPE_BOOL)
        return number != 0 ? note_text(out, "True", 4) : note_text(out, "False", 5);
    return note_real(out, number);
}

int torch_note_read(const struct pickle_value *value, struct torch_note *out)
{
    switch (value->kind) {
    case PICKLE_TEXT:
        return note_text(out, value->text.at, value->text.length);
    case PICKLE_NONE:
        return note_text(out, "None", 4);
    case PICKLE_BOOL:
        return value->integer ? note_text(out, "True", 4) : note_text(out, "False", 5);
    case PICKLE_INT:
        return note_printed(out,
                            snprintf(out->buffer, sizeof out->buffer, "%" PRId64, value->integer));
    case PICKLE_FLOAT:
        return note_real(out, value->real);
    case PICKLE_OBJECT:
        return (pickle_is_object_of(value, "numpy.core.multiarray.scalar") ||
                pickle_is_object_of(value, "numpy._core.multiarray.scalar")) &&
               note_numpy(value, out);
    default:
        return 0;
    }
}
