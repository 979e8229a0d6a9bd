/* tests/test_pickle.c - the stack machine, opcode by opcode. The bytes are what CPython's pickle
 * module writes for the value beside them, or what pickletools says an opcode does. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "weights/pickle.h"

/* ---- printing a value ---------------------------------------------------------------- */

struct text {
    char at[2048];
    size_t length;
};

static void put(struct text *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int written =
        vsnprintf(out->at + out->length, sizeof out->at - out->length, format, args);
    va_end(args);
    assert_true(written >= 0 && (size_t)written < sizeof out->at - out->length);
    out->length += (size_t)written;
}

static void print_value(struct text *out, const struct pickle_value *value);

static void print_items(struct text *out, const struct pickle_value *value, const char *brackets)
{
    put(out, "%c", brackets[0]);
    for (size_t i = 0; i < value->items.count; i++) {
        put(out, "%s", i == 0 ? "" : ", ");
        print_value(out, value->items.at[i]);
    }
    put(out, "%c", brackets[1]);
}

static void print_value(struct text *out, const struct pickle_value *value)
{
    switch (value->kind) {
    case PICKLE_NONE:
        put(out, "None");
        break;
    case PICKLE_BOOL:
        put(out, value->integer ? "True" : "False");
        break;
    case PICKLE_INT:
        put(out, "%jd", (intmax_t)value->integer);
        break;
    case PICKLE_LONG:
        put(out, "long:%zu", value->text.length);
        break;
    case PICKLE_FLOAT:
        put(out, "%.17g", value->real);
        break;
    case PICKLE_TEXT:
        put(out, "'%.*s'", (int)value->text.length, value->text.at);
        break;
    case PICKLE_BYTES:
        put(out, "b'");
        for (size_t i = 0; i < value->text.length; i++)
            put(out, "%02x", (unsigned char)value->text.at[i]);
        put(out, "'");
        break;
    case PICKLE_TUPLE:
        print_items(out, value, "()");
        break;
    case PICKLE_LIST:
        print_items(out, value, "[]");
        break;
    case PICKLE_SET:
        print_items(out, value, "<>");
        break;
    case PICKLE_DICT:
        print_items(out, value, "{}");
        break;
    case PICKLE_CLASS:
        put(out, "%.*s", (int)value->text.length, value->text.at);
        break;
    case PICKLE_OBJECT:
        print_value(out, value->type);
        print_value(out, value->args);
        if (value->state != NULL) {
            put(out, "/");
            print_value(out, value->state);
        }
        break;
    case PICKLE_PERSISTENT:
        put(out, "@");
        print_value(out, value->args);
        break;
    }
}

/* ---- what each program leaves -------------------------------------------------------- */

struct program {
    const char *bytes;
    size_t length;
    const char *want;
};

#define PROGRAM(bytes, want)                                                                       \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, want                                                             \
    }

