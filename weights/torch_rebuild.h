/* weights/torch_rebuild.h - one tensor from the call that torch would make to rebuild it. */
#ifndef WEIGHTS_TORCH_REBUILD_H
#define WEIGHTS_TORCH_REBUILD_H

#include "weights/torch_tensors.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 1 if the value is a call of one of torch's functions that rebuild a tensor, known here or not. */
int torch_rebuilds_tensor(const struct pickle_value *value);

/* The tensor such a call stands for. Its data points into the storage where the elements lie there
 * contiguous and little endian, else to memory of the table.
 * returns  STATUS_BAD_FILE    the arguments are not what torch writes, or reach outside the storage
 *          STATUS_UNSUPPORTED a sparse, quantised or meta tensor; more than TENSOR_MAX_RANK axes
 * source   torch/_utils.py, _rebuild_tensor_v2 and its neighbours */
status torch_rebuild(const struct pickle_value *call, struct torch_store *store,
                     struct tensor_table *table, struct tensor *out);

#ifdef __cplusplus
}
#endif

#endif
