/* Kernel tables: what a kind of device brings for rows that others wrote.
 *
 * A row of include/weir/op.h says what an operation is: shapes, parameters, work.  How it is computed is the device's
 * business.  Each kind has one table, keyed by the row's name, and one function that is asked:
 *
 *     weir_cpu_kernels(&weir_op_linear, &shapes, &kernels)      kernels/cpu/cpu_table.c
 *     weir_cuda_kernels(&weir_op_linear, &shapes, &kernels)     kernels/cuda/cuda_table.c
 *
 * A row that a program made brings kernels of its own in its columns `cpu` and `cuda`; they are looked at first.  A device
 * may have kernels for some shapes and not for others: that is what `shapes` is for.
 *
 * A new kind of device is such a function, a table, and a line in engine/device/device.c. */
#ifndef WEIR_KERNELS_KERNEL_TABLE_H
#define WEIR_KERNELS_KERNEL_TABLE_H

#include "include/weir/op.h"

/* The kernels of a kind of device for calls of these shapes; NULL: for any.  They live as long as the row and the program.
 * WEIR_ERR_UNSUPPORTED: it has none; the message names row, device and what to do. */
typedef weir_status (*weir_kernels_fn)(const struct weir_op *op, const struct weir_op_shapes *shapes,
                                       const struct weir_op_kernels **kernels_out);

/* Bytes that calls of a pass of a node keep its parameters in, in a form of their own; 0: none. */
typedef size_t (*weir_packed_fn)(const struct weir_op *op, const struct weir_op_shapes *shapes, enum weir_pass pass, int n_threads);

struct weir_kernel_row {
    const char *op; /* name of a built-in row; NULL: the end of a table */
    struct weir_op_kernels kernels;
};

struct weir_kernel_table {
    const char *device; /* the kind's name */
    const struct weir_kernel_row *rows;
};

#ifdef __cplusplus
extern "C" {
#endif

/* What a table has for the row, or NULL.  A row that a program made is in none, whatever its name. */
const struct weir_op_kernels *weir_kernel_row_find(const struct weir_kernel_row *rows, const struct weir_op *op);

/* The row's `own` kernels where it has any, else those of the table.  WEIR_ERR_UNSUPPORTED as above. */
weir_status weir_kernel_table_find(const struct weir_kernel_table *table, const struct weir_op *op,
                                   const struct weir_op_kernels *own, const struct weir_op_kernels **kernels_out);

/* Takes the place of a kernel where a program is planned for a device that is not here: fails when it is called. */
weir_status weir_kernel_absent(const struct weir_op_call *call, void *stream);

#ifdef __cplusplus
}
#endif

#endif
