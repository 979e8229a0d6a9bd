/* host/pipeline/resolve.c - names in a request to files in the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/pipeline/miku.h"
#include "host/pipeline/request.h"
#include "host/prompt/prompt.h"

/* The only checkpoint, or the first where no name was given. */
static status first_checkpoint(const struct miku *miku, const struct store_file **out)
{
    const size_t count = store_count(miku->store);
    size_t found = 0;
    for (size_t i = count; i-- > 0;)
        if (store_at(miku->store, i)->kind == WEIGHTS_CHECKPOINT) {
            *out = store_at(miku->store, i);
            found++;
        }
    if (found == 0)
        return status_fail(STATUS_NOT_FOUND, "no checkpoint among the %zu files of the weights",
                           count);
    if (found > 1)
        miku_tell(miku, MIKU_LOG_INFO, "no model was named; taking %s, the first of %zu",
                  (*out)->name, found);
    return STATUS_OK;
}

static status find_checkpoint(struct miku *miku, const struct miku_request *request,
                              const struct store_file **out)
{
    const char *hash = request->stand_ins ? NULL : request->model_hash;
    if (request->model == NULL && hash == NULL)
        return first_checkpoint(miku, out);
    return store_find_model(miku->store, miku->hashes, request->model, hash, out);
}

static status find_vae(struct miku *miku, const struct miku_request *request,
                       const struct store_file *checkpoint, const struct store_file **out)
{
    *out = store_vae_beside(miku->store, checkpoint);
    if (request->vae == NULL || strcmp(request->vae, "Automatic") == 0)
        return STATUS_OK;
    if (strcmp(request->vae, "none") == 0 || strcmp(request->vae, "None") == 0) {
        *out = NULL;
        return STATUS_OK;
    }
    return store_find(miku->store, WEIGHTS_VAE, request->vae, out);
}

/* One <lora:name:te:unet> tag. */
static status take_lora(struct miku *miku, const struct miku_request *request,
                        const struct prompt_tag *tag, const struct compat *compat,
                        struct resolved *out)
{
    const struct store_file *file = NULL;
    struct wanted *wanted = &out->wanted;
    double te = 1, unet = 1;
    if (!prompt_tag_weights(tag, compat, &te, &unet)) {
        if (request->strict)
            return status_fail(STATUS_BAD_TEXT, "lora %s: its weight is no number",
                               tag->item[0].data);
        miku_tell(miku, MIKU_LOG_WARNING, "lora %s: its weight is no number; taking 1",
                  tag->item[0].data);
    }
    const status found = store_find(miku->store, WEIGHTS_LORA, tag->item[0].data, &file);
    if (found == STATUS_NOT_FOUND && !request->strict) {
        miku_tell(miku, MIKU_LOG_WARNING, "%s; the picture is made without it", status_text());
        return STATUS_OK;
    }
    TRY(found);
    if (store_only(miku->store, WEIGHTS_LORA, tag->item[0].data) != STATUS_OK)
        miku_tell(miku, MIKU_LOG_WARNING, "%s; the last serves", status_text());
    for (int i = 0; i < wanted->loras; i++)
        if (out->lora[i] == file) { /* named twice: the later weights stand, as in the web UI */
            wanted->lora[i].te = te, wanted->lora[i].unet = unet;
            return STATUS_OK;
        }
    if (wanted->loras == LOADED_LORAS_MAX)
        return status_fail(STATUS_UNSUPPORTED, "more than %d LoRAs in a prompt", LOADED_LORAS_MAX);
    out->lora[wanted->loras] = file;
    wanted->lora[wanted->loras++] = (struct wanted_lora){ file->path, te, unet };
    return STATUS_OK;
}

static status take_tags(struct miku *miku, const struct miku_request *request,
                        const struct compat *compat, struct resolved *out)
{
    struct prompt_tags *tags;
    const char *prompt = request->prompt == NULL ? "" : request->prompt;
    TRY(prompt_extract_tags(prompt, strlen(prompt), &tags));
    status result = STATUS_OK;
    for (size_t i = 0; result == STATUS_OK && i < tags->count; i++) {
        if (strcmp(tags->tag[i].kind.data, "lora") == 0 ||
            (strcmp(tags->tag[i].kind.data, "lyco") == 0)) {
            if (!miku->synthetic)
                result = take_lora(miku, request, &tags->tag[i], compat, out);
        } else {
            miku_tell(miku, MIKU_LOG_WARNING,
                      "<%s:...> is a tag of a kind that is not known; it is "
                      "taken out of the prompt",
                      tags->tag[i].kind.data);
        }
    }
    if (result == STATUS_OK && (out->prompt = text_copy(tags->text.data)) == NULL)
        result = status_fail(STATUS_NO_MEMORY, "prompt: no memory");
    prompt_tags_free(tags);
    return result;
}

status resolve_request(struct miku *miku, const struct miku_request *request,
                       const struct compat *compat, struct resolved *out)
{
    *out = (struct resolved){ .wanted = { .synthetic = miku->synthetic, .compat = *compat } };
    if (!miku->synthetic) {
        TRY(find_checkpoint(miku, request, &out->checkpoint));
        TRY(find_vae(miku, request, out->checkpoint, &out->vae));
        out->wanted.checkpoint = out->checkpoint->path;
        out->wanted.vae = out->vae == NULL ? NULL : out->vae->path;
    }
    return take_tags(miku, request, compat, out);
}
