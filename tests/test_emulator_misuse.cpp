/* tests/test_emulator_misuse.cpp - does the emulator notice? Each kernel that is wrong in one way
 * has to be named for it, in every order, and the right ones beside them have to pass. */
#include <cuda_runtime.h>
#include <stdio.h>
#include <string.h>

#include "tests/emulator/emulator.h"
#include "tests/emulator/misuse.h"

/* Is one of "a|b|c" part of what was said? */
static int names(const char *said, const char *wanted)
{
    char part[100];
    for (;;) {
        const size_t length = strcspn(wanted, "|");
        snprintf(part, sizeof part, "%.*s", (int)length, wanted);
        if (strstr(said, part))
            return 1;
        if (!wanted[length])
            return 0;
        wanted += length + 1;
    }
}

static int check(const misuse &m)
{
    float host[MISUSE_VALUES] = {}, *y;
    const char *expect = emu_is_checked() ? m.checked : m.fast;
    if (cudaMalloc(&y, sizeof host) != cudaSuccess)
        return 1;
    cudaMemcpy(y, host, sizeof host - sizeof host[0], cudaMemcpyHostToDevice);
    const status result = m.launch(y, host);
    const cudaError_t ran = cudaDeviceSynchronize();
    const char *said = result != STATUS_OK ? status_text() : emu_last_report();
    const int failed = result != STATUS_OK || ran != cudaSuccess;
    int right = !m.checked ? !failed : failed && names(said, expect ? expect : "");
    if (m.checked && !expect && !failed)
        right = 1; /* a fast build need not notice */
    if (!right)
        printf("%s: said \"%s\", wanted \"%s\"\n", m.name, said,
               expect      ? expect
               : m.checked ? "(anything)"
                           : "(nothing)");
    emu_forget_failure();
    cudaFree(y);
    return !right;
}

int main(void)
{
    int missed = 0;
    emu_set.quiet = 1;
    emu_set.watchdog_s = 1;
    for (int order = EMU_FORWARD; order <= EMU_RANDOM; order++) {
        emu_set.order = (enum emu_order)order;
        for (size_t i = 0; i < misuses_sm80_count; i++)
            missed += check(misuses_sm80[i]);
        for (size_t i = 0; i < misuses_hopper_count; i++)
            missed += check(misuses_hopper[i]);
    }
    printf("%zu kernels in three orders, %d not as they should be\n",
           misuses_sm80_count + misuses_hopper_count, missed);
    return missed != 0;
}
