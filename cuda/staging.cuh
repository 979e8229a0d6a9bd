/* cuda/staging.cuh - making and ending the device's pinned pieces; device.cuh has their use. */
#ifndef CUDA_STAGING_CUH
#define CUDA_STAGING_CUH

#include "cuda/device.cuh"

status cuda_staging_create(struct cuda_device *dev);
void cuda_staging_destroy(struct cuda_device *dev); /* null is fine */

#endif
