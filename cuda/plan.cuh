/* cuda/plan.cuh - the committed plans as the build embeds them, and the device's copy of one. */
#ifndef CUDA_PLAN_CUH
#define CUDA_PLAN_CUH

#include "cuda/device.cuh"

/* One file of bench/plans/, embedded (plans.cpp is made by the build). */
struct cuda_plan_source {
    int arch;
    const char *hash; /* sha256 of the file */
    const char *text;
};
extern const struct cuda_plan_source cuda_plan_sources[]; /* ends with arch 0 */

status cuda_plan_create(struct cuda_device *dev); /* from the source of the device's architecture */
void cuda_plan_destroy(struct cuda_device *dev);  /* null is fine */

#endif
