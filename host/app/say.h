/* host/app/say.h - all that reaches a terminal goes through here: names and prompts are untrusted
 * text, and control characters never get out. Any thread may call. */
#ifndef HOST_APP_SAY_H
#define HOST_APP_SAY_H

#include <stddef.h>

#if defined __GNUC__
#define SAY_FORMAT __attribute__((format(printf, 1, 2)))
#else
#define SAY_FORMAT
#endif

/* Keeps notes and progress back; errors and results are always said. */
void say_quiet(int quiet);

void say_result(const char *format, ...) SAY_FORMAT;  /* a line to standard output */
void say_note(const char *format, ...) SAY_FORMAT;    /* a line of talk to standard error */
void say_warning(const char *format, ...) SAY_FORMAT; /* "mikubench-cuda: warning: " before it */
void say_error(const char *format, ...) SAY_FORMAT;   /* "mikubench-cuda: " before it */

/* A line to standard output, in a style where that is a terminal that NO_COLOR does not forbid. */
enum say_style { SAY_PLAIN, SAY_STRONG, SAY_FAINT, SAY_WARM };
void say_styled(enum say_style style, const char *text);

/* Bytes that are meant for the terminal as they are: never with text from outside in them. */
void say_raw(const char *bytes, size_t count);

/* Text of several lines to standard output, whose newlines stay. In JSON a control character is
 * escaped, so that the value stays the same; elsewhere it becomes "?". */
void say_text(const char *text);
void say_json(const char *json);

/* The line of progress: the last on a terminal, written over by the next. Null takes it away.
 * Nothing is shown if standard error is no terminal. */
void say_progress(const char *line);
int say_has_progress(void); /* 1 if progress is shown */

/* Flushes standard output. Returns 0, or -1 if something could not be written. */
int say_finish(void);

/* `text` with every control character (C0, DEL, C1, line separators, direction marks) and every
 * byte that is not UTF-8 as "?"; newlines stay if `lines`. free() it; null if there is no memory.
 */
char *say_tamed(const char *text, int lines);

#endif