static const struct program programs[] = {
    /* numbers */
    PROGRAM("N.", "None"),
    PROGRAM("\x88.", "True"),
    PROGRAM("\x89.", "False"),
    PROGRAM("I01\n.", "True"),
    PROGRAM("I00\n.", "False"),
    PROGRAM("I-12\n.", "-12"),
    PROGRAM("L123L\n.", "123"),
    PROGRAM("L1208925819614629174706176L\n.", "long:25"),
    PROGRAM("K\xff.", "255"),
    PROGRAM("M\x39\x30.", "12345"),
    PROGRAM("J\xfe\xff\xff\xff.", "-2"),
    PROGRAM("\x8a\x00.", "0"),
    PROGRAM("\x8a\x02\x00\xff.", "-256"),
    PROGRAM("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", "-9223372036854775808"),
    PROGRAM("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00.", "long:9"),
    PROGRAM("\x8b\x01\x00\x00\x00\x7f.", "127"),
    PROGRAM("F-1.5\n.", "-1.5"),
    PROGRAM("G?\xf8\x00\x00\x00\x00\x00\x00.", "1.5"),
    /* text */
    PROGRAM("S'a\\'\\x41\\n'\n.", "'a'A\n'"),
    PROGRAM("S\"q\"\n.", "'q'"),
    PROGRAM("Vh\\u521d\xe9\n.", "'h\xe5\x88\x9d\xc3\xa9'"),
    PROGRAM("V\\U0001f600\n.", "'\xf0\x9f\x98\x80'"),
    PROGRAM("U\x02hi.", "'hi'"),
    PROGRAM("T\x02\x00\x00\x00hi.", "'hi'"),
    PROGRAM("X\x02\x00\x00\x00hi.", "'hi'"),
    PROGRAM("\x8c\x02hi.", "'hi'"),
    PROGRAM("\x8d\x02\x00\x00\x00\x00\x00\x00\x00hi.", "'hi'"),
    PROGRAM("C\x02\x00\xff.", "b'00ff'"),
    PROGRAM("B\x01\x00\x00\x00\x01.", "b'01'"),
    PROGRAM("\x8e\x01\x00\x00\x00\x00\x00\x00\x00\x02.", "b'02'"),
    PROGRAM("\x96\x01\x00\x00\x00\x00\x00\x00\x00\x03.", "b'03'"),
    PROGRAM("c_codecs\nencode\n(X\x03\x00\x00\x00\x61\xc3\xbfX\x06\x00\x00\x00latin1tR.",
            "b'61ff'"),
    /* containers */
    PROGRAM(").", "()"),
    PROGRAM("K\x01\x85.", "(1)"),
    PROGRAM("K\x01K\x02\x86.", "(1, 2)"),
    PROGRAM("K\x01K\x02K\x03\x87.", "(1, 2, 3)"),
    PROGRAM("(K\x01K\x02t.", "(1, 2)"),
    PROGRAM("(K\x01K\x02l.", "[1, 2]"),
    PROGRAM("(K\x01K\x02"
            "d.",
            "{1, 2}"),
    PROGRAM("]K\x01"
            "a.",
            "[1]"),
    PROGRAM("](K\x01K\x02"
            "e.",
            "[1, 2]"),
    PROGRAM("}K\x01Ns.", "{1, None}"),
    PROGRAM("}(K\x01NK\x02Nu.", "{1, None, 2, None}"),
    PROGRAM("\x8f(K\x01K\x02\x90.", "<1, 2>"),
    PROGRAM("(K\x01\x91.", "<1>"),
    PROGRAM("c__builtin__\nset\n](K\x01K\x02"
            "e\x85R.",
            "<1, 2>"),
    PROGRAM("ccollections\nOrderedDict\n)RK\x01K\x02s.", "{1, 2}"),
    PROGRAM("ccollections\nOrderedDict\n((lp0\n(K\x01K\x02lp1\natR.", "{1, 2}"),
    /* stack and memo */
    PROGRAM("K\x01K\x02"
            "0.",
            "1"),
    PROGRAM("K\x01(K\x02K\x03"
            "1.",
            "1"),
    PROGRAM("K\x01(0.", "1"),
    PROGRAM("K\x01"
            "2\x86.",
            "(1, 1)"),
    PROGRAM("K\x07q\x05"
            "0h\x05.",
            "7"),
    PROGRAM("K\x07p3\n0g3\n.", "7"),
    PROGRAM("K\x07r\x02\x00\x00\x00"
            "0j\x02\x00\x00\x00.",
            "7"),
    PROGRAM("K\x07\x94K\x08\x94"
            "0h\x00\x86.",
            "(7, 7)"),
    PROGRAM("\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N.", "None"),
    /* classes and objects */
    PROGRAM("cmodule\nname\n.", "module.name"),
    PROGRAM("c__builtin__\ndict\n.", "builtins.dict"),
    PROGRAM("\x8c\x01m\x8c\x01n\x93.", "m.n"),
    PROGRAM("cm\nn\nK\x01\x85R.", "m.n(1)"),
    PROGRAM("cm\nn\n)\x81}b.", "m.n()/{}"),
    PROGRAM("cm\nn\n)}\x92.", "m.n()"),
    PROGRAM("(K\x01im\nn\n.", "m.n(1)"),
    PROGRAM("(cm\nn\nK\x01o.", "m.n(1)"),
    PROGRAM("ccopy_reg\n_reconstructor\n(cm\nn\nc__builtin__\nobject\nNtR.", "m.n()"),
    PROGRAM("Pkey\n.", "@'key'"),
    PROGRAM("K\x01Q.", "@1"),
};

