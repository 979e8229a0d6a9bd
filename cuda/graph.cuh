/* cuda/graph.cuh - ops.h: capture and replay. */
#ifndef CUDA_GRAPH_CUH
#define CUDA_GRAPH_CUH

#include "cuda/device.cuh"

status cuda_capture(struct ops *ops, status (*work)(void *), void *arg, struct graph **out);
status cuda_replay(struct ops *ops, struct graph *graph);
void cuda_graph_destroy(struct ops *ops, struct graph *graph);

#endif
