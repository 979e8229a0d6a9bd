/* cuda/cuda.h - the CUDA device, as the pipeline, the tests and the benchmarks open it. C, and free
 * of CUDA headers. Linked against cudart's static library or against tests/emulator. */
#ifndef CUDA_CUDA_H
#define CUDA_CUDA_H

#include "host/base/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* GPUs that this program can use. 0 with the reason in status_text() where there is no driver, the
 * driver is too old for the toolkit, or no GPU is visible; never a failure. */
int cuda_count(void);

/* Opens GPU `ordinal` for runs in `dtype` (F16, BF16, F32).
 *
 * memory   weights in slabs, one arena for activations, one scratch; nothing is allocated after
 *          plan_end()
 * async    operators are enqueued on one stream
 * returns  STATUS_UNSUPPORTED  compute capability below 8.0, or no code for it in this build
 *          STATUS_DEVICE       no driver, driver too old, no such GPU, GPU in exclusive use; the
 *                              text says which
 *          STATUS_NO_MEMORY    no room for the context itself
 *          On failure *out is null. */
status cuda_open(int ordinal, enum dtype dtype, struct ops **out);

/* The rows of an operator's variant table, plainest first: name `i` of "conv2d" say, or null past
 * the end and for an operator without a table. For tests and benchmarks. */
const char *cuda_variant_name(const char *op, int i);

/* Makes `op` run as `variant` from here on; null: as the plan says again.
 * A call that the variant does not take is STATUS_UNSUPPORTED until then.
 * returns  STATUS_MISUSE  no such operator or variant; the text lists what there is */
status cuda_force(struct ops *ops, const char *op, const char *variant);

/* As cuda_force(), but a call that the variant does not take runs as it would without. */
status cuda_prefer(struct ops *ops, const char *op, const char *variant);

/* How often row `i` of the operator ran on this device. */
long cuda_variant_runs(struct ops *ops, const char *op, int i);

/* The key of the operator's last run, as a plan spells it; "" before the first. Lent. */
const char *cuda_last_key(struct ops *ops, const char *op);

/* Opens the vendor's libraries, cuBLASLt and cuDNN, so that the variants called "vendor" can run.
 * Before the device's first weight.
 *
 * numerics  sums in the libraries' own order; a convolution whose epilogue is ours is rounded twice
 * memory    handles now; descriptors and heuristics when a call is planned, workspaces in scratch
 * returns   STATUS_NOT_FOUND    one is not here; the text has the names tried
 *           STATUS_UNSUPPORTED  one is too old, or lacks a function
 *           STATUS_DEVICE       one makes no handle
 *           STATUS_MISUSE       the device has a weight already */
status cuda_vendor_open(struct ops *ops);
/* 1: they run every call that they take, but where cuda_force() or cuda_prefer() says otherwise. */
void cuda_vendor_prefer(struct ops *ops, int wanted);
/* "cuBLASLt 13.1.0, cuDNN 9.19.0"; null: not opened. */
const char *cuda_vendor_versions(const struct ops *ops);

/* Runs the same launches plainly instead of replaying a graph (--no-graph). */
void cuda_use_graphs(struct ops *ops, int wanted);

/* Runs by this plan instead of the committed one: bench/plans/README.md has its form; "" is no
 * plan. For trying one before it is committed.
 * returns  STATUS_BAD_FILE  a line names an operator or variant that is not there */
status cuda_plan_use(struct ops *ops, const char *text);

/* "CUDA 13.0, sm_80 sm_90a, PTX 80": what the kernels were built with and for. */
const char *cuda_build(void);

#ifdef __cplusplus
}
#endif

#endif
