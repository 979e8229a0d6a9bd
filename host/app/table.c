/* host/app/table.c - medians in columns. */
#include "host/app/table.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "host/app/say.h"
#include "host/base/statistics.h"

enum { LABEL = 26, OPERATORS_SHOWN = 12 };

/* ---- cells ------------------------------------------------------------------------------- */

void table_number(double value, int width, char *line)
{
    const double size = fabs(value);
    const int digits = !isfinite(value) ? -1 : size >= 999.5 ? 0 : size >= 99.95 ? 1 : 2;
    if (digits < 0)
        snprintf(line, (size_t)width + 1, "-");
    else
        snprintf(line, (size_t)width + 1, "%.*f", digits, value);
}

void table_fit(const char *text, int width, char *out)
{
    const char *at = text, *cut = text;
    int columns = 0, cut_columns = 0;
    while (*at != 0) {
        utf8proc_int32_t point;
        const utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &point);
        const int wide = step > 0 ? utf8proc_charwidth(point) : 1;
        const int most = 4 * width; /* marks without a width of their own end somewhere */
        if (columns + wide > width || at - text + (step > 0 ? step : 1) > most)
            break;
        columns += wide;
        at += step > 0 ? step : 1;
        if (columns <= width - 3)
            cut = at, cut_columns = columns;
    }
    const int fits = *at == 0;
    const size_t bytes = (size_t)((fits ? at : cut) - text);
    memcpy(out, text, bytes);
    const int used = fits ? columns : cut_columns + 3;
    snprintf(out + bytes, (size_t)width + 1, "%s%*s", fits ? "" : "...", width - used, "");
}

static double median_of(const struct series *series)
{
    struct summary s;
    if (series->count == 0 || statistics_summary(series->value, series->count, &s) != STATUS_OK)
        return NAN;
    return s.median;
}

/* "-1.2 +3.4": the tenth and ninetieth percentiles against the median, in percent. */
static void write_spread(const struct series *series, char line[16])
{
    struct summary s;
    snprintf(line, 16, "-");
    if (series->count < 2 || statistics_summary(series->value, series->count, &s) != STATUS_OK ||
        !(s.median > 0))
        return;
    const double below = (s.p10 / s.median - 1) * 100, above = (s.p90 / s.median - 1) * 100;
    snprintf(line, 16, "%.1f %+.*f", -fabs(below), above < 99.95 ? 1 : 0, above);
}

/* ---- configurations ---------------------------------------------------------------------- */

static void say_row(const struct measured *m)
{
    char label[5 * LABEL + 1], cell[6][16], spread[16], line[256];
    const char *name = m->configuration->label[0] == 0 ? "prompt" : m->configuration->label;
    const double value[] = { median_of(&m->stage[STAGE_LOAD]),
                             median_of(&m->stage[STAGE_ENCODE]),
                             median_of(&m->step),
                             median_of(&m->steps_per_s),
                             median_of(&m->stage[STAGE_DECODE]),
                             median_of(&m->clock[CLOCK_PICTURE]) };
    table_fit(name, LABEL, label);
    for (int i = 0; i < 6; i++)
        table_number(value[i], 9, cell[i]);
    write_spread(&m->clock[CLOCK_PICTURE], spread);
    snprintf(line, sizeof line, "%s %5d %8s %8s %8s %8s %8s %9s %11s", label, m->counted, cell[0],
             cell[1], cell[2], cell[3], cell[4], cell[5], spread);
    say_styled(m->error != NULL ? SAY_WARM : SAY_PLAIN, line);
}

static void say_head(void)
{
    char line[256];
    snprintf(line, sizeof line, "%-*s %5s %8s %8s %8s %8s %8s %9s %11s", LABEL, "configuration",
             "runs", "load", "encode", "step", "steps/s", "decode", "picture", "p10 p90");
    say_styled(SAY_STRONG, line);
    snprintf(line, sizeof line, "%-*s %5s %8s %8s %8s %8s %8s %9s %11s", LABEL, "medians", "", "ms",
             "ms", "ms", "", "ms", "ms", "%");
    say_styled(SAY_FAINT, line);
}

/* ---- what should not be hidden ----------------------------------------------------------- */

