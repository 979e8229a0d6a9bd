/* tests/emulator/instructions.h - the bodies behind cuda/ptx.cuh: instructions that CUDA C++ has no
 * name for. */
#ifndef EMULATOR_INSTRUCTIONS_H
#define EMULATOR_INSTRUCTIONS_H

#include "tests/emulator/language.h"

/* n times ldmatrix of `count` (2 or 4) matrices; r is [n][count]. */
void emu_ldmatrix(uint32_t *r, int count, int transposed, const void *const *row, int n,
                  emu_site site);
/* d [m][n][4] += a [m][4] b [n][2], fragments of m16n8k16. */
void emu_mma_16816(float *d, const uint32_t *a, const uint32_t *b, int m, int n, int bf16,
                   emu_site site);
void emu_cp_async(void *shared, const void *global, int size, int valid, emu_site site);
void emu_cp_async_commit(void);
void emu_cp_async_wait(int keep);
void *emu_shared(size_t bytes);

#endif
