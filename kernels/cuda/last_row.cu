/* last_row: one row of many. */
#include "kernels/cuda/cuda_launch.cuh"

template <typename T> __global__ static void row_kernel(int64_t columns, const T *x, T *y)
{
    for (int64_t i = weir_thread_first(); i < columns; i += weir_thread_stride())
        y[i] = x[i];
}

template <typename T> static weir_status row_launch(int64_t columns, const T *x, void *y, void *stream)
{
    return WEIR_LAUNCH(row_kernel<T>, weir_blocks(columns, WEIR_THREADS), WEIR_THREADS, stream, columns, x, (T *)y);
}

extern "C" weir_status weir_launch_row(enum weir_dtype type, int64_t columns, int64_t row, const void *x, void *y,
                                       void *stream)
{
    return type == WEIR_DTYPE_BF16 ? row_launch(columns, (const weir_bf16 *)x + row * columns, y, stream)
                                   : row_launch(columns, (const float *)x + row * columns, y, stream);
}
