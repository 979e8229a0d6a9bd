/* weights/lora_open.h - an opened LoRA, as its readers and its arithmetic share it. */
#ifndef WEIGHTS_LORA_OPEN_H
#define WEIGHTS_LORA_OPEN_H

#include "weights/lora_module.h"

struct lora {
    struct tensor_file *file;
    struct lora_module *modules; /* [count], one a row; LORA_NONE where it has nothing */
    size_t count;
    struct lora_unused *unused;
    size_t unused_count, unused_cap;
};

#endif
