/* host/cpu/memory.h - large blocks of memory. */
#ifndef HOST_CPU_MEMORY_H
#define HOST_CPU_MEMORY_H

#include <stddef.h>

/* At least `bytes` (not 0), 64-byte aligned, for free(); null if there is no memory. What fills
 * whole huge pages asks for them: a full-size model has a million small ones, and faulting those
 * in takes longer than converting the weights. */
void *cpu_memory_take(size_t bytes);

#endif
