/* cuda/spans.cuh - ops.h: spans, by events. */
#ifndef CUDA_SPANS_CUH
#define CUDA_SPANS_CUH

#include "cuda/device.cuh"

status cuda_spans_create(struct cuda_device *dev);
void cuda_spans_destroy(struct cuda_device *dev); /* null is fine */
int cuda_spans_operators_wanted(const struct cuda_device *dev);

void cuda_span_begin(struct ops *ops, enum span_level level, const char *name);
void cuda_span_end(struct ops *ops);
void cuda_spans_operators(struct ops *ops, int wanted);
status cuda_spans_read(struct ops *ops, const struct span **spans, size_t *count);
void cuda_spans_clear(struct ops *ops);
void cuda_profile_begin(struct ops *ops);
void cuda_profile_end(struct ops *ops);

#endif
