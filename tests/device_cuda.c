/* tests/device_cuda.c - tests of operators on the CUDA device: on a GPU, or on tests/emulator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cuda/cuda.h"
#include "tests/device.h"
#if TEST_ON_EMULATOR
#include "tests/emulator/emulator.h"
#endif

enum { OPERATORS = 8, NAME = 32 };

static char operator_name[OPERATORS][NAME];
static int operator_count;
static int row; /* of each operator's table, preferred now */
static long runs[OPERATORS];
static void (*destroy_device)(struct ops *ops);

/* ---- which row ran ------------------------------------------------------------------------- */

static void read_names(const char *operators)
{
    operator_count = 0;
    while (*operators && operator_count < OPERATORS) {
        const size_t length = strcspn(operators, " ");
        snprintf(operator_name[operator_count++], NAME, "%.*s", (int)length, operators);
        operators += length + strspn(operators + length, " ");
    }
}

static void count_and_destroy(struct ops *ops)
{
    for (int i = 0; i < operator_count; i++)
        runs[i] += cuda_variant_runs(ops, operator_name[i], row);
    destroy_device(ops);
}

/* Rows that nothing reached: each is a failure. The vendor's is left to the tests of kernels: it
 * promises neither one rounding nor the same bytes in any batch. */
static int untested(void)
{
    int count = 0;
    for (int i = 0; i < operator_count; i++) {
        const char *name = cuda_variant_name(operator_name[i], row);
        if (name == NULL || runs[i] > 0 || strcmp(name, "vendor") == 0)
            continue;
        fprintf(stderr, "%s: no test reached the variant %s\n", operator_name[i], name);
        count++;
    }
    return count;
}

static int rows(void)
{
    int most = 1;
    for (int i = 0; i < operator_count; i++)
        while (cuda_variant_name(operator_name[i], most) != NULL)
            most++;
    return most;
}

static int is_there(void)
{
    if (cuda_count() > 0)
        return 1;
    fprintf(stderr, "skipped: %s\n", status_text());
    return 0;
}

int device_tests(const char *operators, const struct CMUnitTest *tests, size_t count)
{
    enum { SKIPPED = 77 };
    int failures = 0;
    if (!is_there())
        return SKIPPED;
    read_names(operators);
    for (row = 0; row < rows(); row++) {
        char group[NAME * OPERATORS];
        snprintf(group, sizeof group, "%s, row %d", operators, row);
        memset(runs, 0, sizeof runs);
        failures += _cmocka_run_group_tests(group, tests, count, NULL, NULL);
        failures += untested();
    }
    return failures;
}

/* ---- opening ------------------------------------------------------------------------------- */

struct ops *device_open(enum dtype dtype, int threads)
{
    struct ops *ops = NULL;
    (void)threads;
    const status result = cuda_open(0, dtype, &ops);
    if (result != STATUS_OK)
        print_error("%s\n", status_text());
    assert_int_equal(result, STATUS_OK);
    for (int i = 0; i < operator_count; i++) {
        const char *name = cuda_variant_name(operator_name[i], row);
        if (name != NULL && strcmp(name, "vendor") != 0)
            assert_int_equal(cuda_prefer(ops, operator_name[i], name), STATUS_OK);
    }
    destroy_device = ops->destroy;
    ops->destroy = count_and_destroy;
    device_opened_for = dtype;
    return ops;
}

#if TEST_ON_EMULATOR
void device_schedule(int k)
{
    static struct emu_settings usual;
    static int known;
    if (!known)
        usual = emu_set;
    known = 1;
    emu_set.order = k > 0 ? EMU_RANDOM : usual.order;
    emu_set.seed = k > 0 ? (uint64_t)k : usual.seed;
}

double device_products_most(void) { return 6e6; }

int device_keeps_heap(void) { return 0; }
#else
void device_schedule(int k) { (void)k; }

double device_products_most(void) { return 1e18; }

int device_keeps_heap(void) { return 1; }
#endif
