#include <cuda_runtime.h>

#include "kernels/cuda/cuda.h"

weir_status weir_cuda_check(int error, const char *call)
{
    cudaError_t e = (cudaError_t)error;
    if (e == cudaSuccess)
        return WEIR_OK;
    (void)cudaGetLastError();
    return WEIR_FAIL(e == cudaErrorMemoryAllocation ? WEIR_ERR_NOMEM : WEIR_ERR_DEVICE, "cuda: %s: %s, %s", call,
                     cudaGetErrorName(e), cudaGetErrorString(e));
}
