/* What struct weir_kernel_context * points to for a CUDA row. */
#ifndef WEIR_KERNELS_CUDA_CUDA_CONTEXT_H
#define WEIR_KERNELS_CUDA_CUDA_CONTEXT_H

#include "kernels/cuda/cuda_matmul.h"
#include "kernels/op.h"

struct weir_cuda_context {
    struct weir_cuda_matmul *matmul;
};

static inline struct weir_cuda_context *weir_cuda_context_of(const struct weir_op_call *call)
{
    return (struct weir_cuda_context *)(void *)call->context;
}

#endif
