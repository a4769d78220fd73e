/* rope: a table of cosines and sines first, then every pair of every head turned by it.
 *
 * Angles are computed in double and rounded once, as on the CPU (kernels/cpu/cpu_rope.c has the formulas).
 * table (positions, 2, width / 2): the cosines of a position, then its sines. */
#include "kernels/cuda/cuda_launch.cuh"

__device__ static inline double frequency(const weir_rope &r, int64_t i, int64_t d)
{
    const double turn = 6.283185307179586477;
    double f = pow(r.theta, -2.0 * (double)i / (double)d), wavelength = turn / f;
    if (r.scaling == WEIR_ROPE_PLAIN || (r.scaling == WEIR_ROPE_LLAMA3 && wavelength < r.original / r.high))
        return f;
    if (r.scaling == WEIR_ROPE_LINEAR || wavelength > r.original / r.low)
        return f / r.factor;
    double smooth = (r.original / wavelength - r.low) / (r.high - r.low);
    return (1 - smooth) * f / r.factor + smooth * f;
}

__global__ static void table_kernel(weir_cuda_rope rope, float *table)
{
    int64_t half = rope.width / 2;
    for (int64_t i = weir_thread_first(); i < rope.positions * half; i += weir_thread_stride()) {
        int64_t position = i / half, pair = i % half;
        double angle = (double)(rope.first + position) * frequency(rope.rope, pair, rope.width);
        table[position * rope.width + pair] = (float)cos(angle);
        table[position * rope.width + half + pair] = (float)(rope.back ? -sin(angle) : sin(angle));
    }
}

template <typename T>
__global__ static void turn_kernel(weir_cuda_rope rope, const float *table, const T *x, const T *addend, T *y)
{
    int64_t half = rope.width / 2, heads = rope.heads, n = rope.samples * rope.positions * heads * half;
    for (int64_t i = weir_thread_first(); i < n; i += weir_thread_stride()) {
        int64_t pair = i % half, position = i / half / heads % rope.positions;
        int64_t low = i / half * rope.width + pair, high = low + half;
        float cosine = table[position * rope.width + pair], sine = table[position * rope.width + half + pair];
        float a = weir_get(x, low), b = weir_get(x, high);
        weir_put(y, low, weir_addend(addend, low) + (a * cosine - b * sine));
        weir_put(y, high, weir_addend(addend, high) + (b * cosine + a * sine));
    }
}

template <typename T>
static weir_status turn_launch(const weir_cuda_rope *rope, const float *table, const void *x, const void *addend, void *y,
                               void *stream)
{
    int64_t pairs = rope->samples * rope->positions * rope->heads * (rope->width / 2);
    return WEIR_LAUNCH(turn_kernel<T>, weir_blocks(pairs, WEIR_THREADS), WEIR_THREADS, stream, *rope, table, (const T *)x,
                       (const T *)addend, (T *)y);
}

extern "C" weir_status weir_launch_rope(enum weir_dtype type, const struct weir_cuda_rope *rope, const void *x,
                                        const void *addend, void *y, float *table, void *stream)
{
    weir_status status = WEIR_LAUNCH(table_kernel, weir_blocks(rope->positions * (rope->width / 2), WEIR_THREADS),
                                     WEIR_THREADS, stream, *rope, table);
    if (status)
        return status;
    return type == WEIR_DTYPE_BF16 ? turn_launch<weir_bf16>(rope, table, x, addend, y, stream)
                                   : turn_launch<float>(rope, table, x, addend, y, stream);
}
