/* tests/emulator/streams.h - what streams.cpp and graphs.cpp share. */
#ifndef EMULATOR_STREAMS_H
#define EMULATOR_STREAMS_H

#include <deque>
#include <functional>
#include <list>
#include <vector>

#include "tests/emulator/internal.h"

typedef std::function<cudaError_t()> task;

/* Counts what is made and not destroyed. */
struct object {
    object() { count++; }
    object(const object &) { count++; }
    ~object() { count--; }
    static long count;
};
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

extern std::list<CUstream_st *> emu_streams; /* without the default one */
extern int emu_strict_captures;              /* in a mode that forbids allocations and waits */

CUstream_st *emu_the(cudaStream_t stream); /* the default one for null */
void emu_run_until(CUstream_st *s, uint64_t after);
cudaError_t emu_enqueue(CUstream_st *s, task t);
cudaError_t emu_forbidden(CUstream_st *s); /* spoils the capture that it is in */

#endif
