/* weights/pickle.c - the instructions of the stack machine. One byte is one; nothing recurses. */
#include "weights/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "weights/pickle_machine.h"

/* ---- making values ------------------------------------------------------------------- */

static status push_new(struct machine *m, enum pickle_kind kind)
{
    struct pickle_value *value;
    TRY(pickle_new(m->heap, kind, &value));
    return machine_push(m, value);
}

static status push_integer(struct machine *m, enum pickle_kind kind, int64_t integer)
{
    struct pickle_value *value;
    TRY(pickle_new(m->heap, kind, &value));
    value->integer = integer;
    return machine_push(m, value);
}

static status push_real(struct machine *m, double real)
{
    struct pickle_value *value;
    TRY(pickle_new(m->heap, PICKLE_FLOAT, &value));
    value->real = real;
    return machine_push(m, value);
}

static status push_text(struct machine *m, enum pickle_kind kind, const void *at, size_t length)
{
    struct pickle_value *value;
    TRY(pickle_new(m->heap, kind, &value));
    value->text.at = at;
    value->text.length = length;
    return machine_push(m, value);
}

/* A length of `width` bytes, then as many bytes. */
static status push_counted(struct machine *m, enum pickle_kind kind, size_t width)
{
    uint64_t length;
    const unsigned char *at;
    TRY(machine_take_number(m, width, &length));
    if (length > (uint64_t)(m->end - m->at))
        return status_fail(STATUS_BAD_FILE, "a pickled string of %ju bytes, only %zu follow",
                           (uintmax_t)length, (size_t)(m->end - m->at));
    TRY(machine_take(m, (size_t)length, &at));
    return push_text(m, kind, at, (size_t)length);
}

/* Two's complement, little endian, `length` bytes. */
static status push_long(struct machine *m, uint64_t length)
{
    const unsigned char *at;
    if (length > (uint64_t)(m->end - m->at))
        return status_fail(STATUS_BAD_FILE, "a pickled integer of %ju bytes, only %zu follow",
                           (uintmax_t)length, (size_t)(m->end - m->at));
    TRY(machine_take(m, (size_t)length, &at));
    if (length > 8)
        return push_text(m, PICKLE_LONG, at, (size_t)length);
    uint64_t bits = length > 0 && at[length - 1] >= 0x80 ? UINT64_MAX : 0;
    for (size_t i = (size_t)length; i-- > 0;)
        bits = bits << 8 | at[i];
    int64_t integer;
    memcpy(&integer, &bits, sizeof integer);
    return push_integer(m, PICKLE_INT, integer);
}

/* INT and LONG: decimal digits; "01" and "00" are booleans; LONG ends in L. */
static status push_decimal(struct machine *m)
{
    const char *line;
    size_t length;
    TRY(machine_take_line(m, &line, &length));
    if (length == 2 && line[0] == '0' && (line[1] == '0' || line[1] == '1'))
        return push_integer(m, PICKLE_BOOL, line[1] - '0');
    if (length > 0 && line[length - 1] == 'L')
        length--;
    const int negative = length > 0 && line[0] == '-';
    int64_t value = 0;
    if (length == (size_t)negative)
        return status_fail(STATUS_BAD_FILE, "a pickled integer without digits");
    for (size_t i = (size_t)negative; i < length; i++)
        if (line[i] < '0' || line[i] > '9')
            return status_fail(STATUS_BAD_FILE, "a pickled integer that is no number");
    if (length > 18)
        return push_text(m, PICKLE_LONG, line, length);
    for (size_t i = (size_t)negative; i < length; i++)
        value = value * 10 + (line[i] - '0');
    return push_integer(m, PICKLE_INT, negative ? -value : value);
}

static status push_float_line(struct machine *m)
{
    const char *line;
    size_t length;
    char text[64], *end;
    TRY(machine_take_line(m, &line, &length));
    if (length == 0 || length >= sizeof text)
        return status_fail(STATUS_BAD_FILE, "a pickled float that is no number");
    memcpy(text, line, length);
    text[length] = 0;
    const double value = strtod(text, &end);
    if (end == text)
        return status_fail(STATUS_BAD_FILE, "a pickled float that is no number");
    return push_real(m, value);
}

static status push_float_bytes(struct machine *m) /* big endian, alone in all of pickle */
{
    const unsigned char *at;
    uint64_t bits = 0;
    double value;
    TRY(machine_take(m, 8, &at));
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | at[i];
    memcpy(&value, &bits, sizeof value);
    return push_real(m, value);
}

