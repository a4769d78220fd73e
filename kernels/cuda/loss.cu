/* cross_entropy and mse: a block per row, sums in float64; then one block adds the rows' losses in a fixed tree. */
#include "kernels/cuda/cuda_launch.cuh"

/* The gradient may be written over the logits: a row is read for the last time where it is written. */
template <typename T>
__global__ static void cross_entropy_kernel(int64_t rows, int64_t columns, const T *x, const int32_t *targets,
                                            float scale, T *d, double *losses)
{
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        int64_t at = row * columns, target = targets[row];
        bool known = target >= 0 && target < columns;
        float wanted = known ? weir_get(x, at + target) : NAN, most = -INFINITY;
        double total = 0;
        for (int64_t i = threadIdx.x; i < columns; i += WEIR_THREADS)
            most = fmaxf(most, weir_get(x, at + i));
        most = weir_block_max(most);
        for (int64_t i = threadIdx.x; i < columns; i += WEIR_THREADS)
            total += (double)expf(weir_get(x, at + i) - most);
        total = weir_block_sum(total); /* a barrier: every thread has read the target's logit */
        float factor = (float)((double)scale / total);
        for (int64_t i = threadIdx.x; d && i < columns; i += WEIR_THREADS)
            weir_put(d, at + i, expf(weir_get(x, at + i) - most) * factor - (i == target ? scale : 0.0f));
        if (threadIdx.x == 0)
            losses[row] = log(total) + (double)most - (double)wanted;
    }
}

template <typename T>
__global__ static void mse_kernel(int64_t rows, int64_t columns, const T *x, const T *target, float scale, T *d,
                                  double *losses)
{
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        double total = 0;
        for (int64_t i = row * columns + threadIdx.x; i < (row + 1) * columns; i += WEIR_THREADS) {
            float a = weir_get(x, i), b = weir_get(target, i);
            total += ((double)a - (double)b) * ((double)a - (double)b);
            if (d)
                weir_put(d, i, (a - b) * scale);
        }
        total = weir_block_sum(total);
        if (threadIdx.x == 0)
            losses[row] = total / (double)columns;
    }
}

__global__ static void loss_kernel(int64_t rows, const double *losses, double *loss)
{
    double sum = 0;
    for (int64_t row = threadIdx.x; row < rows; row += WEIR_THREADS)
        sum += losses[row];
    sum = weir_block_sum(sum);
    if (threadIdx.x == 0)
        *loss = sum;
}

static weir_status loss_launch(weir_status status, int64_t rows, const double *losses, double *loss, void *stream)
{
    return status ? status : WEIR_LAUNCH(loss_kernel, 1, WEIR_THREADS, stream, rows, losses, loss);
}

template <typename T>
static weir_status cross_entropy_launch(int64_t rows, int64_t columns, const void *x, const int32_t *targets,
                                        float scale, void *d, double *losses, void *stream)
{
    return WEIR_LAUNCH(cross_entropy_kernel<T>, weir_blocks(rows, 1), WEIR_THREADS, stream, rows, columns, (const T *)x,
                       targets, scale, (T *)d, losses);
}

template <typename T>
static weir_status mse_launch(int64_t rows, int64_t columns, const void *x, const void *target, float scale, void *d,
                              double *losses, void *stream)
{
    return WEIR_LAUNCH(mse_kernel<T>, weir_blocks(rows, 1), WEIR_THREADS, stream, rows, columns, (const T *)x,
                       (const T *)target, scale, (T *)d, losses);
}

extern "C" weir_status weir_launch_cross_entropy(enum weir_dtype type, int64_t rows, int64_t columns, const void *x,
                                                 const int32_t *targets, float scale, void *d, double *losses,
                                                 double *loss, void *stream)
{
    weir_status status = type == WEIR_DTYPE_BF16
                             ? cross_entropy_launch<weir_bf16>(rows, columns, x, targets, scale, d, losses, stream)
                             : cross_entropy_launch<float>(rows, columns, x, targets, scale, d, losses, stream);
    return loss_launch(status, rows, losses, loss, stream);
}

extern "C" weir_status weir_launch_mse(enum weir_dtype type, int64_t rows, int64_t columns, const void *x,
                                       const void *target, float scale, void *d, double *losses, double *loss,
                                       void *stream)
{
    weir_status status = type == WEIR_DTYPE_BF16
                             ? mse_launch<weir_bf16>(rows, columns, x, target, scale, d, losses, stream)
                             : mse_launch<float>(rows, columns, x, target, scale, d, losses, stream);
    return loss_launch(status, rows, losses, loss, stream);
}
