/* The CUDA runtime on the processor, as far as kernels/cuda needs it: device memory is memory.
 * Weak: a program that links the stand-in of tests/stand_ins/fake_cuda gets that one. */
#include <cuda_runtime.h>
#include <stdlib.h>

__attribute__((weak)) cudaError_t cudaMalloc(void **pointer, size_t bytes)
{
    void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (!memory)
        return cudaErrorMemoryAllocation;
    *pointer = memory;
    return cudaSuccess;
}

__attribute__((weak)) cudaError_t cudaFree(void *pointer)
{
    free(pointer);
    return cudaSuccess;
}

__attribute__((weak)) cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}

__attribute__((weak)) const char *cudaGetErrorName(cudaError_t error)
{
    return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" :
           error == cudaErrorInvalidValue     ? "cudaErrorInvalidValue" :
                                                "cudaSuccess";
}

__attribute__((weak)) const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaErrorMemoryAllocation ? "out of memory" :
           error == cudaErrorInvalidValue     ? "invalid argument" :
                                                "no error";
}
