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

/* Rows whose values depend on the place in a sequence know it only on the CPU, where generators run. */
static inline weir_status weir_cuda_no_sequence(const struct weir_op_call *call)
{
    if (!call->sequence)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "'%s' has no generation on cuda: generate on cpu", call->op->name);
}

/* p == 0 when the row has no dropout; whether the step is one of training, the device finds out. */
static inline struct weir_cuda_dropout weir_cuda_dropout_of(const struct weir_op_call *call)
{
    double p = call->attr->dropout;
    struct weir_cuda_dropout dropout = {call->step, call->node, call->first_sample, (float)p, (float)(1 / (1 - p))};
    return dropout;
}

#endif
