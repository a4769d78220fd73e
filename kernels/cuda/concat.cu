/* concat and split: the parts side by side in one array, or the other way.  A thread has an element of the whole. */
#include "kernels/cuda/cuda_launch.cuh"

/* An element of the whole, and where it is in its part. */
struct place {
    int part;
    int64_t at;
};

__device__ static inline place place_of(const weir_cuda_parts &parts, int64_t i)
{
    int64_t row = i / parts.width, column = i % parts.width;
    int part = 0;
    for (; column >= parts.widths[part]; part++)
        column -= parts.widths[part];
    place p = {part, row * parts.widths[part] + column};
    return p;
}

/* y[i] = addend[j] + x[j], of which either may not be there; without a sum the bits stay */
template <typename T>
__device__ static inline void element_move(const T *x, int64_t from, const T *addend, int64_t to, T *y)
{
    if (x && addend)
        weir_put(y, to, weir_get(addend, to) + weir_get(x, from));
    else if (x)
        y[to] = x[from];
    else if (addend)
        y[to] = addend[to];
    else
        weir_put(y, to, 0.0f);
}

template <typename T> __global__ static void gather_kernel(weir_cuda_parts parts, int64_t n, const T *addend, T *whole)
{
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride()) {
        place p = place_of(parts, i);
        element_move((const T *)parts.data[p.part], p.at, addend, i, whole);
    }
}

template <typename T> __global__ static void scatter_kernel(weir_cuda_parts parts, int64_t n, const T *whole)
{
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride()) {
        place p = place_of(parts, i);
        if (parts.data[p.part])
            element_move(whole, i, (const T *)parts.addends[p.part], p.at, (T *)parts.data[p.part]);
    }
}

template <typename T>
static weir_status gather_launch(const weir_cuda_parts *parts, const void *addend, void *whole, void *stream)
{
    int64_t n = parts->rows * parts->width;
    return WEIR_LAUNCH(gather_kernel<T>, weir_blocks(n, WEIR_THREADS), WEIR_THREADS, stream, *parts, n, (const T *)addend,
                       (T *)whole);
}

template <typename T> static weir_status scatter_launch(const weir_cuda_parts *parts, const void *whole, void *stream)
{
    int64_t n = parts->rows * parts->width;
    return WEIR_LAUNCH(scatter_kernel<T>, weir_blocks(n, WEIR_THREADS), WEIR_THREADS, stream, *parts, n, (const T *)whole);
}

extern "C" weir_status weir_launch_gather(enum weir_dtype type, const struct weir_cuda_parts *parts, const void *addend,
                                          void *whole, void *stream)
{
    return type == WEIR_DTYPE_BF16 ? gather_launch<weir_bf16>(parts, addend, whole, stream)
                                   : gather_launch<float>(parts, addend, whole, stream);
}

extern "C" weir_status weir_launch_scatter(enum weir_dtype type, const struct weir_cuda_parts *parts, const void *whole,
                                           void *stream)
{
    return type == WEIR_DTYPE_BF16 ? scatter_launch<weir_bf16>(parts, whole, stream)
                                   : scatter_launch<float>(parts, whole, stream);
}
