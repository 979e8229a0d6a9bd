/* host/pipeline/compare.c - how near two pictures are. */
#include <math.h>
#include <stdlib.h>

#include "host/mikubench.h"

struct miku_difference miku_compare(const uint8_t *a, const uint8_t *b, int width, int height)
{
    const size_t count = (size_t)width * (size_t)height * 3;
    uint64_t squares = 0; /* at most 2^16 a value: good for 2^48 values */
    size_t near = 0;
    int largest = 0;
    for (size_t i = 0; i < count; i++) {
        const int d = abs(a[i] - b[i]);
        squares += (uint64_t)(d * d);
        near += d <= 1;
        if (d > largest)
            largest = d;
    }
    const double mean = (double)squares / (double)count;
    return (struct miku_difference){
        .psnr = squares == 0 ? (double)INFINITY : 10 * log10(255.0 * 255.0 / mean),
        .largest = largest,
        .within_one = count == 0 ? 1 : (double)near / (double)count,
    };
}
