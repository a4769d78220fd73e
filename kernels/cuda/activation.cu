/* gelu_tanh, gelu_erf, relu, silu: y = f(x) and dx = addend + f'(x) dy.  swiglu: y = silu(gate) up. */
#include "kernels/cuda/cuda_launch.cuh"

/* sqrt(2 / pi) and its double; gelu_tanh needs no tanh: (1 + tanh u) / 2 is the logistic function of 2u. */
__device__ static inline float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

struct gelu_tanh {
    __device__ static float gate(float x)
    {
        return sigmoid(1.59576912160573071f * (x + 0.044715f * x * x * x));
    }
    __device__ static float value(float x)
    {
        return x * gate(x);
    }
    __device__ static float slope(float x)
    {
        float s = gate(x);
        return s + x * s * (1.0f - s) * (1.59576912160573071f * (1.0f + 3 * 0.044715f * x * x));
    }
};

struct gelu_erf {
    __device__ static float cdf(float x)
    {
        return 0.5f * erfcf(-0.707106781186547524f * x);
    }
    __device__ static float value(float x)
    {
        return x * cdf(x);
    }
    __device__ static float slope(float x)
    {
        return cdf(x) + x * (0.398942280401432678f * expf(-0.5f * x * x));
    }
};

struct relu {
    __device__ static float value(float x)
    {
        return x <= 0.0f ? 0.0f : x; /* NaN stays */
    }
    __device__ static float slope(float y)
    {
        return y > 0.0f ? 1.0f : y; /* 0, or NaN */
    }
};

struct silu {
    __device__ static float value(float x)
    {
        return x * sigmoid(x);
    }
    __device__ static float slope(float x)
    {
        float s = sigmoid(x);
        return s + x * s * (1.0f - s);
    }
};

template <typename F, typename T> __global__ static void value_kernel(int64_t n, const T *x, T *y)
{
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride())
        weir_put(y, i, F::value(weir_get(x, i)));
}

template <typename F, typename T>
__global__ static void slope_kernel(int64_t n, const T *x, const T *dy, const T *addend, T *dx)
{
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride())
        weir_put(dx, i, weir_addend(addend, i) + F::slope(weir_get(x, i)) * weir_get(dy, i));
}

template <typename T> __global__ static void swiglu_kernel(int64_t n, const T *gate, const T *up, T *y)
{
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride())
        weir_put(y, i, silu::value(weir_get(gate, i)) * weir_get(up, i));
}

/* The gate's gradient is written before the other's addend, which it may be, is read. */
template <typename T>
__global__ static void swiglu_slope_kernel(int64_t n, const T *gate, const T *up, const T *dy, const T *add_gate,
                                           const T *add_up, T *d_gate, T *d_up)
{
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride()) {
        float g = weir_get(gate, i), d = weir_get(dy, i);
        if (d_gate)
            weir_put(d_gate, i, weir_addend(add_gate, i) + silu::slope(g) * weir_get(up, i) * d);
        if (d_up)
            weir_put(d_up, i, weir_addend(add_up, i) + silu::value(g) * d);
    }
}

template <typename T>
static weir_status value_launch(enum weir_activation f, int64_t n, const void *x, void *y, void *stream)
{
    void (*const kernels[])(int64_t, const T *, T *) = {value_kernel<gelu_tanh, T>, value_kernel<gelu_erf, T>,
                                                        value_kernel<relu, T>, value_kernel<silu, T>};
    return weir_launch("activation", kernels[f], weir_blocks(n, WEIR_THREADS), WEIR_THREADS, stream, n, (const T *)x,
                       (T *)y);
}

template <typename T>
static weir_status slope_launch(enum weir_activation f, int64_t n, const void *x, const void *dy, const void *addend,
                                void *dx, void *stream)
{
    void (*const kernels[])(int64_t, const T *, const T *, const T *, T *) = {
        slope_kernel<gelu_tanh, T>, slope_kernel<gelu_erf, T>, slope_kernel<relu, T>, slope_kernel<silu, T>};
    return weir_launch("activation_slope", kernels[f], weir_blocks(n, WEIR_THREADS), WEIR_THREADS, stream, n,
                       (const T *)x, (const T *)dy, (const T *)addend, (T *)dx);
}

extern "C" weir_status weir_launch_activation(enum weir_activation f, enum weir_dtype type, int64_t n, const void *x,
                                              void *y, void *stream)
{
    return type == WEIR_DTYPE_BF16 ? value_launch<weir_bf16>(f, n, x, y, stream) : value_launch<float>(f, n, x, y, stream);
}

extern "C" weir_status weir_launch_activation_slope(enum weir_activation f, enum weir_dtype type, int64_t n,
                                                    const void *x, const void *dy, const void *addend, void *dx,
                                                    void *stream)
{
    return type == WEIR_DTYPE_BF16 ? slope_launch<weir_bf16>(f, n, x, dy, addend, dx, stream)
                                   : slope_launch<float>(f, n, x, dy, addend, dx, stream);
}

template <typename T>
static weir_status swiglu_launch(int64_t n, const void *gate, const void *up, void *y, void *stream)
{
    return WEIR_LAUNCH(swiglu_kernel<T>, weir_blocks(n, WEIR_THREADS), WEIR_THREADS, stream, n, (const T *)gate,
                       (const T *)up, (T *)y);
}

extern "C" weir_status weir_launch_swiglu(enum weir_dtype type, int64_t n, const void *gate, const void *up, void *y,
                                          void *stream)
{
    return type == WEIR_DTYPE_BF16 ? swiglu_launch<weir_bf16>(n, gate, up, y, stream)
                                   : swiglu_launch<float>(n, gate, up, y, stream);
}

template <typename T>
static weir_status swiglu_slope_launch(int64_t n, const void *gate, const void *up, const void *dy, const void *add_gate,
                                       const void *add_up, void *d_gate, void *d_up, void *stream)
{
    return WEIR_LAUNCH(swiglu_slope_kernel<T>, weir_blocks(n, WEIR_THREADS), WEIR_THREADS, stream, n, (const T *)gate,
                       (const T *)up, (const T *)dy, (const T *)add_gate, (const T *)add_up, (T *)d_gate, (T *)d_up);
}

extern "C" weir_status weir_launch_swiglu_slope(enum weir_dtype type, int64_t n, const void *gate, const void *up,
                                                const void *dy, const void *add_gate, const void *add_up, void *d_gate,
                                                void *d_up, void *stream)
{
    return type == WEIR_DTYPE_BF16
               ? swiglu_slope_launch<weir_bf16>(n, gate, up, dy, add_gate, add_up, d_gate, d_up, stream)
               : swiglu_slope_launch<float>(n, gate, up, dy, add_gate, add_up, d_gate, d_up, stream);
}
