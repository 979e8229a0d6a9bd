/* weights/pickle_objects.c - what "calling" a class comes to: plain containers become values,
 * everything else an object that remembers what it was called with. */
#include "weights/pickle_heap.h"

#include <string.h>

enum container { NOT_ONE, AS_DICT, AS_SET, AS_LIST, AS_TUPLE };

static enum container container_of(const struct pickle_value *type)
{
    static const struct {
        const char *name;
        enum container kind;
    } known[] = {
        { "collections.OrderedDict", AS_DICT },
        { "collections.defaultdict", AS_DICT },
        { "collections.Counter", AS_DICT },
        { "builtins.dict", AS_DICT },
        { "builtins.set", AS_SET },
        { "builtins.frozenset", AS_SET },
        { "builtins.list", AS_LIST },
        { "builtins.tuple", AS_TUPLE },
        { "collections.deque", AS_LIST },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (pickle_is_class(type, known[i].name))
            return known[i].kind;
    return NOT_ONE;
}

static int is_sequence(const struct pickle_value *value)
{
    return value->kind == PICKLE_LIST || value->kind == PICKLE_TUPLE || value->kind == PICKLE_SET;
}

/* dict(mapping) or dict([(key, value), ...]). */
static status fill_dict(struct pickle *pickle, struct pickle_value *dict,
                        const struct pickle_value *from)
{
    if (from->kind == PICKLE_DICT)
        return pickle_append(pickle, dict, from->items.at, from->items.count);
    for (size_t i = 0; is_sequence(from) && i < from->items.count; i++) {
        const struct pickle_value *pair = from->items.at[i];
        if (!is_sequence(pair) || pair->items.count != 2)
            return status_fail(STATUS_BAD_FILE, "a pickled dict of things that are not pairs");
        TRY(pickle_append(pickle, dict, pair->items.at, 2));
    }
    return STATUS_OK;
}

static status make_container(struct pickle *pickle, enum container kind,
                             const struct pickle_value *args, struct pickle_value **out)
{
    static const enum pickle_kind kinds[] = { PICKLE_NONE, PICKLE_DICT, PICKLE_SET, PICKLE_LIST,
                                              PICKLE_TUPLE };
    TRY(pickle_new(pickle, kinds[kind], out));
    if (args->items.count == 0)
        return STATUS_OK;
    const struct pickle_value *from = args->items.at[0];
    if (kind == AS_DICT)
        return fill_dict(pickle, *out, from);
    if (is_sequence(from))
        return pickle_append(pickle, *out, from->items.at, from->items.count);
    return STATUS_OK;
}

/* copyreg's two functions make an object of the class that is their first argument. */
static int makes_first_argument(const struct pickle_value *type)
{
    return pickle_is_class(type, "copyreg._reconstructor") ||
           pickle_is_class(type, "copyreg.__newobj__") ||
           pickle_is_class(type, "copyreg.__newobj_ex__");
}

/* Legacy torch files name a module's class by a persistent id, ("module", class, file, source). */
static struct pickle_value *class_behind(struct pickle_value *type)
{
    const struct pickle_value *id = type->args;
    if (type->kind == PICKLE_PERSISTENT && id->kind == PICKLE_TUPLE && id->items.count > 1 &&
        pickle_text_is(id->items.at[0], "module") && id->items.at[1]->kind == PICKLE_CLASS)
        return id->items.at[1];
    return type;
}

status pickle_call(struct pickle *pickle, struct pickle_value *type, struct pickle_value *args,
                   struct pickle_value **out)
{
    if (args->kind != PICKLE_TUPLE)
        return status_fail(STATUS_BAD_FILE, "a pickled call whose arguments are no tuple");
    const size_t count = args->items.count;
    type = class_behind(type);
    if (type->kind == PICKLE_CLASS && makes_first_argument(type) && count > 0 &&
        args->items.at[0]->kind == PICKLE_CLASS) {
        type = args->items.at[0];
        TRY(pickle_new(pickle, PICKLE_TUPLE, &args));
    }
    const enum container kind = container_of(type);
    if (kind != NOT_ONE)
        return make_container(pickle, kind, args, out);
    if ((pickle_is_class(type, "_codecs.encode") || pickle_is_class(type, "builtins.bytearray")) &&
        count > 0 && args->items.at[0]->kind == PICKLE_TEXT)
        return pickle_bytes_from_latin1(pickle, args->items.at[0], out);
    if ((pickle_is_class(type, "builtins.bytes") || pickle_is_class(type, "builtins.bytearray")) &&
        count > 0 && args->items.at[0]->kind == PICKLE_BYTES) {
        *out = args->items.at[0];
        return STATUS_OK;
    }
    if (pickle_is_class(type, "builtins.bytes") && count == 0)
        return pickle_new(pickle, PICKLE_BYTES, out);

    /* A call of something that is no class, an object say, is as opaque as the rest. */
    TRY(pickle_new(pickle, PICKLE_OBJECT, out));
    (*out)->type = type;
    (*out)->args = args;
    return STATUS_OK;
}

status pickle_build(struct pickle_value *object, struct pickle_value *state)
{
    if (object->kind == PICKLE_OBJECT)
        object->state = state;
    return STATUS_OK; /* attributes of a dict, such as a state_dict's _metadata, are dropped */
}

status pickle_extend(struct pickle *pickle, struct pickle_value *to,
                     struct pickle_value *const *items, size_t count)
{
    if (to->kind != PICKLE_LIST && to->kind != PICKLE_SET && to->kind != PICKLE_OBJECT)
        return status_fail(STATUS_BAD_FILE, "a pickle appends to something that is no list");
    return pickle_append(pickle, to, items, count);
}

status pickle_set_items(struct pickle *pickle, struct pickle_value *to,
                        struct pickle_value *const *items, size_t count)
{
    if (to->kind != PICKLE_DICT && to->kind != PICKLE_OBJECT)
        return status_fail(STATUS_BAD_FILE, "a pickle sets a key of something that is no dict");
    if (count % 2 != 0)
        return status_fail(STATUS_BAD_FILE, "a pickled dict has a key without a value");
    return pickle_append(pickle, to, items, count);
}
