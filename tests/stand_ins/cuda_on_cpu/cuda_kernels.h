/* The kernels of a row on CUDA, for tests that call them without a device. */
#ifndef WEIR_TESTS_CUDA_KERNELS_H
#define WEIR_TESTS_CUDA_KERNELS_H

#include "kernels/cuda/cuda.h"
#include "tests/support/row_kernels.h"

static inline const struct weir_op_kernels *cuda_kernels(const struct weir_op *op)
{
    return row_kernels(weir_cuda_kernels, op);
}

#endif
