/* weights/lora_module.h - what a LoRA has for one row, and the sizes it was checked to have. */
#ifndef WEIGHTS_LORA_MODULE_H
#define WEIGHTS_LORA_MODULE_H

#include "weights/lora.h"
#include "weights/lora_names.h"

enum lora_family { LORA_NONE, LORA_PLAIN, LORA_LOHA, LORA_LOKR, LORA_FULL, LORA_NORM, LORA_IA3 };

struct lora_module {
    const struct tensor *part[LORA_PARTS]; /* null: not in the file */
    enum lora_family family;
    enum module_part where;
    size_t out, in, taps; /* of the row; taps = kernel * kernel */
    int on_input;         /* IA3: scales inputs */
};

/* Tells the family by the parts, and checks that they fit each other and the row. A module of no
 * weights (an alpha alone) is LORA_NONE.
 * returns  STATUS_BAD_FILE, STATUS_BAD_SHAPE; the text names the tensor */
status lora_module_check(struct lora_module *module, const struct module_row *row);

#endif
