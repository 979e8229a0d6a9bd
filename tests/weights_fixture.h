/* tests/weights_fixture.h - small weights files made by the tests: safetensors written by hand,
 * with values from a seed. */
#ifndef TESTS_WEIGHTS_FIXTURE_H
#define TESTS_WEIGHTS_FIXTURE_H

#include <stddef.h>

#include "host/base/dtype.h"
#include "host/base/module.h"

struct fixture; /* tensors that are to stand in one file */

struct fixture *fixture_create(void);
void fixture_destroy(struct fixture *fixture);

/* Adds a tensor; values null: small ones from the seed of its name. The name may be there already:
 * then it takes the place of the old one. */
void fixture_add(struct fixture *fixture, const char *name, enum dtype dtype, int rank,
                 const size_t *shape, const float *values);
void fixture_drop(struct fixture *fixture, const char *name);
void fixture_note(struct fixture *fixture, const char *key, const char *value);

/* A whole checkpoint of these rows, f16, canonical names behind `prefix`. */
void fixture_rows(struct fixture *fixture, const char *prefix, const struct module_row *rows,
                  size_t count);

/* The element at i of a tensor without values. */
float fixture_value(const char *name, size_t i);

/* Writes FOLDER/NAME as safetensors. */
void fixture_write(const struct fixture *fixture, const char *folder, const char *name);

/* A folder of the test's own, gone with everything in it on fixture_folder_remove(). */
char *fixture_folder(void);
void fixture_folder_remove(char *folder);
char *fixture_path(const char *folder, const char *name); /* free() it */
void fixture_bytes(const char *folder, const char *name, const void *bytes, size_t count);

/* Sizes of the smallest network: widths 32 to 64, one text layer 8 wide. */
struct sd1_sizes fixture_sizes(void);

#endif
