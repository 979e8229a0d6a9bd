/* host/prompt/number.h - decimal numbers in text, whatever the locale. */
#ifndef HOST_PROMPT_NUMBER_H
#define HOST_PROMPT_NUMBER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NUMBER_TEXT = 32 }; /* bytes that number_print() needs */

/* Length of the number that text starts with: sign, digits with or without a point, exponent if
 * `exponent`; 0 if there is none. ASCII digits only. */
size_t number_length(const char *text, size_t bytes, int exponent);

/* The value of text that is such a number as a whole; too large gives infinity. Returns 0 if it is
 * none. */
int number_parse(const char *text, size_t bytes, double *out);

/* As Python prints a float, but whole ones without a point: 7, 7.5, 1e-05. */
void number_print(double value, char *out, size_t size);

#ifdef __cplusplus
}
#endif

#endif