/* ---- containers ---------------------------------------------------------------------- */

static status push_tuple_of(struct machine *m, size_t count)
{
    struct pickle_value *tuple;
    TRY(machine_need(m, count));
    TRY(pickle_new(m->heap, PICKLE_TUPLE, &tuple));
    m->stack->items.count -= count;
    TRY(pickle_append(m->heap, tuple, m->stack->items.at + m->stack->items.count, count));
    return machine_push(m, tuple);
}

static status push_marked(struct machine *m, enum pickle_kind kind)
{
    struct pickle_value *const *items, *made;
    size_t count;
    TRY(machine_pop_to_mark(m, &items, &count));
    TRY(pickle_new(m->heap, kind, &made));
    if (kind == PICKLE_DICT)
        TRY(pickle_set_items(m->heap, made, items, count));
    else
        TRY(pickle_append(m->heap, made, items, count));
    return machine_push(m, made);
}

static status add_marked(struct machine *m, int pairs)
{
    struct pickle_value *const *items;
    size_t count;
    TRY(machine_pop_to_mark(m, &items, &count));
    TRY(machine_need(m, 1));
    return pairs ? pickle_set_items(m->heap, machine_top(m), items, count)
                 : pickle_extend(m->heap, machine_top(m), items, count);
}

static status add_one(struct machine *m, int pair)
{
    const size_t count = pair ? 2 : 1;
    TRY(machine_need(m, count + 1));
    m->stack->items.count -= count;
    struct pickle_value *const *items = m->stack->items.at + m->stack->items.count;
    return pair ? pickle_set_items(m->heap, machine_top(m), items, count)
                : pickle_extend(m->heap, machine_top(m), items, count);
}

/* ---- classes and objects ------------------------------------------------------------- */

/* "module.name", Python 2's modules under their names of today. */
static status make_class(struct machine *m, const char *module, size_t module_length,
                         const char *name, size_t name_length, struct pickle_value **out)
{
    void *memory;
    TRY(pickle_name_allowed(module, module_length, name, name_length));
    if (module_length == 11 && memcmp(module, "__builtin__", 11) == 0)
        module = "builtins", module_length = 8;
    else if (module_length == 8 && memcmp(module, "copy_reg", 8) == 0)
        module = "copyreg", module_length = 7;
    TRY(pickle_take(m->heap, module_length + 1 + name_length, &memory));
    TRY(pickle_new(m->heap, PICKLE_CLASS, out));
    char *full = memory;
    memcpy(full, module, module_length);
    full[module_length] = '.';
    memcpy(full + module_length + 1, name, name_length);
    (*out)->text.at = full;
    (*out)->text.length = module_length + 1 + name_length;
    return STATUS_OK;
}

static status take_class_lines(struct machine *m, struct pickle_value **out)
{
    const char *module, *name;
    size_t module_length, name_length;
    TRY(machine_take_line(m, &module, &module_length));
    TRY(machine_take_line(m, &name, &name_length));
    return make_class(m, module, module_length, name, name_length, out);
}

static status push_class_lines(struct machine *m)
{
    struct pickle_value *type;
    TRY(take_class_lines(m, &type));
    return machine_push(m, type);
}

static status push_class_of_stack(struct machine *m)
{
    struct pickle_value *name, *module, *type;
    TRY(machine_pop(m, &name));
    TRY(machine_pop(m, &module));
    if (name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT)
        return status_fail(STATUS_BAD_FILE, "a pickled class whose name is no text");
    TRY(make_class(m, module->text.at, module->text.length, name->text.at, name->text.length,
                   &type));
    return machine_push(m, type);
}

static status push_call(struct machine *m, int with_keywords)
{
    struct pickle_value *keywords, *args, *type, *made;
    if (with_keywords)
        TRY(machine_pop(m, &keywords)); /* passed over */
    TRY(machine_pop(m, &args));
    TRY(machine_pop(m, &type));
    TRY(pickle_call(m->heap, type, args, &made));
    return machine_push(m, made);
}

