/* host/app/say.c - standard output and standard error, with untrusted text made harmless. */
#include "host/app/say.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int quiet, progress_shown, output_failed;

/* ---- taming ------------------------------------------------------------------------------ */

static int is_control(utf8proc_int32_t point)
{
    return point < 0x20 || (point >= 0x7f && point <= 0x9f) || point == 0x2028 || point == 0x2029 ||
           point == 0x200e || point == 0x200f || point == 0x061c ||
           (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

/* One character at `text`: its code point and length; a broken byte is -1 and 1. */
static size_t next_point(const char *text, utf8proc_int32_t *point)
{
    const utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, point);
    if (step > 0)
        return (size_t)step;
    *point = -1;
    return 1;
}

char *say_tamed(const char *text, int lines)
{
    char *out = malloc(strlen(text) + 1), *at = out;
    if (out == NULL)
        return NULL;
    while (*text != 0) {
        utf8proc_int32_t point;
        const size_t step = next_point(text, &point);
        if (point < 0 || (is_control(point) && !(lines && point == '\n'))) {
            *at++ = '?';
        } else {
            memcpy(at, text, step);
            at += step;
        }
        text += step;
    }
    *at = 0;
    return out;
}

/* JSON whose control characters are escaped. Those outside strings are newlines and tabs only. */
static char *tamed_json(const char *json)
{
    char *out = malloc(6 * strlen(json) + 1), *at = out; /* \u0080 for one byte at worst */
    if (out == NULL)
        return NULL;
    while (*json != 0) {
        utf8proc_int32_t point;
        const size_t step = next_point(json, &point);
        if (point < 0)
            at += sprintf(at, "\\ufffd");
        else if (is_control(point) && point != '\n' && point != '\t')
            at += sprintf(at, "\\u%04x", (unsigned)point);
        else {
            memcpy(at, json, step);
            at += step;
        }
        json += step;
    }
    *at = 0;
    return out;
}

/* ---- saying ------------------------------------------------------------------------------ */

static void erase_progress(void)
{
    if (progress_shown)
        fputs("\r\033[K", stderr);
    progress_shown = 0;
}

static char *formatted(const char *format, va_list args)
{
    char *text = NULL;
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);
    if (to == NULL)
        return NULL;
    /* The analyzer loses a list that came as an argument. */
    vfprintf(to, format, args); /* NOLINT(clang-analyzer-valist.Uninitialized) */
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}

static void put_line(FILE *stream, const char *before, const char *format, va_list args)
{
    char *text = formatted(format, args);
    char *tamed = text == NULL ? NULL : say_tamed(text, 0);
    pthread_mutex_lock(&lock);
    erase_progress();
    if (fprintf(stream, "%s%s\n", before, tamed == NULL ? "(no memory for this line)" : tamed) <
            0 &&
        stream == stdout)
        output_failed = 1;
    if (fflush(stream) != 0 && stream == stdout)
        output_failed = 1;
    pthread_mutex_unlock(&lock);
    free(tamed);
    free(text);
}

void say_quiet(int wanted) { quiet = wanted; }

void say_result(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_line(stdout, "", format, args);
    va_end(args);
}

void say_note(const char *format, ...)
{
    if (quiet)
        return;
    va_list args;
    va_start(args, format);
    put_line(stderr, "", format, args);
    va_end(args);
}

void say_warning(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_line(stderr, "mikubench-cuda: warning: ", format, args);
    va_end(args);
}

void say_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_line(stderr, "mikubench-cuda: ", format, args);
    va_end(args);
}

/* source  no-color.org */
static int styles(void)
{
    const char *forbidden = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && (forbidden == NULL || forbidden[0] == 0) &&
           (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

void say_styled(enum say_style style, const char *text)
{
    static const char *const begin[] = { "", "\033[1m", "\033[2m", "\033[33m" };
    char *tamed = say_tamed(text, 0);
    const int styled = style != SAY_PLAIN && styles();
    pthread_mutex_lock(&lock);
    erase_progress();
    if (fprintf(stdout, "%s%s%s\n", styled ? begin[style] : "",
                tamed == NULL ? "(no memory for this line)" : tamed, styled ? "\033[0m" : "") < 0)
        output_failed = 1;
    pthread_mutex_unlock(&lock);
    free(tamed);
}

void say_raw(const char *bytes, size_t count)
{
    pthread_mutex_lock(&lock);
    erase_progress();
    if (fwrite(bytes, 1, count, stdout) != count || fflush(stdout) != 0)
        output_failed = 1;
    pthread_mutex_unlock(&lock);
}

static void put_text(char *tamed)
{
    pthread_mutex_lock(&lock);
    erase_progress();
    if (tamed == NULL || fputs(tamed, stdout) < 0)
        output_failed = 1;
    pthread_mutex_unlock(&lock);
    free(tamed);
}

void say_text(const char *text) { put_text(say_tamed(text, 1)); }

void say_json(const char *json)
{
    put_text(tamed_json(json));
    say_result("%s", "");
}

int say_has_progress(void) { return !quiet && isatty(STDERR_FILENO); }

void say_progress(const char *line)
{
    if (!say_has_progress())
        return;
    char *tamed = line == NULL ? NULL : say_tamed(line, 0);
    pthread_mutex_lock(&lock);
    erase_progress();
    if (tamed != NULL) {
        fputs(tamed, stderr);
        progress_shown = 1;
    }
    fflush(stderr);
    pthread_mutex_unlock(&lock);
    free(tamed);
}

int say_finish(void)
{
    say_progress(NULL);
    if (fflush(stdout) != 0 || ferror(stdout))
        output_failed = 1;
    return output_failed ? -1 : 0;
}
