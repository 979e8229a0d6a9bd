/* host/app/options.h - the command line: one table says what there is. */
#ifndef HOST_APP_OPTIONS_H
#define HOST_APP_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "host/mikubench.h"

enum mode {
    MODE_NONE,
    MODE_CASE,
    MODE_ALL,
    MODE_PROMPT,
    MODE_PROMPTS,
    MODE_REPLAY,
    MODE_LIST,
    MODE_PARSE,
    MODE_TOKENIZE,
    MODE_FROM,
    MODE_COMPARE,
    MODE_VERSION,
    MODE_HELP
};

enum { OPTIONS_ROWS_MOST = 96, SWEEP_MOST = 16 };

/* The values of a flag that may be repeated. */
struct option_list {
    const char **word; /* [count] */
    size_t count;
};

struct options {
    enum mode mode;
    int case_number; /* of MODE_CASE */
    const char
        *file; /* of MODE_PROMPTS, MODE_REPLAY, MODE_PARSE ("-": standard input), MODE_FROM */
    const char *files[2]; /* of MODE_COMPARE */

    const char *device, *precision, *engine;
    int threads;
    struct option_list weights;  /* folders, as given */
    struct option_list variants; /* OPERATOR=VARIANT, of the CUDA device */
    int no_graph;

    struct miku_request request;            /* the library's defaults, and what was given on top */
    unsigned char given[OPTIONS_ROWS_MOST]; /* 1: the row of the table was given */
    int batch_count;                        /* batches of --batch-size pictures; 0: not given */
    int random_seed, random_subseed;

    const char *out, *output; /* folder; the one file */
    const char *json, *csv, *trace, *report;
    int quiet, show;
    double min_psnr;    /* negative: no check */
    double fail_over;   /* share that a stage may be slower: 0.05 */
    int compare_anyway; /* other weights and pictures too */

    int repeat, warmup;
    double budget; /* seconds for everything; 0: as long as it takes */
    struct {
        int width, height;
    } sizes[SWEEP_MOST];
    int batches[SWEEP_MOST];
    const char *precisions[SWEEP_MOST]; /* literals */
    size_t sizes_count, batches_count, precisions_count;
    int operators; /* one more run of each configuration, by operator */

    const char *profile, *profile_control; /* STAGE[:STEP]; a FIFO of perf record --control */
    char profile_stage[16];                /* of `profile` */
    int profile_step;                      /* from 1; 0: the whole stage */
};

/* Reads the command line. Strings stay argv's own.
 * memory   options_free()
 * returns  STATUS_MISUSE with a line that names the flag; STATUS_NO_MEMORY */
status options_parse(int argc, char **argv, struct options *options);
void options_free(struct options *options);

/* Whether numbers are what is wanted, rather than pictures: a sweep, --csv, --report. */
int options_measure(const struct options *options);

/* Whether the flag of this name was given, by its long name without dashes. */
int options_given(const struct options *options, const char *name);

/* Writes what the command line says about a request over `request`: a flag beats a text. */
void options_apply(const struct options *options, struct miku_request *request);

/* Draws a seed where -1 was asked for. */
void options_draw_seeds(const struct options *options, struct miku_request *request);

/* The text of --help. free() it; null if there is no memory. */
char *options_help(void);

#endif
