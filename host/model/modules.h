/* host/model/modules.h - every module of Stable Diffusion 1.x: its name, kind and shape. */
#ifndef HOST_MODEL_MODULES_H
#define HOST_MODEL_MODULES_H

#include <stddef.h>

#include "host/base/module.h"
#include "host/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows come text encoder first, then UNet, VAE decoder, VAE encoder; each part in the order in
 * which it runs. The VAE encoder (and quant_conv) is listed only if sizes->encoder_width is set;
 * txt2img does not use it. */
struct modules {
    struct sd1_sizes sizes;
    struct module_row *rows; /* names are owned by the table */
    size_t count;
    size_t encoder_first; /* rows from here on are the VAE encoder's: optional in a file */
    char *names;          /* storage of the names */
    size_t names_used;
};

/* The sizes of the published SD 1.x checkpoints. */
struct sd1_sizes modules_sd1_sizes(void);

/* memory   modules_destroy() frees the rows and their names; networks built from the table lend
 * them returns  STATUS_BAD_SHAPE  a size that no SD 1.x network has: not positive, a width that 32
 * groups or 8 heads do not divide, absurdly large STATUS_NO_MEMORY */
status modules_create(const struct sd1_sizes *sizes, struct modules **out);
void modules_destroy(struct modules *modules); /* null is fine */

/* The row called `name`, lent; null if there is none. Its index is row - modules->rows. */
const struct module_row *modules_find(const struct modules *modules, const char *name);

/* Parameters (weight and bias elements) of a row; of all rows of a part that a run needs. */
size_t module_parameters(const struct module_row *row);
size_t modules_parameters(const struct modules *modules, enum module_part part);

#ifdef __cplusplus
}
#endif

#endif
