/* add and dropout.  A thread of dropout draws one Philox block, the factors of four elements of one sample. */
#include "kernels/cuda/philox.cuh"

template <typename T> __global__ static void sum_kernel(int64_t n, const T *a, const T *b, const T *c, T *y)
{
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride()) {
        float sum = weir_get(a, i) + weir_get(b, i);
        weir_put(y, i, c ? sum + weir_get(c, i) : sum);
    }
}

template <typename T>
static weir_status sum_launch(int64_t n, const void *a, const void *b, const void *c, void *y, void *stream)
{
    return WEIR_LAUNCH(sum_kernel<T>, weir_blocks(n, WEIR_THREADS), WEIR_THREADS, stream, n, (const T *)a, (const T *)b,
                       (const T *)c, (T *)y);
}

extern "C" weir_status weir_launch_sum(enum weir_dtype type, int64_t n, const void *a, const void *b, const void *c,
                                       void *y, void *stream)
{
    return type == WEIR_DTYPE_BF16 ? sum_launch<weir_bf16>(n, a, b, c, y, stream) : sum_launch<float>(n, a, b, c, y, stream);
}

template <typename T>
__global__ static void dropout_kernel(weir_cuda_dropout dropout, int64_t samples, int64_t per_sample, const T *x,
                                      const T *addend, T *y)
{
    bool on = weir_dropout_on(dropout);
    int64_t blocks = (per_sample + 3) / 4;
    for (int64_t i = weir_thread_first(); i < samples * blocks; i += weir_thread_stride()) {
        int64_t sample = i / blocks, block = i % blocks, n = per_sample - 4 * block;
        int64_t at = sample * per_sample + 4 * block;
        weir_philox random = {{0, 0, 0, 0}};
        if (on)
            random = weir_dropout_block(dropout, sample, block);
        for (int j = 0; j < 4; j++) {
            if (j >= n)
                break;
            float factor = on ? weir_dropout_factor(dropout, random.word[j]) : 1.0f;
            weir_put(y, at + j, weir_addend(addend, at + j) + factor * weir_get(x, at + j));
        }
    }
}

template <typename T>
static weir_status dropout_launch(const weir_cuda_dropout *dropout, int64_t samples, int64_t per_sample, const void *x,
                                  const void *addend, void *y, void *stream)
{
    return WEIR_LAUNCH(dropout_kernel<T>, weir_blocks(samples * ((per_sample + 3) / 4), WEIR_THREADS), WEIR_THREADS,
                       stream, *dropout, samples, per_sample, (const T *)x, (const T *)addend, (T *)y);
}

extern "C" weir_status weir_launch_dropout(enum weir_dtype type, const struct weir_cuda_dropout *dropout,
                                           int64_t samples, int64_t per_sample, const void *x, const void *addend,
                                           void *y, void *stream)
{
    return type == WEIR_DTYPE_BF16 ? dropout_launch<weir_bf16>(dropout, samples, per_sample, x, addend, y, stream)
                                   : dropout_launch<float>(dropout, samples, per_sample, x, addend, y, stream);
}