/* INST and OBJ: the arguments stand above a mark; for OBJ the class does, below them. */
static status push_instance(struct machine *m, int class_on_stack)
{
    struct pickle_value *type = NULL, *args, *made, *const * items;
    size_t count;
    if (!class_on_stack)
        TRY(take_class_lines(m, &type));
    TRY(machine_pop_to_mark(m, &items, &count));
    if (class_on_stack) {
        if (count == 0)
            return status_fail(STATUS_BAD_FILE, "a pickled instance without a class");
        type = items[0];
        items++;
        count--;
    }
    TRY(pickle_new(m->heap, PICKLE_TUPLE, &args));
    TRY(pickle_append(m->heap, args, items, count));
    TRY(pickle_call(m->heap, type, args, &made));
    return machine_push(m, made);
}

static status build(struct machine *m)
{
    struct pickle_value *state;
    TRY(machine_pop(m, &state));
    TRY(machine_need(m, 1));
    return pickle_build(machine_top(m), state);
}

static status push_persistent(struct machine *m, int id_on_stack)
{
    struct pickle_value *id, *made;
    if (!id_on_stack) {
        const char *line;
        size_t length;
        TRY(machine_take_line(m, &line, &length));
        TRY(push_text(m, PICKLE_TEXT, line, length));
    }
    TRY(machine_pop(m, &id));
    TRY(pickle_new(m->heap, PICKLE_PERSISTENT, &made));
    made->args = id;
    TRY(pickle_append(m->heap, &m->heap->persistent, &made, 1));
    return machine_push(m, made);
}

/* ---- text ---------------------------------------------------------------------------- */

static status push_line_text(struct machine *m, int quoted)
{
    const char *line;
    size_t length;
    struct pickle_value *text;
    TRY(machine_take_line(m, &line, &length));
    if (quoted)
        TRY(pickle_text_from_string(m->heap, line, length, &text));
    else
        TRY(pickle_text_from_unicode(m->heap, line, length, &text));
    return machine_push(m, text);
}

/* ---- instructions -------------------------------------------------------------------- */

static status pop_any(struct machine *m)
{
    struct pickle_value *dropped;
    if (m->mark_count > 0 && m->stack->items.count == machine_floor(m)) {
        m->mark_count--; /* POP right after MARK drops the mark */
        return STATUS_OK;
    }
    return machine_pop(m, &dropped);
}

static status pop_marked(struct machine *m)
{
    struct pickle_value *const *items;
    size_t count;
    return machine_pop_to_mark(m, &items, &count);
}

static status check_protocol(uint64_t protocol)
{
    return protocol <= 5
               ? STATUS_OK
               : status_fail(STATUS_BAD_FILE, "a pickle of protocol %d, 5 is the last known",
                             (int)protocol);
}

