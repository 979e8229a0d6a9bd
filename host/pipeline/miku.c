/* host/pipeline/miku.c - opening and closing a context, and what it says of itself. */
#include "host/pipeline/miku.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/pipeline/request.h"
#if MIKU_CPU
#include <dnnl_version.h>

#include "host/cpu/cpu.h"
#define TEXT(x) #x
#define VERSION_TEXT(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)
#endif

void miku_tell(const struct miku *miku, enum miku_log level, const char *format, ...)
{
    char line[1024];
    va_list args;
    if (miku->log == NULL)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    miku->log(miku->user, level, line);
}

const char *miku_version(void) { return MIKU_VERSION; }

const char *miku_build(void)
{
    static const char text[] =
        "compiler " MIKU_COMPILER "\n"
#if MIKU_CUDA
        "CUDA " MIKU_CUDA_BUILD "\n"
#endif
#if MIKU_CPU
        "oneDNN " VERSION_TEXT(DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, DNNL_VERSION_PATCH) "\n"
#endif
        ;
    return text;
}

const char *miku_precision_name(enum dtype dtype)
{
    return dtype == DTYPE_F32 ? "fp32" : dtype == DTYPE_BF16 ? "bf16" : "fp16";
}

struct miku_device miku_device(const struct miku *miku)
{
    return (struct miku_device){ .name = miku->ops->name,
                                 .summary = miku->ops->summary,
                                 .precision = miku_precision_name(miku->dtype),
                                 .threads = miku->threads,
                                 .bus_id = miku->ops->bus_id,
                                 .plan_hash = miku->ops->plan_hash,
                                 .engine = miku->ops->engine,
                                 .engine_left = miku->ops->engine_left };
}

/* ---- opening ----------------------------------------------------------------------------- */

static status open_all(const struct miku_options *options, struct miku *miku)
{
    TRY(miku_open_device(options, &miku->dtype, &miku->ops));
#if MIKU_CPU
    if (strcmp(miku->ops->name, "cpu") == 0)
        miku->threads = options->threads > 0 ? options->threads : cpu_cores();
#endif
    TRY(hash_cache_open(options->cache_dir, &miku->hashes));
    TRY(store_create(options->cache_dir, &miku->store));
    for (size_t i = 0; i < options->weights_count; i++) {
        if (strcmp(options->weights[i], "synthetic") == 0)
            miku->synthetic = 1;
        else
            TRY(store_add(miku->store, options->weights[i]));
    }
    TRY(tokenizer_create(&miku->tokenizer));
    return loaded_create(miku->ops, miku->dtype, &miku->loaded);
}

status miku_open(const struct miku_options *options, struct miku **out)
{
    *out = NULL;
    struct miku *miku = calloc(1, sizeof *miku);
    if (miku == NULL)
        return status_fail(STATUS_NO_MEMORY, "context: %zu bytes asked", sizeof *miku);
    miku->log = options->log;
    miku->user = options->user;
    miku->memory_limit = options->memory_limit;
    const status result = open_all(options, miku);
    if (result != STATUS_OK) {
        miku_close(miku);
        return result;
    }
    *out = miku;
    return STATUS_OK;
}

void miku_close(struct miku *miku)
{
    if (miku == NULL)
        return;
    loaded_destroy(miku->loaded);
    inversions_destroy(miku->inversions);
    tokenizer_destroy(miku->tokenizer);
    store_destroy(miku->store);
    hash_cache_close(miku->hashes);
    if (miku->ops != NULL)
        miku->ops->destroy(miku->ops);
    free(miku);
}

/* ---- what there is ----------------------------------------------------------------------- */

status miku_list(struct miku *miku, int hashes,
                 status (*file)(void *user, const struct miku_file *file), void *user)
{
    for (enum weights_kind kind = WEIGHTS_OTHER; kind < WEIGHTS_KIND_COUNT; kind++)
        for (size_t i = 0; i < store_count(miku->store); i++) {
            const struct store_file *found = store_at(miku->store, i);
            /* What this program knows comes first; the rest after it, as WEIGHTS_OTHER is 0. */
            if (found->kind != (kind + 1) % WEIGHTS_KIND_COUNT)
                continue;
            struct miku_file entry = { .name = found->name,
                                       .kind = found->problem[0] != 0
                                                   ? found->problem
                                                   : weights_kind_name(found->kind),
                                       .path = found->path,
                                       .bytes = (size_t)found->bytes };
            if (hashes)
                (void)hash_file(miku->hashes, found->path, NULL, NULL, entry.sha256);
            else
                (void)hash_known(miku->hashes, found->path, entry.sha256);
            TRY(file(user, &entry));
        }
    return STATUS_OK;
}

status miku_check(struct miku *miku, const struct miku_request *request)
{
    struct compat compat;
    struct resolved resolved;
    TRY(request_check(request));
    TRY(request_compat(request, &compat));
    TRY(request_sampler(request, NULL));
    const status result = resolve_request(miku, request, &compat, &resolved);
    free(resolved.prompt);
    return result;
}
