#include "bench/variants/fastest.h"

#include <string.h>

static const char *text(const cJSON *row, const char *name)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, name));
    return value != NULL ? value : "";
}

static double number(const cJSON *row, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(row, name));
}

static int has_same_key(const cJSON *a, const cJSON *b)
{
    return strcmp(text(a, "op"), text(b, "op")) == 0 && strcmp(text(a, "key"), text(b, "key")) == 0;
}

static int is_picked(const cJSON *row)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "picked"));
}

static int is_vendors(const cJSON *row) { return strncmp(text(row, "variant"), "vendor", 6) == 0; }

/* The fastest of our variants for the call that `picked` is of. */
static const cJSON *fastest(const cJSON *rows, const cJSON *picked, double most_error)
{
    const cJSON *row, *best = picked;
    cJSON_ArrayForEach(row, rows)
    {
        if (number(row, "call") == number(picked, "call") && !is_vendors(row) &&
            number(row, "error") < most_error &&
            number(row, "median_us") < number(best, "median_us"))
            best = row;
    }
    return best;
}

/* A key says nothing of the batch or of what else a call fuses: several calls may have one. The
 * first decides. */
static int is_first(const cJSON *rows, const cJSON *picked)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (row == picked)
            return 1;
        if (is_picked(row) && has_same_key(row, picked))
            return 0;
    }
    return 0;
}

int fastest_write(const cJSON *rows, double most_error, FILE *plan)
{
    const cJSON *row;
    int lines = 0;
    cJSON_ArrayForEach(row, rows)
    {
        if (!is_picked(row) || !is_first(rows, row))
            continue;
        const cJSON *best = fastest(rows, row, most_error);
        if (number(best, "p90_us") < number(row, "p10_us")) {
            fprintf(plan, "%s | %s | %s\n", text(row, "op"), text(row, "key"),
                    text(best, "variant"));
            lines++;
        }
    }
    return lines;
}
