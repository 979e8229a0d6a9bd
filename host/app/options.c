/* host/app/options.c - reads the command line by its table. */
#include "host/app/options.h"

#include <stdlib.h>
#include <string.h>

#include "host/app/number.h"
#include "host/app/option_table.h"
#include "host/app/option_values.h"
#include "host/base/near_names.h"

enum { COUNT_MAX = 100000 };

/* ---- finding a row ----------------------------------------------------------------------- */

static int is_called(const struct option_row *row, const char *name, size_t length)
{
    const char *names[] = { row->name, row->other };
    for (int i = 0; i < 2; i++)
        if (names[i] != NULL && strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
            return 1;
    return 0;
}

static const struct option_row *find_long(const char *name, size_t length)
{
    for (size_t i = 0; i < option_count; i++)
        if (is_called(&option_rows[i], name, length))
            return &option_rows[i];
    return NULL;
}

static const struct option_row *find_letter(char letter)
{
    for (size_t i = 0; i < option_count; i++)
        if (letter != 0 && option_rows[i].letter == letter)
            return &option_rows[i];
    return NULL;
}

static status unknown_long(const char *name, size_t length)
{
    char word[64] = "";
    struct near_names near = { .count = 0 };
    strncat(word, name, length < sizeof word - 1 ? length : sizeof word - 1);
    for (size_t i = 0; i < option_count; i++)
        for (int k = 0; k < 2; k++) {
            const char *known = k == 0 ? option_rows[i].name : option_rows[i].other;
            if (known != NULL)
                near_names_offer(&near, word, known);
        }
    if (near.count == 0)
        return status_fail(STATUS_MISUSE, "unknown option --%s; --help lists them", word);
    return status_fail(STATUS_MISUSE, "unknown option --%s; did you mean --%s?", word,
                       near.name[0]);
}

static int takes_value(const struct option_row *row)
{
    return row->kind != OPTION_MODE && row->kind != OPTION_FLAG;
}

/* ---- values ------------------------------------------------------------------------------ */

static void mark(struct options *options, const struct option_row *row)
{
    options->given[row - option_rows] = 1;
}

static status wrong_number(const struct option_row *row, const char *value, const char *kind)
{
    return status_fail(STATUS_MISUSE, "--%s is \"%s\"; wanted %s from %.0f to %.0f", row->name,
                       value, kind, row->low, row->high);
}

static status check_step(const struct option_row *row, int value)
{
    if (row->step == 0 || value % row->step == 0)
        return STATUS_OK;
    return status_fail(STATUS_MISUSE, "--%s: %d is no multiple of %d", row->name, value, row->step);
}

static status take_int(const struct option_row *row, const char *value, long long *number)
{
    if (!number_int(value, (long long)row->low, (long long)row->high, number))
        return wrong_number(row, value, "a whole number");
    return check_step(row, row->step == 0 ? 0 : (int)*number);
}

static status take_size(const struct option_row *row, const char *value, struct options *options)
{
    int w, h;
    if (!number_size(value, &w, &h))
        return status_fail(STATUS_MISUSE, "--%s is \"%s\"; wanted WIDTHxHEIGHT, 512x768 say",
                           row->name, value);
    if (w < row->low || w > row->high || h < row->low || h > row->high)
        return wrong_number(row, value, "sides");
    TRY(check_step(row, w));
    TRY(check_step(row, h));
    options->request.width = w;
    options->request.height = h;
    mark(options, find_long("width", 5));
    mark(options, find_long("height", 6));
    return STATUS_OK;
}

static status take_seed(const struct option_row *row, const char *value, struct options *options)
{
    uint64_t *seed = (uint64_t *)((char *)options + row->offset);
    int *random = seed == &options->request.seed ? &options->random_seed : &options->random_subseed;
    if (number_seed(value, seed, random))
        return STATUS_OK;
    return status_fail(STATUS_MISUSE,
                       "--%s is \"%s\"; wanted 0 to 18446744073709551615, or -1 for any", row->name,
                       value);
}

/* Adds to one of the lists: weights' folders, variants. */
static status take_word(const struct option_row *row, const char *value, struct options *options)
{
    struct option_list *list = (struct option_list *)(void *)((char *)options + row->offset);
    const size_t bytes = (list->count + 1) * sizeof *list->word;
    const char **more = realloc(list->word, bytes);
    if (more == NULL)
        return status_fail(STATUS_NO_MEMORY, "options: %zu bytes asked", bytes);
    more[list->count++] = value;
    list->word = more;
    return STATUS_OK;
}

static status take_mode(const struct option_row *row, struct options *options)
{
    if (options->mode != MODE_NONE && options->mode != row->mode)
        return status_fail(STATUS_MISUSE, "--%s: another thing to do was given already", row->name);
    options->mode = row->mode;
    return STATUS_OK;
}

static status take(const struct option_row *row, const char *value, struct options *options)
{
    char *field = (char *)options + row->offset;
    long long number;
    mark(options, row);
    switch (row->kind) {
    case OPTION_MODE:
        return take_mode(row, options);
    case OPTION_MODE_TEXT:
        *(const char **)(void *)field = value;
        return take_mode(row, options);
    case OPTION_MODE_PAIR:
        options->files[0] = value;
        return take_mode(row, options);
    case OPTION_MODE_INT:
        TRY(take_mode(row, options));
        TRY(take_int(row, value, &number));
        *(int *)(void *)field = (int)number;
        return STATUS_OK;
    case OPTION_FLAG:
        *(int *)(void *)field = 1;
        return STATUS_OK;
    case OPTION_TEXT:
        *(const char **)(void *)field = value;
        return STATUS_OK;
    case OPTION_INT:
        TRY(take_int(row, value, &number));
        *(int *)(void *)field = (int)number;
        return STATUS_OK;
    case OPTION_INT64:
        TRY(take_int(row, value, &number));
        *(int64_t *)(void *)field = number;
        return STATUS_OK;
    case OPTION_REAL:
        if (!number_real(value, row->low, row->high, (double *)(void *)field))
            return wrong_number(row, value, "a number");
        return STATUS_OK;
    case OPTION_PERCENT:
        return option_take_percent(row, value, (double *)(void *)field);
    case OPTION_SEED:
        return take_seed(row, value, options);
    case OPTION_SIZE:
        return take_size(row, value, options);
    case OPTION_LIST:
        return take_word(row, value, options);
    case OPTION_SIZES:
    case OPTION_BATCHES:
    case OPTION_PRECISIONS:
        return option_take_list(row, value, options);
    case OPTION_PROFILE:
        return option_take_profile(row, value, options);
    }
    return STATUS_OK;
}

/* ---- the line ---------------------------------------------------------------------------- */

/* One argument, and the next where it is this one's value: *used says how many were taken. */
static status take_argument(char **argv, struct options *options, int *used)
{
    const char *name = argv[0], *value = NULL;
    const struct option_row *row;
    *used = 1;
    if (name[0] != '-' || name[1] == 0)
        return status_fail(STATUS_MISUSE, "unexpected argument \"%s\"; --help lists the options",
                           name);
    if (name[1] == '-') {
        const char *equals = strchr(name, '=');
        const size_t length = equals == NULL ? strlen(name + 2) : (size_t)(equals - name) - 2;
        row = find_long(name + 2, length);
        if (row == NULL)
            return unknown_long(name + 2, length);
        if (equals != NULL && !takes_value(row))
            return status_fail(STATUS_MISUSE, "--%s takes no value", row->name);
        value = equals == NULL ? NULL : equals + 1;
    } else {
        row = find_letter(name[1]);
        if (row == NULL)
            return status_fail(STATUS_MISUSE, "unknown option %s; --help lists them", name);
        if (name[2] != 0 && !takes_value(row))
            return status_fail(STATUS_MISUSE, "-%c takes no value", row->letter);
        value = name[2] == 0 ? NULL : name + 2;
    }
    if (value == NULL && takes_value(row)) {
        value = argv[1];
        *used = 2;
    }
    if (value == NULL && takes_value(row))
        return status_fail(STATUS_MISUSE, "--%s wants a value: %s", row->name, row->value);
    if (row->kind == OPTION_MODE_PAIR) {
        options->files[1] = argv[(*used)++];
        if (options->files[1] == NULL)
            return status_fail(STATUS_MISUSE, "--%s wants two values: %s", row->name, row->value);
    }
    return take(row, value, options);
}

/* A batch of four asks for four pictures, unless a count says otherwise. */
static status settle_count(struct options *options)
{
    struct miku_request *request = &options->request;
    const int counted = options_given(options, "count");
    if (options->batch_count > 0 && counted)
        return status_fail(STATUS_MISUSE, "--count and --batch-count both say how many");
    const int batches = options->batch_count > 0 ? options->batch_count : 1;
    if (counted || (options->batch_count == 0 && !options_given(options, "batch")))
        return STATUS_OK;
    if (batches > COUNT_MAX / request->batch)
        return status_fail(STATUS_MISUSE,
                           "--batch-count: %d batches of %d; wanted at most %d pictures", batches,
                           request->batch, COUNT_MAX);
    request->count = batches * request->batch;
    mark(options, find_long("count", 5));
    return STATUS_OK;
}

static int sweeps(const struct options *options)
{
    return options->sizes_count + options->batches_count + options->precisions_count > 0;
}

int options_measure(const struct options *options)
{
    return sweeps(options) || options->csv != NULL || options->report != NULL;
}

static void settle_runs(struct options *options)
{
    options->operators |= options->report != NULL;
    if (!options_measure(options))
        return;
    if (!options_given(options, "repeat"))
        options->repeat = 5;
    if (!options_given(options, "warmup"))
        options->warmup = 1;
}

static status check_sweep(const struct options *options)
{
    static const char *const both[][2] = {
        { "sizes", "size" },    { "sizes", "width" },         { "sizes", "height" },
        { "batches", "batch" }, { "batches", "batch-count" }, { "precisions", "precision" },
    };
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++)
        if (options_given(options, both[i][0]) && options_given(options, both[i][1]))
            return status_fail(STATUS_MISUSE, "--%s and --%s both say it", both[i][0], both[i][1]);
    if (sweeps(options) && (options->mode == MODE_PROMPTS || options->mode == MODE_REPLAY))
        return status_fail(STATUS_MISUSE, "--%s goes with --case, --all and --prompt",
                           options->sizes_count > 0     ? "sizes"
                           : options->batches_count > 0 ? "batches"
                                                        : "precisions");
    if (options->profile_control != NULL && options->profile == NULL)
        return status_fail(STATUS_MISUSE, "--profile-control goes with --profile");
    return STATUS_OK;
}

