/* tests/vendor/fake.h - what the stand-ins for cuBLASLt and cuDNN share: the emulated device as the
 * program shows it to them, values of three types, and refusals that say why.
 *
 * A stand-in computes with plain loops in double on the emulator's memory, in the stream's order,
 * and takes nothing that NVIDIA's documents do not allow. Environment variables, read at each call,
 * make it fail on purpose. */
#ifndef TESTS_VENDOR_FAKE_H
#define TESTS_VENDOR_FAKE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <functional>
#include <list>
#include <vector>

#include "host/base/dtype.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

/* ---- tests/vendor/host.cpp, in the program that loads the stand-in ----------------------------
 */

/* Are these bytes of one live allocation of device memory? */
EXPORT int vendor_host_owns(const void *p, size_t bytes);
/* Puts work on a stream, or into the graph that is being captured from it. 0: done. */
EXPORT int vendor_host_enqueue(void *stream, void (*work)(void *), void *data);
/* Work wrote there. */
EXPORT void vendor_host_wrote(const void *p, size_t bytes);

/* ---- for the stand-ins ------------------------------------------------------------------------
 */

/* The number in an environment variable, or `usual`. */
static inline long asked(const char *name, long usual)
{
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : usual;
}

static inline int overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    return (const char *)a < (const char *)b + b_bytes &&
           (const char *)b < (const char *)a + a_bytes;
}

static inline int is_aligned(const void *p, uint64_t to) { return (uintptr_t)p % to == 0; }

/* Enqueued work is kept: a graph may run it again. */
static inline int enqueue(void *stream, std::function<void()> work)
{
    static std::list<std::function<void()>> kept;
    kept.push_back(work);
    return vendor_host_enqueue(
        stream, [](void *data) { (*(std::function<void()> *)data)(); }, &kept.back());
}

/* Elements as floats: what loops read many times. */
static inline std::vector<float> floats(const void *data, enum dtype type, size_t count)
{
    std::vector<float> out(count);
    dtype_to_f32(data, type, count, out.data());
    return out;
}

/* sum of a[i] b[i] in double, in eight sums: whole pictures are made of these. */
static inline double dot_product(const float *a, const float *b, size_t count)
{
    double sum[8] = { 0 }, all = 0;
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (int j = 0; j < 8; j++)
            sum[j] += (double)a[i + j] * b[i + j];
    for (; i < count; i++)
        all += (double)a[i] * b[i];
    for (int j = 0; j < 8; j++)
        all += sum[j];
    return all;
}

static inline void store(void *to, enum dtype type, size_t i, double value)
{
    const float v = (float)value;
    dtype_from_f32(&v, 1, type, (char *)to + i * dtype_size(type));
}

#endif
