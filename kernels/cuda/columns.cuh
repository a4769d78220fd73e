/* Sums over rows of (rows, columns) tables: the gradients of gains and biases, without atomics.
 *
 *     first     a block of 8 x 32 threads adds WEIR_COLUMN_ROWS rows of 32 columns     ─▶ partials (chunks, columns)
 *     second    a thread per column adds the partials in ascending order               ─▶ sums, = or +=
 *
 * A Term gives the value to add for one element: struct { __device__ float operator()(int64_t row, int64_t column) const; } */
#ifndef WEIR_KERNELS_CUDA_COLUMNS_CUH
#define WEIR_KERNELS_CUDA_COLUMNS_CUH

#include "kernels/cuda/cuda_launch.cuh"

enum { WEIR_COLUMN_LANES = WEIR_THREADS / WEIR_WARP };

template <typename Term>
__global__ static void column_partials_kernel(Term term, int64_t rows, int64_t columns, float *partials)
{
    WEIR_SHARED(float, lanes, WEIR_THREADS);
    int64_t strips = (columns + WEIR_WARP - 1) / WEIR_WARP, chunks = (rows + WEIR_COLUMN_ROWS - 1) / WEIR_COLUMN_ROWS;
    for (int64_t task = blockIdx.x; task < strips * chunks; task += gridDim.x) {
        int64_t column = task % strips * WEIR_WARP + threadIdx.x % WEIR_WARP, first = task / strips * WEIR_COLUMN_ROWS;
        int64_t end = first + WEIR_COLUMN_ROWS < rows ? first + WEIR_COLUMN_ROWS : rows;
        float sum = 0.0f;
        if (column < columns)
            for (int64_t row = first + threadIdx.x / WEIR_WARP; row < end; row += WEIR_COLUMN_LANES)
                sum += term(row, column);
        __syncthreads(); /* the sums of the task before have been read */
        lanes[threadIdx.x] = sum;
        __syncthreads();
        if (threadIdx.x < WEIR_WARP && column < columns) {
            for (int lane = 1; lane < WEIR_COLUMN_LANES; lane++)
                sum += lanes[lane * WEIR_WARP + threadIdx.x];
            partials[task / strips * columns + column] = sum;
        }
    }
}

template <typename Unused>
__global__ static void column_sums_kernel(int64_t chunks, int64_t columns, const float *partials, bool accumulate,
                                          float *sums)
{
    for (int64_t column = weir_thread_first(); column < columns; column += weir_thread_stride()) {
        float sum = partials[column];
        for (int64_t chunk = 1; chunk < chunks; chunk++)
            sum += partials[chunk * columns + column];
        sums[column] = accumulate ? sums[column] + sum : sum;
    }
}

template <typename Term>
static weir_status weir_columns_launch(Term term, int64_t rows, int64_t columns, bool accumulate, float *sums,
                                       float *scratch, void *stream)
{
    if (rows == 0 || columns == 0)
        return WEIR_OK;
    int64_t chunks = weir_column_partials(rows), strips = (columns + WEIR_WARP - 1) / WEIR_WARP;
    weir_status status = WEIR_LAUNCH(column_partials_kernel<Term>, weir_blocks(strips * chunks, 1), WEIR_THREADS, stream,
                                     term, rows, columns, scratch);
    if (status)
        return status;
    return WEIR_LAUNCH(column_sums_kernel<void>, weir_blocks(columns, WEIR_THREADS), WEIR_THREADS, stream, chunks,
                       columns, (const float *)scratch, accumulate, sums);
}

#endif
