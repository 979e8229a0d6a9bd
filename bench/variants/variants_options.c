#include "bench/variants/variants_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct variants_options variants_options_default = { .dtype = DTYPE_F16,
                                                           .size = { { 512, 768 } },
                                                           .sizes = 1,
                                                           .n = 1,
                                                           .runs = 20,
                                                           .inner = 10,
                                                           .row_ms = 2000,
                                                           .seconds = 86400,
                                                           .calls = MOST_CALLS,
                                                           .side = 8192 };

static int parse_precision(const char *value, enum dtype *out)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } known[] = { { "fp16", DTYPE_F16 }, { "bf16", DTYPE_BF16 }, { "fp32", DTYPE_F32 } };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(value, known[i].name) == 0) {
            *out = known[i].dtype;
            return 1;
        }
    return 0;
}

static int parse_count(const char *value, int most, int *out)
{
    char *end;
    const long count = strtol(value, &end, 10);
    *out = (int)count;
    return end != value && *end == '\0' && count >= 1 && count <= most;
}

static int parse_sizes(const char *value, struct variants_options *o)
{
    int length;
    o->sizes = 0;
    for (;; value += length + 1) {
        int w, h;
        length = 0;
        if (o->sizes == MOST_SIZES || sscanf(value, "%dx%d%n", &w, &h, &length) != 2 || w < 64 ||
            h < 64 || w > 2048 || h > 2048)
            return 0;
        o->size[o->sizes].width = w;
        o->size[o->sizes++].height = h;
        if (value[length] != ',')
            return value[length] == '\0';
    }
}

static int parse_option(const char *name, const char *value, struct variants_options *o)
{
    if (strcmp(name, "--precision") == 0)
        return parse_precision(value, &o->dtype);
    if (strcmp(name, "--size") == 0)
        return parse_sizes(value, o);
    if (strcmp(name, "--batch") == 0)
        return parse_count(value, 64, &o->n);
    if (strcmp(name, "--runs") == 0)
        return parse_count(value, MOST_RUNS, &o->runs);
    if (strcmp(name, "--inner") == 0)
        return parse_count(value, 1000, &o->inner);
    if (strcmp(name, "--row-ms") == 0)
        return parse_count(value, 1000000, &o->row_ms);
    if (strcmp(name, "--seconds") == 0)
        return parse_count(value, 86400, &o->seconds);
    if (strcmp(name, "--calls") == 0)
        return parse_count(value, MOST_CALLS, &o->calls);
    if (strcmp(name, "--ceiling") == 0)
        return parse_count(value, 32768, &o->side);
    if (strcmp(name, "--op") == 0)
        o->op = value;
    else if (strcmp(name, "--json") == 0)
        o->json = value;
    else if (strcmp(name, "--plan") == 0)
        o->plan = value;
    else
        return 0;
    return *value != '\0';
}

int variants_options_read(int argc, char **argv, struct variants_options *o)
{
    for (int i = 1; i < argc; i += 2)
        if (!parse_option(argv[i], i + 1 < argc ? argv[i + 1] : "", o))
            return 0;
    return 1;
}
