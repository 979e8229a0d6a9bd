/* weights/torch_tensors.c - storages, and the tensors that look into them. */
#include <string.h>

#include "weights/torch_tensors.h"

#include "weights/torch_rebuild.h"

/* ---- storages ------------------------------------------------------------------------ */

static int size_of(const struct pickle_value *value, size_t *out)
{
    if (value->kind != PICKLE_INT || value->integer < 0)
        return 0;
    *out = (size_t)value->integer;
    return 1;
}

static status storage_dtype(const struct pickle_value *type, enum dtype *out)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } known[] = {
        { "FloatStorage", DTYPE_F32 },     { "HalfStorage", DTYPE_F16 },
        { "BFloat16Storage", DTYPE_BF16 }, { "DoubleStorage", DTYPE_F64 },
        { "LongStorage", DTYPE_I64 },      { "IntStorage", DTYPE_I32 },
        { "ShortStorage", DTYPE_I16 },     { "CharStorage", DTYPE_I8 },
        { "ByteStorage", DTYPE_U8 },       { "BoolStorage", DTYPE_BOOL },
        { "UntypedStorage", DTYPE_U8 },
    };
    if (type->kind != PICKLE_CLASS)
        return status_fail(STATUS_BAD_FILE, "a storage without a class");
    size_t start = type->text.length; /* torch., torch.cuda., torch.storage.: after the last dot */
    while (start > 0 && type->text.at[start - 1] != '.')
        start--;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].name) == type->text.length - start &&
            memcmp(known[i].name, type->text.at + start, type->text.length - start) == 0) {
            *out = known[i].dtype;
            return STATUS_OK;
        }
    return status_fail(STATUS_UNSUPPORTED, "storage of class %.*s is not known",
                       (int)(type->text.length > 100 ? 100 : type->text.length), type->text.at);
}

/* None, or (key, offset, size) in elements. */
static status storage_view(const struct pickle_value *view, struct torch_storage *out)
{
    if (view->kind == PICKLE_NONE)
        return STATUS_OK;
    if (view->kind != PICKLE_TUPLE || view->items.count != 3 ||
        !size_of(view->items.at[1], &out->view_first) ||
        !size_of(view->items.at[2], &out->view_elements) || out->view_first > out->elements ||
        out->view_elements > out->elements - out->view_first)
        return status_fail(STATUS_BAD_FILE, "storage \"%.*s\": a view that reaches outside it",
                           (int)out->key_length, out->key);
    return STATUS_OK;
}

status torch_storage_read(const struct pickle_value *persistent, struct torch_storage *out)
{
    const struct pickle_value *id = persistent->args;
    if (id->kind != PICKLE_TUPLE || id->items.count < 5 || id->items.count > 6 ||
        !pickle_text_is(id->items.at[0], "storage"))
        return status_fail(STATUS_BAD_FILE, "a persistent id that names no storage");
    const struct pickle_value *key = id->items.at[2];
    *out = (struct torch_storage){ .key = key->text.at, .key_length = key->text.length };
    if (key->kind != PICKLE_TEXT || key->text.length > 200 ||
        !tensor_text_is_clean(key->text.at, key->text.length))
        return status_fail(STATUS_BAD_FILE, "a storage whose key is no short text");
    TRY(storage_dtype(id->items.at[1], &out->dtype));
    if (!size_of(id->items.at[4], &out->elements) ||
        out->elements > SIZE_MAX / 2 / dtype_size(out->dtype))
        return status_fail(STATUS_BAD_FILE, "storage \"%.*s\": its number of elements is no size",
                           (int)out->key_length, out->key);
    out->bytes = out->elements * dtype_size(out->dtype);
    out->view_elements = out->elements;
    return id->items.count == 6 ? storage_view(id->items.at[5], out) : STATUS_OK;
}

/* ---- the walk ------------------------------------------------------------------------ */

enum {
    DEPTH_MAX = 64,
    PATH_MAX_BYTES = 4096,
    VISITS_MAX = 4 * 1000 * 1000, /* a checkpoint with its optimiser's state makes ten thousand */
    ITEMS_NOTED_MAX = 64          /* a longer list of numbers is no note for people */
};

struct walk {
    struct torch_store *store;
    struct tensor_table *table;
    size_t visits, depth, length;
    char path[PATH_MAX_BYTES];
};

static status visit(struct walk *w, const struct pickle_value *value);

static status charge(struct walk *w, size_t visits)
{
    w->visits += visits;
    return w->visits <= VISITS_MAX
               ? STATUS_OK
               : status_fail(STATUS_BAD_FILE, "the pickle unfolds into more than %d values",
                             (int)VISITS_MAX);
}

/* torch.float32, torch.Size and their kind are known, they only mean nothing here. */
static status note_class(struct walk *w, const struct pickle_value *type)
{
    static const char *const known[] = { "torch.", "builtins.", "numpy.dtype" };
    if (type->kind != PICKLE_CLASS)
        return STATUS_OK;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (type->text.length >= strlen(known[i]) &&
            memcmp(type->text.at, known[i], strlen(known[i])) == 0 &&
            memchr(type->text.at + strlen(known[i]), '.', type->text.length - strlen(known[i])) ==
                NULL)
            return STATUS_OK;
    return tensor_table_class(w->table, type->text.at, type->text.length);
}

