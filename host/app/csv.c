/* host/app/csv.c - summaries as rows: stages, clocks, steps. Values themselves are in the JSON. */
#include "host/app/csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/statistics.h"

static const char header[] =
    "key,case,device,precision,threads,width,height,batch,count,steps,sampler,stand_in,synthetic,"
    "runs,kind,name,unit,values,median,p10,p90,min,max,outliers,drift\r\n";

static void put_text(FILE *to, const char *text)
{
    fputc('"', to);
    for (; text != NULL && *text != 0; text++) {
        if (*text == '"')
            fputc('"', to);
        fputc(*text, to);
    }
    fputc('"', to);
}

static void put_configuration(FILE *to, const struct measured *m)
{
    const struct miku_request *r = &m->configuration->request;
    put_text(to, m->key);
    if (m->configuration->job->case_number > 0)
        fprintf(to, ",%d,", m->configuration->job->case_number);
    else
        fputs(",,", to);
    put_text(to, m->device);
    fprintf(to, ",%s,%d,%d,%d,%d,%d,%d,", m->precision, m->threads, r->width, r->height, r->batch,
            r->count, r->steps);
    put_text(to, r->sampler);
    fprintf(to, ",%s,%s,%d", m->stand_in ? "true" : "false", m->synthetic ? "true" : "false",
            m->counted);
}

static size_t count_outliers(const struct series *series)
{
    size_t count = 0;
    unsigned char *outlier = calloc(series->count, 1);
    if (outlier != NULL && statistics_outliers(series->value, series->count, outlier) == STATUS_OK)
        for (size_t i = 0; i < series->count; i++)
            count += outlier[i];
    free(outlier);
    return count;
}

static void put_row(FILE *to, const struct measured *m, const char *kind, const char *name,
                    const char *unit, const struct series *series)
{
    struct summary s;
    if (series->count == 0 || statistics_summary(series->value, series->count, &s) != STATUS_OK)
        return;
    put_configuration(to, m);
    fprintf(to, ",%s,%s,%s,%zu,%.4f,%.4f,%.4f,%.4f,%.4f,%zu,", kind, name, unit, series->count,
            s.median, s.p10, s.p90, s.min, s.max, count_outliers(series));
    if (!isnan(s.first_half) && s.first_half > 0)
        fprintf(to, "%.4f", s.second_half / s.first_half);
    fputs("\r\n", to);
}

status csv_write(const struct results *results, char **text, size_t *bytes)
{
    *text = NULL;
    FILE *to = open_memstream(text, bytes);
    if (to == NULL)
        return status_fail(STATUS_NO_MEMORY, "csv: no memory");
    fputs(header, to);
    for (size_t i = 0; i < results_count(results); i++) {
        const struct measured *m = results_at(results, i);
        for (int k = 0; k < STAGES; k++)
            put_row(to, m, "stage", stage_names[k], "ms", &m->stage[k]);
        for (int k = 0; k < CLOCKS; k++)
            put_row(to, m, "clock", clock_names[k], "ms", &m->clock[k]);
        put_row(to, m, "step", "step", "ms", &m->step);
        put_row(to, m, "step", "steps_per_s", "1/s", &m->steps_per_s);
    }
    const int bad = ferror(to);
    if (fclose(to) == 0 && !bad)
        return STATUS_OK;
    free(*text);
    *text = NULL;
    return status_fail(STATUS_NO_MEMORY, "csv: no memory");
}
