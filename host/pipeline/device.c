/* host/pipeline/device.c - the device and the precision that options name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/pipeline/miku.h"
#include "host/pipeline/request.h" /* text_copy() */
#if MIKU_CPU
#include "host/cpu/cpu.h"
#endif
#if MIKU_CUDA
#include "cuda/cuda.h"
#endif

enum { NAME_BYTES = 64 };

/* ---- names -------------------------------------------------------------------------------- */

static int is_automatic(const char *name) { return name == NULL || strcmp(name, "auto") == 0; }

/* `usual` is what "auto" stands for. */
static status read_precision(const char *name, enum dtype usual, enum dtype *out)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } known[] = { { "fp32", DTYPE_F32 }, { "bf16", DTYPE_BF16 }, { "fp16", DTYPE_F16 } };
    *out = usual;
    if (is_automatic(name))
        return STATUS_OK;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i].name) == 0) {
            *out = known[i].dtype;
            return STATUS_OK;
        }
    return status_fail(STATUS_MISUSE,
                       "precision \"%s\" is not known; auto, fp32, bf16 and fp16 are", name);
}

/* 1 if the name is "cuda" or "cuda:N". */
static int read_cuda(const char *name, int *ordinal)
{
    char *end;
    *ordinal = 0;
    if (strncmp(name, "cuda", 4) != 0 || (name[4] != 0 && name[4] != ':'))
        return 0;
    if (name[4] == 0)
        return 1;
    const long number = strtol(name + 5, &end, 10);
    *ordinal = (int)number;
    return name[5] >= '0' && name[5] <= '9' && *end == 0 && number <= 1000;
}

/* 1 in *vendor if its libraries are to make the products. */
static status read_engine(const char *name, int *vendor)
{
    *vendor = name != NULL && strcmp(name, "vendor") == 0;
    if (name == NULL || *vendor || strcmp(name, "own") == 0)
        return STATUS_OK;
    return status_fail(STATUS_MISUSE, "engine \"%s\" is not known; own and vendor are", name);
}

/* ---- CUDA --------------------------------------------------------------------------------- */

#if MIKU_CUDA
static status force_variant(struct ops *ops, const char *text)
{
    char op[NAME_BYTES] = "";
    const char *equals = strchr(text, '=');
    if (equals == NULL || (size_t)(equals - text) >= sizeof op)
        return status_fail(STATUS_MISUSE, "variant \"%s\": wanted OPERATOR=VARIANT", text);
    memcpy(op, text, (size_t)(equals - text));
    return cuda_force(ops, op, equals + 1);
}

static status set_up(const struct miku_options *options, struct ops *ops)
{
    int vendor;
    TRY(read_engine(options->engine, &vendor));
    if (vendor)
        TRY(cuda_vendor_open(ops));
    cuda_vendor_prefer(ops, vendor);
    cuda_use_graphs(ops, !options->no_graph);
    for (size_t i = 0; i < options->variants_count; i++)
        TRY(force_variant(ops, options->variants[i]));
    return STATUS_OK;
}

static status open_cuda(const struct miku_options *options, int ordinal, enum dtype *dtype,
                        struct ops **out)
{
    TRY(read_precision(options->precision, DTYPE_F16, dtype));
    TRY(cuda_open(ordinal, *dtype, out));
    const status result = set_up(options, *out);
    if (result != STATUS_OK) {
        (*out)->destroy(*out);
        *out = NULL;
    }
    return result;
}

/* The first GPU that can be used, or null. One that cannot is worth a word: there it is. The vendor
 * engine is a GPU's, so that without it there is nothing to go on with. */
static status open_first_gpu(const struct miku_options *options, enum dtype *dtype,
                             struct ops **out)
{
    const int count = cuda_count();
    int vendor;
    TRY(read_engine(options->engine, &vendor));
    *out = NULL;
    for (int i = 0; i < count; i++) {
        const status result = open_cuda(options, i, dtype, out);
        if (result == STATUS_OK || result == STATUS_MISUSE || vendor)
            return result;
        if (options->log != NULL)
            options->log(options->user, MIKU_LOG_WARNING, status_text());
    }
    return STATUS_OK;
}
#else
static status open_cuda(const struct miku_options *options, int ordinal, enum dtype *dtype,
                        struct ops **out)
{
    (void)options, (void)ordinal, (void)dtype, (void)out;
    return status_fail(STATUS_UNSUPPORTED, "this build has no CUDA device");
}

