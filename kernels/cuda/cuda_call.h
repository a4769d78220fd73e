/* What the CUDA rows share when they unpack a call. */
#ifndef WEIR_KERNELS_CUDA_CUDA_CALL_H
#define WEIR_KERNELS_CUDA_CUDA_CALL_H

#include "kernels/cuda/cuda_rows.h"
#include "kernels/cuda/launchers.h"

static inline enum weir_dtype weir_cuda_type(const struct weir_tensor *tensor)
{
    return tensor->code == 4 ? WEIR_DTYPE_BF16 : WEIR_DTYPE_F32;
}

/* Size of the last dimension. */
static inline int64_t weir_cuda_columns(const struct weir_tensor *tensor)
{
    return tensor->shape[tensor->n_dims - 1];
}

static inline int64_t weir_cuda_rows(const struct weir_tensor *tensor)
{
    return weir_tensor_elements(tensor) / weir_cuda_columns(tensor);
}

/* Where the rows of a call stand.  The numbers are read while the row enqueues and go along with the launch: a generator
 * changes them from call to call, and what it enqueues is not captured. */
static inline struct weir_sequence weir_cuda_sequence_of(const struct weir_op_call *call, int64_t rows)
{
    struct weir_sequence all = {0, rows};
    return call->sequence ? *call->sequence : all;
}

/* p == 0 when the row has no dropout; whether the step is one of training, the device finds out. */
static inline struct weir_cuda_dropout weir_cuda_dropout_of(const struct weir_op_call *call, double p)
{
    struct weir_cuda_dropout dropout = {call->step, call->node, call->first_sample, (float)p, (float)(1 / (1 - p))};
    return dropout;
}

#endif
