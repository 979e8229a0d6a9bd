/* tests/emulator/misuse_sm80.cu - small kernels, each wrong in one way; and right ones beside them.
 */
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"
#include "tests/emulator/misuse.h"

struct square {
    float v[8][8];
};
struct line {
    float v[64];
};
struct half_rows {
    __half v[2][16][8];
};

/* ---- barriers and races ----------------------------------------------------------------- */

static __global__ void transpose(float *y, int barrier)
{
    square &s = shared_as<square>();
    s.v[threadIdx.x / 8][threadIdx.x % 8] = (float)threadIdx.x;
    if (barrier)
        __syncthreads();
    y[threadIdx.x] = s.v[threadIdx.x % 8][threadIdx.x / 8];
}

static __global__ void warp_sum(float *y, int sync)
{
    line &s = shared_as<line>();
    s.v[threadIdx.x] = 1.0f;
    for (int step = 16; step > 0; step /= 2) {
        if (sync)
            __syncwarp();
        const float sum =
            (int)threadIdx.x < step ? s.v[threadIdx.x] + s.v[threadIdx.x + step] : 0.0f;
        if (sync)
            __syncwarp();
        if ((int)threadIdx.x < step)
            s.v[threadIdx.x] = sum;
    }
    if (threadIdx.x == 0)
        *y = s.v[0];
}

/* The buffer is used again before everybody has read it. */
static __global__ void reuse(float *y, int barrier)
{
    line &s = shared_as<line>();
    s.v[threadIdx.x] = 1.0f;
    __syncthreads();
    y[threadIdx.x] = s.v[63 - threadIdx.x];
    if (barrier)
        __syncthreads();
    s.v[threadIdx.x] = 2.0f;
}

static __global__ void divergent_barrier(float *y)
{
    if (threadIdx.x < 16)
        __syncthreads();
    else
        y[threadIdx.x] = 1.0f;
    __syncthreads();
}

static __global__ void barrier_for_one_warp(float *y)
{
    if (threadIdx.x < 32)
        barrier_sync(1, 64);
    y[threadIdx.x] = 1.0f;
}

static __global__ void barrier_of_half_a_warp(float *y)
{
    barrier_sync(1, 16);
    y[threadIdx.x] = 1.0f;
}

static __global__ void two_writers(float *y)
{
    line &s = shared_as<line>();
    s.v[threadIdx.x / 2] = (float)threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = s.v[threadIdx.x / 2];
}

/* ---- warps ------------------------------------------------------------------------------------
 */

static __global__ void shuffle_after_exit(float *y)
{
    if (threadIdx.x < 20)
        y[threadIdx.x] = __shfl_xor_sync(~0u, y[threadIdx.x], 1);
}
static __global__ void shuffle_short_mask(float *y)
{
    y[threadIdx.x] = __shfl_xor_sync(0xffffu, y[threadIdx.x], 1);
}
static __global__ void shuffle_from_outside(float *y)
{
    if (threadIdx.x < 16)
        y[threadIdx.x] = __shfl_sync(0xffffu, y[threadIdx.x], 20);
}
static __global__ void shuffle_in_two_branches(float *y)
{
    if (threadIdx.x % 2)
        y[threadIdx.x] = __shfl_sync(~0u, y[threadIdx.x], 0);
    else
        y[threadIdx.x] = __shfl_sync(~0u, y[threadIdx.x], 1);
}
static __global__ void vote_in_half(float *y)
{
    if (threadIdx.x < 16)
        y[threadIdx.x] = (float)__ballot_sync(0xffffu, 1);
    else
        y[threadIdx.x] = (float)__ballot_sync(0xffff0000u, 1);
}

/* ---- memory
 * -------------------------------------------------------------------------------------- */