enum { DRIFT_TOLD_PERCENT = 2 };

static void say_doubt(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    say_styled(SAY_WARM, line);
}

static void say_doubts(const struct measured *m)
{
    const struct series *picture = &m->clock[CLOCK_PICTURE];
    const char *name = m->configuration->label[0] == 0 ? "prompt" : m->configuration->label;
    unsigned char *outlier = calloc(picture->count + 1, 1);
    struct summary s;
    size_t outliers = 0;
    if (outlier != NULL && picture->count > 0 &&
        statistics_summary(picture->value, picture->count, &s) == STATUS_OK &&
        statistics_outliers(picture->value, picture->count, outlier) == STATUS_OK) {
        for (size_t i = 0; i < picture->count; i++)
            outliers += outlier[i];
        const double drift = (s.second_half / s.first_half - 1) * 100;
        if (outliers > 0)
            say_doubt("%s: %zu of %zu times of a picture are outliers, up to %.0f ms", name,
                      outliers, picture->count, s.max);
        if (fabs(drift) > DRIFT_TOLD_PERCENT) /* never for NaN */
            say_doubt("%s: the second half of the runs took %+.1f %% against the first", name,
                      drift);
    }
    free(outlier);
    if (m->reason != NULL)
        say_doubt("%s: %d of %d runs: %s", name, m->counted, m->asked, m->reason);
    if (m->error != NULL)
        say_doubt("%s: %s", name, m->error);
}

/* ---- operators --------------------------------------------------------------------------- */

static void say_operator(const struct measured *m, const struct work *w)
{
    char name[5 * LABEL + 1], cell[4][16], share[16] = "-", line[256];
    int compute = 0;
    const int timed = w->total_ms > 0;
    table_fit(w->name, LABEL, name);
    table_number(w->total_ms, 9, cell[0]);
    table_number(timed ? w->flops / (w->total_ms * 1e6) : NAN, 9, cell[1]);
    table_number(timed ? w->bytes / (w->total_ms * 1e6) : NAN, 9, cell[2]);
    if (m->has_ceiling && timed)
        snprintf(share, sizeof share, "%.0f %s",
                 100 * operators_of_ceiling(w, &m->ceiling, &compute),
                 compute ? "compute" : "memory");
    snprintf(cell[3], sizeof cell[3], "%.1f", 100 * w->total_ms / m->operators.covered_ms);
    snprintf(line, sizeof line, "%s %7zu %9s %7s %9s %9s %14s", name, w->count, cell[0], cell[3],
             cell[1], cell[2], share);
    say_styled(SAY_PLAIN, line);
}

static void say_operators(const struct measured *m)
{
    char line[256];
    const char *label = m->configuration->label[0] == 0 ? "prompt" : m->configuration->label;
    snprintf(line, sizeof line, "%-*.*s %7s %9s %7s %9s %9s %14s", LABEL, LABEL, label, "calls",
             "ms", "% time", "GFLOP/s", "GB/s", "% of ceiling");
    say_styled(SAY_STRONG, "");
    say_styled(SAY_STRONG, line);
    for (size_t i = 0; i < m->operators.count && i < OPERATORS_SHOWN; i++)
        say_operator(m, &m->operators.row[i].work);
    if (!m->has_ceiling)
        return;
    snprintf(line, sizeof line,
             "ceiling here: %.0f GFLOP/s (%s, %dx%dx%d), %.1f GB/s (copy of %zu MiB)",
             m->ceiling.matrix_gflops, m->precision, m->ceiling.rows, m->ceiling.inputs,
             m->ceiling.outputs, m->ceiling.copy_gbytes, m->ceiling.copy_bytes >> 20);
    say_styled(SAY_FAINT, line);
}

void table_say(const struct results *results)
{
    const size_t count = results_count(results);
    if (count == 0)
        return;
    say_head();
    for (size_t i = 0; i < count; i++)
        say_row(results_at(results, i));
    for (size_t i = 0; i < count; i++)
        say_doubts(results_at(results, i));
    for (size_t i = 0; i < count; i++)
        if (results_at(results, i)->has_operators)
            say_operators(results_at(results, i));
}