/* What rows cannot say: which go together. */
static status check_together(const struct options *options)
{
    const enum mode mode = options->mode;
    if (mode == MODE_NONE)
        return status_fail(STATUS_MISUSE, "nothing to do; mikubench-cuda --case 1 makes a picture, "
                                          "--help says more");
    if (options->min_psnr >= 0 && mode != MODE_REPLAY)
        return status_fail(STATUS_MISUSE, "--min-psnr goes with --replay");
    if (mode == MODE_FROM && options->report == NULL)
        return status_fail(STATUS_MISUSE, "--from goes with --report FILE");
    if (mode != MODE_COMPARE && (options_given(options, "fail-over") || options->compare_anyway))
        return status_fail(STATUS_MISUSE, "--fail-over and --compare-anyway go with --compare");
    TRY(check_sweep(options));
    if (options->output != NULL && options_given(options, "out"))
        return status_fail(STATUS_MISUSE, "--out and -o both say where to");
    if (options->output != NULL &&
        (mode == MODE_ALL || mode == MODE_PROMPTS || options->request.count > 1 || sweeps(options)))
        return status_fail(STATUS_MISUSE, "-o names one file; --out takes a folder for several");
    return STATUS_OK;
}

status options_parse(int argc, char **argv, struct options *options)
{
    *options = (struct options){ .request = miku_request_default(),
                                 .out = "out",
                                 .min_psnr = -1,
                                 .fail_over = 0.05,
                                 .repeat = 1 };
    for (int i = 1, used; i < argc && options->mode != MODE_HELP; i += used)
        TRY(take_argument(argv + i, options, &used));
    TRY(settle_count(options));
    settle_runs(options);
    return check_together(options);
}

