/* host/app/option_values.c - lists between commas, and what a profiler is bounded to. */
#include "host/app/option_values.h"

#include <string.h>

#include "host/app/number.h"

enum { WORD_BYTES = 32 };

/* ---- one value of a list ----------------------------------------------------------------- */

static status refuse(const struct option_row *row, const char *word, const char *wanted)
{
    return status_fail(STATUS_MISUSE, "--%s: \"%s\"; wanted %s", row->name, word, wanted);
}

static status take_size(const struct option_row *row, const char *word, struct options *o)
{
    int w, h;
    if (!number_size(word, &w, &h))
        return refuse(row, word, "WIDTHxHEIGHT, 512x768 say");
    if (w < row->low || w > row->high || h < row->low || h > row->high || w % row->step != 0 ||
        h % row->step != 0)
        return status_fail(STATUS_MISUSE,
                           "--%s: \"%s\"; wanted sides from %.0f to %.0f, multiples "
                           "of %d",
                           row->name, word, row->low, row->high, row->step);
    for (size_t i = 0; i < o->sizes_count; i++)
        if (o->sizes[i].width == w && o->sizes[i].height == h)
            return refuse(row, word, "each once");
    o->sizes[o->sizes_count].width = w;
    o->sizes[o->sizes_count++].height = h;
    return STATUS_OK;
}

static status take_batch(const struct option_row *row, const char *word, struct options *o)
{
    long long number;
    if (!number_int(word, (long long)row->low, (long long)row->high, &number))
        return status_fail(STATUS_MISUSE, "--%s: \"%s\"; wanted whole numbers from %.0f to %.0f",
                           row->name, word, row->low, row->high);
    for (size_t i = 0; i < o->batches_count; i++)
        if (o->batches[i] == number)
            return refuse(row, word, "each once");
    o->batches[o->batches_count++] = (int)number;
    return STATUS_OK;
}

static status take_precision(const struct option_row *row, const char *word, struct options *o)
{
    static const char *const known[] = { "fp32", "bf16", "fp16" };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i], word) != 0)
            continue;
        for (size_t k = 0; k < o->precisions_count; k++)
            if (o->precisions[k] == known[i])
                return refuse(row, word, "each once");
        o->precisions[o->precisions_count++] = known[i];
        return STATUS_OK;
    }
    return refuse(row, word, "fp32, bf16 or fp16");
}

/* ---- the list ---------------------------------------------------------------------------- */

status option_take_list(const struct option_row *row, const char *value, struct options *options)
{
    status (*take)(const struct option_row *, const char *, struct options *) =
        row->kind == OPTION_SIZES     ? take_size
        : row->kind == OPTION_BATCHES ? take_batch
                                      : take_precision;
    const char *at = value;
    for (int i = 0;; i++) {
        char word[WORD_BYTES] = "";
        const size_t length = strcspn(at, ",");
        if (i == SWEEP_MOST)
            return status_fail(STATUS_MISUSE, "--%s: more than %d values", row->name, SWEEP_MOST);
        strncat(word, at, length < sizeof word - 1 ? length : sizeof word - 1);
        TRY(take(row, word, options));
        if (at[length] == 0)
            return STATUS_OK;
        at += length + 1;
    }
}

/* ---- percent ----------------------------------------------------------------------------- */

status option_take_percent(const struct option_row *row, const char *value, double *share)
{
    char digits[WORD_BYTES] = "";
    const size_t length = strlen(value), sign = length > 0 && value[length - 1] == '%';
    double percent;
    if (length - sign >= sizeof digits)
        return refuse(row, value, "a percentage, 5% say");
    memcpy(digits, value, length - sign);
    if (!number_real(digits, row->low, row->high, &percent))
        return refuse(row, value, "a percentage, 5% say");
    *share = percent / 100;
    return STATUS_OK;
}

/* ---- --profile --------------------------------------------------------------------------- */

status option_take_profile(const struct option_row *row, const char *value, struct options *options)
{
    static const char *const stages[] = { "load", "encode", "sample", "decode" };
    const size_t length = strcspn(value, ":");
    long long step = 0;
    options->profile = value;
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
        if (strlen(stages[i]) == length && memcmp(stages[i], value, length) == 0)
            strcpy(options->profile_stage, stages[i]);
    if (options->profile_stage[0] == 0)
        return refuse(row, value, "load, encode, sample or decode, and sample:N for a step");
    if (value[length] == 0)
        return STATUS_OK;
    if (strcmp(options->profile_stage, "sample") != 0)
        return refuse(row, value, "no step: only sample has steps");
    if (!number_int(value + length + 1, 1, 1000, &step))
        return refuse(row, value, "a step from 1 to 1000");
    options->profile_step = (int)step;
    return STATUS_OK;
}
