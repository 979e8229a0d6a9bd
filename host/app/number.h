/* host/app/number.h - numbers on a command line, read strictly. */
#ifndef HOST_APP_NUMBER_H
#define HOST_APP_NUMBER_H

#include <stdint.h>

/* Each returns 1 if all of `text` is such a number and it is in range; else 0, and *out is
 * untouched. No blanks, no "0x", no "inf". */
int number_int(const char *text, long long low, long long high, long long *out);
int number_real(const char *text, double low, double high, double *out);
int number_size(const char *text, int *width, int *height); /* 512x768 */

/* 0 to 2^64 - 1, or -1: then *random is 1 and *out is untouched. */
int number_seed(const char *text, uint64_t *out, int *random);

/* A seed for who asked for any: 32 bits, as the web UI draws them. */
uint64_t number_random_seed(void);

#endif
