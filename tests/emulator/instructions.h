/* tests/emulator/instructions.h - the bodies behind cuda/ptx*.cuh: instructions that CUDA C++ has
 * no name for. */
#ifndef EMULATOR_INSTRUCTIONS_H
#define EMULATOR_INSTRUCTIONS_H

#include "tests/emulator/language.h"

/* ---- sm_80 ------------------------------------------------------------------------------ */

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
void emu_take_turn(emu_site site);

/* ---- sm_90a ----------------------------------------------------------------------------- */

struct CUtensorMap_st;

void emu_mbarrier_init(uint64_t *bar, int count, emu_site site);
void emu_mbarrier_invalidate(uint64_t *bar, emu_site site);
/* `expect_bytes` more from bulk copies; `arrivals` 0 or 1. */
void emu_mbarrier_arrive(uint64_t *bar, int expect_bytes, int arrivals, emu_site site);
int emu_mbarrier_test(uint64_t *bar, int parity, emu_site site);
void emu_mbarrier_wait(uint64_t *bar, int parity, emu_site site);

/* mask: blocks of the cluster that receive the box, each at this block's offset; 0: this block. */
void emu_tensor_load(void *shared, const CUtensorMap_st *map, const int *at, int rank,
                     uint64_t *bar, unsigned mask, emu_site site);
void emu_bulk_load(void *shared, const void *global, int bytes, uint64_t *bar, emu_site site);
void emu_tensor_store(const CUtensorMap_st *map, const void *shared, const int *at, int rank,
                      emu_site site);
void emu_store_commit(void);
void emu_store_wait(int keep);
void emu_fence_async(void);

uint64_t emu_shared_offset(const void *shared);
void emu_wgmma_fence(emu_site site);
/* d [n / 2] += a b, of 64 x n x 16. a: a descriptor, or null and then the fragment `regs` [4]. */
struct emu_wgmma {
    float *d;
    const uint32_t *regs;
    uint64_t a, b;
    int n, bf16, accumulate, transposed_a, transposed_b;
};
void emu_wgmma_issue(const emu_wgmma *w, emu_site site);
void emu_wgmma_commit(emu_site site);
void emu_wgmma_wait(int keep, emu_site site);

int emu_cluster_rank(void);
int emu_cluster_size(void);
void *emu_cluster_map(const void *shared, int rank, emu_site site);
void emu_cluster_arrive(emu_site site);
void emu_cluster_wait(emu_site site);

#endif
