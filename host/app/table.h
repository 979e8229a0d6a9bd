/* host/app/table.h - the terminal's summary: at most 100 columns, a line a configuration. */
#ifndef HOST_APP_TABLE_H
#define HOST_APP_TABLE_H

#include "host/app/results.h"

enum { TABLE_WIDTH = 100 };

/* Says the table of configurations, then what a reader should know of them: outliers, drift, runs
 * left out; then the tables of operators, where there are any. */
void table_say(const struct results *results);

/* "12.3" in at most `width` characters with about four digits; "-" where there is nothing.
 * line  out: [width + 1] at least */
void table_number(double value, int width, char *line);

/* `text` in exactly `width` columns of a terminal, cut with "..." or filled with blanks.
 * width  at least 3
 * out    [5 * width + 1]: a column can be a character of four bytes */
void table_fit(const char *text, int width, char *out);

#endif