static void every_opcode_leaves_what_python_leaves(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        const struct program *program = &programs[i];
        const struct pickle_value *value;
        struct pickle *pickle;
        struct text text = { .length = 0 };
        size_t used;
        unsigned char *bytes = malloc(program->length); /* of its own, for the sanitizer */
        assert_non_null(bytes);
        memcpy(bytes, program->bytes, program->length);
        assert_int_equal(pickle_create(&pickle), STATUS_OK);
        if (pickle_run(pickle, bytes, program->length, &value, &used) != STATUS_OK)
            fail_msg("program %zu, \"%s\": %s", i, program->want, status_text());
        print_value(&text, value);
        assert_string_equal(text.at, program->want);
        assert_int_equal(used, program->length);
        pickle_destroy(pickle);

        /* Cut anywhere, it has to be refused. */
        for (size_t length = 0; length < program->length; length++) {
            unsigned char *part = malloc(length + 1);
            assert_non_null(part);
            memcpy(part, bytes, length);
            assert_int_equal(pickle_create(&pickle), STATUS_OK);
            assert_int_equal(pickle_run(pickle, part, length, &value, &used), STATUS_BAD_FILE);
            pickle_destroy(pickle);
            free(part);
        }
        free(bytes);
    }
}

/* ---- what is refused ----------------------------------------------------------------- */

static const struct program refused[] = {
    PROGRAM(".", "empty stack"),
    PROGRAM("K\x01"
            "00N.",
            "empty stack"),
    PROGRAM("K\x01(\x86.", "empty stack"), /* a mark shields what is below it */
    PROGRAM("t.", "mark"),
    PROGRAM("K\x01(.", "mark"),
    PROGRAM("h\x00.", "memo entry 0"),
    PROGRAM("Nq\x02"
            "0h\x01.",
            "memo entry 1"),
    PROGRAM("Nr\xff\xff\xff\x7f.", "memo index"),
    PROGRAM("\xff.", "0xff"),
    PROGRAM("\x80\x06N.", "protocol 6"),
    PROGRAM("\x82\x01.", "extension"),
    PROGRAM("\x97.", "buffer"),
    PROGRAM("X\xff\xff\xff\xffhi.", "4294967295 bytes"),
    PROGRAM("\x8d\xff\xff\xff\xff\xff\xff\xff\xffhi.", "18446744073709551615 bytes"),
    PROGRAM("\x8b\xff\xff\xff\xff\x01.", "4294967295 bytes"),
    PROGRAM("K\x01K\x02"
            "a.",
            "no list"),
    PROGRAM("]K\x01K\x02s.", "no dict"),
    PROGRAM("}(K\x01u.", "without a value"),
    PROGRAM("cm\nn\nK\x01R.", "no tuple"),
    PROGRAM("K\x01K\x02\x93.", "no text"),
    PROGRAM("I1x\n.", "no number"),
    PROGRAM("Fx\n.", "no number"),
    PROGRAM("Snoquotes\n.", "quotes"),
    PROGRAM("V\\u12\n.", "escape"),
    PROGRAM("V\\Uffffffff\n.", "escape"),
};

static void broken_programs_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const struct pickle_value *value;
        struct pickle *pickle;
        size_t used;
        assert_int_equal(pickle_create(&pickle), STATUS_OK);
        const status code = pickle_run(pickle, (const unsigned char *)refused[i].bytes,
                                       refused[i].length, &value, &used);
        if (code != STATUS_BAD_FILE || strstr(status_text(), refused[i].want) == NULL)
            fail_msg("program %zu: \"%s\" does not say \"%s\"", i, status_text(), refused[i].want);
        pickle_destroy(pickle);
    }
}

