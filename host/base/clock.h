/* host/base/clock.h - wall time that never goes back. */
#ifndef HOST_BASE_CLOCK_H
#define HOST_BASE_CLOCK_H

#ifdef __cplusplus
extern "C" {
#endif

/* Milliseconds since some moment before the process began (CLOCK_MONOTONIC). */
double clock_now_ms(void);

#ifdef __cplusplus
}
#endif

#endif
