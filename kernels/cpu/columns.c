#include "kernels/cpu/columns.h"

#include "kernels/cpu/simd.h"

struct job {
    int64_t rows, columns;
    weir_row_add_fn add;
    const void *argument;
    bool accumulate;
    float *out;
};

WEIR_KERNEL static void add_arrays(int64_t n, const float *x, float *sums)
{
    WEIR_LOOP
    for (int64_t i = 0; i < n; i++)
        sums[i] += x[i];
}

void weir_columns_add(int64_t n, const float *x, float *sums)
{
    add_arrays(n, x, sums);
}

static void block_sum(const void *argument, int64_t task, int thread)
{
    const struct job *job = argument;
    (void)thread;
    float sums[WEIR_COLUMN_BLOCK] = {0};
    int64_t column = task * WEIR_COLUMN_BLOCK, n = weir_task_size(job->columns, WEIR_COLUMN_BLOCK, task);
    for (int64_t row = 0; row < job->rows; row++)
        job->add(job->argument, row, column, n, sums);
    if (job->accumulate)
        add_arrays(n, sums, job->out + column);
    else
        memcpy(job->out + column, sums, (size_t)n * sizeof *sums);
}

void weir_column_sums(const struct weir_kernel_context *context, int64_t rows, int64_t columns, weir_row_add_fn add,
                      const void *argument, bool accumulate, float *out)
{
    const struct job job = {rows, columns, add, argument, accumulate, out};
    weir_parallel(context, weir_task_count(columns, WEIR_COLUMN_BLOCK), block_sum, &job);
}
