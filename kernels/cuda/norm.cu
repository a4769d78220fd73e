/* layer_norm and rms_norm: one warp per row, whose lanes take every 32nd column.  kernels/cpu/cpu_norm.c has the formulas;
 * rms_norm has mean 0 and no bias. */
#include "kernels/cuda/columns.cuh"

enum { WARPS = WEIR_THREADS / WEIR_WARP };

/* Rows of this warp: first and stride.  A warp stays together, so its shuffles have all lanes. */
__device__ static inline int64_t row_first()
{
    return (int64_t)blockIdx.x * WARPS + threadIdx.x / WEIR_WARP;
}

__device__ static inline int64_t row_stride()
{
    return (int64_t)gridDim.x * WARPS;
}

template <typename T>
__global__ static void norm_kernel(bool centred, int64_t rows, int64_t columns, float eps, const T *x, const T *gain,
                                   const T *bias, T *y, float *saved)
{
    int64_t lane = threadIdx.x % WEIR_WARP;
    for (int64_t row = row_first(); row < rows; row += row_stride()) {
        const T *in = x + row * columns;
        float mean = 0.0f, square = 0.0f;
        if (centred) {
            for (int64_t i = lane; i < columns; i += WEIR_WARP)
                mean += weir_get(in, i);
            mean = weir_warp_sum(mean) / (float)columns;
        }
        for (int64_t i = lane; i < columns; i += WEIR_WARP) {
            float d = weir_get(in, i) - mean;
            square += d * d;
        }
        float r = 1.0f / sqrtf(weir_warp_sum(square) / (float)columns + eps);
        for (int64_t i = lane; i < columns; i += WEIR_WARP) {
            float scaled = (weir_get(in, i) - mean) * r * weir_get(gain, i);
            weir_put(y, row * columns + i, bias ? scaled + weir_get(bias, i) : scaled);
        }
        if (lane == 0 && centred)
            saved[2 * row] = mean;
        if (lane == 0)
            saved[centred ? 2 * row + 1 : row] = r;
    }
}

/* What forward saved of a row. */
struct row_stats {
    float mean, r;
};

__device__ static inline row_stats stats_of(bool centred, const float *saved, int64_t row)
{
    return centred ? row_stats{saved[2 * row], saved[2 * row + 1]} : row_stats{0.0f, saved[row]};
}

template <typename T>
__global__ static void slope_kernel(bool centred, int64_t rows, int64_t columns, const T *x, const T *dy, const T *gain,
                                    const T *addend, const float *saved, T *dx)
{
    int64_t lane = threadIdx.x % WEIR_WARP;
    for (int64_t row = row_first(); row < rows; row += row_stride()) {
        int64_t at = row * columns;
        row_stats s = stats_of(centred, saved, row);
        float sums = 0.0f, products = 0.0f;
        for (int64_t i = lane; i < columns; i += WEIR_WARP) {
            float g = weir_get(dy, at + i) * weir_get(gain, i);
            sums += g;
            products += g * ((weir_get(x, at + i) - s.mean) * s.r);
        }
        float a = centred ? weir_warp_sum(sums) / (float)columns : 0.0f, b = weir_warp_sum(products) / (float)columns;
        for (int64_t i = lane; i < columns; i += WEIR_WARP) {
            float g = weir_get(dy, at + i) * weir_get(gain, i), hat = (weir_get(x, at + i) - s.mean) * s.r;
            weir_put(dx, at + i, weir_addend(addend, at + i) + s.r * (g - a - hat * b));
        }
    }
}

template <typename T> struct gain_term {
    bool centred;
    int64_t columns;
    const T *x, *dy;
    const float *saved;

    __device__ float operator()(int64_t row, int64_t column) const
    {
        row_stats s = stats_of(centred, saved, row);
        int64_t at = row * columns + column;
        return weir_get(dy, at) * ((weir_get(x, at) - s.mean) * s.r);
    }
};

