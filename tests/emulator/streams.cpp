/* tests/emulator/streams.cpp - streams, events and graphs.
 *
 * Work put on a stream runs when somebody waits for it and not before: a host that forgets to wait
 * sees old bytes. Pageable memory is the exception, as on a device: a copy from it is taken at the
 * call, and a copy to it is waited for. */
#include <string.h>
#include <time.h>

#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <utility>

#include "tests/emulator/internal.h"

typedef std::function<cudaError_t()> task;

/* Counts what is made and not destroyed. */
struct object {
    object() { count++; }
    object(const object &) { count++; }
    ~object() { count--; }
    static long count;
};
long object::count;

struct CUgraph_st {
    std::vector<task> tasks;
    object counted;
};
struct CUgraphExec_st {
    std::vector<task> tasks;
    object counted;
};
struct CUstream_st {
    object counted;
    std::deque<task> queue;
    uint64_t queued, run; /* tasks so far */
    unsigned flags;
    CUgraph_st *capture;
    int broken;          /* something forbidden was done during the capture */
    CUstream_st *captor; /* the stream whose capture this one has joined; itself if it began it */
};
struct CUevent_st {
    object counted;
    CUstream_st *on;     /* null: never recorded */
    uint64_t after;      /* as many tasks of it */
    CUstream_st *captor; /* recorded in a capture, of this stream */
    double ms;           /* when it ran */
    unsigned flags;
};

size_t emu_objects(void) { return (size_t)object::count; }

static CUstream_st default_stream;
static std::list<CUstream_st *> streams;
static unsigned launches;   /* so far */
static int strict_captures; /* in a mode that forbids allocations and waits */

static CUstream_st *the(cudaStream_t s) { return s ? s : &default_stream; }

static double now_ms(void)
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- running ---------------------------------------------------------------------------- */

static void run_until(CUstream_st *s, uint64_t after)
{
    while (s->run < after && !s->queue.empty()) {
        const task next = std::move(s->queue.front());
        s->queue.pop_front();
        s->run++;
        if (!emu_sticky())
            (void)next();
    }
}

void emu_run_everything(void)
{
    std::lock_guard<std::recursive_mutex> hold(emu_lock);
    run_until(&default_stream, default_stream.queued);
    for (CUstream_st *s : streams)
        run_until(s, s->queued);
}

/* The default stream and those that are not cudaStreamNonBlocking wait for each other. */
static void meet_default(CUstream_st *s)
{
    if (s == &default_stream) {
        for (CUstream_st *other : streams)
            if (!(other->flags & cudaStreamNonBlocking) && !other->capture)
                run_until(other, other->queued);
    } else if (!(s->flags & cudaStreamNonBlocking)) {
        run_until(&default_stream, default_stream.queued);
    }
}

static cudaError_t enqueue(CUstream_st *s, task t)
{
    if (s->capture) {
        s->capture->tasks.push_back(std::move(t));
        return cudaSuccess;
    }
    meet_default(s);
    s->queue.push_back(std::move(t));
    s->queued++;
    return cudaSuccess;
}

static cudaError_t forbidden(CUstream_st *s)
{
    s->broken = 1;
    if (s->captor)
        s->captor->broken = 1;
    return emu_keep(cudaErrorStreamCaptureUnsupported);
}

int emu_capturing(void) { return strict_captures; }

/* ---- streams ---------------------------------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags)
{
    EMU_ENTER("cudaStreamCreate");
    *s = new CUstream_st();
    (*s)->flags = flags;
    streams.push_back(*s);
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *s) { return cudaStreamCreateWithFlags(s, 0); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *s, unsigned flags, int)
{
    return cudaStreamCreateWithFlags(s, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    EMU_ENTER("cudaStreamDestroy");
    if (!s)
        return emu_keep(cudaErrorInvalidResourceHandle);
    run_until(s, s->queued);
    streams.remove(s);
    delete s;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    EMU_ENTER("cudaStreamSynchronize");
    CUstream_st *s = the(stream);
    if (s->capture)
        return forbidden(s);
    meet_default(s);
    run_until(s, s->queued);
    return emu_keep(emu_sticky());
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    EMU_ENTER("cudaStreamQuery");
    CUstream_st *s = the(stream);
    if (s->capture)
        return forbidden(s);
    if (s->queue.empty())
        return emu_keep(emu_sticky());
    run_until(s, s->run + 1); /* who asks often enough gets there */
    return cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize(void)
{
    EMU_ENTER("cudaDeviceSynchronize");
    if (strict_captures)
        return emu_keep(cudaErrorStreamCaptureUnsupported);
    emu_run_everything();
    return emu_keep(emu_sticky());
}

cudaError_t cudaDeviceReset(void)
{
    EMU_ENTER("cudaDeviceReset");
    emu_run_everything();
    return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t function, void *data)
{
    EMU_ENTER("cudaLaunchHostFunc");
    return enqueue(the(s), [=] {
        function(data);
        return cudaSuccess;
    });
}

/* ---- copies ----------------------------------------------------------------------------- */

static int on_device(const void *p)
{
    return emu_heap && (size_t)((const unsigned char *)p - emu_heap) < emu_heap_bytes;
}

static int direction_is_right(const void *to, const void *from, cudaMemcpyKind kind)
{
    return kind == cudaMemcpyDefault ||
           (on_device(to) == (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice) &&
            on_device(from) ==
                (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice));
}

