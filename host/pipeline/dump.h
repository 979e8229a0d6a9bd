/* host/pipeline/dump.h - NumPy files for anyone who compares implementations. */
#ifndef HOST_PIPELINE_DUMP_H
#define HOST_PIPELINE_DUMP_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

struct dump; /* a folder; null wherever a dump is taken: nothing is written */

/* Makes `folder` (and, if pictures > 1, its sub-folders 0, 1, ...). An empty or null path gives a
 * null dump. returns STATUS_IO, STATUS_NO_MEMORY */
status dump_open(const char *folder, int pictures, struct dump **out);
void dump_close(struct dump *dump);

/* Writes NAME.npy of picture `k` in C order. */
status dump_f32(struct dump *dump, int k, const char *name, const float *data, const size_t *shape,
                int rank);
status dump_i32(struct dump *dump, int k, const char *name, const int32_t *data,
                const size_t *shape, int rank);

/* Writes one image of an NHWC array [h, w, c] as [c, h, w]. */
status dump_nhwc(struct dump *dump, int k, const char *name, const float *data, int h, int w,
                 int c);

#endif
