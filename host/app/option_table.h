/* host/app/option_table.h - the rows of the command line, for its reader and its help. */
#ifndef HOST_APP_OPTION_TABLE_H
#define HOST_APP_OPTION_TABLE_H

#include <stddef.h>

#include "host/app/options.h"

enum option_kind {
    OPTION_MODE,      /* no value; `mode` */
    OPTION_MODE_INT,  /* a value for case_number */
    OPTION_MODE_TEXT, /* a value kept at `offset` */
    OPTION_MODE_PAIR, /* two, kept in `files` */
    OPTION_FLAG,      /* int 1 */
    OPTION_TEXT,      /* const char * */
    OPTION_INT,       /* int within low .. high, a multiple of `step` */
    OPTION_INT64,     /* int64_t within low .. high */
    OPTION_REAL,      /* double within low .. high */
    OPTION_PERCENT,   /* a share of 1, written as 5% or 5 */
    OPTION_SEED,      /* uint64_t, or -1 */
    OPTION_SIZE,      /* WIDTHxHEIGHT: as --width and --height */
    OPTION_LIST,      /* another folder of weights */
    OPTION_SIZES,     /* WIDTHxHEIGHT,...: the sweep's */
    OPTION_BATCHES,   /* N,... */
    OPTION_PRECISIONS,
    OPTION_PROFILE /* STAGE[:STEP] */
};

struct option_row {
    const char *name;  /* long name, without dashes; null: the row is a heading of the help */
    const char *other; /* another long name; null: none */
    const char *value, *help;
    size_t offset; /* in struct options */
    double low, high;
    int step;
    enum option_kind kind;
    enum mode mode;
    char letter; /* 0: none */
};

extern const struct option_row option_rows[];
extern const size_t option_count;

#endif