static cudaError_t copy(void *to, const void *from, size_t bytes)
{
    memcpy(to, from, bytes);
    emu_mark_written(to, bytes);
    return cudaSuccess;
}

static cudaError_t copy_on(CUstream_st *s, void *to, const void *from, size_t bytes,
                           cudaMemcpyKind kind)
{
    if (!direction_is_right(to, from, kind))
        return emu_keep(cudaErrorInvalidValue);
    if (bytes == 0)
        return cudaSuccess;
    if (on_device(from) || s->capture || emu_is_pinned(from)) {
        enqueue(s, [=] { return copy(to, from, bytes); });
    } else {
        const std::shared_ptr<std::string> staged =
            std::make_shared<std::string>((const char *)from, bytes);
        enqueue(s, [=] { return copy(to, staged->data(), bytes); });
    }
    if (!s->capture && !on_device(to) && !emu_is_pinned(to))
        run_until(s, s->queued);
    return emu_keep(emu_sticky());
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t s)
{
    EMU_ENTER("cudaMemcpyAsync");
    return copy_on(the(s), to, from, bytes, kind);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    EMU_ENTER("cudaMemcpy");
    if (strict_captures)
        return emu_keep(cudaErrorStreamCaptureUnsupported);
    const cudaError_t error = copy_on(&default_stream, to, from, bytes, kind);
    run_until(&default_stream, default_stream.queued);
    return error ? error : emu_keep(emu_sticky());
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t s)
{
    EMU_ENTER("cudaMemcpy2DAsync");
    for (size_t i = 0; i < height; i++) {
        const cudaError_t error = copy_on(the(s), (char *)to + i * to_pitch,
                                          (const char *)from + i * from_pitch, width, kind);
        if (error)
            return error;
    }
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *p, int byte, size_t bytes, cudaStream_t s)
{
    EMU_ENTER("cudaMemsetAsync");
    if (!on_device(p))
        return emu_keep(cudaErrorInvalidValue);
    return enqueue(the(s), [=] {
        memset(p, byte, bytes);
        emu_mark_written(p, bytes);
        return cudaSuccess;
    });
}

cudaError_t cudaMemset(void *p, int byte, size_t bytes)
{
    return cudaMemsetAsync(p, byte, bytes, nullptr);
}

/* ---- launches --------------------------------------------------------------------------- */

cudaError_t emu_check_launch(const void *kernel, dim3 grid, dim3 block, dim3 cluster,
                             size_t shared_bytes);

void emu_log_launch(const char *name, const void *kernel, dim3 block, size_t shared_bytes);

cudaError_t emu_launch(const char *name, const void *kernel, dim3 grid, dim3 block, dim3 cluster,
                       size_t shared_bytes, cudaStream_t s, emu_body body)
{
    EMU_ENTER("cudaLaunchKernel");
    if (const cudaError_t error = emu_check_launch(kernel, grid, block, cluster, shared_bytes))
        return emu_keep(error);
    emu_log_launch(name, kernel, block, shared_bytes);
    return enqueue(the(s), [=] {
        launch g;
        g.name = name;
        g.grid = grid;
        g.block = block;
        g.cluster = cluster;
        g.shared_bytes = shared_bytes;
        g.body = body;
        g.blocks = grid.x * grid.y * grid.z;
        g.per_cluster = cluster.x * cluster.y * cluster.z;
        g.error = cudaErrorLaunchFailure;
        g.number = launches++ % 4095 + 1;
        if (g.number == 1)
            emu_forget_blocks();
        if (emu_checking)
            g.marks.resize(g.blocks);
        emu_run_grid(&g);
        if (!g.failed)
            return cudaSuccess;
        emu_launch_failed(g.error, g.report);
        return g.error;
    });
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
        run_until(event->on, event->after);
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    EMU_ENTER("cudaEventRecord");
    CUstream_st *s = the(stream);
    enqueue(s, [=] {
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
        return forbidden(event->captor);
    if (event->on)
        run_until(event->on, event->after);
    return emu_keep(emu_sticky());
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    EMU_ENTER("cudaEventQuery");
    if (event->captor && event->captor->capture)
        return forbidden(event->captor);
    if (!event->on || event->on->run >= event->after)
        return emu_keep(emu_sticky());
    run_until(event->on, event->on->run + 1);
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
    CUstream_st *s = the(stream);
    if (event->captor && event->captor->capture) {
        if (s->capture && s->captor != event->captor)
            return forbidden(s);
        s->capture = event->captor->capture;
        s->captor = event->captor;
        return cudaSuccess;
    }
    if (s->capture || !event->on)
        return s->capture && event->on ? forbidden(s) : cudaSuccess;
    CUstream_st *other = event->on;
    const uint64_t after = event->after;
    return enqueue(s, [=] {
        if (other != s)
            run_until(other, after);
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
    strict_captures += mode != cudaStreamCaptureModeRelaxed;
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
    for (CUstream_st *other : streams)
        if (other->captor == s)
            other->capture = nullptr, other->captor = nullptr;
    strict_captures = 0;
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
    const CUstream_st *s = the(stream);
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
    CUstream_st *s = the(stream);
    for (const task &t : exec->tasks)
        enqueue(s, t);
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
