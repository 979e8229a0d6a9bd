/* host/cpu/weight_fold.c - a layer's rows cut up as its matrices want them.
 *
 * Nearest-2x then 3x3, output row 2i + p: kernel rows 0, 1, 2 meet upsampled rows 2i + p - 1,
 * 2i + p, 2i + p + 1, which are input rows
 *   p = 0:  i - 1, i, i          kernel rows {0}, {1 + 2} at input rows i - 1, i
 *   p = 1:  i, i, i + 1          kernel rows {0 + 1}, {2} at input rows i, i + 1
 * and columns alike. 16 products take the place of 36. */
#include <string.h>

#include "host/cpu/weight.h"

static void fold(const float w[9], int row_parity, int column_parity, float out[4])
{
    const int row_split = row_parity ? 2 : 1, column_split = column_parity ? 2 : 1;
    memset(out, 0, 4 * sizeof *out);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            out[2 * (r >= row_split) + (c >= column_split)] += w[3 * r + c];
}

void cpu_weight_fold(const struct cpu_device *dev, const float *rows3, int rows, int in, int parity,
                     float *rows2)
{
#pragma omp parallel for num_threads(dev->threads)
    for (int o = 0; o < rows; o++)
        for (int i = 0; i < in; i++) {
            const size_t at = (size_t)o * (size_t)in + (size_t)i;
            fold(rows3 + 9 * at, parity / 2, parity % 2, rows2 + 4 * at);
        }
}

void cpu_weight_slice(const struct cpu_device *dev, const float *from, int rows, size_t width,
                      size_t at, size_t count, float *to)
{
#pragma omp parallel for num_threads(dev->threads)
    for (int o = 0; o < rows; o++)
        memcpy(to + (size_t)o * count, from + (size_t)o * width + at, count * sizeof *to);
}
