/* host/app/measured.h - what is known of one configuration when it is done. */
#ifndef HOST_APP_MEASURED_H
#define HOST_APP_MEASURED_H

#include "host/app/operators.h"
#include "host/app/series.h"
#include "host/app/sweep.h"
#include "host/mikubench.h"

enum clock_kind { CLOCK_SAMPLING, CLOCK_PICTURE, CLOCK_FILE, CLOCK_COLD, CLOCKS };
enum stage_kind {
    STAGE_LOAD,
    STAGE_FUSE,
    STAGE_ENCODE,
    STAGE_SAMPLE,
    STAGE_DECODE,
    STAGE_WRITE,
    STAGES
};
extern const char *const clock_names[CLOCKS], *const stage_names[STAGES];

struct measured {
    const struct configuration *configuration;
    char *key;                          /* the same in two files where the same was measured */
    char *device, *summary, *plan_hash; /* plan_hash null: nothing to choose */
    char *engine, *engine_left;         /* as miku_device() has them */
    const char *precision;              /* a literal of the library */
    int threads;

    /* One value a sample, which is a batch of a counted run, in ms; clock[CLOCK_FILE] has one a
     * written picture. Loading and fusing stand wherever they happened. */
    struct series clock[CLOCKS], stage[STAGES];
    struct series steps_per_s;
    struct series step; /* [samples, steps] */
    int steps;

    int warmups, counted, asked; /* runs */
    char *reason;                /* why there are fewer than asked; null: there are not */
    char *error;                 /* null: none */

    int stand_in, synthetic;
    struct miku_weights_used *weights; /* with strings of its own */
    size_t weights_count;
    size_t device_peak_bytes, host_peak_bytes;

    int has_operators, has_ceiling;
    struct operators operators;
    struct miku_ceiling ceiling;

    double joules_per_picture;
    const char *energy_source; /* "NVML", "RAPL"; null: there is none, and why */
    const char *energy_reason;
};

/* Starts an empty record. returns STATUS_NO_MEMORY */
status measured_open(const struct configuration *configuration, const struct miku_device *device,
                     struct measured *out);
void measured_free(struct measured *measured);

/* A sample; loading and fusing, of any run; what the first run's picture says of the rest. */
status measured_sample(struct measured *measured, const struct miku_times *times);
status measured_once(struct measured *measured, const struct miku_times *times);
status measured_weights(struct measured *measured, const struct miku_picture *picture);

/* Most resident memory of this process so far. */
size_t measured_host_peak_bytes(void);

/* Keeps a line of text; the first wins. */
status measured_error(struct measured *measured, const char *text);
status measured_reason(struct measured *measured, const char *text);

#endif
