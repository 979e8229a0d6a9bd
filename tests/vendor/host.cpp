/* tests/vendor/host.cpp - the emulated device as the stand-ins for the vendor's libraries see it.
 * Linked into the programs that load them, which export these names. */
#include "tests/emulator/internal.h"
#include "tests/vendor/fake.h"

int vendor_host_owns(const void *p, size_t bytes)
{
    const size_t at = (size_t)((const unsigned char *)p - emu_heap);
    if (!emu_heap || at >= emu_heap_bytes || bytes > emu_heap_bytes - at)
        return 0;
    for (size_t i = 0; i < bytes; i++)
        if (emu_heap_state[at + i] == GLOBAL_NONE)
            return 0;
    return 1;
}

int vendor_host_enqueue(void *stream, void (*work)(void *), void *data)
{
    return cudaLaunchHostFunc((cudaStream_t)stream, work, data);
}

void vendor_host_wrote(const void *p, size_t bytes) { emu_mark_written(p, bytes); }
