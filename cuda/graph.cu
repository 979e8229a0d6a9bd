/* cuda/graph.cu - a recorded run of operators as a CUDA graph, or as the function that enqueues it.
 *
 * Capture is relaxed: constants go up on the side stream meanwhile, and the driver may load a
 * kernel's code. Where operators are to be timed, or graphs are not wanted, the function is called
 * again instead: the same launches, one by one. */
#include "cuda/graph.cuh"

#include <stdlib.h>

#include "cuda/spans.cuh"

struct graph {
    struct graph *next;
    cudaGraphExec_t exec; /* null: run plainly */
    status (*work)(void *);
    void *arg;
};

static status record(struct cuda_device *dev, struct graph *graph)
{
    cudaGraph_t recorded = nullptr;
    TRY(cuda_check(cudaStreamBeginCapture(dev->stream, cudaStreamCaptureModeRelaxed), "capture"));
    dev->capturing = 1;
    const status worked = graph->work(graph->arg);
    dev->capturing = 0;
    const cudaError_t ended = cudaStreamEndCapture(dev->stream, &recorded);
    status result = worked;
    if (result == STATUS_OK)
        result = cuda_check(ended, "capture");
    else
        (void)cudaGetLastError(); /* the first failure is the one to tell of */
    if (result == STATUS_OK)
        result = cuda_check(cudaGraphInstantiate(&graph->exec, recorded, 0), "graph");
    if (recorded)
        (void)cudaGraphDestroy(recorded);
    return result;
}

static int plainly(const struct cuda_device *dev)
{
    return !dev->use_graphs || cuda_spans_operators_wanted(dev);
}

static void drop(struct graph *graph)
{
    if (graph->exec)
        (void)cudaGraphExecDestroy(graph->exec);
    free(graph);
}

status cuda_capture(struct ops *ops, status (*work)(void *), void *arg, struct graph **out)
{
    struct cuda_device *dev = cuda_device(ops);
    *out = nullptr;
    struct graph *graph = (struct graph *)calloc(1, sizeof *graph);
    if (!graph)
        return status_fail(STATUS_NO_MEMORY, "capture: no memory");
    graph->work = work;
    graph->arg = arg;
    status result = plainly(dev) ? STATUS_OK : record(dev, graph);
    if (result == STATUS_OK)
        result = cuda_replay(ops, graph);
    if (result != STATUS_OK) {
        drop(graph);
        return result;
    }
    graph->next = dev->graphs;
    dev->graphs = graph;
    *out = graph;
    return STATUS_OK;
}

status cuda_replay(struct ops *ops, struct graph *graph)
{
    struct cuda_device *dev = cuda_device(ops);
    if (!graph->exec || plainly(dev))
        return graph->work(graph->arg);
    return cuda_check(cudaGraphLaunch(graph->exec, dev->stream), "replay");
}

void cuda_graph_destroy(struct ops *ops, struct graph *graph)
{
    struct cuda_device *dev = cuda_device(ops);
    if (!graph)
        return;
    struct graph **link = &dev->graphs;
    while (*link != graph)
        link = &(*link)->next;
    *link = graph->next;
    if (graph->exec) /* it may still run; a failure surfaces at the next sync */
        (void)cudaStreamSynchronize(dev->stream);
    drop(graph);
}
