/* tests/emulator/launch_log.cpp - what was started, for tools/kernel-report: with EMU_LAUNCHES=FILE
 * every launch appends a line of program, the kernel's offset in it, name, threads a block, bytes
 * of shared memory. Lines are whole: one write each. */
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/emulator/internal.h"

static int open_log(void)
{
    const char *path = getenv("EMU_LAUNCHES");
    return path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
}

/* The program itself comes first, and its kernels lie in it. */
static int first_object(struct dl_phdr_info *info, size_t, void *base)
{
    *(uintptr_t *)base = info->dlpi_addr;
    return 1;
}

void emu_log_launch(const char *name, const void *kernel, dim3 block, size_t shared_bytes)
{
    static const int log = open_log();
    if (log < 0)
        return;
    char program[1024] = "", line[1400];
    uintptr_t base = 0;
    dl_iterate_phdr(first_object, &base);
    if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
        return;
    const int length = snprintf(line, sizeof line, "%s\t%zx\t%s\t%u\t%zu\n", program,
                                (size_t)((uintptr_t)kernel - base), name,
                                block.x * block.y * block.z, shared_bytes);
    if (write(log, line, (size_t)length) < 0)
        return; /* a log that cannot be kept is no reason to stop a test */
}
