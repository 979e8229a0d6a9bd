/* tests/emulator/streams.cpp - streams, and what is put on them: copies, launches, host functions.
 *
 * Work put on a stream runs when somebody waits for it and not before: a host that forgets to wait
 * sees old bytes. Pageable memory is the exception, as on a device: a copy from it is taken at the
 * call, and a copy to it is waited for. */
#include <string.h>

#include <utility>

#include "tests/emulator/streams.h"

long object::count;
size_t emu_objects(void) { return (size_t)object::count; }

static CUstream_st default_stream;
std::list<CUstream_st *> emu_streams;
static unsigned launches; /* so far */
int emu_strict_captures;

CUstream_st *emu_the(cudaStream_t s) { return s ? s : &default_stream; }

/* ---- running ---------------------------------------------------------------------------- */

void emu_run_until(CUstream_st *s, uint64_t after)
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
    emu_run_until(&default_stream, default_stream.queued);
    for (CUstream_st *s : emu_streams)
        emu_run_until(s, s->queued);
}

/* The default stream and those that are not cudaStreamNonBlocking wait for each other. */
static void meet_default(CUstream_st *s)
{
    if (s == &default_stream) {
        for (CUstream_st *other : emu_streams)
            if (!(other->flags & cudaStreamNonBlocking) && !other->capture)
                emu_run_until(other, other->queued);
    } else if (!(s->flags & cudaStreamNonBlocking)) {
        emu_run_until(&default_stream, default_stream.queued);
    }
}

cudaError_t emu_enqueue(CUstream_st *s, task t)
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

cudaError_t emu_forbidden(CUstream_st *s)
{
    s->broken = 1;
    if (s->captor)
        s->captor->broken = 1;
    return emu_keep(cudaErrorStreamCaptureUnsupported);
}

int emu_capturing(void) { return emu_strict_captures; }

/* ---- streams ---------------------------------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags)
{
    EMU_ENTER("cudaStreamCreate");
    *s = new CUstream_st();
    (*s)->flags = flags;
    emu_streams.push_back(*s);
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
    emu_run_until(s, s->queued);
    emu_streams.remove(s);
    delete s;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    EMU_ENTER("cudaStreamSynchronize");
    CUstream_st *s = emu_the(stream);
    if (s->capture)
        return emu_forbidden(s);
    meet_default(s);
    emu_run_until(s, s->queued);
    return emu_keep(emu_sticky());
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    EMU_ENTER("cudaStreamQuery");
    CUstream_st *s = emu_the(stream);
    if (s->capture)
        return emu_forbidden(s);
    if (s->queue.empty())
        return emu_keep(emu_sticky());
    emu_run_until(s, s->run + 1); /* who asks often enough gets there */
    return cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize(void)
{
    EMU_ENTER("cudaDeviceSynchronize");
    if (emu_strict_captures)
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
    return emu_enqueue(emu_the(s), [=] {
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
        emu_enqueue(s, [=] { return copy(to, from, bytes); });
    } else {
        const std::shared_ptr<std::string> staged =
            std::make_shared<std::string>((const char *)from, bytes);
        emu_enqueue(s, [=] { return copy(to, staged->data(), bytes); });
    }
    if (!s->capture && !on_device(to) && !emu_is_pinned(to))
        emu_run_until(s, s->queued);
    return emu_keep(emu_sticky());
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t s)
{
    EMU_ENTER("cudaMemcpyAsync");
    return copy_on(emu_the(s), to, from, bytes, kind);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    EMU_ENTER("cudaMemcpy");
    if (emu_strict_captures)
        return emu_keep(cudaErrorStreamCaptureUnsupported);
    const cudaError_t error = copy_on(&default_stream, to, from, bytes, kind);
    emu_run_until(&default_stream, default_stream.queued);
    return error ? error : emu_keep(emu_sticky());
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t s)
{
    EMU_ENTER("cudaMemcpy2DAsync");
    for (size_t i = 0; i < height; i++) {
        const cudaError_t error = copy_on(emu_the(s), (char *)to + i * to_pitch,
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
    return emu_enqueue(emu_the(s), [=] {
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
                       int after, size_t shared_bytes, cudaStream_t s, emu_body body)
{
    EMU_ENTER("cudaLaunchKernel");
    if (const cudaError_t error = emu_check_launch(kernel, grid, block, cluster, shared_bytes))
        return emu_keep(error);
    emu_log_launch(name, kernel, block, shared_bytes);
    return emu_enqueue(emu_the(s), [=] {
        launch g;
        g.name = name;
        g.grid = grid;
        g.block = block;
        g.cluster = cluster;
        g.after = after;
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
