/* cuda/staging.cu - host bytes on their way to the device.
 *
 * A copy from pageable memory is staged by the driver with the host waiting. Two pinned pieces of
 * our own let the next one be filled (read from a mapped file, converted, packed) while the last
 * one is under way. */
#include "cuda/staging.cuh"

#include <stdlib.h>
#include <string.h>

enum { PIECES = 2 };

struct cuda_staging {
    void *host[PIECES];
    cudaEvent_t sent[PIECES];
    int on_its_way[PIECES];
    int at; /* the piece to be filled next */
};

status cuda_staging_create(struct cuda_device *dev)
{
    dev->staging = (struct cuda_staging *)calloc(1, sizeof *dev->staging);
    if (!dev->staging)
        return status_fail(STATUS_NO_MEMORY, "cuda: no host memory");
    for (int i = 0; i < PIECES; i++) {
        TRY(cuda_check(cudaMallocHost(&dev->staging->host[i], CUDA_PIECE), "pinned memory"));
        TRY(cuda_check(cudaEventCreateWithFlags(&dev->staging->sent[i], cudaEventDisableTiming),
                       "event"));
    }
    return STATUS_OK;
}

void cuda_staging_destroy(struct cuda_device *dev)
{
    struct cuda_staging *s = dev->staging;
    for (int i = 0; s && i < PIECES; i++) {
        if (s->sent[i])
            (void)cudaEventDestroy(s->sent[i]);
        if (s->host[i])
            (void)cudaFreeHost(s->host[i]);
    }
    free(s);
    dev->staging = nullptr;
}

status cuda_piece(struct cuda_device *dev, void **host)
{
    struct cuda_staging *s = dev->staging;
    *host = nullptr;
    if (s->on_its_way[s->at])
        TRY(cuda_check(cudaEventSynchronize(s->sent[s->at]), "upload"));
    s->on_its_way[s->at] = 0;
    *host = s->host[s->at];
    return STATUS_OK;
}

status cuda_piece_send(struct cuda_device *dev, void *to, size_t bytes)
{
    struct cuda_staging *s = dev->staging;
    const int at = s->at;
    if (dev->capturing) /* a replay would send whatever the piece then holds */
        return status_fail(STATUS_MISUSE, "cuda: an upload inside a graph");
    TRY(cuda_check(cudaMemcpyAsync(to, s->host[at], bytes, cudaMemcpyHostToDevice, dev->stream),
                   "upload"));
    TRY(cuda_check(cudaEventRecord(s->sent[at], dev->stream), "upload"));
    s->on_its_way[at] = 1;
    s->at = (at + 1) % PIECES;
    return STATUS_OK;
}

status cuda_send(struct cuda_device *dev, void *to, const void *from, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += CUDA_PIECE) {
        const size_t now = bytes - at < CUDA_PIECE ? bytes - at : CUDA_PIECE;
        void *piece;
        TRY(cuda_piece(dev, &piece));
        memcpy(piece, (const unsigned char *)from + at, now);
        TRY(cuda_piece_send(dev, (unsigned char *)to + at, now));
    }
    return STATUS_OK;
}
