/* host/pipeline/picture.c - infotext, notes and hashes of a finished picture. */
#include "host/pipeline/picture.h"

#include <cjson/cJSON.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/pipeline/request.h"
#include "weights/manifest.h"

/* ---- the files used ---------------------------------------------------------------------- */

/* 1 if a manifest beside the file says that it stands in for another. */
static int stands_in(const char *path)
{
    struct manifest *manifest;
    const char *slash = strrchr(path, '/');
    char *folder = text_copy(slash == NULL ? "." : path);
    int answer = 0;
    if (folder == NULL)
        return 0;
    if (slash != NULL)
        folder[slash - path] = 0;
    if (manifest_open(folder, &manifest) == STATUS_OK) {
        answer = manifest_stand_in(manifest) && manifest_find(manifest, path) != NULL;
        manifest_close(manifest);
    }
    free(folder);
    return answer;
}

static void use(struct used_files *used, const char *role, const struct store_file *file,
                double weight, int asked)
{
    const int stand_in = asked || stands_in(file->path);
    used->stand_ins |= stand_in;
    used->file[used->count++] = (struct miku_weights_used){ .role = role,
                                                            .name = file->name,
                                                            .path = file->path,
                                                            .sha256 = "",
                                                            .weight = weight,
                                                            .stand_in = stand_in };
}

status used_files_open(struct miku *miku, const struct resolved *resolved,
                       const struct conditioning *conditioning, int stand_in,
                       struct used_files *used)
{
    const int inversions = miku->inversions == NULL ? 0 : miku->inversions->count;
    *used = (struct used_files){ 0 };
    const size_t most = 2 + (size_t)resolved->wanted.loras + (size_t)inversions;
    used->file = calloc(most, sizeof *used->file);
    const char **path = calloc(most, sizeof *path);
    if (used->file == NULL || path == NULL) {
        free(path);
        return status_fail(STATUS_NO_MEMORY, "weights: no memory");
    }
    if (resolved->checkpoint != NULL)
        use(used, "checkpoint", resolved->checkpoint, 1, stand_in);
    if (resolved->vae != NULL)
        use(used, "vae", resolved->vae, 1, stand_in);
    for (int i = 0; i < resolved->wanted.loras; i++)
        use(used, "lora", resolved->lora[i], resolved->wanted.lora[i].unet, stand_in);
    for (int i = 0; i < inversions; i++)
        if (conditioning_uses(conditioning, i))
            use(used, "embedding", miku->inversions->file[i], 1, stand_in);
    for (size_t i = 0; i < used->count; i++)
        path[i] = used->file[i].path;
    const status result = hashing_start(miku->hashes, path, used->count, &used->hashing);
    free(path);
    return result;
}

void used_files_close(struct used_files *used)
{
    hashing_stop(used->hashing);
    free(used->file);
    *used = (struct used_files){ 0 };
}

status used_files_check(struct miku *miku, struct used_files *used,
                        const struct miku_request *request, int wait)
{
    if (used->count == 0 || request->model_hash == NULL || request->stand_ins)
        return STATUS_OK;
    const char *sha256 = wait ? hashing_get(used->hashing, 0) : hashing_peek(used->hashing, 0);
    if (sha256 == NULL || sha256[0] == 0 || hash_matches(sha256, request->model_hash))
        return STATUS_OK;
    char old[HASH_OLD_TEXT];
    if (strlen(request->model_hash) == HASH_OLD_TEXT - 1 &&
        hash_old(used->file[0].path, old) == STATUS_OK && strcmp(old, request->model_hash) == 0)
        return STATUS_OK;
    if (request->any_weights) {
        if (wait)
            miku_tell(miku, MIKU_LOG_WARNING, "%s has the hash %.10s, the request asks for %s",
                      used->file[0].name, sha256, request->model_hash);
        return STATUS_OK;
    }
    return status_fail(STATUS_BAD_FILE,
                       "%s has the hash %.10s, the request asks for %s (--any-weights goes on)",
                       used->file[0].path, sha256, request->model_hash);
}

/* ---- the picture ------------------------------------------------------------------------- */