static __global__ void unwritten_shared(float *y)
{
    line &s = shared_as<line>();
    if (threadIdx.x != 5)
        s.v[threadIdx.x] = 1.0f;
    __syncthreads();
    y[threadIdx.x] = s.v[63 - threadIdx.x];
}
static __global__ void store_at(float *y, int at) { y[at] = 1.0f; }
static __global__ void load_at(float *y, int at) { y[0] = y[at]; }
static __global__ void vector_at(float *y, int at) { *(float4 *)(y + at) = float4{ 1, 2, 3, 4 }; }
static __global__ void index_in_struct(float *y, int row)
{
    half_rows &s = shared_as<half_rows>();
    if (threadIdx.x < 16)
        s.v[0][threadIdx.x][0] = __float2half(1.0f);
    __syncthreads();
    y[threadIdx.x] = __half2float(s.v[0][row + (int)threadIdx.x % 16][0]);
}
static __global__ void deep(float *y)
{
    volatile char big[512 * 1024];
    big[threadIdx.x] = 1;
    y[threadIdx.x] = big[threadIdx.x];
}
static __global__ void unset_register(float *y, int never)
{
    float v[4];
    for (int i = never; i < 4; i++)
        v[i] = 1.0f;
    y[threadIdx.x] = v[0] > -1e30f ? v[0] : NAN;
    if (!(y[threadIdx.x] == y[threadIdx.x]))
        __trap();
}

/* ---- blocks
 * ---------------------------------------------------------------------------------------- */

static __global__ void overlap(float *y, int stride)
{
    y[(int)blockIdx.x * stride + (int)threadIdx.x] = 1.0f;
}
/* In place, but each block also reads its neighbour's value. */
static __global__ void neighbour(float *y)
{
    const int i = (int)(blockIdx.x * 16 + threadIdx.x);
    y[i] = y[i] + y[i == 0 ? 0 : i - 1];
}
/* Partial sums, added by the last block to come. */
static __global__ void last_to_arrive(float *y, unsigned *count, int fence)
{
    y[1 + blockIdx.x] = 1.0f;
    if (fence)
        __threadfence();
    if (atomicAdd(count, 1u) == gridDim.x - 1) {
        float sum = 0;
        for (unsigned i = 0; i < gridDim.x; i++)
            sum += y[1 + i];
        y[0] = sum;
        *count = 0;
    }
}
static __global__ void spin(float *y)
{
    while (((volatile float *)y)[0] != 12345.0f)
        ;
}
static __global__ void nothing(float *) {}

/* ---- asynchronous copies and matrices
 * ------------------------------------------------------------------ */

enum copy_mistake {
    COPY_FAR,
    COPY_RIGHT,
    COPY_NO_WAIT,
    COPY_NO_BARRIER,
    COPY_NO_COMMIT,
    COPY_ODD,
    COPY_OUT
};

static __global__ void copy(float *y, int mistake)
{
    line &s = shared_as<line>();
    const int i = (int)threadIdx.x;
    cp_async_16(mistake == COPY_OUT ? &s.v[i * 4 + 16] : &s.v[i * 4],
                y + i * 4 + (mistake == COPY_ODD) + (mistake == COPY_FAR) * 8192,
                12 + 4 * (i < 15)); /* y[63] has no value */
    if (mistake != COPY_NO_COMMIT)
        cp_async_commit();
    if (mistake != COPY_NO_WAIT)
        cp_async_wait<0>();
    if (mistake != COPY_NO_BARRIER)
        __syncthreads();
    y[i] = s.v[63 - i];
}

static __global__ void matrix(float *y, int lanes, int odd)
{
    half_rows &s = shared_as<half_rows>();
    uint32_t r[1][2];
    for (int i = 0; i < 8; i++)
        s.v[threadIdx.x / 16][threadIdx.x % 16][i] = __float2half(1.0f);
    __syncthreads();
    if ((int)threadIdx.x < lanes)
        ldmatrix_x2(r, { &s.v[0][threadIdx.x % 16][odd] });
    y[threadIdx.x] = (float)r[0][0];
}

enum turn { TURN_FIRST, TURN_LATE, TURN_NEVER, TURN_OF_HALF, TURN_AFTER_COPY };