/* Visits `value` under path/text. */
static status visit_under(struct walk *w, const char *text, size_t text_length,
                          const struct pickle_value *value)
{
    const size_t length = w->length, slash = length > 0;
    if (text_length > PATH_MAX_BYTES - length - slash)
        return status_fail(STATUS_BAD_FILE, "a name of more than %d bytes, below \"%.*s\"",
                           (int)PATH_MAX_BYTES, (int)(length > 100 ? 100 : length), w->path);
    if (slash)
        w->path[w->length++] = '/';
    memcpy(w->path + w->length, text, text_length);
    w->length += text_length;
    const status code = visit(w, value);
    w->length = length;
    return code;
}

static status visit_items(struct walk *w, const struct pickle_value *list)
{
    for (size_t i = 0; i < list->items.count; i++) {
        const struct pickle_value number = { .kind = PICKLE_INT, .integer = (int64_t)i };
        struct torch_note name, note;
        if (list->items.count > ITEMS_NOTED_MAX && torch_note_read(list->items.at[i], &note)) {
            TRY(charge(w, 1));
            continue;
        }
        torch_note_read(&number, &name);
        TRY(visit_under(w, name.text, name.length, list->items.at[i]));
    }
    return STATUS_OK;
}

/* Keys that are no text or number get their place in the dict, so that two stay two. */
static status visit_pair(struct walk *w, size_t place, const struct pickle_value *key,
                         const struct pickle_value *value)
{
    const struct pickle_value *type = key->kind == PICKLE_OBJECT ? key->type : key;
    struct torch_note name;
    if (torch_note_read(key, &name) && name.length <= PATH_MAX_BYTES)
        return visit_under(w, name.text, name.length, value);
    TRY(note_class(w, type));
    if (type->kind == PICKLE_CLASS && key == type)
        return visit_under(w, type->text.at, type->text.length, value);
    if (type->kind != PICKLE_CLASS || type->text.length > 1000)
        type = NULL;
    char text[1100];
    const struct pickle_value number = { .kind = PICKLE_INT, .integer = (int64_t)place };
    size_t length = type == NULL ? 3 : type->text.length;
    memcpy(text, type == NULL ? "key" : type->text.at, length);
    text[length++] = '#';
    torch_note_read(&number, &name);
    memcpy(text + length, name.text, name.length);
    return visit_under(w, text, length + name.length, value);
}

static status visit_dict(struct walk *w, const struct pickle_value *dict)
{
    for (size_t i = 0; i + 1 < dict->items.count; i += 2)
        TRY(visit_pair(w, i / 2, dict->items.at[i], dict->items.at[i + 1]));
    return STATUS_OK;
}

/* A ParameterDict's tensors are its state's _parameters; what was no Parameter is an attribute, and
 * _keys (torch 1.12 and later) says in which order they were put in. */
static status visit_parameter_dict(struct walk *w, const struct pickle_value *object)
{
    const struct pickle_value *state = object->state;
    if (state == NULL || state->kind != PICKLE_DICT)
        return STATUS_OK;
    TRY(charge(w, state->items.count));
    const struct pickle_value *parameters = pickle_dict_get(state, "_parameters");
    if (parameters != NULL && parameters->kind == PICKLE_DICT)
        TRY(visit_dict(w, parameters));
    for (size_t i = 0; i + 1 < state->items.count; i += 2)
        if (torch_rebuilds_tensor(state->items.at[i + 1]))
            TRY(visit_pair(w, i / 2, state->items.at[i], state->items.at[i + 1]));
    return STATUS_OK;
}

static status visit_object(struct walk *w, const struct pickle_value *object)
{
    struct torch_note note;
    if (torch_rebuilds_tensor(object)) {
        struct tensor tensor = { .rank = 0 };
        const status code = torch_rebuild(object, w->store, w->table, &tensor);
        if (code != STATUS_OK)
            return status_prefix(code, "tensor \"%.*s\"", (int)w->length, w->path);
        return tensor_table_add(w->table, w->path, w->length, &tensor);
    }
    if (pickle_is_object_of(object, "torch.nn.modules.container.ParameterDict"))
        return visit_parameter_dict(w, object);
    if (torch_note_read(object, &note))
        return tensor_table_note(w->table, w->path, w->length, note.text, note.length);
    return note_class(w, object->type);
}

static status visit(struct walk *w, const struct pickle_value *value)
{
    struct torch_note note;
    status code = STATUS_OK;
    TRY(charge(w, 1));
    if (w->depth == DEPTH_MAX)
        return status_fail(STATUS_BAD_FILE, "the pickle is nested more than %d levels deep",
                           (int)DEPTH_MAX);
    w->depth++;
    if (value->kind == PICKLE_OBJECT)
        code = visit_object(w, value);
    else if (value->kind == PICKLE_DICT)
        code = visit_dict(w, value);
    else if (value->kind == PICKLE_LIST || value->kind == PICKLE_TUPLE)
        code = visit_items(w, value);
    else if (value->kind == PICKLE_CLASS)
        code = note_class(w, value);
    else if (torch_note_read(value, &note))
        code = tensor_table_note(w->table, w->path, w->length, note.text, note.length);
    w->depth--;
    return code;
}

status torch_tensors_read(const struct pickle_value *root, struct torch_store *store,
                          struct tensor_table *table)
{
    struct walk w = { .store = store, .table = table };
    return visit(&w, root);
}
