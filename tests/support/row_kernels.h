/* The kernels of a row, for tests that call them without a device. */
#ifndef WEIR_TESTS_ROW_KERNELS_H
#define WEIR_TESTS_ROW_KERNELS_H

#include "tests/support/testing.h"

#include "kernels/cpu/cpu.h"

static inline const struct weir_op_kernels *row_kernels(weir_kernels_fn find, const struct weir_op *op)
{
    const struct weir_op_kernels *kernels = NULL;
    assert_ok(find(op, NULL, &kernels));
    return kernels;
}

static inline const struct weir_op_kernels *cpu_kernels(const struct weir_op *op)
{
    return row_kernels(weir_cpu_kernels, op);
}

#endif