static void dangerous_names_are_refused_and_harmless_ones_pass(void **state)
{
    (void)state;
    static const struct {
        const char *module, *name;
        int allowed;
    } names[] = {
        { "os", "system", 0 },
        { "posix", "system", 0 },
        { "nt", "system", 0 },
        { "os.path", "join", 0 },
        { "subprocess", "Popen", 0 },
        { "runpy", "run_path", 0 },
        { "builtins", "eval", 0 },
        { "__builtin__", "exec", 0 },
        { "__builtin__", "execfile", 0 },
        { "builtins", "__import__", 0 },
        { "builtins", "getattr", 0 },
        { "io", "open", 0 },
        { "operator", "attrgetter", 0 },
        { "random", "_os.system", 0 },
        { "torch", "__builtins__.eval", 0 },
        { "numpy", "f2py.os.popen", 0 },
        { "socket", "socket", 0 },
        { "ctypes", "CDLL", 0 },
        { "pickle", "loads", 0 },
        { "torch.hub", "load", 0 },
        { "collections", "OrderedDict", 1 },
        { "torch._utils", "_rebuild_tensor_v2", 1 },
        { "builtins", "set", 1 },
        { "oslo", "system", 1 },
        { "o", "s", 1 },
        { "pathlib", "PosixPath", 1 },
        { "pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", 1 },
        { "numpy.core.multiarray", "scalar", 1 },
        { "module", "Outer.Inner", 1 },
        { "", "", 1 },
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const status code = pickle_name_allowed(names[i].module, strlen(names[i].module),
                                                names[i].name, strlen(names[i].name));
        if ((code == STATUS_OK) != names[i].allowed)
            fail_msg("%s.%s", names[i].module, names[i].name);
        if (code != STATUS_OK)
            assert_non_null(strstr(status_text(), names[i].name));
    }
}

/* ---- memory -------------------------------------------------------------------------- */

static void a_program_cannot_take_more_memory_than_allowed(void **state)
{
    (void)state;
    const size_t size = 8 << 20; /* eight million objects of some hundred bytes */
    unsigned char *bytes = malloc(size);
    const struct pickle_value *value;
    struct pickle *pickle;
    size_t used;
    assert_non_null(bytes);
    memset(bytes, ']', size);
    bytes[size - 1] = '.';
    assert_int_equal(pickle_create(&pickle), STATUS_OK);
    assert_int_equal(pickle_run(pickle, bytes, size, &value, &used), STATUS_BAD_FILE);
    assert_non_null(strstr(status_text(), "bytes of memory"));
    pickle_destroy(pickle);
    free(bytes);
}

static void the_last_value_of_a_key_counts(void **state)
{
    (void)state;
    static const unsigned char bytes[] = "}(X\x01\x00\x00\x00"
                                         "aK\x01X\x01\x00\x00\x00"
                                         "aK\x02u.";
    const struct pickle_value *value;
    struct pickle *pickle;
    size_t used;
    assert_int_equal(pickle_create(&pickle), STATUS_OK);
    assert_int_equal(pickle_run(pickle, bytes, sizeof bytes - 1, &value, &used), STATUS_OK);
    assert_int_equal(pickle_dict_get(value, "a")->integer, 2);
    assert_null(pickle_dict_get(value, "b"));
    assert_null(pickle_dict_get(NULL, "b"));
    pickle_destroy(pickle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_opcode_leaves_what_python_leaves),
        cmocka_unit_test(broken_programs_are_refused),
        cmocka_unit_test(dangerous_names_are_refused_and_harmless_ones_pass),
        cmocka_unit_test(a_program_cannot_take_more_memory_than_allowed),
        cmocka_unit_test(the_last_value_of_a_key_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
