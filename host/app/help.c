/* host/app/help.c - the text of --help, from the table of options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/app/option_table.h"

enum { TEXT_COLUMN = 27, WIDTH = 100 };

static const char opening[] = "mikubench-cuda makes pictures with Stable Diffusion 1.x from their "
                              "generation parameters, and\n"
                              "times every stage of it.\n"
                              "\n"
                              "    mikubench-cuda --case 1\n";

static const char closing[] =
    "\n"
    "Pictures are named as the web UI names them, counter and seed, and hold their parameters.\n"
    "Exit status: 0 done, 1 failed, 2 misused, 130 and 143 interrupted (finished pictures are "
    "kept).\nWith --compare, 1 is a regression and 2 whatever keeps the two from being compared.\n";

/* Words of `text` from a column on, broken before the right margin. */
static void wrap(FILE *to, const char *text)
{
    int at = TEXT_COLUMN;
    while (*text != 0) {
        const int word = (int)strcspn(text, " ");
        if (at > TEXT_COLUMN && at + 1 + word > WIDTH) {
            fprintf(to, "\n%*s", TEXT_COLUMN, "");
            at = TEXT_COLUMN;
        } else if (at > TEXT_COLUMN) {
            fputc(' ', to);
            at++;
        }
        fprintf(to, "%.*s", word, text);
        at += word;
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', to);
}

static void put_row(FILE *to, const struct option_row *row)
{
    char left[64];
    if (row->name == NULL) {
        fprintf(to, "\n%s:\n", row->help);
        return;
    }
    const char *gap = row->value == NULL ? "" : " ", *value = row->value == NULL ? "" : row->value;
    if (row->letter != 0)
        snprintf(left, sizeof left, "  -%c, --%s%s%s", row->letter, row->name, gap, value);
    else
        snprintf(left, sizeof left, "  --%s%s%s", row->name, gap, value);
    if (strlen(left) < TEXT_COLUMN - 1)
        fprintf(to, "%-*s", TEXT_COLUMN, left);
    else
        fprintf(to, "%s\n%*s", left, TEXT_COLUMN, "");
    wrap(to, row->help);
}

char *options_help(void)
{
    char *text = NULL;
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);
    if (to == NULL)
        return NULL;
    fputs(opening, to);
    for (size_t i = 0; i < option_count; i++)
        put_row(to, &option_rows[i]);
    fputs(closing, to);
    if (fclose(to) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
