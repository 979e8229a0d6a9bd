/* tests/check.h - test data from seeds, and comparisons that say where they failed.
 *
 * It compares and reports; stopping is the test's business. NaN never passes. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Element i of an array of some dtype, as a double. */
double value(const void *data, enum dtype dtype, size_t i);

/* Zeroed memory, good until test_release(). */
void *test_alloc(size_t bytes);
void test_release(void);

/* `count` normal values, the same for the same seed, already rounded to dtype. */
void *test_values(enum dtype dtype, size_t count, double mean, double sigma, uint64_t seed);
float *test_f32(size_t count, double mean, double sigma, uint64_t seed);

/* [n, per]: image i holds the values of seed + id[i], so that a picture keeps its data wherever
 * it stands; id null: 0, 1, 2, ... */
void *test_images(enum dtype dtype, int n, size_t per, const int *id, double mean, double sigma,
                  uint64_t seed);

/* Half a unit in the last place of a stored value, relative. */
double half_ulp(enum dtype dtype);

/* Half the distance of the smallest values: what a store may lose below the type's normal range,
 * where inputs and results go in tests (f32 and bf16 end far lower). */
double half_least(enum dtype dtype);

/* |got - want| <= rel |want| + abs + factor * room (room may be null). Returns how many values
 * fail, and prints the worst of them with `what`. */
struct bound {
    double rel, abs, factor;
    const double *room;
};
size_t check_close(const void *got, enum dtype dtype, const double *want, size_t count,
                   struct bound bound, const char *what);

/* Returns how many bytes differ, and prints the first. */
size_t check_equal(const void *a, const void *b, size_t bytes, const char *what);

/* Plants a NaN, an error just beyond its bound and a changed byte: returns how many of the three
 * went unseen. */
size_t check_selftest(void);

#ifdef __cplusplus
}
#endif

#endif
