/* host/app/perf_control.h - tells perf when to record, through the FIFO of its --control. */
#ifndef HOST_APP_PERF_CONTROL_H
#define HOST_APP_PERF_CONTROL_H

#include "host/base/status.h"

/* Opens the FIFO, which perf reads already.
 * returns  STATUS_IO: it cannot be opened, or nobody reads it */
status perf_control_open(const char *path, int *fd);
void perf_control_close(int fd); /* -1 is fine */

/* "enable" or "disable". returns 0, or -1 if it could not be written */
int perf_control(int fd, int enable);

#endif
