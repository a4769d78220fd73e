/* Sums over rows of (rows, columns) tables, the gradients of gains and biases.
 *
 * Columns are cut into blocks, one task each; a block walks down the rows in ascending order with its sums in cache.
 * With `accumulate` the finished sums are added to what `out` holds. */
#ifndef WEIR_KERNELS_CPU_COLUMNS_H
#define WEIR_KERNELS_CPU_COLUMNS_H

#include "kernels/cpu/parallel.h"

enum { WEIR_COLUMN_BLOCK = 1024 };

/* Add row `row`, columns column..column+n-1, to sums[0..n), n <= WEIR_COLUMN_BLOCK. */
typedef void (*weir_row_add_fn)(const void *argument, int64_t row, int64_t column, int64_t n, float *sums);

void weir_column_sums(const struct weir_kernel_context *context, int64_t rows, int64_t columns, weir_row_add_fn add,
                      const void *argument, bool accumulate, float *out);

/* sums[i] += x[i] */
void weir_columns_add(int64_t n, const float *x, float *sums);

#endif