void options_free(struct options *options)
{
    free(options->weights.word);
    free(options->variants.word);
    options->weights = options->variants = (struct option_list){ 0 };
}

int options_given(const struct options *options, const char *name)
{
    const struct option_row *row = find_long(name, strlen(name));
    return row != NULL && options->given[row - option_rows];
}

/* ---- onto a request ---------------------------------------------------------------------- */

static size_t field_bytes(enum option_kind kind)
{
    switch (kind) {
    case OPTION_FLAG:
    case OPTION_INT:
        return sizeof(int);
    case OPTION_TEXT:
    case OPTION_MODE_TEXT:
        return sizeof(const char *);
    case OPTION_INT64:
        return sizeof(int64_t);
    case OPTION_REAL:
        return sizeof(double);
    case OPTION_SEED:
        return sizeof(uint64_t);
    default:
        return 0;
    }
}

void options_apply(const struct options *options, struct miku_request *request)
{
    const size_t first = offsetof(struct options, request), last = first + sizeof *request;
    for (size_t i = 0; i < option_count; i++) {
        const struct option_row *row = &option_rows[i];
        if (!options->given[i] || row->offset < first || row->offset >= last)
            continue;
        memcpy((char *)request + (row->offset - first), (const char *)options + row->offset,
               field_bytes(row->kind));
    }
}

void options_draw_seeds(const struct options *options, struct miku_request *request)
{
    if (options->random_seed)
        request->seed = number_random_seed();
    if (options->random_subseed)
        request->subseed = number_random_seed();
}