static __global__ void in_turn(float *y, int turn)
{
    line &s = shared_as<line>();
    const int i = threadIdx.x;
    if (turn == TURN_AFTER_COPY)
        cp_async_4(&s.v[i], y + i, 4);
    if (turn == TURN_FIRST || (turn == TURN_OF_HALF && i < 8))
        take_turn();
    if (turn != TURN_NEVER && (turn != TURN_OF_HALF || i < 8))
        y[i] += 1.0f;
    if (turn == TURN_LATE || turn == TURN_AFTER_COPY)
        take_turn();
}

template <class... A> static status start_after(float *y, A... args)
{
    return gpu_launch_after("misuse", in_turn, 1, 16, sizeof(line), 0, y, args...);
}
#define RUN_AFTER(turn) [](float *y, float *) { return start_after(y, turn); }

/* ---- the list
 * -------------------------------------------------------------------------------------- */

template <class K, class... A>
static status start(float *y, K kernel, int grid, int block, size_t shared, A... args)
{
    return gpu_launch("misuse", kernel, (unsigned)grid, (unsigned)block, shared, 0, y, args...);
}
#define RUN(...) [](float *y, float *) { return start(y, __VA_ARGS__); }
#define COUNTER (unsigned *)(y + 40)

const misuse misuses_sm80[] = {
    { "a transposition", nullptr, nullptr, RUN(transpose, 1, 64, sizeof(square), 1) },
    { "... with no barrier", "race|nobody has written", nullptr,
      RUN(transpose, 1, 64, sizeof(square), 0) },
    { "a sum in one warp", nullptr, nullptr, RUN(warp_sum, 1, 32, sizeof(line), 1) },
    { "... with no __syncwarp", "race|nobody has written", nullptr,
      RUN(warp_sum, 1, 32, sizeof(line), 0) },
    { "a buffer used again", nullptr, nullptr, RUN(reuse, 1, 64, sizeof(line), 1) },
    { "... before all have read it", "race", nullptr, RUN(reuse, 1, 64, sizeof(line), 0) },
    { "two threads store to one place", "race: overwrites", nullptr,
      RUN(two_writers, 1, 64, sizeof(line)) },
    { "a barrier in half a warp", "divergent barrier", "divergent barrier",
      RUN(divergent_barrier, 1, 32, 0) },
    { "a barrier for 64 that 32 reach", "wait for a barrier", "wait for a barrier",
      RUN(barrier_for_one_warp, 1, 64, 0) },
    { "a barrier for half a warp", "for 16 of 32", "for 16 of 32",
      RUN(barrier_of_half_a_warp, 1, 32, 0) },

    { "a full shuffle after some have left", "exited", "exited",
      RUN(shuffle_after_exit, 1, 32, 0) },
    { "a mask without the caller", "leaves out", "leaves out", RUN(shuffle_short_mask, 1, 32, 0) },
    { "a shuffle from outside the mask", "takes no part", "takes no part",
      RUN(shuffle_from_outside, 1, 32, 0) },
    { "one shuffle in two branches", "divergent warp", "divergent warp",
      RUN(shuffle_in_two_branches, 1, 32, 0) },
    { "votes of two halves", nullptr, nullptr, RUN(vote_in_half, 1, 32, 0) },

    { "shared memory never written", "nobody has written", nullptr,
      RUN(unwritten_shared, 1, 64, sizeof(line)) },
    { "less shared memory than the struct", "wants 256 bytes", "wants 256 bytes",
      RUN(transpose, 1, 64, 128, 1) },
    { "an index outside its array", "index outside", nullptr,
      RUN(index_in_struct, 1, 32, sizeof(half_rows), 1) },
    { "a store one past the end", "byte 256 of a device allocation of 256", "byte 256",
      RUN(store_at, 1, 1, 0, 64) },
    { "a store far before", "device allocation", "device allocation",
      RUN(store_at, 1, 1, 0, -20000) },
    { "a load of what nobody wrote", "nobody has written", nullptr, RUN(load_at, 1, 1, 0, 63) },
    { "a host's pointer", "not device memory", nullptr,
      [](float *, float *host) { return gpu_launch("host", store_at, 1, 1, 0, 0, host, 0); } },
    { "a float4 between its places", "align", nullptr, RUN(vector_at, 1, 1, 0, 1) },
    { "half a megabyte of locals", "stack", "stack", RUN(deep, 1, 1, 0) },
    { "a register nobody set", "__trap", "__trap", RUN(unset_register, 1, 32, 0, 4) },
    { "a register that is set", nullptr, nullptr, RUN(unset_register, 1, 32, 0, 0) },

    { "blocks side by side", nullptr, nullptr, RUN(overlap, 4, 16, 0, 16) },
    { "blocks that overlap by one", "two blocks write one output", nullptr,
      RUN(overlap, 4, 16, 0, 15) },
    { "a block reads its neighbour's output", "of the same launch", nullptr,
      RUN(neighbour, 3, 16, 0) },
    { "the last block adds up", nullptr, nullptr, RUN(last_to_arrive, 8, 1, 0, COUNTER, 1) },
    { "... without a fence", "reads what", nullptr, RUN(last_to_arrive, 8, 1, 0, COUNTER, 0) },
    { "a wait for what never comes", "runs for more than 1 s", "runs for more than 1 s",
      RUN(spin, 1, 1, 0) },
    { "no threads", "refused", "refused", RUN(nothing, 1, 0, 0) },
    { "more threads than a block has", "refused", "refused", RUN(nothing, 1, 1025, 0) },
    { "more shared memory than there is", "refused", "refused", RUN(nothing, 1, 32, 228 * 1024) },

    { "a kernel in its turn", nullptr, nullptr, RUN_AFTER(TURN_FIRST) },
    { "... that loads before it", "before take_turn", nullptr, RUN_AFTER(TURN_LATE) },
    { "... that copies before it", "before take_turn", "before take_turn",
      RUN_AFTER(TURN_AFTER_COPY) },
    { "... that never takes it", "without take_turn", "without take_turn", RUN_AFTER(TURN_NEVER) },
    { "... half of which does", "without take_turn", "without take_turn", RUN_AFTER(TURN_OF_HALF) },

    { "a copy", nullptr, nullptr, RUN(copy, 1, 16, sizeof(line), COPY_RIGHT) },
    { "... not waited for", "not delivered", nullptr,
      RUN(copy, 1, 16, sizeof(line), COPY_NO_WAIT) },
    { "... not committed", "not delivered", nullptr,
      RUN(copy, 1, 16, sizeof(line), COPY_NO_COMMIT) },
    { "... of others, with no barrier", "race|not delivered|nobody has written", nullptr,
      RUN(copy, 1, 16, sizeof(line), COPY_NO_BARRIER) },
    { "... from an odd place", "misaligned for 16", "misaligned for 16",
      RUN(copy, 1, 16, sizeof(line), COPY_ODD) },
    { "... of what is no memory",
      "misuse_sm80.cu:", "misuse_sm80.cu:", RUN(copy, 1, 16, sizeof(line), COPY_FAR) },
    { "... past the end of shared memory", "outside shared memory", "outside shared memory",
      RUN(copy, 1, 16, sizeof(line), COPY_OUT) },
    { "ldmatrix", nullptr, nullptr, RUN(matrix, 1, 32, sizeof(half_rows), 32, 0) },
    { "... by half a warp", "exited|divergent warp", "exited|divergent warp",
      RUN(matrix, 1, 32, sizeof(half_rows), 16, 0) },
    { "... of rows between their places", "not 16-aligned", "not 16-aligned",
      RUN(matrix, 1, 32, sizeof(half_rows), 32, 1) },
};
const size_t misuses_sm80_count = sizeof misuses_sm80 / sizeof misuses_sm80[0];
