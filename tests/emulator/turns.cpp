/* tests/emulator/turns.cpp - kernels that may begin before the one before them has ended. Here they
 * never do; the rule is held to instead: no access of global memory before take_turn(), and no
 * thread that ends without it, since whoever comes next counts on this kernel having waited. source
 * CUDA C++ Programming Guide, "Programmatic Dependent Launch and Synchronization" */
#include "tests/emulator/internal.h"

void emu_take_turn(emu_site) { emu_now->took_turn = 1; }

void emu_check_turn(const char *what, emu_site site, void *pc)
{
    if (!emu_worker->grid->after || emu_now->took_turn)
        return;
    const std::string line =
        pc ? emu_source_line(pc) : std::string(site.file) + ":" + std::to_string(site.line);
    emu_fail("%s at %s: global memory before take_turn(): the kernel before may still run", what,
             line.c_str());
}

void emu_end_of_turn(void)
{
    if (emu_worker->grid->after && !emu_now->took_turn)
        emu_fail("thread ends without take_turn(): the next kernel may begin before the one before "
                 "has ended");
}
