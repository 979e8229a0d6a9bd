/* tests/emulator/graphs.cpp - events, and streams captured as graphs. A graph is the list of what
 * was put on the stream meanwhile; launching it puts all that on a stream again. */
#include <time.h>

#include "tests/emulator/streams.h"

static double now_ms(void)
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- events ----------------------------------------------------------------------------- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    EMU_ENTER("cudaEventCreate");
    *event = new CUevent_st();
    (*event)->flags = flags;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    EMU_ENTER("cudaEventDestroy");
    if (!event)
        return emu_keep(cudaErrorInvalidResourceHandle);
    if (event->on) /* the task that records it has its address */
        emu_run_until(event->on, event->after);
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    EMU_ENTER("cudaEventRecord");
    CUstream_st *s = emu_the(stream);
    emu_enqueue(s, [=] {
        event->ms = now_ms();
        return cudaSuccess;
    });
    event->captor = s->capture ? s->captor : nullptr;
    event->on = s->capture ? nullptr : s;
    event->after = s->queued;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    EMU_ENTER("cudaEventSynchronize");
    if (event->captor && event->captor->capture)
        return emu_forbidden(event->captor);
    if (event->on)
        emu_run_until(event->on, event->after);
    return emu_keep(emu_sticky());
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    EMU_ENTER("cudaEventQuery");
    if (event->captor && event->captor->capture)
        return emu_forbidden(event->captor);
    if (!event->on || event->on->run >= event->after)
        return emu_keep(emu_sticky());
    emu_run_until(event->on, event->on->run + 1);
    return cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    EMU_ENTER("cudaEventElapsedTime");
    if ((from->flags | to->flags) & cudaEventDisableTiming || from->ms == 0 || to->ms == 0)
        return emu_keep(cudaErrorInvalidResourceHandle);
    for (const CUevent_st *e : { from, to })
        if (e->on && e->on->run < e->after)
            return cudaErrorNotReady;
    *ms = (float)(to->ms - from->ms);
    return cudaSuccess;
}

/* An event of a capture draws the stream into it; otherwise the other stream runs that far first.
 */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    EMU_ENTER("cudaStreamWaitEvent");
    CUstream_st *s = emu_the(stream);
    if (event->captor && event->captor->capture) {
        if (s->capture && s->captor != event->captor)
            return emu_forbidden(s);
        s->capture = event->captor->capture;
        s->captor = event->captor;
        return cudaSuccess;
    }
    if (s->capture || !event->on)
        return s->capture && event->on ? emu_forbidden(s) : cudaSuccess;
    CUstream_st *other = event->on;
    const uint64_t after = event->after;
    return emu_enqueue(s, [=] {
        if (other != s)
            emu_run_until(other, after);
        return cudaSuccess;
    });
}

/* ---- graphs ----------------------------------------------------------------------------- */

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode mode)
{
    EMU_ENTER("cudaStreamBeginCapture");
    if (!s || s->capture)
        return emu_keep(cudaErrorStreamCaptureUnsupported);
    s->capture = new CUgraph_st();
    s->captor = s;
    s->broken = 0;
    emu_strict_captures += mode != cudaStreamCaptureModeRelaxed;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *graph)
{
    std::lock_guard<std::recursive_mutex> hold(emu_lock);
    const cudaError_t entered = emu_enter("cudaStreamEndCapture");
    *graph = nullptr;
    if (!s || !s->capture || s->captor != s)
        return emu_keep(entered ? entered : cudaErrorInvalidValue);
    CUgraph_st *made = s->capture;
    for (CUstream_st *other : emu_streams)
        if (other->captor == s)
            other->capture = nullptr, other->captor = nullptr;
    emu_strict_captures = 0;
    if (entered || s->broken) {
        delete made;
        return emu_keep(entered ? entered : cudaErrorStreamCaptureInvalidated);
    }
    *graph = made;
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status)
{
    EMU_ENTER("cudaStreamIsCapturing");
    const CUstream_st *s = emu_the(stream);
    *status = !s->capture ? cudaStreamCaptureStatusNone
              : s->broken ? cudaStreamCaptureStatusInvalidated
                          : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    EMU_ENTER("cudaGraphInstantiate");
    *exec = new CUgraphExec_st{ graph->tasks, {} };
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    EMU_ENTER("cudaGraphLaunch");
    CUstream_st *s = emu_the(stream);
    for (const task &t : exec->tasks)
        emu_enqueue(s, t);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    EMU_ENTER("cudaGraphExecDestroy");
    delete exec;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    EMU_ENTER("cudaGraphDestroy");
    delete graph;
    return cudaSuccess;
}
