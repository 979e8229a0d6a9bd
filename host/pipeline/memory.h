/* host/pipeline/memory.h - how much the machine can still give. */
#ifndef HOST_PIPELINE_MEMORY_H
#define HOST_PIPELINE_MEMORY_H

#include <stddef.h>

/* Bytes that this process may still take without the machine or its control group running out;
 * 0 if that cannot be known. source   proc(5) MemAvailable; cgroup v2 memory.max, memory.current */
size_t memory_available(void);

#endif
