/* host/base/philox.h - Philox4x32-10 and the normal deviates that torch's CUDA generator makes
 * of it. */
#ifndef HOST_BASE_PHILOX_H
#define HOST_BASE_PHILOX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The four output words for `seed`, draw number `draw` and element number `element`.
 * source   Salmon et al. 2011, section 3.3; cuRAND curand_philox4x32_x.h */
void philox4x32(uint64_t seed, uint64_t draw, uint64_t element, uint32_t out[4]);

/* Element `element` of draw `draw` of torch.randn(..., device="cuda") after manual_seed(seed):
 * sqrt(-2 ln u) sin v with u, v from words 0 and 1.
 * numerics computed in double and rounded once; a card's own last bits differ by about 1e-6
 * source   ATen DistributionTemplates.h, curand_normal.h (Box-Muller) */
float philox_normal(uint64_t seed, uint64_t draw, uint64_t element);

#ifdef __cplusplus
}
#endif

#endif
