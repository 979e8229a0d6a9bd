/* cuda/memory.cuh - what the device's own files call of memory.cu and constants.cu; operators have
 * device.cuh. */
#ifndef CUDA_MEMORY_CUH
#define CUDA_MEMORY_CUH

#include "cuda/device.cuh"

/* Rounded up to what every block of device memory is aligned to: 256 bytes. */
size_t cuda_align(size_t bytes);

/* ---- memory.cu ---------------------------------------------------------------------------- */

/* returns  STATUS_NO_MEMORY, with the bytes asked and left; *out is null */
status cuda_memory_get(struct cuda_device *dev, size_t bytes, void **out);
void cuda_memory_free(struct cuda_device *dev, void *memory, size_t bytes); /* null is fine */

/* Gives *memory at least `bytes`, and gives back what is more than twice as much; what it held is
 * lost if it moved. */
status cuda_memory_resize(struct cuda_device *dev, void **memory, size_t *cap, size_t bytes);

/* ops.h: planning and the arena. */
status cuda_plan_begin(struct ops *ops);
status cuda_plan_end(struct ops *ops, size_t limit_bytes, size_t *bytes);
int cuda_planning(const struct ops *ops);
status cuda_alloc(struct ops *ops, size_t bytes, void **out);
size_t cuda_mark(const struct ops *ops);
void cuda_release(struct ops *ops, size_t mark);
size_t cuda_peak_bytes(const struct ops *ops);
size_t cuda_free_bytes(struct ops *ops);
void cuda_memory_close(struct cuda_device *dev);

/* ---- constants.cu ------------------------------------------------------------------------- */

status cuda_constants_create(struct cuda_device *dev);
void cuda_constants_destroy(struct cuda_device *dev); /* null is fine */
void cuda_constants_plan(struct cuda_device *dev);    /* a plan begins: nothing is wanted yet */
size_t cuda_constants_wanted(const struct cuda_device *dev);
status cuda_constants_provide(struct cuda_device *dev); /* it ended: room for what was wanted */
void cuda_constants_forget(struct cuda_device *dev); /* a job ended: all its room is free again */

#endif