/* What the infotext cannot say, as JSON text. free() it. */
static char *write_notes(const struct miku *miku, const struct miku_request *request,
                         const struct resolved *resolved, const struct used_files *used)
{
    struct compat compat;
    char version[48];
    cJSON *notes = cJSON_CreateObject();
    cJSON_AddStringToObject(notes, "program", "mikubench-cuda " MIKU_VERSION);
    cJSON_AddStringToObject(notes, "device", miku->ops->name);
    cJSON_AddStringToObject(notes, "precision", miku_precision_name(miku->dtype));
    cJSON_AddNumberToObject(notes, "threads", miku->threads);
    if (request_compat(request, &compat) == STATUS_OK) {
        snprintf(version, sizeof version, "%d.%d.%d", compat.major, compat.minor, compat.patch);
        cJSON_AddStringToObject(notes, "compat", version);
    }
    cJSON_AddStringToObject(notes, "vae", resolved->vae == NULL ? "none" : resolved->vae->name);
    const enum dtype decoded = loaded_get(miku->loaded).vae_dtype;
    if (decoded != miku->dtype)
        cJSON_AddStringToObject(notes, "vae_precision", miku_precision_name(decoded));
    if (miku->synthetic)
        cJSON_AddTrueToObject(notes, "synthetic");
    cJSON *weights = cJSON_AddArrayToObject(notes, "weights");
    for (size_t i = 0; i < used->count; i++) {
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "role", used->file[i].role);
        cJSON_AddStringToObject(entry, "name", used->file[i].name);
        cJSON_AddStringToObject(entry, "sha256", used->file[i].sha256);
        if (used->file[i].stand_in)
            cJSON_AddTrueToObject(entry, "stand_in");
        cJSON_AddItemToArray(weights, entry);
    }
    char *text = cJSON_PrintUnformatted(notes);
    cJSON_Delete(notes);
    return text;
}

static void hex(const unsigned char *bytes, char out[HASH_TEXT])
{
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static status hand_over_one(const struct miku_request *request, const struct job *job, int i,
                            struct miku_picture *picture, const char *model, const char *hash)
{
    const size_t bytes = (size_t)request->width * request->height * 3;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char sha256[HASH_TEXT], *infotext;
    picture->index = job->first + i;
    picture->seed = request->seed + (request->subseed_strength > 0 ? 0 : (uint64_t)picture->index);
    picture->rgb = job->rgb + (size_t)i * bytes;
    SHA256(picture->rgb, bytes, digest);
    hex(digest, sha256);
    picture->rgb_sha256 = sha256;
    TRY(request_infotext(request, picture->index, model, hash, &infotext));
    picture->infotext = infotext;
    const status result = job->callbacks->picture(job->callbacks->user, picture);
    picture->rgb_sha256 = picture->infotext = NULL; /* lent for the call */
    free(infotext);
    return result;
}

status hand_over(struct miku *miku, const struct miku_request *request, const struct job *job,
                 const struct resolved *resolved, struct used_files *used, double load_ms,
                 double fuse_ms)
{
    char hash[HASH_SHORT + 1] = "";
    if (job->callbacks->picture == NULL)
        return STATUS_OK;
    for (size_t i = 0; i < used->count; i++)
        used->file[i].sha256 = hashing_get(used->hashing, i);
    if (used->count > 0)
        snprintf(hash, sizeof hash, "%.10s", used->file[0].sha256);
    char *notes = write_notes(miku, request, resolved, used);
    char *model = resolved->checkpoint == NULL ? text_copy("synthetic")
                                               : store_model_name(resolved->checkpoint);
    status result = notes != NULL && model != NULL
                        ? STATUS_OK
                        : status_fail(STATUS_NO_MEMORY, "picture: no memory for its text");
    struct miku_picture picture = { .of = request->count,
                                    .width = request->width,
                                    .height = request->height,
                                    .notes = notes,
                                    .synthetic = miku->synthetic,
                                    .stand_in = used->stand_ins,
                                    .times = { .load = load_ms,
                                               .fuse = fuse_ms,
                                               .encode = job->encode_ms,
                                               .sample = job->sample_ms,
                                               .decode = job->decode_ms,
                                               .step = job->step_ms,
                                               .steps = job->plan->steps,
                                               .sampling = job->sampling_ms,
                                               .picture = job->picture_ms },
                                    .weights = used->file,
                                    .weights_count = used->count,
                                    .peak_device_bytes = miku->ops->peak_bytes(miku->ops) };
    for (int i = 0; i < job->n && result == STATUS_OK; i++)
        result = hand_over_one(request, job, i, &picture, model, hash);
    free(model);
    free(notes);
    return result;
}
