/* host/base/status.c - one line of text per thread. */
#include "host/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_CAP = 1024 };

static _Thread_local char text[TEXT_CAP];

/* A file's name may hold escape sequences; a terminal must never see them. */
static void tame(char *line)
{
    for (unsigned char *p = (unsigned char *)line; *p != 0; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) /* C1 controls in UTF-8 */
            *p++ = '?', *p = '?';
}

status status_fail(status code, const char *format, ...)
{
    char line[TEXT_CAP]; /* an argument may be status_text() itself */
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    tame(line);
    memcpy(text, line, sizeof line);
    return code;
}

status status_prefix(status code, const char *format, ...)
{
    char line[TEXT_CAP];
    va_list args;
    va_start(args, format);
    int used = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (used < 0)
        used = 0;
    if (used < TEXT_CAP)
        snprintf(line + used, sizeof line - (size_t)used, ": %s", text);
    tame(line);
    memcpy(text, line, sizeof line);
    return code;
}

const char *status_text(void) { return text; }

const char *status_name(status code)
{
    static const char *const names[] = { "ok",          "misuse",     "i/o",      "not found",
                                         "bad file",    "wrong kind", "bad text", "bad shape",
                                         "unsupported", "no memory",  "device",   "not finite",
                                         "cancelled" };
    return (unsigned)code < sizeof names / sizeof names[0] ? names[code] : "unknown";
}
