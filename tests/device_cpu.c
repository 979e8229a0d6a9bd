/* tests/device_cpu.c - tests of operators on the CPU device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "host/cpu/cpu.h"
#include "tests/device.h"

int device_tests(const char *operators, const struct CMUnitTest *tests, size_t count)
{
    return _cmocka_run_group_tests(operators, tests, count, NULL, NULL);
}

struct ops *device_open(enum dtype dtype, int threads)
{
    struct ops *ops = NULL;
    if (!cpu_computes(dtype)) {
        print_message("skipped: this CPU has no %s products\n", dtype_name(dtype));
        skip();
    }
    assert_int_equal(cpu_open(threads, dtype, &ops), STATUS_OK);
    device_opened_for = dtype;
    return ops;
}

void device_schedule(int k) { (void)k; }

double device_products_most(void) { return 1e18; }

int device_keeps_heap(void) { return 1; }