template <typename T> struct plain_term {
    int64_t columns;
    const T *x;

    __device__ float operator()(int64_t row, int64_t column) const
    {
        return weir_get(x, row * columns + column);
    }
};

template <typename T>
static weir_status norm_launch(bool centred, int64_t rows, int64_t columns, float eps, const void *x, const void *gain,
                               const void *bias, void *y, float *saved, void *stream)
{
    return WEIR_LAUNCH(norm_kernel<T>, weir_blocks(rows, WARPS), WEIR_THREADS, stream, centred, rows, columns, eps,
                       (const T *)x, (const T *)gain, (const T *)bias, (T *)y, saved);
}

template <typename T>
static weir_status slope_launch(bool centred, int64_t rows, int64_t columns, const void *x, const void *dy,
                                const void *gain, const void *addend, const float *saved, void *dx, void *stream)
{
    return WEIR_LAUNCH(slope_kernel<T>, weir_blocks(rows, WARPS), WEIR_THREADS, stream, centred, rows, columns,
                       (const T *)x, (const T *)dy, (const T *)gain, (const T *)addend, saved, (T *)dx);
}

template <typename T>
static weir_status weights_launch(bool centred, int64_t rows, int64_t columns, const void *x, const void *dy,
                                  const float *saved, bool accumulate, float *d_gain, float *d_bias, float *scratch,
                                  void *stream)
{
    const gain_term<T> gain = {centred, columns, (const T *)x, (const T *)dy, saved};
    const plain_term<T> bias = {columns, (const T *)dy};
    weir_status status = weir_columns_launch(gain, rows, columns, accumulate, d_gain, scratch, stream);
    if (status || !d_bias)
        return status;
    return weir_columns_launch(bias, rows, columns, accumulate, d_bias, scratch, stream);
}

extern "C" weir_status weir_launch_norm(enum weir_dtype type, bool centred, int64_t rows, int64_t columns, float eps,
                                        const void *x, const void *gain, const void *bias, void *y, float *saved,
                                        void *stream)
{
    return type == WEIR_DTYPE_BF16
               ? norm_launch<weir_bf16>(centred, rows, columns, eps, x, gain, bias, y, saved, stream)
               : norm_launch<float>(centred, rows, columns, eps, x, gain, bias, y, saved, stream);
}

extern "C" weir_status weir_launch_norm_slope(enum weir_dtype type, bool centred, int64_t rows, int64_t columns,
                                              const void *x, const void *dy, const void *gain, const void *addend,
                                              const float *saved, void *dx, void *stream)
{
    return type == WEIR_DTYPE_BF16
               ? slope_launch<weir_bf16>(centred, rows, columns, x, dy, gain, addend, saved, dx, stream)
               : slope_launch<float>(centred, rows, columns, x, dy, gain, addend, saved, dx, stream);
}

extern "C" weir_status weir_launch_norm_weights(enum weir_dtype type, bool centred, int64_t rows, int64_t columns,
                                                const void *x, const void *dy, const float *saved, bool accumulate,
                                                float *d_gain, float *d_bias, float *scratch, void *stream)
{
    return type == WEIR_DTYPE_BF16
               ? weights_launch<weir_bf16>(centred, rows, columns, x, dy, saved, accumulate, d_gain, d_bias, scratch, stream)
               : weights_launch<float>(centred, rows, columns, x, dy, saved, accumulate, d_gain, d_bias, scratch, stream);
}

extern "C" weir_status weir_launch_column_sums(enum weir_dtype type, int64_t rows, int64_t columns, const void *x,
                                               bool accumulate, float *sums, float *scratch, void *stream)
{
    if (type == WEIR_DTYPE_BF16)
        return weir_columns_launch(plain_term<weir_bf16>{columns, (const weir_bf16 *)x}, rows, columns, accumulate, sums,
                                   scratch, stream);
    return weir_columns_launch(plain_term<float>{columns, (const float *)x}, rows, columns, accumulate, sums, scratch,
                               stream);
}
