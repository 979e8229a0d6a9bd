/* host/sampling/noise.h - the noise a picture starts from, and that of torch's CPU generator. */
#ifndef HOST_SAMPLING_NOISE_H
#define HOST_SAMPLING_NOISE_H

#include <stdint.h>

#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum noise_generator {
    NOISE_PHILOX, /* torch on a CUDA card, the web UI's default */
    NOISE_MT19937 /* torch on a CPU, infotext "RNG: CPU" */
};

struct noise_source {
    enum noise_generator generator;
    uint64_t seed;
    uint64_t subseed;
    double strength; /* of the subseed, 0 to 1; 0: the seed's noise, unchanged to the bit */
};

/* The unit noise of one picture: y[h, w, c] (NHWC), drawn in the order channel, row, column.
 * numerics  each value within 1e-6 of its definition in double, slerp too
 * returns   STATUS_NO_MEMORY, STATUS_BAD_SHAPE
 * source    webui processing.py, create_random_tensors, slerp */
status noise_initial(const struct noise_source *source, int h, int w, int c, float *y);

/* Draws first .. first + draws - 1 of the generator after seeding with `seed`, each [h, w, c]
 * (NHWC). For the device: a generator that is not Philox needs them made beforehand. */
status noise_draws(enum noise_generator generator, uint64_t seed, int first, int draws, int h,
                   int w, int c, float *y);

#ifdef __cplusplus
}
#endif

#endif
