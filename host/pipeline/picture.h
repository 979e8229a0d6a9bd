/* host/pipeline/picture.h - what is told about a finished picture. */
#ifndef HOST_PIPELINE_PICTURE_H
#define HOST_PIPELINE_PICTURE_H

#include "host/pipeline/conditioning.h"
#include "host/pipeline/hashing.h"
#include "host/pipeline/job.h"
#include "host/pipeline/miku.h"

/* The files a request uses, and their hashes to be. */
struct used_files {
    struct miku_weights_used *file; /* [count]: the checkpoint first; then VAE, LoRAs, inversions */
    size_t count;
    int stand_ins; /* 1: some of them stand in for others */
    struct hashing *hashing;
};

/* Lists the files and starts hashing them. returns STATUS_NO_MEMORY */
status used_files_open(struct miku *miku, const struct resolved *resolved,
                       const struct conditioning *conditioning, int stand_in,
                       struct used_files *out);
void used_files_close(struct used_files *used); /* fine when all zero */

/* STATUS_BAD_FILE, naming both hashes, if the checkpoint's hash is known and is not the one that
 * the request asks for; a warning with any_weights. wait: until it is known. */
status used_files_check(struct miku *miku, struct used_files *used,
                        const struct miku_request *request, int wait);

/* Hands the pictures of a finished batch to the callback. */
status hand_over(struct miku *miku, const struct miku_request *request, const struct job *job,
                 const struct resolved *resolved, struct used_files *used, double load_ms,
                 double fuse_ms);

#endif
