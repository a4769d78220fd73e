/* Stand-in for the header of the CUDA runtime: what Weir's own CUDA sources use of it, for C and for C++.
 * ../emulation.h says what it can show and what not. */
#ifndef WEIR_TESTS_CUDA_RUNTIME_H
#define WEIR_TESTS_CUDA_RUNTIME_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CUstream_st *cudaStream_t;

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
} cudaError_t;

cudaError_t cudaMalloc(void **pointer, size_t bytes);
cudaError_t cudaFree(void *pointer);
cudaError_t cudaGetLastError(void);
const char *cudaGetErrorName(cudaError_t error);
const char *cudaGetErrorString(cudaError_t error);

#ifdef __cplusplus
}

#include "../emulated_device.h"
#endif

#endif
