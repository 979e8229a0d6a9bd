/* weights/pickle_names.c - what a pickle may not even name.
 *
 * Nothing here would be run anyway. But a file that names os.system was made to attack whoever
 * opens it, and its user wants to hear that rather than see the object passed over. */
#include <string.h>

#include "weights/pickle.h"

/* Modules whose every function acts on the machine. */
static const char *const modules[] = {
    "os",
    "posix",
    "nt",
    "posixpath",
    "ntpath",
    "subprocess",
    "sys",
    "runpy",
    "pty",
    "socket",
    "shutil",
    "ctypes",
    "_ctypes",
    "importlib",
    "imp",
    "commands",
    "popen2",
    "webbrowser",
    "code",
    "codeop",
    "bdb",
    "pdb",
    "timeit",
    "cProfile",
    "profile",
    "trace",
    "asyncio",
    "pickle",
    "_pickle",
    "cPickle",
    "marshal",
    "pip",
    "urllib",
    "urllib2",
    "http",
    "httplib",
    "requests",
    "aiohttp",
    "ftplib",
    "telnetlib",
    "smtplib",
    "ssl",
    "tempfile",
    "platform",
    "doctest",
    "pkgutil",
    "zipimport",
    "pydoc",
    "mmap",
    "fcntl",
    "multiprocessing",
    "_posixsubprocess",
    "_socket",
    "_winapi",
    "winreg",
    "msvcrt",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "dbm",
    "sqlite3",
    "concurrent",
    "distutils",
    "setuptools",
    "venv",
    "ensurepip",
    "lib2to3",
    "idlelib",
    "antigravity",
    "fileinput",
    "linecache",
};

/* Single functions of modules that are harmless otherwise. */
static const char *const functions[] = {
    "builtins.eval",
    "builtins.exec",
    "builtins.execfile",
    "builtins.compile",
    "builtins.open",
    "builtins.file",
    "builtins.__import__",
    "builtins.getattr",
    "builtins.setattr",
    "builtins.delattr",
    "builtins.globals",
    "builtins.locals",
    "builtins.vars",
    "builtins.input",
    "builtins.raw_input",
    "builtins.breakpoint",
    "builtins.apply",
    "builtins.reload",
    "builtins.exit",
    "builtins.quit",

    "io.open",
    "io.open_code",
    "_io.open",
    "_io.FileIO",
    "io.FileIO",
    "codecs.open",
    "operator.attrgetter",
    "operator.methodcaller",
    "_operator.attrgetter",
    "_operator.methodcaller",
    "functools.reduce",
    "_functools.reduce",
    "itertools.starmap",
    "torch.load",
    "torch.hub.load",
    "torch.serialization.load",
    "torch.storage._load_from_bytes",
    "torch.jit.load",
    "torch._inductor.codecache.compile_file",
    "torch.utils.cpp_extension.load",
    "torch.utils.cpp_extension.load_inline",
    "torch.utils._config_module.load_config",
    "numpy.load",
    "numpy.loadtxt",
    "numpy.fromfile",
    "numpy.genfromtxt",
    "numpy.memmap",
    "numpy.testing._private.utils.runstring",
    "numpy.testing.runstring",
    "logging.config.fileConfig",
    "logging.config.listen",
};

struct part {
    const char *at;
    size_t length;
};

static int part_is(struct part part, const char *text)
{
    return part.length == strlen(text) && memcmp(part.at, text, part.length) == 0;
}

static struct part first_component(struct part dotted)
{
    const char *dot = memchr(dotted.at, '.', dotted.length);
    if (dot != NULL)
        dotted.length = (size_t)(dot - dotted.at);
    return dotted;
}

static int module_refused(struct part component)
{
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
        if (part_is(component, modules[i]))
            return 1;
    return 0;
}

/* Python 2 calls builtins __builtin__. */
static int function_refused(struct part module, struct part name)
{
    if (part_is(module, "__builtin__") || part_is(module, "__builtins__"))
        module = (struct part){ "builtins", 8 };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (strlen(functions[i]) == module.length + 1 + name.length &&
            memcmp(functions[i], module.at, module.length) == 0 &&
            functions[i][module.length] == '.' &&
            memcmp(functions[i] + module.length + 1, name.at, name.length) == 0)
            return 1;
    return 0;
}

/* Protocol 4 takes a path of attributes for a name: ("random", "_os.system") is os.system. */
static int path_refused(struct part name)
{
    if (memchr(name.at, '.', name.length) == NULL)
        return 0;
    while (name.length > 0) {
        struct part head = first_component(name);
        const size_t step = head.length < name.length ? head.length + 1 : head.length;
        name.at += step;
        name.length -= step;
        while (head.length > 0 && head.at[0] == '_') /* random._os, os.__class__ ... */
            head.at++, head.length--;
        if (module_refused(head) || part_is(head, "system") || part_is(head, "popen") ||
            part_is(head, "globals__") || part_is(head, "builtins__") ||
            part_is(head, "import__") || part_is(head, "subclasses__"))
            return 1;
    }
    return 0;
}

status pickle_name_allowed(const char *module, size_t module_length, const char *name,
                           size_t name_length)
{
    const struct part from = { module, module_length }, what = { name, name_length };
    if (module_refused(first_component(from)) || function_refused(from, what) || path_refused(what))
        return status_fail(STATUS_BAD_FILE,
                           "the pickle names %.*s.%.*s, which no weights need: the file is refused",
                           (int)(module_length > 200 ? 200 : module_length), module,
                           (int)(name_length > 200 ? 200 : name_length), name);
    return STATUS_OK;
}
