/* host/cpu/engine.h - oneDNN behind two nouns: a matrix, packed as oneDNN likes it, and a product,
 * one convolution of one image with it. Everything that conv2d and linear compute is made of
 * these. Nothing else in the program includes dnnl.h. */
#ifndef HOST_CPU_ENGINE_H
#define HOST_CPU_ENGINE_H

#include <stddef.h>

#include <dnnl.h>

#include "host/base/ops.h"
#include "host/cpu/device.h"

status cpu_engine_open(struct cpu_device *dev); /* makes dev->engine */
void cpu_engine_close(struct cpu_device *dev);  /* and every product; null is fine */

void cpu_engine_plan(struct cpu_device *dev); /* a planning begins */

/* How many products that were prepared run oneDNN's reference code, hundreds of times slower: none.
 */
int cpu_engine_reference_count(const struct cpu_device *dev);

/* The instruction set that oneDNN will use here, "AVX-512" say. */
const char *cpu_engine_isa(void);
int cpu_engine_has_bf16(void);
int cpu_engine_likes_blocks(void); /* convolutions in nChw8c beat those in NHWC */

/* ---- a packed matrix ------------------------------------------------------------------- */

struct cpu_matrix {
    dnnl_memory_desc_t md; /* of `data`: the layout oneDNN chose */
    void *data;
    size_t bytes;
    enum dtype dtype;
    int out, in, kh, kw;
    unsigned settled; /* the planning in which the layout was last chosen */
};

/* Sets sizes and dtype from *matrix, chooses a layout for a middling picture, and takes memory. */
status cpu_matrix_create(struct cpu_device *dev, struct cpu_matrix *matrix, int stride);
void cpu_matrix_destroy(struct cpu_device *dev, struct cpu_matrix *matrix);

/* Outputs are packed in multiples of this: of 64 and 48, the largest blocks of the layouts. */
enum { MATRIX_PACK = 192 };

/* Packs rows first .. first + rows - 1 of f32 [rows, in, kh, kw]; `first` is a multiple of
 * MATRIX_PACK, and so is `rows` unless it is the last. */
status cpu_matrix_pack(struct cpu_device *dev, struct cpu_matrix *matrix, int first, int rows,
                       const float *from);

/* ---- a product of one image -------------------------------------------------------------- */

/* y[h_out, w_out, out] = act(conv(x[h, w, in]) + bias + (sum ? y : 0)). All ints: it is a key. */
struct cpu_product {
    int x, y; /* dtypes */
    int h, w, h_out, w_out;
    int stride, pad_top, pad_left; /* below and right: what the sizes ask for */
    int sum;
    int act;     /* enum activation */
    int blocked; /* x and y are [c / 8, h, w, 8] */
};

struct cpu_prepared;

/* Finds the primitive for the product with this matrix, or makes it while planning (and then may
 * change the matrix's layout). *work_bytes is raised to the scratch it needs.
 * returns  STATUS_NO_MEMORY if it was not planned for */
status cpu_product_prepare(struct cpu_device *dev, const struct cpu_product *product,
                           struct cpu_matrix *matrix, struct cpu_prepared **out,
                           size_t *work_bytes);

status cpu_product_run(struct cpu_device *dev, struct cpu_prepared *prepared,
                       const struct cpu_matrix *matrix, const float *bias, const void *x, void *y,
                       void *work);

#endif
