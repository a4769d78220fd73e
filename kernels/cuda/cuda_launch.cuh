/* What every .cu file shares: launching, shared memory, storage types.
 *
 * A kernel is started through WEIR_LAUNCH and nothing else; under nvcc that is <<<>>> with a check, elsewhere (a C++
 * compiler with the stand-in headers of tests/stand_ins/cuda_on_cpu) a call that runs the kernel on the processor.  Arrays in shared
 * memory are declared with WEIR_SHARED, so that the emulation can watch them. */
#ifndef WEIR_KERNELS_CUDA_CUDA_LAUNCH_CUH
#define WEIR_KERNELS_CUDA_CUDA_LAUNCH_CUH

#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/launchers.h"

#ifdef __CUDACC__
#define WEIR_SHARED(type, name, n) __shared__ type name[n]
#else
#define WEIR_SHARED(type, name, n) static __thread weir_emulated_array<type, n> name
#endif

/* Start kernel<<<grid, block, 0, stream>>>(..); the value is a weir_status.  A template's name goes in parentheses. */
#define WEIR_LAUNCH(kernel, grid, block, stream, ...) weir_launch(#kernel, kernel, grid, block, stream, __VA_ARGS__)

/* Arguments are converted here to what the kernel takes. */
template <typename... Params, typename... Args>
static inline weir_status weir_launch(const char *name, void (*kernel)(Params...), dim3 grid, unsigned block,
                                      void *stream, Args... args)
{
    if (grid.x == 0 || grid.y == 0 || grid.z == 0)
        return WEIR_OK;
#ifdef __CUDACC__
    kernel<<<grid, block, 0, (cudaStream_t)stream>>>(static_cast<Params>(args)...);
    return weir_cuda_check((int)cudaGetLastError(), name);
#else
    return weir_emulate(name, kernel, grid, block, stream, static_cast<Params>(args)...);
#endif
}

enum { WEIR_THREADS = 256, WEIR_WARP = 32 };

/* Blocks for n things of which one block takes `per`; kernels loop where there are more than a grid can have. */
static inline unsigned weir_blocks(int64_t n, int64_t per)
{
    const int64_t most = 0x7fffffff;
    int64_t blocks = (n + per - 1) / per;
    return (unsigned)(blocks < most ? blocks : most);
}

/* First index and stride of a loop over elements or, with a block as the unit, over rows. */
__device__ static inline int64_t weir_thread_first()
{
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

__device__ static inline int64_t weir_thread_stride()
{
    return (int64_t)gridDim.x * blockDim.x;
}

typedef __nv_bfloat16 weir_bf16;

__device__ static inline float weir_get(const float *x, int64_t i)
{
    return x[i];
}

__device__ static inline float weir_get(const weir_bf16 *x, int64_t i)
{
    return __bfloat162float(x[i]);
}

__device__ static inline void weir_put(float *x, int64_t i, float value)
{
    x[i] = value;
}

__device__ static inline void weir_put(weir_bf16 *x, int64_t i, float value)
{
    x[i] = __float2bfloat16_rn(value);
}

/* addend[i], or nothing when there is none */
template <typename T> __device__ static inline float weir_addend(const T *addend, int64_t i)
{
    return addend ? weir_get(addend, i) : 0.0f;
}

/* Sum and maximum over the lanes of a warp, in the same tree in every lane; all lanes take part. */
template <typename T> __device__ static inline T weir_warp_sum(T x)
{
    for (int distance = WEIR_WARP / 2; distance > 0; distance /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, distance);
    return x;
}

__device__ static inline float weir_warp_max(float x)
{
    for (int distance = WEIR_WARP / 2; distance > 0; distance /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
    return x;
}

/* The same over a block of WEIR_THREADS threads; the result is in all threads.  Two barriers: one before the value of the
 * last use is overwritten, one before the new ones are read. */
template <typename T> __device__ static inline T weir_block_sum(T x)
{
    WEIR_SHARED(T, parts, WEIR_THREADS / WEIR_WARP);
    x = weir_warp_sum(x);
    __syncthreads();
    if (threadIdx.x % WEIR_WARP == 0)
        parts[threadIdx.x / WEIR_WARP] = x;
    __syncthreads();
    T sum = parts[0];
    for (int i = 1; i < WEIR_THREADS / WEIR_WARP; i++)
        sum += parts[i];
    return sum;
}

__device__ static inline float weir_block_max(float x)
{
    WEIR_SHARED(float, parts, WEIR_THREADS / WEIR_WARP);
    x = weir_warp_max(x);
    __syncthreads();
    if (threadIdx.x % WEIR_WARP == 0)
        parts[threadIdx.x / WEIR_WARP] = x;
    __syncthreads();
    float most = parts[0];
    for (int i = 1; i < WEIR_THREADS / WEIR_WARP; i++)
        most = fmaxf(most, parts[i]);
    return most;
}

#endif