/* Everything but STOP. */
static status step(struct machine *m, unsigned char opcode)
{
    uint64_t number = 0;
    const unsigned char *skipped;
    switch (opcode) {
    /* numbers and constants */
    case 'N':
        return push_new(m, PICKLE_NONE);
    case 0x88: /* NEWTRUE */
    case 0x89: /* NEWFALSE */
        return push_integer(m, PICKLE_BOOL, opcode == 0x88);
    case 'I':
    case 'L':
        return push_decimal(m);
    case 'K':
        TRY(machine_take_number(m, 1, &number));
        return push_integer(m, PICKLE_INT, (int64_t)number);
    case 'M':
        TRY(machine_take_number(m, 2, &number));
        return push_integer(m, PICKLE_INT, (int64_t)number);
    case 'J':
        return push_long(m, 4);
    case 0x8a: /* LONG1 */
        TRY(machine_take_number(m, 1, &number));
        return push_long(m, number);
    case 0x8b: /* LONG4 */
        TRY(machine_take_number(m, 4, &number));
        return push_long(m, number);
    case 'F':
        return push_float_line(m);
    case 'G':
        return push_float_bytes(m);

    /* text and bytes */
    case 'S':
        return push_line_text(m, 1);
    case 'V':
        return push_line_text(m, 0);
    case 'U':
        return push_counted(m, PICKLE_TEXT, 1);
    case 'T':
        return push_counted(m, PICKLE_TEXT, 4);
    case 0x8c: /* SHORT_BINUNICODE */
        return push_counted(m, PICKLE_TEXT, 1);
    case 'X':
        return push_counted(m, PICKLE_TEXT, 4);
    case 0x8d: /* BINUNICODE8 */
        return push_counted(m, PICKLE_TEXT, 8);
    case 'C':
        return push_counted(m, PICKLE_BYTES, 1);
    case 'B':
        return push_counted(m, PICKLE_BYTES, 4);
    case 0x8e: /* BINBYTES8 */
    case 0x96: /* BYTEARRAY8 */
        return push_counted(m, PICKLE_BYTES, 8);

    /* containers */
    case '(':
        return machine_push_mark(m);
    case ')':
        return push_new(m, PICKLE_TUPLE);
    case 0x85: /* TUPLE1, 2, 3 */
    case 0x86:
    case 0x87:
        return push_tuple_of(m, (size_t)opcode - 0x84);
    case 't':
        return push_marked(m, PICKLE_TUPLE);
    case ']':
        return push_new(m, PICKLE_LIST);
    case 'l':
        return push_marked(m, PICKLE_LIST);
    case '}':
        return push_new(m, PICKLE_DICT);
    case 'd':
        return push_marked(m, PICKLE_DICT);
    case 0x8f: /* EMPTY_SET */
        return push_new(m, PICKLE_SET);
    case 0x91: /* FROZENSET */
        return push_marked(m, PICKLE_SET);
    case 'a':
        return add_one(m, 0);
    case 's':
        return add_one(m, 1);
    case 'e':
    case 0x90: /* ADDITEMS */
        return add_marked(m, 0);
    case 'u':
        return add_marked(m, 1);

    /* stack and memo */
    case '0':
        return pop_any(m);
    case '1':
        return pop_marked(m);
    case '2':
        TRY(machine_need(m, 1));
        return machine_push(m, machine_top(m));
    case 'p':
        TRY(machine_take_index(m, &number));
        return machine_memo_put(m, number);
    case 'q':
        TRY(machine_take_number(m, 1, &number));
        return machine_memo_put(m, number);
    case 'r':
        TRY(machine_take_number(m, 4, &number));
        return machine_memo_put(m, number);
    case 0x94: /* MEMOIZE */
        return machine_memo_put(m, m->memo->items.count);
    case 'g':
        TRY(machine_take_index(m, &number));
        return machine_memo_get(m, number);
    case 'h':
        TRY(machine_take_number(m, 1, &number));
        return machine_memo_get(m, number);
    case 'j':
        TRY(machine_take_number(m, 4, &number));
        return machine_memo_get(m, number);

    /* classes and objects */
    case 'c':
        return push_class_lines(m);
    case 0x93: /* STACK_GLOBAL */
        return push_class_of_stack(m);
    case 'R':
    case 0x81: /* NEWOBJ */
        return push_call(m, 0);
    case 0x92: /* NEWOBJ_EX */
        return push_call(m, 1);
    case 'i':
        return push_instance(m, 0);
    case 'o':
        return push_instance(m, 1);
    case 'b':
        return build(m);
    case 'P':
        return push_persistent(m, 0);
    case 'Q':
        return push_persistent(m, 1);

    /* framing */
    case 0x80: /* PROTO */
        TRY(machine_take_number(m, 1, &number));
        return check_protocol(number);
    case 0x95: /* FRAME: its length helps only who reads from a pipe */
        return machine_take(m, 8, &skipped);
    case 0x82: /* EXT1, 2, 4 */
    case 0x83:
    case 0x84:
        return status_fail(STATUS_BAD_FILE, "the pickle uses the extension registry");
    case 0x97: /* NEXT_BUFFER, READONLY_BUFFER */
    case 0x98:
        return status_fail(STATUS_BAD_FILE, "the pickle wants a buffer that is not in the file");
    default:
        return status_fail(STATUS_BAD_FILE, "no pickle: byte %zu is 0x%02x",
                           (size_t)(m->at - m->begin) - 1, opcode);
    }
}

status pickle_run(struct pickle *pickle, const unsigned char *bytes, size_t size,
                  const struct pickle_value **value, size_t *used)
{
    struct machine m = { .heap = pickle, .begin = bytes, .at = bytes, .end = bytes + size };
    struct pickle_value *result;
    TRY(pickle_new(pickle, PICKLE_TUPLE, &m.stack));
    TRY(pickle_new(pickle, PICKLE_TUPLE, &m.memo));
    for (;;) {
        const unsigned char *opcode;
        TRY(machine_take(&m, 1, &opcode));
        if (*opcode == '.')
            break;
        TRY(step(&m, *opcode));
    }
    if (m.mark_count > 0)
        return status_fail(STATUS_BAD_FILE, "the pickle stops inside a mark");
    TRY(machine_pop(&m, &result));
    *value = result;
    *used = (size_t)(m.at - bytes);
    return STATUS_OK;
}