static status open_first_gpu(const struct miku_options *options, enum dtype *dtype,
                             struct ops **out)
{
    (void)options, (void)dtype;
    *out = NULL;
    return STATUS_OK;
}
#endif

/* ---- CPU ---------------------------------------------------------------------------------- */

static status open_cpu(const struct miku_options *options, enum dtype *dtype, struct ops **out)
{
    int vendor;
    TRY(read_precision(options->precision, DTYPE_F32, dtype));
    TRY(read_engine(options->engine, &vendor));
    if (vendor)
        return status_fail(STATUS_MISUSE,
                           "engine vendor: it is a GPU's, and the device is the CPU");
    if (options->variants_count > 0)
        return status_fail(STATUS_MISUSE, "variant \"%s\": the CPU device has no variants",
                           options->variants[0]);
#if MIKU_CPU
    return cpu_open(options->threads, *dtype, out);
#else
    (void)out;
    return status_fail(STATUS_UNSUPPORTED, "this build has no CPU device");
#endif
}

/* ---- either ------------------------------------------------------------------------------- */

status miku_open_device(const struct miku_options *options, enum dtype *dtype, struct ops **out)
{
    const char *name = options->device;
    int ordinal;
    *out = NULL;
    TRY(read_precision(options->precision, DTYPE_F32, dtype));
    if (!is_automatic(name) && read_cuda(name, &ordinal))
        return open_cuda(options, ordinal, dtype, out);
    if (!is_automatic(name) && strcmp(name, "cpu") != 0)
        return status_fail(STATUS_MISUSE, "device \"%s\" is not known; auto, cpu and cuda[:N] are",
                           name);
    if (is_automatic(name))
        TRY(open_first_gpu(options, dtype, out));
#if MIKU_CUDA && !MIKU_CPU
    if (*out == NULL && is_automatic(name)) /* there is nothing else: the reason is the GPU's */
        return open_cuda(options, 0, dtype, out);
#endif
    return *out != NULL ? STATUS_OK : open_cpu(options, dtype, out);
}

/* ---- what there is ------------------------------------------------------------------------ */

static status add_line(const char *name, const char *summary, char **text)
{
    const size_t had = strlen(*text), bytes = strlen(name) + strlen(summary) + 4;
    char *more = realloc(*text, had + bytes);
    if (more == NULL)
        return status_fail(STATUS_NO_MEMORY, "devices: no memory");
    *text = more;
    snprintf(more + had, bytes, "%s%s%s\n", name, summary[0] ? "  " : "", summary);
    return STATUS_OK;
}

/* Adds the device and closes it. */
static status add_device(struct ops *ops, char **text)
{
    const status result = add_line(ops->name, ops->summary, text);
    ops->destroy(ops);
    return result;
}

#if MIKU_CUDA
/* Those that cannot be used, too, and why. */
static status list_gpus(char **text)
{
    struct ops *ops;
    const int count = cuda_count();
    if (count == 0)
        return add_line(status_text(), "", text);
    for (int i = 0; i < count; i++)
        if (cuda_open(i, DTYPE_F16, &ops) == STATUS_OK)
            TRY(add_device(ops, text));
        else
            TRY(add_line(status_text(), "", text));
    return STATUS_OK;
}
#endif

static status list_devices(char **text)
{
#if MIKU_CUDA
    TRY(list_gpus(text));
#endif
#if MIKU_CPU
    struct ops *ops;
    TRY(cpu_open(0, DTYPE_F32, &ops));
    TRY(add_device(ops, text));
#endif
    return STATUS_OK;
}

status miku_devices(char **text)
{
    *text = text_copy("");
    if (*text == NULL)
        return status_fail(STATUS_NO_MEMORY, "devices: no memory");
    const status result = list_devices(text);
    if (result != STATUS_OK) {
        free(*text);
        *text = NULL;
    }
    return result;
}
