/* Kernels with one mistake each, and some without, for test_emulation.c.  They are never built for a GPU. */
#include "kernels/cuda/cuda_launch.cuh"
#include "seeded.h"

/* Reverses 64 numbers through shared memory; right only with a barrier between. */
template <bool BARRIER> __global__ static void reverse_kernel(float *x)
{
    WEIR_SHARED(float, tile, 64);
    tile[threadIdx.x] = x[threadIdx.x];
    if (BARRIER)
        __syncthreads();
    x[threadIdx.x] = tile[63 - threadIdx.x];
}

/* Every thread reads its neighbour's element, then writes its own. */
__global__ static void shift_kernel(float *x)
{
    WEIR_SHARED(float, tile, 64);
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    float next = tile[(threadIdx.x + 1) % 64];
    tile[threadIdx.x] = next + 1.0f;
    __syncthreads();
    x[threadIdx.x] = tile[threadIdx.x];
}

/* Lanes of one warp hand over to each other; __syncwarp is enough, inside of a warp. */
template <bool BARRIER> __global__ static void warp_reverse_kernel(float *x)
{
    WEIR_SHARED(float, tile, 64);
    unsigned lane = threadIdx.x % 32, first = threadIdx.x - lane;
    tile[threadIdx.x] = x[threadIdx.x];
    if (BARRIER)
        __syncwarp();
    x[threadIdx.x] = tile[first + 31 - lane];
}

/* __syncwarp does not order threads of two warps. */
__global__ static void two_warps_kernel(float *x)
{
    WEIR_SHARED(float, tile, 64);
    tile[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    x[threadIdx.x] = tile[63 - threadIdx.x];
}

__global__ static void half_barrier_kernel(float *x)
{
    if (threadIdx.x >= 32)
        return;
    __syncthreads();
    x[threadIdx.x] = 0.0f;
}

__global__ static void two_barriers_kernel(float *x)
{
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    x[threadIdx.x] = 0.0f;
}

__global__ static void missing_lanes_kernel(float *x)
{
    if (threadIdx.x % 2 == 0)
        x[threadIdx.x] = __shfl_xor_sync(0xffffffffu, x[threadIdx.x], 2);
}

__global__ static void outside_mask_kernel(float *x)
{
    x[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, x[threadIdx.x], 1);
}

__global__ static void unnamed_source_kernel(float *x)
{
    if (threadIdx.x % 32 < 16)
        x[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, x[threadIdx.x], 16);
}

__global__ static void past_the_end_kernel(float *x)
{
    WEIR_SHARED(float, tile, 63);
    tile[threadIdx.x] = x[threadIdx.x];
}

__global__ static void unwritten_kernel(float *x)
{
    WEIR_SHARED(float, tile, 64);
    x[threadIdx.x] = tile[threadIdx.x];
}

/* Sums, votes and shuffles as they should be: x[0] = sum, x[1] = votes of both warps, x[2] = any. */
__global__ static void together_kernel(float *x)
{
    float mine = x[threadIdx.x], sum = weir_warp_sum(mine);
    unsigned votes = __ballot_sync(0xffffffffu, threadIdx.x % 32 < 3);
    int any = __syncthreads_or(threadIdx.x == 63), none = __syncthreads_or(0);
    float from_two = __shfl_sync(0xffffffffu, mine, 2), below = __shfl_down_sync(0xffffffffu, mine, 1);
    __syncthreads();
    if (threadIdx.x == 32) {
        x[0] = sum;
        x[1] = (float)votes;
        x[2] = (float)(10 * any + none);
        x[3] = from_two;
        x[4] = below;
    }
}

extern "C" weir_status seeded_launch(enum seeded_kernel which, unsigned threads, float *x)
{
    void (*const kernels[])(float *) = {
        reverse_kernel<true>, reverse_kernel<false>, shift_kernel,         warp_reverse_kernel<true>,
        warp_reverse_kernel<false>, two_warps_kernel, half_barrier_kernel, two_barriers_kernel,
        missing_lanes_kernel, outside_mask_kernel,   unnamed_source_kernel, past_the_end_kernel,
        unwritten_kernel,     together_kernel,
    };
    return weir_launch("seeded", kernels[which], 1, threads, NULL, x);
}
